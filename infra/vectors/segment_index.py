"""Segments by meaning: their texts' directions in Qdrant, filled in the background. A view that can be made again.

A point is a segment: its payload holds its study and its place in the order in which segments came (``seq``), so
that filling goes on where it stopped. A collection belongs to one embedder; another one begins its own.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from threading import Lock
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.tables import erasures, segments
from infra.vectors.points import Collection, Point, Vectors
from infra.vectors.qdrant import open_vectors
from models.errors import QualstreamError
from models.ports import Clock, Embedder

log = logging.getLogger(__name__)
NAME = "segments"
_STEP = 16  # segments embedded at once: whoever searches meanwhile waits for no more
_SHARE = 3  # seconds of rest for each second of work: the page and the workers go first
_LOOK_S = 2.0
_AGAIN_S = 15.0
_LONGEST = 2_000  # characters: no sentence model reads more
_SETTLED = timedelta(seconds=5)
"""PostgreSQL may show a row before one with a lower number, whose transaction is still open; so long it may take."""


@dataclass(frozen=True)
class Filled:
    """How far the index is."""

    indexed: int
    total: int
    fault: str | None
    """Why it cannot be searched now, if it cannot."""

    @property
    def ready(self) -> bool:
        """Whether every segment can be found."""
        return self.fault is None and self.indexed >= self.total


@dataclass(frozen=True)
class Place:
    """Where the index is kept, and the server's key if it wants one."""

    url: str
    api_key: str | None = None


def place_of(settings: Settings) -> Place:
    """A folder of its own beside the codes' where the engine is in this process; else the same server."""
    if settings.index_folder is not None:
        return Place(f"file:{settings.data_dir.absolute() / NAME}")
    key = settings.qdrant_api_key
    return Place(settings.index_url, key.get_secret_value() if key else None)


class SegmentIndex:
    """Segments by meaning. Threads may share it; where the engine is in this process, one process has it."""

    def __init__(self, database: Database, embedder: Embedder, clock: Clock, place: Place) -> None:
        """Take the parts; nothing is opened or loaded before the first step."""
        self._database, self._embedder, self._clock, self._place = database, embedder, clock, place
        self._vectors: Vectors | None = None
        self._opening = Lock()
        self._last: tuple[int, UUID] | None = None  # the segment up to which all are in
        self._indexed = 0
        self._fault: str | None = "it is being opened"
        self._forgotten: datetime | None = None  # when the last of the erasures was that are done here

    def filled(self) -> Filled:
        """How far it is, over all studies."""
        with self._database.reading() as connection:
            total = connection.execute(select(func.count()).select_from(segments)).scalar_one()
        return Filled(self._indexed, total, self._fault)

    def nearest(self, study: str, text: str, limit: int) -> list[tuple[UUID, float]]:
        """The study's segments nearest in meaning to a text, best first, each with its cosine.

        Raises:
            UnavailableError: If the server does not answer.
            SettingError: If the index cannot be opened.
        """
        (vector,) = self._embedder.embed([text[:_LONGEST]])
        return [(near.id, near.similarity) for near in self._open().nearest(study, vector, limit)]

    def step(self, most: int = _STEP) -> int:
        """Take in the next segments.

        Returns:
            How many; 0 where all are in.

        Raises:
            UnavailableError: If the server or the database does not answer.
            SettingError: If the index cannot be opened.
        """
        vectors = self._open()
        self.forget_erased()
        rows = self._next(most)
        if self._last is not None and (not rows or (rows[0].seq, rows[0].id) != self._last):
            self.rebuild()  # what was there was deleted, and numbers begin anew
            return self.step(most)
        new = self._settled(rows[:most] if self._last is None else rows[1:])
        if new:
            directions = self._embedder.embed([row.text[:_LONGEST] for row in new])
            vectors.put(
                [
                    Point(row.id, vector, {"study": row.study, "seq": row.seq})
                    for row, vector in zip(new, directions, strict=True)
                ]
            )
            self._last = (new[-1].seq, new[-1].id)
            self._indexed += len(new)
        self._fault = None
        return len(new)

    def forget_erased(self) -> int:
        """Take segments out that were erased since the last look; at the first look, all that ever were.

        Returns:
            How many were looked for.
        """
        vectors = self._open()
        erased = self._erased()
        if erased:
            vectors.remove(erased)
            self._load_progress(vectors)
        return len(erased)

    def _erased(self) -> list[UUID]:
        query = select(erasures.c.segment_id, erasures.c.at).order_by(erasures.c.at)
        if self._forgotten is not None:
            query = query.where(erasures.c.at > self._forgotten)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if rows:
            self._forgotten = rows[-1].at
        return [row.segment_id for row in rows]

    def rebuild(self) -> None:
        """Empty the index; the next steps fill it again."""
        vectors = self._open()
        vectors.remove([id_ for id_, _ in vectors.payloads()])
        self._last, self._indexed = None, 0

    async def fill(self) -> None:
        """Take in what there is and what comes, in small steps, until cancelled."""
        while True:
            started = self._clock.monotonic()
            try:
                done = await asyncio.to_thread(self.step)
            except QualstreamError as error:
                self._report_fault(str(error))
                await asyncio.sleep(_AGAIN_S)
                continue
            except Exception as error:  # a help that breaks must not take the page with it
                log.exception("the search by meaning stumbled")
                self._report_fault(f"{type(error).__name__}: {error}")
                await asyncio.sleep(_AGAIN_S)
                continue
            spent = self._clock.monotonic() - started
            await asyncio.sleep(max(_SHARE * spent, 0.0 if done else _LOOK_S))

    def close(self) -> None:
        """Flush and let go; a later call opens it again."""
        with self._opening:
            if self._vectors is not None:
                self._vectors.close()
            self._vectors = None

    def _report_fault(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("no search by meaning: %s", fault)
        self._fault = fault

    def _open(self) -> Vectors:
        with self._opening:
            if self._vectors is None:
                name = f"{NAME}-{hashlib.sha256(self._embedder.version.encode()).hexdigest()[:8]}"
                collection = Collection(name, self._embedder.dim, "index of segments", "the read model")
                opened = open_vectors(self._place.url, collection, self._place.api_key)
                try:
                    self._load_progress(opened)
                except BaseException:
                    opened.close()
                    raise
                self._vectors = opened
            return self._vectors

    def _load_progress(self, vectors: Vectors) -> None:
        """See how far an earlier process came."""
        self._last, self._indexed = None, 0
        for id_, payload in vectors.payloads():
            self._indexed += 1
            if self._last is None or payload["seq"] > self._last[0]:
                self._last = (payload["seq"], id_)

    def _next(self, most: int) -> Sequence[Any]:
        """The last segment that is in, and those that follow it."""
        query = select(segments.c.seq, segments.c.id, segments.c.study, segments.c.text, segments.c.taken_in_at)
        if self._last is not None:
            query = query.where(segments.c.seq >= self._last[0])
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(segments.c.seq).limit(most + 1)))

    def _settled(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those that no row with a lower number can still come before."""
        if self._database.dialect == "sqlite":  # one writer at a time: numbers are given in order
            return rows
        before = self._clock.now() - _SETTLED
        return list(takewhile(lambda row: row.taken_in_at < before, rows))
