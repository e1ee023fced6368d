"""The queue: which segment is on whose screen, and what waits for people. Two people never get the same one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    distinct,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from infra.annotation.tasks import ask_again, read_asked, read_neighbours, read_task
from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import annotations, locks, requests, segments
from models.annotation.coding import Task
from models.ports import Clock
from schemas import Annotation, AnnotationRequest, StudyRules

LOCKED, SKIPPED = "locked", "skipped"
_QUEUE_LOCK = 7_305_803  # any number that nothing else locks in this database
_LOOKED_BACK = timedelta(days=1)
_LACKING = requests.c.lacks > literal_column("0")  # as the index ix_requests_next has it, or it would not be used

_WHOLE = exists().where(segments.c.id == annotations.c.segment_id)  # parts that people marked are no segments


@dataclass(frozen=True)
class Budget:
    """What is left of a day's budget, of all people together; ``None`` where it has no such limit."""

    segments: int | None = None
    minutes: float | None = None

    @property
    def spent(self) -> str | None:
        """Why nothing more is handed out today, if nothing is."""
        if self.segments is not None and self.segments <= 0:
            return "today's segments are all taken: the study's rules allow no more a day"
        if self.minutes is not None and self.minutes <= 0:
            return "today's time is used up: the study's rules allow no more minutes a day"
        return None


@dataclass(frozen=True)
class QueueStatus:
    """How a study's queue stands for one person."""

    open: int
    """Segments that they could be given now."""
    locked: int
    """Segments on other people's screens."""
    mine_today: int
    """Segments that they have coded today."""
    budget_left: Budget | None
    """In the mode ``budget``."""
    expired: int
    """Requests that nobody answered in time."""


class AnnotationQueue:
    """Hands out segments to people. Threads and processes may share one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock

    def claim_next(self, study: str, annotator: str, rules: StudyRules) -> Task | None:
        """Give a person the next segment and lock it for them; the one that they have already, if they have one.

        Returns:
            The task, or ``None`` where nothing is open for them or the day's budget is spent.
        """
        now = self._clock.now()
        with self._database.exclusive(_QUEUE_LOCK, study) as connection:
            connection.execute(delete(locks).where(locks.c.study == study, locks.c.until <= now))
            own = select(locks.c.segment_id).where(*_live(study, now), locks.c.annotator == annotator)
            held = connection.execute(own).scalars().all()
            chosen = None
            if held:  # by its key, not through the queue: that would look at all that is open
                mine = _open(study, annotator, now).order_by(None).where(requests.c.segment_id.in_(held)).limit(1)
                chosen = connection.execute(mine).scalar()
            if chosen is None:
                left = _budget(connection, study, annotator, rules, now)
                if left is None or not left.spent:
                    free = _free(study, annotator, now)
                    if rules.mode == "people":
                        free = _as_said(free)
                    chosen = connection.execute(free.limit(1)).scalar()
            return _lock(connection, study, chosen, annotator, rules, now)

    def claim(self, study: str, segment: UUID, annotator: str, rules: StudyRules) -> Task | None:
        """Give a person this very segment, as after an undo; ``None`` where it is not open for them."""
        now = self._clock.now()
        with self._database.exclusive(_QUEUE_LOCK, study) as connection:
            request = _free(study, annotator, now, skipped=True).where(requests.c.segment_id == segment)
            return _lock(connection, study, connection.execute(request).scalar(), annotator, rules, now)

    def task(self, study: str, segment: UUID, annotator: str, rules: StudyRules) -> Task | None:
        """A segment that was asked about, whoever has it now; ``None`` where nobody ever asked."""
        task = self.any_task(study, segment, annotator, rules)
        return None if task is None or task.request is None else task

    def any_task(self, study: str, segment: UUID, annotator: str, rules: StudyRules) -> Task | None:
        """Any segment, asked about or not, as a person codes it; ``None`` where the study has none such."""
        now = self._clock.now()
        with self._database.reading() as connection:
            return read_task(connection, study, segment, annotator, rules, now)

    def with_neighbours(self, task: Task) -> Task:
        """The same, with the segments before and after it."""
        with self._database.reading() as connection:
            return read_neighbours(connection, task)

    def skip(self, study: str, segment: UUID, annotator: str) -> None:
        """Keep a segment from a person until tomorrow (UTC); others get it at once."""
        now = self._clock.now()
        with self._database.exclusive(_QUEUE_LOCK, study) as connection:
            known = select(requests.c.segment_id).where(requests.c.segment_id == segment, requests.c.study == study)
            if connection.execute(known).first() is not None:
                _keep_lock(
                    connection, study, segment, annotator, SKIPPED, since=now, until=_day(now) + timedelta(days=1)
                )

    def release(self, study: str, segment: UUID, annotator: str) -> None:
        """Give a segment back unread: anybody may get it now."""
        with self._database.writing() as connection:
            held = (*_lock_of(segment, annotator), locks.c.study == study, locks.c.kind == LOCKED)
            connection.execute(delete(locks).where(*held))

    def last(self, study: str, annotator: str) -> Annotation | None:
        """The decision of the last day that the person would take back first, if there is one."""
        since = self._clock.now() - _LOOKED_BACK
        touched = select(annotations.c.segment_id).where(
            annotations.c.study == study, annotations.c.annotator == annotator, annotations.c.decided_at > since
        )
        current = current_annotations(None, annotations.c.annotator == annotator, annotations.c.segment_id.in_(touched))
        with self._database.reading() as connection:
            newest = connection.scalars(select(current.c.record).order_by(current.c.decided_at.desc()))
            words = map(Annotation.from_bytes, newest)
            return next((word for word in words if word.within is None), None)  # parts are taken back in their document

    def waiting(self, study: str, annotator: str, rules: StudyRules) -> QueueStatus:
        """Count what waits for people, as it looks to one of them."""
        now = self._clock.now()
        free = and_(
            _in_time(now), _unsaid(annotator), _off_screens(study, annotator, now), ~_skipped(study, annotator, now)
        )
        asked = select(func.count().filter(free), func.count().filter(~_in_time(now)))
        on_screens = select(func.count()).where(*_live(study, now), locks.c.annotator != annotator)
        with self._database.reading() as connection:
            counted = connection.execute(asked.where(requests.c.study == study, _LACKING)).one()
            return QueueStatus(
                open=counted[0],
                locked=connection.execute(on_screens).scalar_one(),
                mine_today=_mine(connection, study, annotator, now),
                budget_left=_budget(connection, study, annotator, rules, now),
                expired=counted[1],
            )

    def requeue(self, study: str, segment_ids: Iterable[UUID], reason: str, author: str) -> list[AnnotationRequest]:
        """The requests that ask again about segments, first in the queue; those that are not coded yet are left out."""
        now, again = self._clock.now(), []
        with self._database.reading() as connection:
            first = select(func.max(requests.c.priority)).where(requests.c.study == study, _LACKING)
            highest = connection.execute(first).scalar() or 0.0
            for segment in dict.fromkeys(segment_ids):
                assignment, request = read_asked(connection, study, segment)
                if assignment is not None:
                    again.append(ask_again(assignment, request, highest, reason, author, now))
        return again


def _day(now: datetime) -> datetime:
    return datetime.combine(now.date(), time(), now.tzinfo)


def _lock_of(segment: UUID, annotator: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return locks.c.segment_id == segment, locks.c.annotator == annotator


def _live(study: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return locks.c.study == study, locks.c.kind == LOCKED, locks.c.until > now


def _open(study: str, annotator: str, now: datetime) -> Select[Any]:
    """Requests that a person may answer, whoever has them on the screen now: segment ids, first come first."""
    return (
        select(requests.c.segment_id)
        .where(requests.c.study == study, _LACKING, _in_time(now), _unsaid(annotator))
        .order_by(requests.c.priority.desc(), requests.c.requested_at, requests.c.segment_id)
    )


def _free(study: str, annotator: str, now: datetime, *, skipped: bool = False) -> Select[Any]:
    """Of the open requests, those that as many people as are lacking do not have on the screen already."""
    free = _open(study, annotator, now).where(_off_screens(study, annotator, now))
    return free if skipped else free.where(~_skipped(study, annotator, now))


def _as_said(free: Select[Any]) -> Select[Any]:
    """Open requests in the order in which their segments were said, else came: where people read all of them."""
    joined = free.join(segments, segments.c.id == requests.c.segment_id, isouter=True).order_by(None)
    return joined.order_by(requests.c.priority.desc(), segments.c.order_at, segments.c.seq)


def _in_time(now: datetime) -> ColumnElement[bool]:
    return or_(requests.c.expires_at.is_(None), requests.c.expires_at > now)


def _unsaid(annotator: str) -> ColumnElement[bool]:
    """Whether a person has not answered a request: where one is enough and lacking, nobody has."""
    later = annotations.alias("later")
    superseded = exists().where(
        later.c.segment_id == annotations.c.segment_id,
        later.c.annotator == annotator,
        later.c.decided_at > annotations.c.decided_at,
    )
    answered = exists().where(  # the person's last word, looked up by key: there is one row, or a few
        annotations.c.segment_id == requests.c.segment_id,
        annotations.c.annotator == annotator,
        annotations.c.withdrawn.is_(False),
        or_(requests.c.reason != "asked again", annotations.c.decided_at > requests.c.requested_at),
        ~superseded,
    )
    return or_(requests.c.coders == 1, ~answered)


def _off_screens(study: str, annotator: str, now: datetime) -> ColumnElement[bool]:
    """Whether fewer others have a request on the screen than it lacks; most are on nobody's."""
    others = (*_live(study, now), locks.c.annotator != annotator)
    count = (
        select(func.count())
        .select_from(locks)
        .where(locks.c.segment_id == requests.c.segment_id, *others)
        .correlate(requests)
        .scalar_subquery()
    )
    return or_(requests.c.segment_id.not_in(select(locks.c.segment_id).where(*others)), count < requests.c.lacks)


def _skipped(study: str, annotator: str, now: datetime) -> ColumnElement[bool]:
    own = (locks.c.study == study, locks.c.kind == SKIPPED, locks.c.until > now, locks.c.annotator == annotator)
    return requests.c.segment_id.in_(select(locks.c.segment_id).where(*own))


def _mine(connection: Connection, study: str, annotator: str, now: datetime) -> int:
    today = (annotations.c.study == study, annotations.c.decided_at >= _day(now), annotations.c.annotator == annotator)
    current = current_annotations(  # of any study: the segments say which, and are looked up by key
        None,
        annotations.c.annotator == annotator,
        annotations.c.segment_id.in_(select(annotations.c.segment_id).where(*today)),
        _WHOLE,
    )
    return connection.execute(select(func.count()).select_from(current)).scalar_one()


def _budget(connection: Connection, study: str, annotator: str, rules: StudyRules, now: datetime) -> Budget | None:
    """What is left today; segments on other people's screens count as used, or several people would go beyond."""
    if rules.mode != "budget":
        return None
    today = (annotations.c.study == study, annotations.c.decided_at >= _day(now), _WHOLE)
    used = connection.execute(
        select(func.count(distinct(annotations.c.segment_id)), func.sum(annotations.c.seconds)).where(*today)
    ).one()
    on_screens = connection.execute(
        select(func.count(distinct(locks.c.segment_id))).where(*_live(study, now), locks.c.annotator != annotator)
    ).scalar_one()
    return Budget(
        None if rules.budget_segments is None else max(0, rules.budget_segments - used[0] - on_screens),
        None if rules.budget_minutes is None else max(0.0, rules.budget_minutes - (used[1] or 0.0) / 60),
    )


def _lock(
    connection: Connection, study: str, segment: UUID | None, annotator: str, rules: StudyRules, now: datetime
) -> Task | None:
    """Put a segment on a person's screen, alone; a lock that they have already is kept for longer."""
    own = (locks.c.study == study, locks.c.annotator == annotator, locks.c.kind == LOCKED)
    connection.execute(
        delete(locks).where(*own, locks.c.segment_id != segment) if segment else delete(locks).where(*own)
    )
    if segment is None:
        return None
    since = connection.execute(select(locks.c.since).where(*own, locks.c.segment_id == segment)).scalar() or now
    until = now + timedelta(minutes=rules.lock_minutes)
    _keep_lock(connection, study, segment, annotator, LOCKED, since=since, until=until)
    task = read_task(connection, study, segment, annotator, rules, now)
    return None if task is None else read_neighbours(connection, task)


def _keep_lock(
    connection: Connection, study: str, segment: UUID, annotator: str, kind: str, *, since: datetime, until: datetime
) -> None:
    row = {"study": study, "kind": kind, "since": since, "until": until}
    statement = insert(locks, connection.dialect.name).values(segment_id=segment, annotator=annotator, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["segment_id", "annotator"], set_=row))
