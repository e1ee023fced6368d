"""The nearest earlier codes of a study, in Qdrant: a server for clusters, its in-process engine for one machine.

Either is a view of the codebook's history and can be filled again from it. A point is a code: its id is the code's,
its vector the label's embedding under cosine distance, its payload study, label and origin.
"""

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

from models.errors import QualstreamError, SettingError, UnavailableError, WorkerFault
from models.ports import CodeIndex, Embeddings, IndexedCode
from schemas import Neighbour

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client import models as qm
    from qdrant_edge import EdgeShard
    from qdrant_edge import Filter as EdgeFilter
    from qdrant_edge import Record as EdgeRecord

COLLECTION = "codes"
_CHUNK = 500
_FLUSH_EVERY = 500  # codes; until then they are in the write-ahead log, which a kill does not touch
_TIMEOUT_S = 10
_log = logging.getLogger(__name__)


def open_code_index(url: str, dim: int, api_key: str | None = None) -> CodeIndex:
    """Open the index, and make it if it is not there.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST:PORT`` of a Qdrant server; else ``file:FOLDER`` or a folder.
        dim: Length of a vector.
        api_key: The server's, if it wants one.

    Raises:
        SettingError: If the index holds vectors of another length, another process has the folder, the folder
            cannot be written or the server refuses the key.
        UnavailableError: If the server does not answer now; any method may raise it later too.
    """
    if url.startswith(("http://", "https://")):
        return ServerCodeIndex(url, dim, api_key)
    if "://" in url and not url.startswith("file:"):
        raise SettingError(
            f"the code index is '{url}' but http://HOST:PORT, https://HOST:PORT or file:FOLDER was expected"
        )
    return LocalCodeIndex(Path(url.removeprefix("file://").removeprefix("file:")), dim)


class LocalCodeIndex:
    """Codes in a folder, by Qdrant's in-process engine. One process at a time; its threads may share it."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._lock = Lock()
        self._unflushed = 0
        self._held = _hold(folder)
        try:
            self._shard = _open_shard(folder / COLLECTION, dim)
        except BaseException:
            os.close(self._held)
            raise

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """The study's codes nearest to the vector, best first, at most ``limit``."""
        import qdrant_edge as qe

        if limit < 1:
            return []
        query = qe.Query.Nearest(_list(vector, self._dim))
        request = qe.QueryRequest(limit=limit, query=query, filter=_edge_filter(study), with_payload=True)
        with self._lock, _sound("searched"):
            found = self._shard.query(request)
        return [_neighbour(point.id, point.payload, point.score) for point in found]

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """Add or overwrite codes; they are found by the next call and outlive a kill."""
        import qdrant_edge as qe

        points = [qe.Point(code.id, _list(code.vector, self._dim), _payload(code)) for code in codes]
        self._update(qe.UpdateOperation.upsert_points(points), len(points))

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take codes out; ids that are not there are passed over."""
        import qdrant_edge as qe

        gone: list[Any] = list(ids)
        self._update(qe.UpdateOperation.delete_points(gone), len(gone))

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """Every code's id and the segment that created it, of one study or of all."""
        with self._lock, _sound("read"):
            return {_uuid(point.id): _origin(point.payload) for point in _scroll(self._shard, study)}

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
        with self._lock, _sound("written"):
            self._shard.update(operation)
            self._unflushed += changes
            if self._unflushed >= _FLUSH_EVERY:
                self._shard.flush()
                self._unflushed = 0


class ServerCodeIndex:
    """Codes in a collection of a Qdrant server, which several processes may share."""

    def __init__(self, url: str, dim: int, api_key: str | None = None) -> None:
        from qdrant_client import QdrantClient

        self._dim = dim
        self._url = url
        self._client = QdrantClient(url=url, api_key=api_key, timeout=_TIMEOUT_S, check_compatibility=False)
        with self._answering():
            _prepare(self._client, dim, url)

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """The study's codes nearest to the vector, best first, at most ``limit``."""
        if limit < 1:
            return []
        query = _list(vector, self._dim)
        with self._answering():
            found = self._client.query_points(COLLECTION, query, query_filter=_filter(study), limit=limit).points
        return [_neighbour(point.id, point.payload, point.score) for point in found]

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """Add or overwrite codes; the server has them on disk when this returns."""
        from qdrant_client import models as qm

        points = [
            qm.PointStruct(id=str(code.id), vector=_list(code.vector, self._dim), payload=_payload(code))
            for code in codes
        ]
        for start in range(0, len(points), _CHUNK):
            with self._answering():
                self._client.upsert(COLLECTION, points[start : start + _CHUNK], wait=True)

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take codes out; ids that are not there are passed over."""
        from qdrant_client import models as qm

        gone: list[Any] = [str(id_) for id_ in ids]
        if gone:
            with self._answering():
                self._client.delete(COLLECTION, qm.PointIdsList(points=gone), wait=True)

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """Every code's id and the segment that created it, of one study or of all."""
        found: dict[UUID, UUID | None] = {}
        offset: Any = None
        while True:
            with self._answering():
                points, offset = self._client.scroll(
                    COLLECTION, _filter(study), limit=_CHUNK, offset=offset, with_payload=["origin"]
                )
            found.update((_uuid(point.id), _origin(point.payload)) for point in points)
            if offset is None:
                return found

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


def _prepare(client: "QdrantClient", dim: int, url: str) -> None:
    """Make the collection with its index over studies, or check the one that is there."""
    from qdrant_client import models as qm
    from qdrant_client.http.exceptions import UnexpectedResponse

    if not client.collection_exists(COLLECTION):
        vectors = qm.VectorParams(size=dim, distance=qm.Distance.COSINE)
        try:
            client.create_collection(COLLECTION, vectors_config=vectors)
        except UnexpectedResponse as error:
            if error.status_code != 409:  # another process was first
                raise
    client.create_payload_index(
        COLLECTION, "study", qm.KeywordIndexParams(type=qm.KeywordIndexType.KEYWORD, is_tenant=True), wait=True
    )
    params = client.get_collection(COLLECTION).config.params.vectors
    found = params.size if isinstance(params, qm.VectorParams) else None
    if found != dim:
        raise _other_length(f"Qdrant at {url}", found, dim, f"delete its collection '{COLLECTION}'")


def _filter(study: str | None) -> "qm.Filter | None":
    from qdrant_client import models as qm

    if study is None:
        return None
    return qm.Filter(must=[qm.FieldCondition(key="study", match=qm.MatchValue(value=study))])


# The folder


def _hold(folder: Path) -> int:
    """Make the folder and take it for this process; the kernel lets it go when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingError(
            f"the code index folder '{folder}' cannot be written ({error.strerror}); choose another or mend its rights"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise SettingError(
            f"the code index folder '{folder}' is in use, and it takes one process; stop the other one, or use a "
            "Qdrant server (http://HOST:PORT) for several"
        ) from None
    return held


def _open_shard(path: Path, dim: int) -> "EdgeShard":
    """Open what is there if it is sound, else put it aside and begin an empty one: the codebook fills it again."""
    import qdrant_edge as qe

    if path.exists():
        try:
            with _sound("opened"):
                return _load(path, dim)
        except WorkerFault as fault:
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            _log.warning(
                "%s; an empty one is begun, to be filled from the codebook; the old one is in %s", fault, aside
            )
    path.mkdir()
    with _sound("made"):
        vectors = qe.EdgeVectorParams(size=dim, distance=qe.Distance.Cosine)
        shard = qe.EdgeShard.create(str(path), qe.EdgeConfig(vectors=vectors))
        shard.update(qe.UpdateOperation.create_field_index("study", qe.PayloadSchemaType.Keyword))
        shard.flush()
    return shard


def _load(path: Path, dim: int) -> "EdgeShard":
    """Load a shard and touch all that it holds once: damage can lie where loading does not look."""
    import qdrant_edge as qe

    found = json.loads((path / "edge_config.json").read_bytes())["vectors"][""]["size"]
    if found != dim:
        raise _other_length(f"the folder '{path.parent}'", found, dim, "delete that folder")
    shard = qe.EdgeShard.load(str(path))
    for point in _scroll(shard, None):
        _origin(point.payload)
    shard.query(qe.QueryRequest(limit=1, query=qe.Query.Nearest([1.0] * dim)))
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
def _sound(action: str) -> Iterator[None]:
    """Say in our own words what the engine raises; its panics are no ``Exception``."""
    try:
        yield
    except (QualstreamError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        found = " ".join(str(error).split())
        raise WorkerFault(f"the code index on disk cannot be {action}: {type(error).__name__}: {found:.300}") from error


# What both share


def _other_length(place: str, found: object, dim: int, way_out: str) -> SettingError:
    return SettingError(
        f"the code index in {place} holds vectors of length {found} but the embedder makes {dim}; set the embedder "
        f"that made it, or {way_out} to have it filled again from the codebook"
    )


def _list(vector: Embeddings, dim: int) -> list[float]:
    if vector.shape != (dim,):
        raise SettingError(
            f"a vector of shape {vector.shape} came but the code index holds length {dim}; set the embedder that "
            "filled it"
        )
    values: list[float] = vector.tolist()
    return values


def _payload(code: IndexedCode) -> dict[str, str | None]:
    return {"study": code.study, "label": code.label, "origin": None if code.origin is None else str(code.origin)}


def _neighbour(id_: Any, payload: dict[str, Any] | None, score: float) -> Neighbour:
    similarity = max(-1.0, min(1.0, score))  # rounding takes a cosine past 1
    return Neighbour(code_id=_uuid(id_), label=(payload or {})["label"], similarity=similarity)


def _origin(payload: dict[str, Any] | None) -> UUID | None:
    origin = (payload or {})["origin"]
    return None if origin is None else UUID(origin)


def _uuid(id_: Any) -> UUID:
    return id_ if isinstance(id_, UUID) else UUID(str(id_))
