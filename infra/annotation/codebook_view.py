"""What the codebook's pages read: codes with their numbers, and the segments that a code has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, case, func, select

from infra.annotation.disputes import read_adjudication_case
from infra.storage.database import Database, chunks
from infra.storage.segment_search import Filters, SegmentMatch, find
from infra.storage.tables import assignments, codes, final_codes, requests, segments
from models.annotation.adjudication import AdjudicationCase, NamedCode, move_segment
from models.codebook.edits import Act
from schemas import Annotation
from schemas.codebook import Level

WINDOW = timedelta(days=7)
"""A trend is the last so many days up to the newest segment against as many before."""


@dataclass(frozen=True)
class Listed:
    """A code or theme with its numbers; those of a theme are its codes' together."""

    id: UUID
    label: str
    level: Level
    definition: str | None
    theme: UUID | None
    """The living theme that it stands under."""
    live: bool
    count: int = 0
    recent: int = 0
    before: int = 0
    people: int = 0
    """Segments whose code people decided."""

    @property
    def change(self) -> int:
        """How many more segments in the last window than in the one before."""
        return self.recent - self.before


def listed(database: Database, study: str) -> list[Listed]:
    """Every code and theme of a study, living or not, the most used first."""
    with database.reading() as connection:
        rows = connection.execute(select(codes).where(codes.c.study == study)).all()
        numbers = _numbers(connection, study)
    finals = {row.id: row.final for row in rows}
    entries = [
        Listed(
            row.id,
            row.label,
            row.level,
            row.definition,
            finals.get(row.parent) if row.parent else None,
            not row.retired,
            *numbers.get(row.id, (0, 0, 0, 0)),
        )
        for row in rows
    ]
    return sorted(entries, key=lambda entry: (-entry.count, entry.label.casefold(), str(entry.id)))


def _numbers(connection: Connection, study: str) -> dict[UUID, tuple[int, int, int, int]]:
    """By code: its segments, those of the last window, those of the one before, and those that people decided."""
    newest = connection.execute(select(func.max(segments.c.order_at)).where(segments.c.study == study)).scalar()
    if newest is None:
        return {}
    final, order_at = final_codes.c, segments.c.order_at
    recent = func.sum(case((order_at > newest - WINDOW, 1), else_=0))
    lately = func.sum(case((order_at > newest - 2 * WINDOW, 1), else_=0))
    people = func.sum(case((final.decided_by == "model", 0), else_=1))
    query = (
        select(final.code_id, func.count(), recent, lately, people)
        .join_from(final_codes, segments, final.segment_id == segments.c.id)
        .where(final.study == study, final.code_id.is_not(None))
        .group_by(final.code_id)
    )
    return {row[0]: (row[1], row[2], row[3] - row[2], row[4]) for row in connection.execute(query)}


def with_code(database: Database, study: str, code: UUID, limit: int) -> list[SegmentMatch]:
    """The newest segments that have a code in the end, people's decisions counted."""
    segments_ = find(database, study, Filters(code=code), limit=limit).matches
    return [segment for segment in segments_ if any(given.id == code for given in segment.outcome.codes)]


def moved(
    database: Database, destinations: Collection[tuple[SegmentMatch, NamedCode]], of: UUID, act: Act
) -> list[Annotation]:
    """The annotations that put each segment's new code in the place of one that is split."""
    annotations = []
    with database.reading() as connection:
        for batch in chunks(destinations):
            cases = _cases(connection, [segment.id for segment, _ in batch])
            for segment, to in batch:
                now = [(code.id, code.label) for code in segment.outcome.codes]
                annotations.append(move_segment(cases[segment.id], now, of, to, act))
    return annotations


def _cases(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, AdjudicationCase]:
    query = (
        select(segments.c.record, assignments.c.record.label("assignment"), requests.c.record.label("request"))
        .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
        .join(requests, segments.c.id == requests.c.segment_id, isouter=True)
        .where(segments.c.id.in_(ids))
    )
    cases = (read_adjudication_case(row) for row in connection.execute(query))
    return {case.segment.id: case for case in cases}
