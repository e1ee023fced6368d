"""Vectors on a Qdrant server."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
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
from models.errors import SettingError, UnavailableError
from models.ports import Embeddings

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client import models as qm

_TIMEOUT_S = 10  # seconds until a request is given up
_log = logging.getLogger(__name__)


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
        query, name = as_list(vector, self._collection), self._collection.name
        with self._answering():
            hits = self._client.query_points(name, query, query_filter=_filter(study), limit=limit).points
        return [as_scored_point(point.id, point.payload, point.score) for point in hits]

    def put(self, points: Sequence[Point]) -> None:
        """Add or overwrite points; the server has them on disk when this returns."""
        from qdrant_client import models as qm

        upserts = [
            qm.PointStruct(id=str(each.id), vector=as_list(each.vector, self._collection), payload=dict(each.payload))
            for each in points
        ]
        for start in range(0, len(upserts), CHUNK):
            with self._answering():
                self._client.upsert(self._collection.name, upserts[start : start + CHUNK], wait=True)

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take points out; ids that are not there are passed over."""
        from qdrant_client import models as qm

        gone: list[Any] = [str(id_) for id_ in ids]
        for start in range(0, len(gone), CHUNK):
            with self._answering():
                chosen = qm.PointIdsList(points=gone[start : start + CHUNK])
                self._client.delete(self._collection.name, chosen, wait=True)

    def payloads(self, study: str | None = None) -> Iterator[tuple[UUID, Payload]]:
        """Every point's id and payload, of one study or of all, read as it is used."""
        offset: Any = None
        while True:
            with self._answering():
                points, offset = self._client.scroll(
                    self._collection.name, _filter(study), limit=CHUNK, offset=offset, with_payload=True
                )
            for point in points:
                yield as_uuid(point.id), point.payload or {}
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
            raise UnavailableError(f"Qdrant at {self._url} does not answer: {error}") from error
        except UnexpectedResponse as error:
            if error.status_code in {401, 403}:
                raise SettingError(f"Qdrant at {self._url} refuses the API key; set the right one") from error
            if error.status_code is not None and error.status_code >= 500:
                raise UnavailableError(f"Qdrant at {self._url} answered {error.status_code}") from error
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
    length = params.size if isinstance(params, qm.VectorParams) else None
    if length != collection.dim:
        raise other_length(f"Qdrant at {url}", length, collection, f"delete its collection '{collection.name}'")


def _filter(study: str | None) -> "qm.Filter | None":
    from qdrant_client import models as qm

    if study is None:
        return None
    return qm.Filter(must=[qm.FieldCondition(key="study", match=qm.MatchValue(value=study))])
