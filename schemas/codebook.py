"""The codebook as a history of events: what it is now is what they add up to."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.record import Label, Moment, Record, Study

CodeEventKind = Literal["created", "renamed", "defined", "moved", "merged", "split", "retired", "restored"]
Level = Literal["code", "theme"]


class CodeEvent(Record):
    """One change to one code, or to a theme that codes stand under; a message on ``codebook``."""

    id: UUID
    code_id: UUID
    study: Study
    kind: CodeEventKind
    level: Level = Field(
        default="code", description="A theme is one for good from the event that says so; segments only get codes."
    )
    label: Label = Field(description="The code's label after the event.")
    author: str = Field(min_length=1, max_length=120, description="Person, or model with its revision.")
    at: Moment
    reason: str = ""
    segment_id: UUID | None = Field(default=None, description="The segment that led to it, if one did.")
    definition: str | None = None
    inclusion: str | None = Field(default=None, description="When to use it.")
    exclusion: str | None = Field(default=None, description="When not to use it, and what then.")
    examples: list[str] | None = Field(default=None, description="Quotes that show it.")
    color: str | None = Field(default=None, max_length=7, description="As other tools show it, such as #FF8800.")
    parent_id: UUID | None = Field(default=None, description="The theme it stands under.")
    into: list[UUID] = Field(default_factory=list, description="The codes it was merged or split into.")
    undoes: UUID | None = Field(default=None, description="The event that this one takes back.")
