"""What comes in: one review, or one segment of an interview."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import Field, JsonValue

from schemas.record import Count, Moment, Record, Study

LONGEST_TEXT = 200_000
"""Characters of a segment's text. More is a document: its turns or paragraphs are segments."""
LONGEST_OWN_ID = 400
LONGEST_SOURCE = 200
LARGEST_METADATA = 256 * 1024
"""Bytes of a segment's metadata as JSON, at every way in."""

READING_NOTES = frozenset({"_raw", "_encoding", "_nul_removed", "_version_of"})
"""What the metadata keeps of how a text was read; no attribute of whoever said it."""


def attributes_of(metadata: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A segment's attributes: its metadata without notes of how it was read."""
    return {name: value for name, value in metadata.items() if name not in READING_NOTES}


class Segment(Record):
    """A piece of text to be coded, with everything its source said about it."""

    id: UUID
    study: Study
    text: str = Field(max_length=LONGEST_TEXT, description="As the source had it; see cut_from.")
    source: str = Field(min_length=1, max_length=LONGEST_SOURCE, description="File, form or channel it came from.")
    own_id: str | None = Field(
        default=None,
        max_length=LONGEST_OWN_ID,
        description="The source's own id, as it is compared: 1 and 1.0 are one.",
    )
    timestamp: Moment | None = Field(default=None, description="When it was said, if known.")
    language: str | None = Field(default=None, max_length=20, description="BCP 47 tag, if known.")
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="Other columns, kept as they came.")
    cut_from: Count | None = Field(
        default=None, description="Length in characters before the text was cut to the profile's limit."
    )
