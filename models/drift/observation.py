"""What the monitor looks at: one coded segment at a time, and what is known to have been changed on purpose."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import numpy as np

from models.ports import Embeddings

ChangeKind = Literal["model", "codebook", "people"]


@dataclass(frozen=True, slots=True)
class Observed:
    """A segment as it was coded. What is not known of it is none, and is then not looked at."""

    at: datetime
    """The segment's own time, with a zone."""
    segment: UUID
    source: str
    code: str
    """Its code's label; empty for a dead letter."""
    theme: str | None = None
    new: bool = False
    """Whether the code was created for it."""
    confidence: float | None = None
    """0 to 1."""
    agreement: float | None = None
    """Of the members, 0 to 1."""
    rewrote: bool | None = None
    """Whether the moderator's label is none of the members'."""
    similarity: float | None = None
    """Cosine to the code that was reused."""
    accepted: bool | None = None
    """A person's word on an audited code; none where nobody was asked."""
    agreed: bool | None = None
    """Whether a further person chose the same codes as the person before; none where only one did."""
    dead: bool = False
    """Whether it became a dead letter."""
    models: str = ""
    """Profile and releases in force."""
    judged: bool = False
    """Whether it is nothing but a person's word on a segment that was watched before."""
    vector: Embeddings | None = None
    """Of its text, unit length, shape ``(dim,)``."""
    words: tuple[str, ...] | None = None
    """Of its text, each once; none where they are not known."""

    def to_json(self) -> dict[str, Any]:
        """All that is known of it, ready for JSON."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        vector = None if self.vector is None else [float(x) for x in self.vector]
        words = None if self.words is None else list(self.words)
        return {**known, "at": self.at.isoformat(), "segment": self.segment.hex, "vector": vector, "words": words}

    @classmethod
    def from_json(cls, encoded: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        vector = None if encoded["vector"] is None else np.array(encoded["vector"], dtype=np.float32)
        at, segment = datetime.fromisoformat(encoded["at"]), UUID(encoded["segment"])
        words = encoded.get("words")
        words = None if words is None else tuple(words)
        return cls(**{**encoded, "at": at, "segment": segment, "vector": vector, "words": words})


@dataclass(frozen=True, slots=True)
class KnownChange:
    """Something that somebody changed on purpose: an alert near it may name it."""

    at: datetime
    kind: ChangeKind
    what: str
    """Short and for people, such as ``release 20260101T000000Z-1a2b3c4d`` or ``merged 'Late' into 'Delay'``."""
