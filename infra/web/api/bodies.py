"""What the API takes and gives, as its schema describes it. A field may be added; none changes within a version."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.feedback import LONGEST_TEXT
from schemas.record import Label, Moment

MOST_SEGMENTS = 5_000
"""Segments that are taken in one request."""
_Words = Annotated[str, Field(max_length=4_000)]


class Body(BaseModel):
    """Whatever is sent: an unknown field is refused, so that a misspelt one is seen."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Why a request was refused: what was found, what was expected, what to do."""

    detail: str


class StudySummary(BaseModel):
    """A study, and how much of it there is."""

    name: str
    segments: int
    coded: int = Field(description="Segments that the system has coded.")
    codes: int = Field(description="Codes in use.")
    waiting: int = Field(description="Segments that wait for people.")


class CodeRef(BaseModel):
    """A code as it is called now."""

    id: UUID
    label: str


class CodeRow(CodeRef):
    """A code or theme of the codebook."""

    level: str = Field(description="`code` or `theme`.")
    definition: str | None
    theme: UUID | None = Field(description="The theme that it stands under.")
    live: bool = Field(description="Whether it is in use; merged and retired ones are not.")
    segments: int


class HumanCoding(BaseModel):
    """What one person chose, in today's codes."""

    annotator: str
    kind: str = Field(description="`coding`, or `adjudication`: it settles what coders disagree on.")
    codes: list[CodeRef]
    unsure: bool


class SegmentEntry(BaseModel):
    """A segment and what became of it."""

    id: UUID
    own_id: str | None = Field(description="The source's own id, if it has one.")
    text: str
    source: str
    said_at: datetime = Field(description="When it was said, else taken in: by it segments are sorted.")
    timestamp: datetime | None = Field(description="When it was said, as it was sent; null where nobody told.")
    metadata: dict[str, JsonValue] = Field(description="Its attributes.")
    blind: bool = Field(description="Whether its code is kept back: somebody is to read it blind first.")
    route: str | None = Field(description="`accepted`, `people` or `suggested`; null until routed, or if it is blind.")
    confidence: float | None
    codes: list[CodeRef] = Field(description="In the end: an adjudication's, else most people's, else the system's.")
    decided_by: str | None = Field(description="Whose codes these are.")
    people: list[HumanCoding]


class SegmentPage(BaseModel):
    """Some segments, newest first, and where the next ones begin."""

    items: list[SegmentEntry]
    next: str | None = Field(description="To be given as `after` for the next page; null at the end.")


class NewSegment(Body):
    """A segment to be taken in."""

    text: str = Field(min_length=1, max_length=LONGEST_TEXT)
    id: str | None = Field(
        default=None, min_length=1, max_length=200, description="The source's own id; without one, the text names it."
    )
    source: str = Field(default="api", min_length=1, max_length=200, description="Form or channel it came from.")
    timestamp: Moment | None = Field(default=None, description="When it was said, with its zone.")
    language: str | None = Field(default=None, max_length=20, description="BCP 47 tag.")
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class RefusedSegment(BaseModel):
    """A segment that was not taken in."""

    index: int = Field(description="Its place in the request, from 0.")
    detail: str


class NothingTaken(Problem):
    """A request of which no segment was taken in."""

    refused: list[RefusedSegment] = Field(
        default_factory=list, description="Each segment with its reason; none where the body cannot be read at all."
    )


class Taken(BaseModel):
    """What was taken in."""

    ids: list[UUID | None] = Field(description="By place in the request; null where it was refused.")
    new: int = Field(description="How many were not there before.")
    changed: int = Field(description="How many were there with another text, which stays.")
    masked: int = Field(default=0, description="In how many of the new ones personal data was masked.")
    refused: list[RefusedSegment]


class NewLabel(Body):
    """What the token's owner decides about a segment that people were asked about."""

    segment_id: UUID
    accept: bool = Field(default=False, description="Whether the system's code fits.")
    code_ids: list[UUID] = Field(default_factory=list, max_length=50, description="Codes of the codebook that fit.")
    new_codes: list[Label] = Field(default_factory=list, max_length=50, description="Labels of codes that it lacks.")
    unsure: bool = False
    memo: _Words = ""
    request_id: UUID = Field(description="Made by you, a new one each time: the same one again changes nothing.")


class KeptLabel(BaseModel):
    """A decision that was kept."""

    segment_id: UUID
    annotator: str
    codes: list[CodeRef]
    decided_at: datetime
