"""Parts of a segment's text that people marked and coded: several of a segment, and any two may overlap.

Places are half-open and count code points of the segment's text. A part is an annotation whose id follows from its
place and its coder, so that each person's parts stand beside the others', and marking one again changes its codes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from models.errors import InputError
from schemas import Annotation, Segment
from schemas.ids import span_id


@dataclass(frozen=True)
class MarkedPart:
    """A marked part with its codes as they are now."""

    id: UUID
    segment: UUID
    source: str
    start: int
    text: str
    coder: str
    codes: tuple[tuple[UUID, str], ...]
    """Ids and labels."""
    annotation: Annotation

    @property
    def end(self) -> int:
        """Behind its last code point."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Piece:
    """A stretch of a text over which the same parts are marked."""

    text: str
    spans: tuple[MarkedPart, ...]


def part_of(segment: Segment, start: int, end: int, annotator: str) -> Segment:
    """The marked part as what a person codes.

    Args:
        segment: The whole.
        start: Its first code point.
        end: Behind its last one.
        annotator: Who marks it.

    Raises:
        InputError: If there is nothing at that place.
    """
    text = segment.text[start:end]
    if not 0 <= start < end <= len(segment.text) or not text.strip():
        raise InputError(
            f"{start} to {end} marks no words of a text of {len(segment.text)} characters; mark at least a word of it"
        )
    return segment.model_copy(update={"id": span_id(segment.id, start, end, annotator), "text": text})


def placed(annotation: Annotation, segment: Segment, start: int) -> Annotation:
    """An annotation of a part with its place: in its segment, and in the document where the segment's is known."""
    begin = document_start(segment.metadata)
    place = {"within": segment.id, "offset": start, "start": None if begin is None else begin + start}
    return annotation.model_copy(update={**place, "source": segment.source})


def document_start(metadata: dict[str, Any]) -> int | None:
    """Where a segment begins in its document, in characters, as its ``position`` has it; none where it says nothing."""
    position = metadata.get("position")
    start = position[0] if isinstance(position, list) and position else None
    return start if isinstance(start, int) and not isinstance(start, bool) and start >= 0 else None


def pieces(text: str, spans: Iterable[MarkedPart]) -> list[Piece]:
    """Cut a text wherever a part begins or ends.

    Args:
        text: The segment's.
        spans: Its parts; what reaches beyond the text, after an erasure or a cut, is left out.

    Returns:
        Pieces that make up the text, each with the parts over it, the longest first.
    """
    inside = [span for span in spans if 0 <= span.start < span.end <= len(text)]
    cuts = sorted({0, len(text), *(span.start for span in inside), *(span.end for span in inside)})
    return [Piece(text[start:end], _over(inside, start, end)) for start, end in pairwise(cuts)]


def _over(spans: Sequence[MarkedPart], start: int, end: int) -> tuple[MarkedPart, ...]:
    over = (span for span in spans if span.start <= start and end <= span.end)
    return tuple(sorted(over, key=lambda span: (span.start - span.end, str(span.id))))
