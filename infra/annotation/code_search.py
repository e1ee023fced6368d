"""The codebook as the page looks things up in it: what codes are near to a text, and which ones are meant by a word."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, func, select

from infra.storage.database import Database
from infra.storage.tables import code_events, codes
from models.annotation.coding import CodeEntry, CodeLookup
from models.ports import Embedder, Embeddings
from schemas.ids import normalised_label

log = logging.getLogger(__name__)
_AT_ONCE = 32  # labels that a request waits for; more are embedded beside it
LEAST = 0.25
"""Cosine under which a code is not what somebody meant, nor near to a text."""
_NOT_AT_ALL = 9  # rank of a label that is spelt in another way; 0 is best
_REMEMBERED = 512  # texts whose embeddings are kept

_Version = tuple[int, datetime | None]
_THEMES = codes.alias("themes")
_READ = (codes.c.id, codes.c.label, codes.c.definition, codes.c.final, codes.c.level)


def read_codes(connection: Connection, study: str) -> CodeLookup:
    """A study's codebook as it is now, with only what is looked up in it."""
    query = (
        select(*_READ, _THEMES.c.label.label("theme"))
        .join_from(codes, _THEMES, codes.c.parent == _THEMES.c.id, isouter=True)
        .where(codes.c.study == study)
    )
    return CodeLookup(
        CodeEntry(row.id, row.label, row.definition, row.final, row.theme, row.level == "theme")
        for row in connection.execute(query)
    )


class CodeMatch(NamedTuple):
    """A code near to a text."""

    code: CodeEntry
    similarity: float
    """Cosine of the embeddings of text and label."""


class WorkBeside:
    """One piece of work at a time beside the requests; nobody waits for it, and it ends with the process."""

    def __init__(self, name: str) -> None:
        """Name the thread; nothing is done yet."""
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None]) -> None:
        """Begin, unless work is under way: whoever needs it asks again."""
        with self._lock:
            if not self.busy:
                self._thread = threading.Thread(target=work, name=self._name, daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Return when what is under way now is done."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()


@dataclass
class _EmbeddedCodebook:
    version: _Version
    codes: CodeLookup
    embedded: tuple[list[CodeEntry], Embeddings] | None = None  # live codes with a row each, as far as there are any
    complete: bool = False


class Nearby:
    """The codebooks of all studies, read again when they change. Safe to use from many threads.

    Nobody waits for the embedder to load, nor for a large codebook to be embedded: until then there is no answer.
    """

    def __init__(self, database: Database, embedder: Embedder) -> None:
        """Share the read model's database; nothing is read yet."""
        self._database = database
        self._embedder = embedder
        self._shelves: dict[str, _EmbeddedCodebook] = {}
        self._labels: dict[str, Embeddings] = {}
        self._texts: dict[str, Embeddings] = {}
        self._lock = threading.Lock()
        self._warm = threading.Event()
        self._beside = WorkBeside("nearby")

    def codes(self, study: str) -> CodeLookup:
        """The study's codebook as it is now."""
        return self._shelf(study).codes

    def nearest(
        self, study: str, texts: Sequence[str], limit: int, without: Iterable[UUID] = ()
    ) -> list[CodeMatch] | None:
        """The living codes nearest to any of the texts, best first; ``None`` while they cannot be told yet.

        Args:
            study: Whose codes.
            texts: At least one.
            limit: Most codes.
            without: Codes to leave out.
        """
        shelf = self._shelf(study)
        self._fill(shelf)
        if shelf.embedded is None or not self._warm.is_set():
            return None if shelf.codes.live else []
        known, rows = shelf.embedded
        left_out = set(without)
        cosines = (self._embed(texts) @ rows.T).max(axis=0)  # (codes,)
        best = np.argsort(-cosines.round(6), kind="stable")[: limit + len(left_out)].tolist()
        nearby = [CodeMatch(known[at], float(cosines[at])) for at in best]
        return [near for near in nearby if near.code.id not in left_out][:limit]

    def embedded(self, study: str, *, waits: bool = True) -> tuple[Sequence[CodeEntry], Embeddings] | None:
        """The living codes with the embeddings of their labels, shape ``(codes, dim)``.

        Args:
            study: Whose codes.
            waits: Whether a few that lack are embedded at once, where the embedder is loaded.

        Returns:
            ``None`` while they are not all there yet; what lacks is worked on beside.
        """
        shelf = self._shelf(study)
        self._fill(shelf, waits=waits)
        return shelf.embedded if shelf.complete else None

    def wait(self) -> None:
        """Return when the labels that are being embedded now are done."""
        self._beside.wait()

    def search(self, study: str, words: str, limit: int) -> list[CodeEntry]:
        """The living codes that somebody means by a few letters or words: as they are spelt first, then by meaning."""
        typed = normalised_label(words)
        if not typed:
            return []
        parts = [f" {part}" for part in typed.split()]
        ranked = ((_rank(normalised_label(code.label), typed, parts), code) for code in self._shelf(study).codes.live)
        fitting = sorted((pair for pair in ranked if pair[0] < _NOT_AT_ALL), key=lambda pair: pair[0])
        spelt = [code for _, code in fitting[:limit]]
        if len(spelt) == limit or len(typed) < 3:
            return spelt
        meant = self.nearest(study, [words], limit, [code.id for code in spelt]) or []
        return [*spelt, *(near.code for near in meant if near.similarity >= LEAST)][:limit]

    def _shelf(self, study: str) -> _EmbeddedCodebook:
        history = select(func.count(), func.max(code_events.c.at)).where(code_events.c.study == study)
        with self._database.reading() as connection:
            count, last = connection.execute(history).one()
            shelf = self._shelves.get(study)
            if shelf is not None and shelf.version == (count, last):
                return shelf
            read = read_codes(connection, study)
        shelf = self._shelves[study] = _EmbeddedCodebook((count, last), read)
        return shelf

    def _fill(self, shelf: _EmbeddedCodebook, *, waits: bool = True) -> None:
        """Fill the shelf's vectors in, as far as it costs nobody time."""
        if shelf.complete:
            return
        missing = [code.label for code in shelf.codes.live if code.label not in self._labels]
        if waits and missing and self._warm.is_set() and len(missing) <= _AT_ONCE:
            self._learn(missing)
            missing = []
        elif missing:
            self._learn_beside(missing)
        known = [code for code in shelf.codes.live if code.label in self._labels]
        if known and (shelf.embedded is None or len(known) > len(shelf.embedded[0])):
            shelf.embedded = known, np.stack([self._labels[code.label] for code in known])
        shelf.complete = not missing

    def _learn(self, labels: Sequence[str]) -> None:
        for start in range(0, len(labels), 256):
            chunk = labels[start : start + 256]
            self._labels.update(zip(chunk, self._embedder.embed(chunk), strict=True))
        self._warm.set()

    def _learn_beside(self, labels: Sequence[str]) -> None:
        def work() -> None:
            try:
                self._learn(labels)
            except Exception:  # the page goes on without; the next visit tries again
                log.exception("the codebook's labels cannot be embedded, so the page shows no near codes")

        self._beside.start(work)

    def _embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts, shape ``(n, dim)``; the same page asks for the same ones again."""
        known = {text: held for text in texts if (held := self._held(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        fresh = dict(zip(missing, self._embedder.embed(missing), strict=True)) if missing else {}
        rows = np.stack([known[text] if text in known else fresh[text] for text in texts])
        with self._lock:
            kept = chain(self._texts.items(), fresh.items())
            self._texts = dict(list(kept)[-_REMEMBERED:])
        return rows

    def _held(self, text: str) -> Embeddings | None:
        embedding = self._texts.get(text)
        return self._labels.get(text) if embedding is None else embedding


def _rank(label: str, typed: str, parts: Sequence[str]) -> int:
    """How well a label is spelt as somebody typed it, all of it or words' beginnings, each with a blank before it."""
    if label.startswith(typed):
        return 0 if label == typed else 1
    spaced = f" {label}"
    if all(part in spaced for part in parts):
        return 2
    return 3 if typed in label else _NOT_AT_ALL
