"""Documents as they read: a source's segments in the order in which they stand there, with their final codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from infra.storage.outcomes import Assigned, Outcome, outcomes
from infra.storage.tables import assignments, segments

MOST = 2_000
"""Segments of a document that are shown."""
_LISTED = 500


@dataclass(frozen=True)
class DocumentEntry:
    """A source and how much of it there is."""

    source: str
    segments: int


@dataclass(frozen=True)
class DocumentPassage:
    """A segment in its document."""

    id: UUID
    text: str
    speaker: str | None
    turn: str | None
    question: str | None
    """The interviewer's words before it, where they are known."""
    outcome: Outcome


def documents(connection: Connection, study: str) -> list[DocumentEntry]:
    """A study's sources by name; at most 500."""
    query = select(segments.c.source, func.count()).where(segments.c.study == study)
    rows = connection.execute(query.group_by(segments.c.source).order_by(segments.c.source).limit(_LISTED))
    return [DocumentEntry(*row) for row in rows]


def passages(connection: Connection, study: str, source: str, most: int = MOST) -> list[DocumentPassage]:
    """A document's segments by their place in it; where none is known, as they came."""
    done = assignments.c
    query = (
        select(segments.c.id, segments.c.text, segments.c.metadata, segments.c.seq)
        .add_columns(done.code_id, done.label, done.standing)
        .join_from(segments, assignments, segments.c.id == done.segment_id, isouter=True)
        .where(segments.c.study == study, segments.c.source == source)
        .order_by(segments.c.order_at, segments.c.seq)
        .limit(most)
    )
    rows = sorted(connection.execute(query).all(), key=_place)
    given = {row.id: Assigned(row.code_id, row.label, row.standing) if row.code_id else None for row in rows}
    settled = outcomes(connection, given)
    return [
        DocumentPassage(
            row.id,
            row.text,
            _word(row.metadata.get("speaker")),
            _word(row.metadata.get("turn")),
            _word(row.metadata.get("question")),
            settled[row.id],
        )
        for row in rows
    ]


def is_passage(metadata: Mapping[str, Any]) -> bool:
    """Whether a segment is read with others of its source, as a turn of an interview is: its place there is known."""
    return any(metadata.get(name) not in (None, "", []) for name in ("position", "turn"))


def _place(row: Any) -> tuple[float, float, int]:
    return _first_number(row.metadata.get("position")), _first_number(row.metadata.get("turn")), row.seq


def _first_number(value: Any) -> float:
    """A place's number, or that of its beginning; 0 where it has none, so that the order of coming stands."""
    first = value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value
    try:
        return float(first)
    except (TypeError, ValueError):
        return 0.0


def _word(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
