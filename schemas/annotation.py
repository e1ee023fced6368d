"""What people are asked, and what they decide."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field

from schemas.coding import Assignment
from schemas.feedback import LONGEST_SOURCE, Segment
from schemas.record import Label, Moment, Record, Share, Study

RequestReason = Literal[
    "low confidence",
    "audit",
    "double coding",
    "query strategy",
    "asked again",
    "not in the codebook",
    "every segment",
]
AnnotationKind = Literal["coding", "adjudication"]
_MOST_DAYS = 36_500  # rules may say more than a calendar has


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
    requested_at: Moment
    expires_at: Moment | None = Field(default=None, description="From then on nobody is asked any more.")
    author: str | None = Field(default=None, max_length=120, description="Who asked, where a person did.")
    why: str = Field(default="", description="Why that person asked, in their words.")

    @classmethod
    def for_assignment(
        cls, assignment: Assignment, reason: RequestReason, at: datetime, *, days: float | None = None, **other: Any
    ) -> Self:
        """Ask about a segment that the system has coded.

        Args:
            assignment: What it has.
            reason: Why a person is asked.
            at: When.
            days: After so many nobody is asked any more; always, where there is no number.
            other: Further fields.
        """
        return cls(
            segment_id=assignment.segment_id,
            study=assignment.study,
            code_id=assignment.code_id,
            label=assignment.label,
            confidence=assignment.confidence or 0.0,
            reason=reason,
            signals=assignment.signals,
            requested_at=at,
            expires_at=at + timedelta(days=min(days, _MOST_DAYS)) if days else None,
            **other,
        )


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
    accepted: bool | None = Field(
        default=None, description="Whether the person let it stand: it is among those they chose."
    )
    confidence: Share | None = Field(default=None, description="The system's, when it asked.")
    signals: dict[str, float] = Field(default_factory=dict, description="What that confidence was made from.")
    reason: RequestReason | None = Field(default=None, description="Why the person was asked, if they were.")
    blind: bool = Field(default=False, description="Whether the system's code was hidden until the first choice.")
    sample: bool = Field(default=False, description="Whether the segment was drawn by chance.")
    decided_at: Moment
    seconds: float | None = Field(default=None, ge=0, description="Time the person took.")
    source: str | None = Field(
        default=None, max_length=LONGEST_SOURCE, description="Where the segment is from, as a file says."
    )
    own_id: str | None = Field(default=None, description="The id that its source gave it, as that file says.")
    start: int | None = Field(default=None, ge=0, description="Where its text begins there, in characters.")
    within: UUID | None = Field(
        default=None, description="The segment that its text is a part of, where a person marked a part and coded that."
    )
    offset: int | None = Field(default=None, ge=0, description="Where the part begins in that segment, in code points.")

    @classmethod
    def about(
        cls,
        segment: Segment,
        annotator: str,
        codes: Mapping[UUID, str],
        at: datetime,
        *,
        assignment: Assignment | None = None,
        request: AnnotationRequest | None = None,
        **other: Any,
    ) -> Self:
        """What a person decides about a segment, with what the system had said and asked.

        Args:
            segment: The segment.
            annotator: Who decides.
            codes: What they chose, with the codes' labels.
            at: When.
            assignment: What the system gave it, if it did.
            request: What the person, or others, were asked about it.
            other: Further fields, which stand in place of those from the assignment and the request.
        """
        return cls(
            **{
                "segment_id": segment.id,
                "study": segment.study,
                "annotator": annotator,
                "code_ids": list(codes),
                "labels": list(codes.values()),
                "text": segment.text,
                "decided_at": at,
                **_asked(assignment, request),
                **other,
            }
        )


def _asked(assignment: Assignment | None, request: AnnotationRequest | None) -> dict[str, Any]:
    """What an annotation tells of the system's code; as it was asked about, where it was."""
    source = request or assignment
    if source is None:
        return {}
    asked = {} if request is None else {"reason": request.reason, "sample": request.sample}
    shown = (assignment or source).label
    return asked | {"shown": shown, "confidence": source.confidence, "signals": source.signals}
