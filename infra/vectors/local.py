"""Vectors in this process: Qdrant's engine on a folder."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from infra.vectors.points import (
    CHUNK,
    Collection,
    Payload,
    Point,
    ScoredPoint,
    as_list,
    as_scored_point,
    as_uuid,
    other_length,
)
from models.errors import QualstreamError, SettingError, WorkerFault
from models.ports import Embeddings

if TYPE_CHECKING:
    from qdrant_edge import EdgeShard
    from qdrant_edge import Filter as EdgeFilter
    from qdrant_edge import Record as EdgeRecord

_log = logging.getLogger(__name__)
_FLUSH_EVERY = 500  # points; until then they are in the write-ahead log, which a kill does not touch


class LocalVectors:
    """Points in a folder, by Qdrant's in-process engine. One process at a time; its threads may share it."""

    def __init__(self, folder: Path, collection: Collection) -> None:
        self._collection = collection
        self._lock = Lock()
        self._unflushed = 0
        self._held = _hold(folder, collection.what)
        try:
            self._shard = _open_shard(folder / collection.name, collection)
        except BaseException:
            os.close(self._held)
            raise

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[ScoredPoint]:
        """The study's points nearest to the vector, best first, at most ``limit``."""
        import qdrant_edge as qe

        if limit < 1:
            return []
        query = qe.Query.Nearest(as_list(vector, self._collection))
        request = qe.QueryRequest(limit=limit, query=query, filter=_edge_filter(study), with_payload=True)
        with self._lock, _sound(self._collection.what, "searched"):
            hits = self._shard.query(request)
        return [as_scored_point(point.id, point.payload, point.score) for point in hits]

    def put(self, points: Sequence[Point]) -> None:
        """Add or overwrite points; they are found by the next call and outlive a kill."""
        import qdrant_edge as qe

        upserts = [qe.Point(each.id, as_list(each.vector, self._collection), dict(each.payload)) for each in points]
        self._update(qe.UpdateOperation.upsert_points(upserts), len(upserts))

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take points out; ids that are not there are passed over."""
        import qdrant_edge as qe

        gone: list[Any] = list(ids)
        self._update(qe.UpdateOperation.delete_points(gone), len(gone))

    def payloads(self, study: str | None = None) -> Iterator[tuple[UUID, Payload]]:
        """Every point's id and payload, of one study or of all; others wait until all are read."""
        with self._lock, _sound(self._collection.what, "read"):
            for point in _scroll(self._shard, study):
                yield as_uuid(point.id), point.payload or {}

    def close(self) -> None:
        """Flush and let the folder go; a second call does nothing."""
        with self._lock:
            if self._held >= 0:
                self._shard.close()
                os.close(self._held)
                self._held = -1

    def _update(self, operation: Any, changes: int) -> None:
        if not changes:
            return
        with self._lock, _sound(self._collection.what, "written"):
            self._shard.update(operation)
            self._unflushed += changes
            if self._unflushed >= _FLUSH_EVERY:
                self._shard.flush()
                self._unflushed = 0


def _hold(folder: Path, what: str) -> int:
    """Make the folder and take it for this process; the kernel lets it go when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingError(
            f"the {what} folder '{folder}' cannot be written ({error.strerror}); choose another or mend its rights"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise SettingError(
            f"the {what} folder '{folder}' is in use, and it takes one process; stop the other one, or use a "
            "Qdrant server (http://HOST:PORT) for several"
        ) from None
    return held


def _open_shard(path: Path, collection: Collection) -> "EdgeShard":
    """Open what is there if it is sound, else put it aside and begin an empty one, to be filled again."""
    import qdrant_edge as qe

    if path.exists():
        try:
            with _sound(collection.what, "opened"):
                return _load(path, collection)
        except WorkerFault as fault:
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            _log.warning(
                "%s; an empty one is begun, to be filled from %s; the old one is in %s", fault, collection.source, aside
            )
    path.mkdir()
    with _sound(collection.what, "made"):
        vectors = qe.EdgeVectorParams(size=collection.dim, distance=qe.Distance.Cosine)
        shard = qe.EdgeShard.create(str(path), qe.EdgeConfig(vectors=vectors))
        shard.update(qe.UpdateOperation.create_field_index("study", qe.PayloadSchemaType.Keyword))
        shard.flush()
    return shard


def _load(path: Path, collection: Collection) -> "EdgeShard":
    """Load a shard and touch all that it holds once: damage can lie where loading does not look."""
    import qdrant_edge as qe

    length = json.loads((path / "edge_config.json").read_bytes())["vectors"][""]["size"]
    if length != collection.dim:
        raise other_length(f"the folder '{path.parent}'", length, collection, "delete that folder")
    shard = qe.EdgeShard.load(str(path))
    for point in _scroll(shard, None):
        _ = (point.payload or {})["study"]
    shard.query(qe.QueryRequest(limit=1, query=qe.Query.Nearest([1.0] * collection.dim)))
    return shard


def _scroll(shard: "EdgeShard", study: str | None) -> "Iterator[EdgeRecord]":
    import qdrant_edge as qe

    offset = None
    while True:
        request = qe.ScrollRequest(offset=offset, limit=CHUNK, filter=_edge_filter(study), with_payload=True)
        points, offset = shard.scroll(request)
        yield from points
        if offset is None:
            return


def _edge_filter(study: str | None) -> "EdgeFilter | None":
    import qdrant_edge as qe

    return None if study is None else qe.Filter(must=[qe.FieldCondition("study", match=qe.MatchValue(study))])


@contextmanager
def _sound(what: str, action: str) -> Iterator[None]:
    """Say in our own words what the engine raises; its panics are no ``Exception``."""
    try:
        yield
    except (QualstreamError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        raise WorkerFault(f"the {what} on disk cannot be {action}: {type(error).__name__}: {text:.300}") from error
