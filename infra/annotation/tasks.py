"""What is known about a segment that people are asked about, read from the read model."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from infra.storage.tables import annotations, assignments, decisions, locks, requests, segments
from models.annotation.coding import Task
from schemas import Annotation, AnnotationRequest, Assignment, Decision, Segment, StudyRules


def read_task(
    connection: Connection, study: str, segment: UUID, annotator: str, rules: StudyRules, now: datetime
) -> Task | None:
    """A segment as a person who codes it sees it, asked about or not; ``None`` where the study has none such.

    Those before and after it are read by ``read_neighbours``: a decision does not need them.
    """
    own = and_(annotations.c.segment_id == segment, annotations.c.annotator == annotator)
    last = select(annotations.c.record).where(own).order_by(annotations.c.decided_at.desc()).limit(1)
    query = (
        select(
            requests.c.record.label("request"),
            segments.c.record.label("segment"),
            assignments.c.record.label("assignment"),
            decisions.c.record.label("decision"),
            last.scalar_subquery().label("last"),
            requests.c.lacks,
            locks.c.since,
            locks.c.until,
        )
        .join_from(segments, requests, requests.c.segment_id == segments.c.id, isouter=True)
        .join(assignments, assignments.c.segment_id == segments.c.id, isouter=True)
        .join(decisions, decisions.c.segment_id == segments.c.id, isouter=True)
        .join(locks, _locked(segment, annotator), isouter=True)
        .where(segments.c.id == segment, segments.c.study == study)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    shown = Segment.from_bytes(row.segment)
    request = AnnotationRequest.from_bytes(row.request) if row.request else None
    return Task(
        segment=shown,
        request=request,
        assignment=Assignment.from_bytes(row.assignment) if row.assignment else None,
        decision=Decision.from_bytes(row.decision) if row.decision else None,
        last=Annotation.from_bytes(row.last) if row.last else None,
        blind=rules.blind or (request is not None and request.blind),
        since=row.since,
        held=row.until is not None and row.until > now,
        open_slots=row.lacks or 0,
    )


def read_neighbours(connection: Connection, task: Task) -> Task:
    """A segment with those before and after it in the same source."""
    where = select(segments.c.order_at, segments.c.seq).where(segments.c.id == task.segment.id)
    row = connection.execute(where).one_or_none()
    if row is None:  # it was erased meanwhile
        return task
    at = (row.order_at, row.seq)
    return replace(
        task, before=_beside(connection, task.segment, at, -1), after=_beside(connection, task.segment, at, 1)
    )


def _locked(segment: UUID, annotator: str) -> ColumnElement[bool]:
    return and_(locks.c.segment_id == segment, locks.c.annotator == annotator, locks.c.kind == "locked")


def _beside(connection: Connection, segment: Segment, place: tuple[datetime, int], step: int) -> Segment | None:
    """The segment before or after one in the same source, by the time it was said, else as it came."""
    at, seq = segments.c.order_at, segments.c.seq
    beyond = and_(at <= place[0], or_(at < place[0], seq < place[1]))  # the first part is what the index is entered by
    if step > 0:
        beyond = and_(at >= place[0], or_(at > place[0], seq > place[1]))
    order: Sequence[Any] = (at.desc(), seq.desc()) if step < 0 else (at, seq)
    query = (
        select(segments.c.record)
        .where(segments.c.study == segment.study, segments.c.source == segment.source, beyond)
        .order_by(*order)
        .limit(1)
    )
    raw = connection.execute(query).scalar()
    return None if raw is None else Segment.from_bytes(raw)


def read_asked(connection: Connection, study: str, segment: UUID) -> tuple[Assignment | None, AnnotationRequest | None]:
    """A segment's code, and what people were asked about it, where there are these."""
    query = (
        select(assignments.c.record, requests.c.record.label("request"))
        .join_from(assignments, requests, assignments.c.segment_id == requests.c.segment_id, isouter=True)
        .where(assignments.c.segment_id == segment, assignments.c.study == study)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None, None
    return Assignment.from_bytes(row.record), AnnotationRequest.from_bytes(row.request) if row.request else None


def ask_again(
    assignment: Assignment,
    before: AnnotationRequest | None,
    highest: float,
    why: str,
    author: str,
    now: datetime,
) -> AnnotationRequest:
    """A request that asks again about a coded segment, before all others."""
    return AnnotationRequest.for_assignment(
        assignment,
        "asked again",
        now,
        blind=before.blind if before else False,
        sample=before.sample if before else False,  # it was drawn by chance, or not, for good
        coders=before.coders if before else 1,
        priority=highest + 1.0,
        author=author,
        why=why,
    )
