"""What the codebook's pages read: codes with their numbers, and the segments that a code has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, case, func, select

from infra.storage.database import Database, chunks
from infra.storage.search import Filters, Found, find
from infra.storage.tables import assignments, codes, segments
from models.annotation.adjudication import NamedCode, move_segment
from models.codebook.edits import Act
from schemas import Annotation, Assignment, Segment
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
    found = [
        Listed(
            row.id,
            row.label,
            row.level,
            row.definition,
            finals.get(row.parent) if row.parent else None,
            not row.retired,
            *numbers.get(row.id, (0, 0, 0)),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (-one.count, one.label.casefold(), str(one.id)))


def _numbers(connection: Connection, study: str) -> dict[UUID, tuple[int, int, int]]:
    """By code: its segments, those of the last window, and those of the one before."""
    newest = connection.execute(select(func.max(segments.c.order_at)).where(segments.c.study == study)).scalar()
    if newest is None:
        return {}
    given, said = codes.alias("given"), segments.c.order_at
    now = func.coalesce(given.c.final, assignments.c.code_id)
    recent = func.sum(case((said > newest - WINDOW, 1), else_=0))
    lately = func.sum(case((said > newest - 2 * WINDOW, 1), else_=0))
    query = (
        select(now, func.count(), recent, lately)
        .join_from(assignments, segments, assignments.c.segment_id == segments.c.id)
        .join(given, assignments.c.code_id == given.c.id, isouter=True)
        .where(assignments.c.study == study)
        .group_by(now)
    )
    return {code: (count, last, both - last) for code, count, last, both in connection.execute(query)}


def with_code(database: Database, study: str, code: UUID, limit: int) -> list[Found]:
    """The newest segments that have a code in the end, people's decisions counted."""
    found = find(database, study, Filters(code=code), limit=limit).found
    return [one for one in found if any(each.id == code for each in one.outcome.codes)]


def moved(database: Database, wanted: Collection[tuple[Found, NamedCode]], of: UUID, act: Act) -> list[Annotation]:
    """The annotations that put each segment's new code in the place of one that is split."""
    made = []
    with database.reading() as connection:
        for some in chunks(wanted):
            records = _records(connection, [one.id for one, _ in some])
            for one, to in some:
                segment, assignment = records[one.id]
                now = [(each.id, each.label) for each in one.outcome.codes]
                made.append(move_segment(segment, assignment, now, of, to, act))
    return made


def _records(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[Segment, Assignment | None]]:
    query = (
        select(segments.c.id, segments.c.record, assignments.c.record.label("assignment"))
        .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
        .where(segments.c.id.in_(ids))
    )
    return {
        row.id: (Segment.from_bytes(row.record), Assignment.from_bytes(row.assignment) if row.assignment else None)
        for row in connection.execute(query)
    }
