"""One segment's whole story: what came in, what each model made of it, and what people decided."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, or_, select

from infra.storage.database import Database
from infra.storage.outcomes import Assigned, Named, Outcome, names_now, outcomes
from infra.storage.store import SetAside
from infra.storage.tables import (
    annotations,
    assignments,
    code_events,
    codes,
    dead_letters,
    decisions,
    requests,
    segments,
)
from schemas import Annotation, AnnotationRequest, Assignment, CodeEvent, DeadLetter, Decision, Segment

_MOST_EVENTS = 200


@dataclass(frozen=True)
class Human:
    """What one person decided at one time."""

    annotation: Annotation
    codes: tuple[Named, ...]
    """As they are now."""
    counts: bool
    """Whether it is their last word, and not withdrawn."""


@dataclass(frozen=True)
class Change:
    """One change to the codebook that touched the segment's codes."""

    event: CodeEvent
    before: bool
    """Whether it was made before the segment got its code."""


@dataclass(frozen=True)
class Trace:
    """Everything that is known of one segment."""

    segment: Segment
    taken_in_at: datetime
    published_at: datetime | None
    decision: Decision | None
    decided_at: datetime | None
    assignment: Assignment | None
    origin: UUID | None
    """The segment that created its code, where it was another one."""
    request: AnnotationRequest | None
    open_slots: int
    people: Sequence[Human]
    changes: Sequence[Change]
    letters: Sequence[SetAside]
    outcome: Outcome


def trace(database: Database, study: str, segment: UUID) -> Trace | None:
    """Tell a segment's story, or ``None`` if the study has no such segment."""
    with database.reading() as connection:
        query = select(segments).where(segments.c.id == segment, segments.c.study == study)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        assignment = _assignment(connection, segment)
        given = None if assignment is None else Assigned(assignment.code_id, assignment.label, assignment.standing)
        outcome = outcomes(connection, {segment: given})[segment]
        people = _people(connection, segment)
        decided = connection.execute(
            select(decisions.c.record, decisions.c.at).where(decisions.c.segment_id == segment)
        ).one_or_none()
        asked = connection.execute(
            select(requests.c.record, requests.c.lacks).where(requests.c.segment_id == segment)
        ).one_or_none()
        return Trace(
            segment=Segment.from_bytes(row.record),
            taken_in_at=row.taken_in_at,
            published_at=row.published_at,
            decision=None if decided is None else Decision.from_bytes(decided.record),
            decided_at=None if decided is None else decided.at,
            assignment=assignment,
            origin=_origin(connection, assignment),
            request=None if asked is None else AnnotationRequest.from_bytes(asked.record),
            open_slots=0 if asked is None else asked.lacks,
            people=people,
            changes=_changes(connection, assignment, people, outcome),
            letters=_letters(connection, segment),
            outcome=outcome,
        )


def segments_named(database: Database, study: str, name: str) -> list[UUID]:
    """A study's segments that go by an id, their source's or ours, in the order in which they came in."""
    named = segments.c.own_id == name
    with suppress(ValueError):
        named = or_(named, segments.c.id == UUID(name))
    query = select(segments.c.id).where(segments.c.study == study, named).order_by(segments.c.seq)
    with database.reading() as connection:
        return list(connection.execute(query).scalars())


def _assignment(connection: Connection, segment: UUID) -> Assignment | None:
    raw = connection.execute(select(assignments.c.record).where(assignments.c.segment_id == segment)).scalar()
    return None if raw is None else Assignment.from_bytes(raw)


def _origin(connection: Connection, assignment: Assignment | None) -> UUID | None:
    if assignment is None or assignment.new:
        return None
    origin: UUID | None = connection.execute(select(codes.c.origin).where(codes.c.id == assignment.code_id)).scalar()
    return origin if origin != assignment.segment_id else None


def _codes_of(annotation: Annotation, names: Mapping[UUID, Named]) -> tuple[Named, ...]:
    pairs = zip(annotation.code_ids, annotation.labels, strict=False)
    return tuple(names.get(code, Named(code, label)) for code, label in pairs)


def _people(connection: Connection, segment: UUID) -> list[Human]:
    query = select(annotations.c.record).where(annotations.c.segment_id == segment)
    ordered = query.order_by(annotations.c.decided_at, annotations.c.annotator)
    history = [Annotation.from_bytes(raw) for raw in connection.execute(ordered).scalars()]
    last = {annotation.annotator: annotation for annotation in history}
    names = names_now(connection, {code for annotation in history for code in annotation.code_ids})
    return [
        Human(
            annotation,
            _codes_of(annotation, names),
            last[annotation.annotator] is annotation and not annotation.withdrawn,
        )
        for annotation in history
    ]


def _changes(
    connection: Connection, assignment: Assignment | None, people: Sequence[Human], outcome: Outcome
) -> list[Change]:
    """The history of every code that the segment has or had, and of what those became."""
    touched = {code for human in people for code in human.annotation.code_ids} | {code.id for code in outcome.codes}
    if assignment is not None:
        touched.add(assignment.code_id)
    if not touched:
        return []
    finals = select(codes.c.final).where(codes.c.id.in_(touched), codes.c.final.is_not(None))
    query = select(code_events.c.record).where(
        or_(code_events.c.code_id.in_(touched), code_events.c.code_id.in_(finals))
    )
    newest = query.order_by(code_events.c.at.desc(), code_events.c.id.desc()).limit(_MOST_EVENTS)
    events = [CodeEvent.from_bytes(raw) for raw in connection.execute(newest).scalars()]
    return [Change(event, assignment is not None and event.at < assignment.assigned_at) for event in reversed(events)]


def _letters(connection: Connection, segment: UUID) -> list[SetAside]:
    query = select(dead_letters.c.record, dead_letters.c.replayed_at).where(dead_letters.c.segment_id == segment)
    rows = connection.execute(query.order_by(dead_letters.c.at)).all()
    return [SetAside(DeadLetter.from_bytes(row.record), row.replayed_at) for row in rows]
