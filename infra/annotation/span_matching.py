"""Which part of which segment a coded passage of another program is, where it is less than a whole segment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from infra.files.labels.label_sheet import Labelled
from infra.storage.database import CHUNK, chunks
from infra.storage.tables import segments
from models.annotation.spans import document_start
from schemas import Segment
from schemas.ids import span_id


@dataclass(frozen=True)
class Part:
    """A place in a segment."""

    segment: Segment
    start: int
    sure: bool
    """Whether its id or its place in the document says so, and not only that the words occur nowhere else."""


def match_parts(connection: Connection, rows: Sequence[Labelled], study: str) -> dict[int, Part]:
    """Find the parts that rows with a place in their document are about, by the rows' number.

    A row is the part that its id names; else the one at its place, where the segments' places are known; else the one
    place of the document at which its words stand.
    """
    placed = {n: row for n, row in enumerate(rows) if row.start is not None and row.text and row.source}
    documents = _documents(connection, study, {row.source for row in placed.values() if row.source})
    parts = {n: _part(row, documents.get(row.source or "", ())) for n, row in placed.items()}
    return {n: part for n, part in parts.items() if part is not None}


def _documents(connection: Connection, study: str, sources: set[str]) -> dict[str, list[Segment]]:
    documents: dict[str, list[Segment]] = {}
    for chunk in chunks(sorted(sources)):
        query = select(segments.c.record).where(segments.c.study == study, segments.c.source.in_(chunk))
        for raw in connection.execution_options(yield_per=CHUNK).execute(query).scalars():
            segment = Segment.from_bytes(raw)
            documents.setdefault(segment.source, []).append(segment)
    return documents


def _part(row: Labelled, document: Sequence[Segment]) -> Part | None:
    text = row.text or ""
    there = [(segment, start) for segment in document for start in _occurrences(segment.text, text)]
    named = [place for place in there if _id(*place, row) == row.key or _at(*place) == row.start]
    places = [(segment, start) for segment, start in named or there if len(segment.text) > len(text)]
    if len(places) != 1 or (not named and len(there) > 1):
        return None  # it is a whole segment, or nothing says which of several places
    return Part(*places[0], sure=bool(named))


def _id(segment: Segment, start: int, row: Labelled) -> str:
    return str(span_id(segment.id, start, start + len(row.text or ""), row.annotator))


def _at(segment: Segment, start: int) -> int | None:
    """Where a place of a segment is in the document."""
    begin = document_start(segment.metadata)
    return None if begin is None else begin + start


def _occurrences(text: str, words: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)
