"""The parts of segments that people marked and coded, with their codes as they are now."""

from collections import Counter
from collections.abc import Collection, Iterator
from uuid import UUID

from sqlalchemy import Connection, select

from infra.storage.annotations import current_annotations
from infra.storage.database import chunks
from infra.storage.outcomes import CurrentNames, names_now
from infra.storage.tables import annotations, segments
from models.annotation.human_decision import chosen_codes
from models.annotation.spans import MarkedPart
from schemas import Annotation


def spans(connection: Connection, study: str, hidden: Collection[UUID] = ()) -> list[MarkedPart]:
    """Every part that stands, by document and place.

    Args:
        connection: A transaction that reads.
        study: Whose.
        hidden: Segments whose parts are left out, because somebody may still have to read them blind.
    """
    current = current_annotations(study)
    query = (
        select(current.c.record)
        .join_from(current, segments, current.c.segment_id == segments.c.id, isouter=True)
        .where(segments.c.id.is_(None))  # a part is no segment of its own
    )
    words = [word for raw in connection.scalars(query) if (word := Annotation.from_bytes(raw)).within is not None]
    names = CurrentNames(names_now(connection, {code for word in words for code in chosen_codes(word)}))
    standing = [_span(word, names) for word in words if word.within not in hidden]
    return sorted(standing, key=lambda span: (span.source, str(span.segment), span.start, span.end, span.coder))


def _span(word: Annotation, names: CurrentNames) -> MarkedPart:
    assert word.within is not None
    codes = tuple((code.id, code.label) for code in names.named(chosen_codes(word)).values())
    source, start, text = word.source or "", word.offset or 0, word.text or ""
    return MarkedPart(word.segment_id, word.within, source, start, text, word.annotator, codes, word)


def span_counts(every: Collection[MarkedPart]) -> Counter[UUID]:
    """How many marked parts have each code."""
    return Counter(code for span in every for code, _ in span.codes)


def parts_within(connection: Connection, ids: Collection[UUID]) -> Iterator[UUID]:
    """The ids of everything that anybody ever marked in these segments, of any study."""
    studies: set[str] = set()
    for chunk in chunks(ids):
        studies |= set(connection.scalars(select(segments.c.study).where(segments.c.id.in_(chunk)).distinct()))
    within = set(ids)
    for study in sorted(studies):
        query = (
            select(annotations.c.record)
            .join_from(annotations, segments, annotations.c.segment_id == segments.c.id, isouter=True)
            .where(annotations.c.study == study, segments.c.id.is_(None))
        )
        for raw in connection.scalars(query):
            word = Annotation.from_bytes(raw)
            if word.within in within:
                yield word.segment_id
