"""How a study stands, quickly enough to be asked every second: counts, the newest segments, codes over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, or_, select

from infra.storage.alerts import waits
from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.final_codes import Assigned, Named, names_now, outcomes
from infra.storage.tables import alerts, assignments, codes, dead_letters, final_codes, requests, segments
from schemas.coding import ConfidenceStage, stage_of

TimeStep = Literal["hour", "day"]
STEPS: dict[TimeStep, tuple[timedelta, int]] = {"hour": (timedelta(hours=1), 48), "day": (timedelta(days=1), 30)}
"""How long a step is, and how many are shown."""
_LONGEST = 240  # characters of a segment in a list


@dataclass(frozen=True)
class Live:
    """How many segments of a study stand where."""

    taken_in: int
    waiting: int
    """Taken in and not yet published."""
    coded: int
    accepted: int
    people: int
    open_requests: int
    human_coded: int
    dead_letters: int
    """Not replayed."""
    codes: int
    alerts: int
    """Nobody has seen to them."""
    suggested: int = 0
    """Neither accepted nor sent to people."""


@dataclass(frozen=True)
class Newest:
    """A segment that got its code lately."""

    id: UUID
    text: str
    code: str | None
    """None where it has none in the end, or it is kept back."""
    by: str | None
    """Whose word it is."""
    new: bool
    confidence: float | None
    route: str | None
    at: datetime
    proposed: str | None = None
    """A label that models propose and nobody has admitted yet."""
    blind: bool = False
    """Whether the code is kept back."""


@dataclass(frozen=True)
class OverTime:
    """How many segments got each code in each step of time, by when they were said."""

    moments: Sequence[datetime]
    """Where each step begins."""
    codes: Sequence[Named]
    """The most used of that time, the most used first."""
    counts: Sequence[Sequence[int]]
    """One row a code, one number a moment."""


def live(database: Database, study: str, now: datetime) -> Live:
    """Count everything that the overview shows."""
    mine = segments.c.study == study
    unpublished = (
        func.coalesce(segments.c.study, "") == study,
        segments.c.published_at.is_(None),
    )  # few, by their index
    asked = (requests.c.study == study, requests.c.lacks > 0)
    unexpired = or_(requests.c.expires_at.is_(None), requests.c.expires_at > now)
    dead = (dead_letters.c.study == study, dead_letters.c.replayed_at.is_(None))
    coded = current_annotations(study)
    in_use = (codes.c.study == study, codes.c.retired.is_(False), codes.c.level == "code")
    routes = select(assignments.c.route, func.count()).where(assignments.c.study == study)
    with database.reading() as connection:
        by_route = {route: n for route, n in connection.execute(routes.group_by(assignments.c.route))}
        return Live(
            taken_in=_count(connection, segments.c.study, mine),
            waiting=_count(connection, segments.c.seq, *unpublished),
            coded=sum(by_route.values()),
            accepted=by_route.get("accepted", 0),
            people=by_route.get("people", 0),
            suggested=by_route.get("suggested", 0),
            open_requests=_count(connection, requests.c.segment_id, *asked, unexpired),
            human_coded=connection.execute(select(func.count(coded.c.segment_id.distinct()))).scalar_one(),
            dead_letters=_count(connection, dead_letters.c.id, *dead),
            codes=_count(connection, codes.c.id, *in_use),
            alerts=_count(connection, alerts.c.id, alerts.c.study == study, waits(now)),
        )


def newest_stage(database: Database, study: str) -> ConfidenceStage | None:
    """Where the confidence of the code that was routed last comes from; None where none was, or nothing says."""
    query = (
        select(assignments.c.models)
        .where(assignments.c.study == study, assignments.c.route.is_not(None))
        .order_by(assignments.c.assigned_at.desc())
        .limit(1)
    )
    with database.reading() as connection:
        return stage_of(connection.execute(query).scalar() or {})


def _count(connection: Connection, column: ColumnElement[Any], *where: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count(column)).where(*where)).scalar_one()


def newest(database: Database, study: str, limit: int = 20) -> list[Newest]:
    """The segments that got their codes last, newest first."""
    done = assignments.c
    query = (
        select(
            done.segment_id,
            func.substr(segments.c.text, 1, _LONGEST).label("text"),
            done.code_id,
            done.label,
            done.new,
            done.confidence,
            done.route,
            done.standing,
            done.assigned_at,
        )
        .join_from(assignments, segments, done.segment_id == segments.c.id)
        .where(done.study == study)
        .order_by(done.assigned_at.desc(), done.segment_id)
        .limit(limit)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
        given = {row.segment_id: Assigned(row.code_id, row.label, row.standing) for row in rows}
        ends = outcomes(connection, given)
    return [
        Newest(
            row.segment_id,
            row.text,
            ", ".join(code.label for code in ends[row.segment_id].codes) or None,
            ends[row.segment_id].by,
            row.new,
            row.confidence,
            row.route,
            row.assigned_at,
            row.label if row.standing == "proposed" else None,
        )
        for row in rows
    ]


def over_time(database: Database, study: str, by: TimeStep, most: int = 8) -> OverTime:
    """The codes that most segments of the last steps have in the end."""
    (length, steps), final = STEPS[by], final_codes.c
    with database.reading() as connection:
        said_at = segments.c.order_at
        first = connection.execute(select(func.min(said_at)).where(segments.c.study == study)).scalar_one()
        last = connection.execute(select(func.max(said_at)).where(segments.c.study == study)).scalar_one()
        if first is None or last is None:
            return OverTime((), (), ())
        ends = _floor(last, by)
        begins = max(ends - length * (steps - 1), _floor(first, by))
        moments = [begins + length * n for n in range((ends - begins) // length + 1)]
        start = _start(by, database.dialect)
        query = (
            select(start.label("start"), final.code_id, func.max(final.label).label("label"), _N)
            .join_from(segments, final_codes, segments.c.id == final.segment_id)
            .where(segments.c.study == study, segments.c.order_at >= begins)
            .where(final.study == study, final.code_id.is_not(None))
            .group_by(start, final.code_id)
        )
        rows = connection.execute(query).all()
        names = names_now(connection, {row.code_id for row in rows})
    counts: dict[Named, dict[datetime, int]] = {}
    for row in rows:
        code = names.get(row.code_id, Named(row.code_id, row.label))
        of_code, moment = counts.setdefault(code, {}), datetime.fromisoformat(row.start).replace(tzinfo=UTC)
        of_code[moment] = of_code.get(moment, 0) + row.n
    ordered = sorted(counts, key=lambda code: (-sum(counts[code].values()), code.label))[:most]
    return OverTime(moments, ordered, [[counts[code].get(moment, 0) for moment in moments] for code in ordered])


_N = func.count().label("n")


def _floor(moment: datetime, by: TimeStep) -> datetime:
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if by == "hour" else hour.replace(hour=0)


def _start(by: TimeStep, dialect: str) -> ColumnElement[str]:
    """The beginning of a segment's step, as ``2026-03-01T14:00:00`` in UTC."""
    at = segments.c.order_at
    if dialect == "sqlite":
        return func.strftime("%Y-%m-%dT%H:00:00" if by == "hour" else "%Y-%m-%dT00:00:00", at)
    return func.to_char(func.timezone("UTC", at), f'YYYY-MM-DD"T"{"HH24" if by == "hour" else "00"}":00:00"')
