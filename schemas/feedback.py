"""What comes in: one review, or one segment of an interview."""

from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from schemas.record import Record, Study


class Segment(Record):
    """A piece of text to be coded, with everything its source said about it."""

    id: UUID
    study: Study
    text: str = Field(description="As the source had it; see cut_from.")
    source: str = Field(min_length=1, max_length=200, description="File, form or channel it came from.")
    own_id: str | None = Field(default=None, description="The source's own id, as it is compared; see `plain_id`.")
    timestamp: AwareDatetime | None = Field(default=None, description="When it was said, if known.")
    language: str | None = Field(default=None, max_length=20, description="BCP 47 tag, if known.")
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="Other columns, kept as they came.")
    cut_from: int | None = Field(
        default=None, description="Length in characters before the text was cut to the profile's limit."
    )
