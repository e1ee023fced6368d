"""The nearest earlier codes of a study, in Qdrant. A view of the codebook's history; it can be filled again from it.

A point is a code: its id is the code's, its vector the label's embedding under cosine distance, its payload study,
label and origin.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from infra.vectors.points import Collection, Point, Vectors
from infra.vectors.qdrant import open_vectors
from models.ports import CodeIndex, Embeddings, IndexedCode
from schemas import Neighbour

COLLECTION = "codes"
EMBEDDER = "embedder"
_BEFORE = "all-MiniLM-L6-v2@53aa5117"
"""What embedded the codes of earlier versions, which did not say."""


def open_code_index(url: str, dim: int, api_key: str | None = None, embedder: str = "") -> CodeIndex:
    """Open the index, and make it if it is not there.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST:PORT`` of a Qdrant server; else ``file:FOLDER`` or a folder.
        dim: Length of a vector.
        api_key: The server's, if it wants one.
        embedder: The version of what embeds its labels; codes that another one embedded are taken out, since their
            vectors say nothing beside its own. None: they stay.

    Raises:
        SettingError: If the index holds vectors of another length, another process has the folder, the folder
            cannot be written or the server refuses the key.
        UnavailableError: If the server does not answer now; any method may raise it later too.
    """
    vectors = open_vectors(url, Collection(COLLECTION, dim, "code index", "the codebook"), api_key)
    if embedder:
        vectors.remove([id_ for id_, payload in vectors.payloads() if payload.get(EMBEDDER, _BEFORE) != embedder])
    return QdrantCodeIndex(vectors, embedder)


class QdrantCodeIndex:
    """Codes as points, in either of Qdrant's engines."""

    def __init__(self, vectors: Vectors, embedder: str = "") -> None:
        self._vectors, self._embedder = vectors, embedder

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """The study's codes nearest to the vector, best first, at most ``limit``."""
        neighbours = self._vectors.nearest(study, vector, limit)
        return [
            Neighbour(code_id=near.id, label=near.payload["label"], similarity=near.similarity) for near in neighbours
        ]

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """Add or overwrite codes; they are found by the next call and outlive a kill."""
        self._vectors.put([Point(code.id, code.vector, _payload(code, self._embedder)) for code in codes])

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take codes out; ids that are not there are passed over."""
        self._vectors.remove(ids)

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """Every code's id and the segment that created it, of one study or of all."""
        return {id_: _origin(payload) for id_, payload in self._vectors.payloads(study)}

    def close(self) -> None:
        """Flush and let go of files and connections; a second call does nothing."""
        self._vectors.close()


def _payload(code: IndexedCode, embedder: str) -> dict[str, str | None]:
    origin = None if code.origin is None else str(code.origin)
    return {"study": code.study, "label": code.label, "origin": origin} | ({EMBEDDER: embedder} if embedder else {})


def _origin(payload: Mapping[str, Any]) -> UUID | None:
    origin = payload["origin"]
    return None if origin is None else UUID(origin)
