"""What the decisions need from the world, as small protocols. Implementations: models.fakes, models.backends, infra."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from schemas import Decision, Neighbour, Proposal, Proposals, Segment

Embeddings = NDArray[np.float32]
"""Rows of unit length, shape ``(n, dim)``."""
Floats = NDArray[Any]
"""Figures of any width: counts, weights, scores, draws."""
Bools = NDArray[np.bool_]
"""Whether something holds, item by item."""


class Coder(Protocol):
    """An ensemble's members that live together and read a batch together."""

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order in which they answer."""
        ...

    def propose(self, segments: Sequence[Segment]) -> list[list[Proposal]]:
        """Read each segment once per member.

        Returns:
            One list a segment, in order; in it one proposal a member, in the order of ``members``. A member that
            gives none to a segment was not asked about it.
        """
        ...


class PartCoder(Coder, Protocol):
    """A coder of which some members can be asked and others left out."""

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Read each segment once per member, or per member that ``among`` names."""
        ...


def load(part: object) -> None:
    """Load a part's weights now, if it has any: then it has a method of that name."""
    method = getattr(part, "load", None)
    if method is not None:
        method()


class Moderator(Protocol):
    """Settles on one label for each segment."""

    @property
    def version(self) -> str:
        """The model or rule with its revision."""
        ...

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used; the caller halves the batch to find it.
        """
        ...


class Embedder(Protocol):
    """Turns short texts into directions."""

    @property
    def version(self) -> str:
        """The model with its revision."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed the texts, shape ``(len(texts), dim)``, rows of unit length."""
        ...


@dataclass(frozen=True)
class IndexedCode:
    """A code as the index holds it."""

    id: UUID
    study: str
    label: str
    vector: Embeddings  # shape (dim,)
    origin: UUID | None = None  # the segment that created it


class CodeIndex(Protocol):
    """Nearest earlier codes of a study. A rebuildable view of the codebook's history."""

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """The study's codes nearest to the vector, best first, at most ``limit``."""
        ...

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """Add or overwrite codes; they are found by the next call to ``nearest``."""
        ...

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take codes out; ids that are not there are passed over."""
        ...

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """Every code's id and the segment that created it, of one study or of all."""
        ...

    def close(self) -> None:
        """Flush and let go of files and connections."""
        ...


class Classifier(Protocol):
    """A study's own classifier, taught by people's labels: every code by itself, so a text may have several or none."""

    @property
    def version(self) -> str:
        """The release's version."""
        ...

    @property
    def codes(self) -> tuple[UUID, ...]:
        """The codes that it knows, in the order of its columns."""
        ...

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How likely each text has each code, shape ``(len(texts), len(codes))``, each number by itself from 0 to 1."""
        ...


class Clock(Protocol):
    """The time, so that tests can turn it by hand."""

    def now(self) -> datetime:
        """The time now, with its zone (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class NamedPart(NamedTuple):
    """A stretch of a text that names somebody or a place, in characters."""

    start: int
    end: int
    kind: Literal["name", "place"]


class NameFinder(Protocol):
    """Finds who and which places a text names, as far as it knows the text's language."""

    def find(self, text: str, language: str | None) -> Sequence[NamedPart]:
        """The parts that are names, in order.

        Args:
            text: Where they are looked for.
            language: Its BCP 47 tag, if it is known.
        """
        ...
