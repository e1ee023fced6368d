"""What people are asked, and what they decide."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from schemas.record import Label, Record, Share, Study

RequestReason = Literal["low confidence", "audit", "double coding", "query strategy", "asked again"]
AnnotationKind = Literal["coding", "adjudication"]


class AnnotationRequest(Record):
    """A segment that a person should look at; a message on ``annotation.requests``."""

    segment_id: UUID
    study: Study
    code_id: UUID
    label: Label
    confidence: Share
    reason: RequestReason
    blind: bool = Field(default=False, description="Whether the model's code is hidden until a first choice.")
    sample: bool = Field(
        default=False, description="Drawn by chance, whatever its confidence: such labels tell the share that is wrong."
    )
    coders: int = Field(default=1, ge=1, le=9, description="How many people should code it, each by themselves.")
    priority: float = Field(default=0.0, description="Higher ones are shown first.")
    signals: dict[str, float] = Field(default_factory=dict, description="What the confidence was made from.")
    requested_at: AwareDatetime
    expires_at: AwareDatetime | None = Field(default=None, description="From then on nobody is asked any more.")
    author: str | None = Field(default=None, max_length=120, description="Who asked, where a person did.")
    why: str = Field(default="", description="Why that person asked, in their words.")


class Annotation(Record):
    """What one person decided about one segment; a message on ``annotation.labels``.

    A person's last word on a segment counts; one that is withdrawn leaves the segment as if they had said nothing.
    """

    segment_id: UUID
    study: Study
    annotator: str = Field(min_length=1, max_length=120)
    kind: AnnotationKind = Field(
        default="coding", description="An adjudication settles what coders disagree on; it counts before any coding."
    )
    code_ids: list[UUID]
    labels: list[Label]
    text: str | None = Field(default=None, description="The segment's text, for those who learn from the decision.")
    memo: str = ""
    unsure: bool = False
    withdrawn: bool = False
    shown: Label | None = Field(default=None, description="The code the system had given it, if it had.")
    accepted: bool | None = Field(default=None, description="Whether that code is among those the person chose.")
    confidence: Share | None = Field(default=None, description="The system's, when it asked.")
    signals: dict[str, float] = Field(default_factory=dict, description="What that confidence was made from.")
    reason: RequestReason | None = Field(default=None, description="Why the person was asked, if they were.")
    blind: bool = Field(default=False, description="Whether the system's code was hidden until the first choice.")
    sample: bool = Field(default=False, description="Whether the segment was drawn by chance.")
    decided_at: AwareDatetime
    seconds: float | None = Field(default=None, ge=0, description="Time the person took.")
