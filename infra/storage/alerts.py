"""Alerts as people see them: what was raised, and what somebody did about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select

from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import alert_marks, alerts
from schemas import DriftAlert

MarkKind = Literal["acknowledged", "snoozed"]


@dataclass(frozen=True)
class AlertMark:
    """What somebody did about an alert."""

    kind: MarkKind
    author: str
    at: datetime
    until: datetime | None = None
    """When a snoozed alert is open again."""
    note: str = ""


@dataclass(frozen=True)
class Raised:
    """An alert, and the last word on it."""

    alert: DriftAlert
    mark: AlertMark | None

    def open(self, now: datetime) -> bool:
        """Whether somebody should still look at it."""
        return self.mark is None or (self.mark.until is not None and self.mark.until <= now)


def raised(database: Database, study: str, limit: int = 100) -> list[Raised]:
    """A study's alerts, the newest first."""
    query = (
        select(alerts.c.record, alert_marks)
        .join_from(alerts, alert_marks, alert_marks.c.alert_id == alerts.c.id, isouter=True)
        .where(alerts.c.study == study)
        .order_by(alerts.c.detected_at.desc(), alerts.c.id)
        .limit(limit)
    )
    with database.reading() as connection:
        return [
            Raised(
                DriftAlert.from_bytes(row.record),
                None if row.kind is None else AlertMark(row.kind, row.author, row.at, row.until, row.note),
            )
            for row in connection.execute(query)
        ]


def count_open(database: Database, study: str | None, now: datetime) -> int:
    """How many alerts of a study, or of all, nobody has seen to."""
    query = select(func.count()).select_from(alerts).where(waits(now))
    if study is not None:
        query = query.where(alerts.c.study == study)
    with database.reading() as connection:
        return connection.execute(query).scalar_one()


def waits(now: datetime) -> ColumnElement[bool]:
    """Whether nobody has seen to an alert."""
    holds = or_(alert_marks.c.until.is_(None), alert_marks.c.until > now)
    return ~exists().where(and_(alert_marks.c.alert_id == alerts.c.id, holds))


def mark(database: Database, study: str, alert: UUID, mark: AlertMark) -> None:
    """Keep what somebody did about an alert; it takes the place of what was done before."""
    row = {"alert_id": alert, "study": study, "kind": mark.kind, "author": mark.author}
    row |= {"at": mark.at, "until": mark.until, "note": mark.note}
    statement = insert(alert_marks, database.dialect).values(row)
    new = {name: statement.excluded[name] for name in row if name != "alert_id"}
    with database.writing() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["alert_id"], set_=new))


def reopen(database: Database, study: str, ids: Sequence[UUID]) -> None:
    """Nobody has seen to these alerts any more."""
    with database.writing() as connection:
        mine = alert_marks.c.study == study
        connection.execute(delete(alert_marks).where(mine, alert_marks.c.alert_id.in_(ids)))
