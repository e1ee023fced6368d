"""What people are asked, and what they decide."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from schemas.record import Label, Record, Share, Study

RequestReason = Literal["low confidence", "audit", "double coding", "query strategy", "asked again"]


class AnnotationRequest(Record):
    """A segment that a person should look at; a message on ``annotation.requests``."""

    segment_id: UUID
    study: Study
    code_id: UUID
    label: Label
    confidence: Share
    reason: RequestReason
    blind: bool = Field(default=False, description="Whether the model's code is hidden until a first choice.")
    requested_at: AwareDatetime


class Annotation(Record):
    """What one person decided about one segment; a message on ``annotation.labels``."""

    segment_id: UUID
    study: Study
    annotator: str = Field(min_length=1, max_length=120)
    code_ids: list[UUID]
    labels: list[Label]
    text: str | None = Field(default=None, description="The segment's text, for those who learn from the decision.")
    memo: str = ""
    unsure: bool = False
    decided_at: AwareDatetime
    seconds: float | None = Field(default=None, ge=0, description="Time the person took.")
