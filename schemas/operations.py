"""What keeps the system honest: releases, alerts, and what could not be read."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from schemas.record import Record, Study


class ModelRelease(Record):
    """A model that may now serve; a message on ``model.releases``."""

    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    uri: str = Field(description="Where its weights are.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    metrics: dict[str, float] = Field(default_factory=dict)
    replaces: str | None = None
    released_at: AwareDatetime


class DriftAlert(Record):
    """Something changed; a message on ``drift.alerts``."""

    id: UUID
    study: Study
    kind: str = Field(min_length=1)
    cause: Literal["input", "model", "codebook", "people", "volume"]
    at: AwareDatetime = Field(description="Estimated change point, in the segments' own time.")
    detected_at: AwareDatetime
    p: float = Field(ge=0, le=1)
    effect: float
    codes: list[str] = Field(default_factory=list)
    sources: list[str] = Field(default_factory=list)
    examples: list[UUID] = Field(default_factory=list)


class DeadLetter(Record):
    """A message that could not be read or coded, kept whole; a message on ``dead-letters``."""

    id: UUID
    reason: str = Field(min_length=1)
    role: str = Field(description="Who set it aside.")
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    raw: bytes | None = Field(default=None, description="The value as it came; none for a tombstone.")
    study: str | None = None
    segment_id: UUID | None = Field(default=None, description="The segment, where one could be told.")
    at: AwareDatetime
