"""Directions in Qdrant: a server for clusters, its in-process engine for one machine; both behind one port.

A collection is a view of something that is kept elsewhere and can be filled again from it. A point belongs to one
study; its payload is small and says what the caller needs to know of it.
"""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from models.errors import QualstreamError, SettingError, UnavailableError, WorkerFault
from models.ports import Embeddings

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client import models as qm
    from qdrant_edge import EdgeShard
    from qdrant_edge import Filter as EdgeFilter
    from qdrant_edge import Record as EdgeRecord

_CHUNK = 500
_FLUSH_EVERY = 500  # points; until then they are in the write-ahead log, which a kill does not touch
_TIMEOUT_S = 10
_log = logging.getLogger(__name__)

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Collection:
    """What a collection is called, for programs and for people, and how long its vectors are."""

    name: str
    dim: int
    what: str
    """As errors call it: ``code index``."""
    source: str
    """What it can be filled again from: ``the codebook``."""


@dataclass(frozen=True)
class Point:
    """A direction with what is known of it; ``payload`` holds JSON values and always ``study``."""

    id: UUID
    vector: Embeddings  # shape (dim,)
    payload: Payload


@dataclass(frozen=True)
class ScoredPoint:
    """A point near to what was asked for, with the cosine of the two."""

    id: UUID
    payload: Payload
    similarity: float


class Vectors(Protocol):
    """Points of several studies, and those nearest to a direction."""

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[ScoredPoint]:
        """The study's points nearest to the vector, best first, at most ``limit``."""
        ...

    def put(self, points: Sequence[Point]) -> None:
        """Add or overwrite points; they are found by the next call and outlive a kill."""
        ...

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take points out; ids that are not there are passed over."""
        ...

    def payloads(self, study: str | None = None) -> Iterator[tuple[UUID, Payload]]:
        """Every point's id and payload, of one study or of all, read as it is used."""
        ...

    def close(self) -> None:
        """Flush and let go of files and connections; a second call does nothing."""
        ...


def open_vectors(url: str, collection: Collection, api_key: str | None = None) -> Vectors:
    """Open a collection, and make it if it is not there.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST:PORT`` of a Qdrant server; else ``file:FOLDER`` or a folder.
        collection: Which, and what for.
        api_key: The server's, if it wants one.

    Raises:
        SettingError: If the collection holds vectors of another length, another process has the folder, the folder
            cannot be written or the server refuses the key.
        UnavailableError: If the server does not answer now; any method may raise it later too.
    """
    if url.startswith(("http://", "https://")):
        return ServerVectors(url, collection, api_key)
    if "://" in url and not url.startswith("file:"):
        raise SettingError(
            f"the {collection.what} is '{url}' but http://HOST:PORT, https://HOST:PORT or file:FOLDER was expected"
        )
    return LocalVectors(Path(url.removeprefix("file://").removeprefix("file:")), collection)


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
        query = qe.Query.Nearest(_list(vector, self._collection))
        request = qe.QueryRequest(limit=limit, query=query, filter=_edge_filter(study), with_payload=True)
        with self._lock, _sound(self._collection.what, "searched"):
            points = self._shard.query(request)
        return [_near(point.id, point.payload, point.score) for point in points]

    def put(self, points: Sequence[Point]) -> None:
        """Add or overwrite points; they are found by the next call and outlive a kill."""
        import qdrant_edge as qe

        upserted = [qe.Point(each.id, _list(each.vector, self._collection), dict(each.payload)) for each in points]
        self._update(qe.UpdateOperation.upsert_points(upserted), len(upserted))

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take points out; ids that are not there are passed over."""
        import qdrant_edge as qe

        gone: list[Any] = list(ids)
        self._update(qe.UpdateOperation.delete_points(gone), len(gone))

    def payloads(self, study: str | None = None) -> Iterator[tuple[UUID, Payload]]:
        """Every point's id and payload, of one study or of all; others wait until all are read."""
        with self._lock, _sound(self._collection.what, "read"):
            for point in _scroll(self._shard, study):
                yield _uuid(point.id), point.payload or {}

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


@cache
def _warn_in_the_clear(url: str) -> None:
    """Say once a process that the key can be read on its way."""
    _log.warning(
        "the Qdrant API key goes to %s in the clear; on a network that is not yours alone give the server TLS and set "
        "QUALSTREAM_QDRANT_URL=https://HOST:PORT",
        url,
    )


class ServerVectors:
    """Points in a collection of a Qdrant server, which several processes may share."""

    def __init__(self, url: str, collection: Collection, api_key: str | None = None) -> None:
        from qdrant_client import QdrantClient

        self._collection = collection
        self._url = url
        if api_key and url.startswith("http://"):
            _warn_in_the_clear(url)
        headers = {"api-key": api_key} if api_key else {}  # given as a key, the client warns in words of its own
        self._client = QdrantClient(url=url, headers=headers, timeout=_TIMEOUT_S, check_compatibility=False)
        with self._answering():
            _prepare(self._client, collection, url)

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[ScoredPoint]:
        """The study's points nearest to the vector, best first, at most ``limit``."""
        if limit < 1:
            return []
        query, name = _list(vector, self._collection), self._collection.name
        with self._answering():
            points = self._client.query_points(name, query, query_filter=_filter(study), limit=limit).points
        return [_near(point.id, point.payload, point.score) for point in points]

    def put(self, points: Sequence[Point]) -> None:
        """Add or overwrite points; the server has them on disk when this returns."""
        from qdrant_client import models as qm

        structs = [
            qm.PointStruct(id=str(each.id), vector=_list(each.vector, self._collection), payload=dict(each.payload))
            for each in points
        ]
        for start in range(0, len(structs), _CHUNK):
            with self._answering():
                self._client.upsert(self._collection.name, structs[start : start + _CHUNK], wait=True)

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take points out; ids that are not there are passed over."""
        from qdrant_client import models as qm

        gone: list[Any] = [str(id_) for id_ in ids]
        for start in range(0, len(gone), _CHUNK):
            with self._answering():
                selector = qm.PointIdsList(points=gone[start : start + _CHUNK])
                self._client.delete(self._collection.name, selector, wait=True)

    def payloads(self, study: str | None = None) -> Iterator[tuple[UUID, Payload]]:
        """Every point's id and payload, of one study or of all, read as it is used."""
        offset: Any = None
        while True:
            with self._answering():
                points, offset = self._client.scroll(
                    self._collection.name, _filter(study), limit=_CHUNK, offset=offset, with_payload=True
                )
            for point in points:
                yield _uuid(point.id), point.payload or {}
            if offset is None:
                return

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in our own words that the server is away, or refuses us."""
        import httpx
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        try:
            yield
        except (ResponseHandlingException, httpx.HTTPError, OSError) as error:
            raise UnavailableError(f"Qdrant at {self._url} does not answer: {error}; it will be tried again") from error
        except UnexpectedResponse as error:
            if error.status_code in {401, 403}:
                raise SettingError(f"Qdrant at {self._url} refuses the API key; set the right one") from error
            if error.status_code is not None and error.status_code >= 500:
                raise UnavailableError(
                    f"Qdrant at {self._url} answered {error.status_code}; it will be tried again"
                ) from error
            raise


def _prepare(client: "QdrantClient", collection: Collection, url: str) -> None:
    """Make the collection with its index over studies, or check the one that is there."""
    from qdrant_client import models as qm
    from qdrant_client.http.exceptions import UnexpectedResponse

    if not client.collection_exists(collection.name):
        vectors = qm.VectorParams(size=collection.dim, distance=qm.Distance.COSINE)
        try:
            client.create_collection(collection.name, vectors_config=vectors)
        except UnexpectedResponse as error:
            if error.status_code != 409:  # another process was first
                raise
    client.create_payload_index(
        collection.name, "study", qm.KeywordIndexParams(type=qm.KeywordIndexType.KEYWORD, is_tenant=True), wait=True
    )
    params = client.get_collection(collection.name).config.params.vectors
    size = params.size if isinstance(params, qm.VectorParams) else None
    if size != collection.dim:
        raise _other_length(f"Qdrant at {url}", size, collection, f"delete its collection '{collection.name}'")


def _filter(study: str | None) -> "qm.Filter | None":
    from qdrant_client import models as qm

    if study is None:
        return None
    return qm.Filter(must=[qm.FieldCondition(key="study", match=qm.MatchValue(value=study))])


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

    size = json.loads((path / "edge_config.json").read_bytes())["vectors"][""]["size"]
    if size != collection.dim:
        raise _other_length(f"the folder '{path.parent}'", size, collection, "delete that folder")
    shard = qe.EdgeShard.load(str(path))
    for point in _scroll(shard, None):
        _ = (point.payload or {})["study"]
    shard.query(qe.QueryRequest(limit=1, query=qe.Query.Nearest([1.0] * collection.dim)))
    return shard


def _scroll(shard: "EdgeShard", study: str | None) -> "Iterator[EdgeRecord]":
    import qdrant_edge as qe

    offset = None
    while True:
        request = qe.ScrollRequest(offset=offset, limit=_CHUNK, filter=_edge_filter(study), with_payload=True)
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
        message = " ".join(str(error).split())
        raise WorkerFault(f"the {what} on disk cannot be {action}: {type(error).__name__}: {message:.300}") from error


def _other_length(place: str, size: object, collection: Collection, way_out: str) -> SettingError:
    return SettingError(
        f"the {collection.what} in {place} holds vectors of length {size} but the embedder makes {collection.dim}; "
        f"set the embedder that made it, or {way_out} to have it filled again from {collection.source}"
    )


def _list(vector: Embeddings, collection: Collection) -> list[float]:
    if vector.shape != (collection.dim,):
        raise SettingError(
            f"a vector of shape {vector.shape} came but the {collection.what} holds length {collection.dim}; set the "
            "embedder that filled it"
        )
    values: list[float] = vector.tolist()
    return values


def _near(id_: Any, payload: Payload | None, score: float) -> ScoredPoint:
    return ScoredPoint(_uuid(id_), payload or {}, max(-1.0, min(1.0, score)))  # rounding takes a cosine past 1


def _uuid(id_: Any) -> UUID:
    return id_ if isinstance(id_, UUID) else UUID(str(id_))
