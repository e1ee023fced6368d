"""Vectors with what they stand for, as every store of vectors keeps them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from models.errors import SettingError
from models.ports import Embeddings

CHUNK = 500  # points in a request: a few megabytes at most
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


def other_length(place: str, length: object, collection: Collection, way_out: str) -> SettingError:
    """What is said where a collection was made for another embedder."""
    return SettingError(
        f"the {collection.what} in {place} holds vectors of length {length} but the embedder makes {collection.dim}; "
        f"set the embedder that made it, or {way_out} to have it filled again from {collection.source}"
    )


def as_list(vector: Embeddings, collection: Collection) -> list[float]:
    """A vector as the clients take it.

    Raises:
        SettingError: If it is not as long as the collection's.
    """
    if vector.shape != (collection.dim,):
        raise SettingError(
            f"a vector of shape {vector.shape} came but the {collection.what} holds length {collection.dim}; set the "
            "embedder that filled it"
        )
    values: list[float] = vector.tolist()
    return values


def as_scored_point(id_: Any, payload: Payload | None, score: float) -> ScoredPoint:
    """An answer of either client."""
    return ScoredPoint(as_uuid(id_), payload or {}, max(-1.0, min(1.0, score)))  # rounding takes a cosine past 1


def as_uuid(id_: Any) -> UUID:
    """A point's id, which clients give as text or as it is."""
    return id_ if isinstance(id_, UUID) else UUID(str(id_))
