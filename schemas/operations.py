"""What keeps the system honest: releases, alerts, and what could not be read."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.record import Count, Moment, Offset, Record, Share, Study


class ModelRelease(Record):
    """A model that serves from now on, or one that was refused; a message on ``model.releases``.

    The newest one of a model with the outcome ``released`` serves. Going back is releasing an earlier version again.
    """

    model: str = Field(min_length=1, description="Such as ``classifier/demo``: what it is, and the study's.")
    version: str = Field(min_length=1)
    study: Study | None = Field(default=None, description="The study that it serves; none: all of them.")
    outcome: Literal["released", "refused"] = "released"
    uri: str = Field(description="Where its weights are.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of its manifest, which names every file's own.")
    metrics: dict[str, float] = Field(default_factory=dict, description="On labels that it was not taught.")
    per_code: dict[str, float] = Field(default_factory=dict, description="F1 on those labels, by the code's label.")
    labels: Count = Field(default=0, description="Segments that it was taught.")
    replaces: str | None = Field(default=None, description="The version that served until then.")
    author: str = Field(default="trainer", min_length=1, max_length=120)
    why: str = Field(default="", description="One sentence a person can read.")
    released_at: Moment


class RuleCount(Record):
    """What a rule for alerts has counted, and the limit that somebody set. Nothing is compared with before."""

    share: Share = Field(description="Of the segments, those with the code.")
    limit: Share = Field(description="From which share on there is an alert.")
    hours: float = Field(gt=0, description="How much of the stream's own time is counted.")
    segments: Count = Field(description="Coded in those hours.")
    author: str = Field(min_length=1, description="Who set the limit.")


class DriftAlert(Record):
    """Something changed, or passed a limit that people set; a message on ``drift.alerts``."""

    id: UUID
    study: Study
    kind: str = Field(min_length=1)
    cause: Literal["input", "model", "codebook", "people", "volume"]
    at: Moment = Field(description="Estimated change point, in the segments' own time.")
    detected_at: Moment
    raised_at: Moment | None = Field(default=None, description="By the clock; the other times are the stream's own.")
    p: float = Field(
        ge=0,
        le=1,
        description="After paying for every look and everything looked at; 1 of a rule, which tests nothing.",
    )
    effect: float = Field(description="Newer against older: a difference of shares or means, or a distance.")
    codes: list[str] = Field(default_factory=list, description="Those that contribute most, the most first.")
    sources: list[str] = Field(default_factory=list, description="Those that contribute most, the most first.")
    examples: list[UUID] = Field(default_factory=list, description="Segments after the change that show it.")
    earliest: Moment | None = Field(default=None, description="Lower end of the change point's 95% interval.")
    latest: Moment | None = Field(default=None, description="Upper end of the change point's 95% interval.")
    before: Count = Field(default=0, description="Segments of the reference.")
    after: Count = Field(default=0, description="Segments since the change point.")
    says: str = Field(default="", description="One sentence a person can read.")
    causes: dict[str, float] = Field(
        default_factory=dict, description="How much of the evidence each possible cause has, adding up to 1."
    )
    terms: list[str] = Field(
        default_factory=list,
        description="Words and phrases that are distinctive of the texts since then, the most first.",
    )
    nearest: list[str] = Field(default_factory=list, description="Codes that the examples are nearest to.")
    name: str = Field(default="", max_length=120, description="The moderator's, for what is new; empty without one.")
    changes: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="Share or mean before and after, by code, source or signal."
    )
    rule: RuleCount | None = Field(default=None, description="Of an alert that a rule raised.")


class DeadLetter(Record):
    """A message that could not be read or coded; a message on ``dead-letters``.

    It is kept whole, but for the rest of one that is too large to be kept beside its reason.
    """

    id: UUID
    reason: str = Field(min_length=1)
    role: str = Field(description="Who set it aside.")
    topic: str
    partition: Count | Literal[-1]
    offset: Offset
    key: bytes | None = None
    raw: bytes | None = Field(default=None, description="The value as it came, or its head; none for a tombstone.")
    size: Count | None = Field(default=None, description="Bytes of the whole value, where only its head is kept.")
    sha256: str | None = Field(default=None, description="Of the whole value, where only its head is kept.")
    study: str | None = None
    segment_id: UUID | None = Field(default=None, description="The segment, where one could be told.")
    at: Moment
