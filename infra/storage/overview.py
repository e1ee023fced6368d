"""How a study stands, quickly enough to be asked every second: counts and the newest segments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, or_, select

from infra.storage.alerts import waits
from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.outcomes import Assigned, outcomes
from infra.storage.tables import alerts, assignments, codes, dead_letters, requests, segments
from schemas.coding import ConfidenceStage, stage_of

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
            human_coded=_count(connection, segments.c.id, mine, segments.c.id.in_(select(coded.c.segment_id))),
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
