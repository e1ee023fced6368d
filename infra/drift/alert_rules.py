"""Alerts that people asked for: a final code's share of what was said over some hours, from a limit on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Connection, delete, func, select, update

from infra.storage.database import Database
from infra.storage.outbox import Outbox
from infra.storage.outcomes import is_coded
from infra.storage.tables import alert_rules, codes, final_codes, segments
from models.errors import InputError
from models.ports import Clock
from schemas import DriftAlert, RuleCount

KIND = "rule"
LEAST = 5
"""Segments with the code that a rule wants, so that one of two is no half."""
LONGEST_HOURS = 24 * 365
_MOST_RULES = 50


@dataclass(frozen=True)
class AlertRule:
    """From which share on a code is an alert, and over how many hours of the stream's own time."""

    id: UUID
    study: str
    code_id: UUID
    label: str
    share: float
    hours: float
    author: str
    above: bool
    """Whether it was told already, and the share has not been below since."""


def rules(database: Database, study: str | None = None) -> list[AlertRule]:
    """The rules of a study, or of all, by their codes."""
    final = codes.alias("final")
    label = func.coalesce(final.c.label, codes.c.label, "?")
    query = (
        select(alert_rules, label.label("label"), func.coalesce(codes.c.final, alert_rules.c.code_id).label("now"))
        .join_from(alert_rules, codes, codes.c.id == alert_rules.c.code_id, isouter=True)
        .join(final, final.c.id == codes.c.final, isouter=True)
        .order_by(label, alert_rules.c.id)
    )
    query = query if study is None else query.where(alert_rules.c.study == study)
    with database.reading() as connection:
        return [
            AlertRule(row.id, row.study, row.now, row.label, row.share, row.hours, row.author, row.above)
            for row in connection.execute(query)
        ]


def add_rule(database: Database, study: str, code: UUID, share: float, hours: float, author: str, at: datetime) -> None:
    """Keep a rule.

    Raises:
        InputError: If the share or the hours are out of bounds, or there are too many rules.
    """
    if not 0 < share <= 1 or not 0 < hours <= LONGEST_HOURS:
        raise InputError(f"{share:.0%} over {hours:g} hours found; expected above 0 to 100%, over up to a year's hours")
    if len(rules(database, study)) >= _MOST_RULES:
        raise InputError(f"study '{study}' has {_MOST_RULES} rules for alerts already; take one away first")
    row = {"id": uuid4(), "study": study, "code_id": code, "share": share, "hours": hours, "author": author, "at": at}
    with database.writing() as connection:
        connection.execute(alert_rules.insert().values(row))


def remove_rule(database: Database, study: str, rule: UUID) -> None:
    """Keep a rule no longer; the alerts that it raised stay."""
    with database.writing() as connection:
        connection.execute(delete(alert_rules).where(alert_rules.c.id == rule, alert_rules.c.study == study))


def apply_rules(database: Database, outbox: Outbox, clock: Clock) -> int:
    """Look at every rule; one alert as its share rises to the limit, and none again before it was below.

    Returns:
        Alerts that were raised.
    """
    raised = 0
    for rule in rules(database):
        with database.reading() as connection:
            alert = _broken(connection, rule, clock.now())
        if (alert is not None) == rule.above:
            continue
        if alert is None:
            with database.writing() as connection:
                _keep(connection, rule, above=False)
        else:
            outbox.keep([alert], partial(_keep, rule=rule, above=True))
            raised += 1
    return raised


def _keep(connection: Connection, rule: AlertRule, above: bool) -> None:
    connection.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(above=above))


def _broken(connection: Connection, rule: AlertRule, now: datetime) -> DriftAlert | None:
    at = segments.c.order_at
    newest = connection.execute(select(func.max(at)).where(segments.c.study == rule.study)).scalar()
    if newest is None:
        return None
    since = newest - timedelta(hours=rule.hours)
    coded = (
        select(final_codes.c.segment_id, final_codes.c.code_id)
        .join_from(segments, final_codes, segments.c.id == final_codes.c.segment_id)
        .where(segments.c.study == rule.study, final_codes.c.study == rule.study, at > since, is_coded())
        .subquery()
    )
    segment = coded.c.segment_id
    total = connection.execute(select(func.count(segment.distinct()))).scalar_one()
    mine = connection.execute(select(segment).where(coded.c.code_id == rule.code_id)).scalars().all()
    share = len(mine) / total if total else 0.0
    if share < rule.share or len(mine) < LEAST:
        return None
    says = f"'{rule.label}' is the code of {share:.0%} of {total} segments in {rule.hours:g} h; "
    return DriftAlert(
        id=uuid5(rule.id, newest.isoformat()),
        study=rule.study,
        kind=KIND,
        cause="input",
        at=max(since, newest - timedelta(days=3650)),
        detected_at=newest,
        raised_at=now,
        p=1.0,
        effect=share - rule.share,
        codes=[rule.label[:120]],
        examples=list(mine[:5]),
        after=total,
        rule=RuleCount(share=share, limit=rule.share, hours=rule.hours, segments=total, author=rule.author),
        says=f"{says}the limit that {rule.author} set is {rule.share:.0%}",
    )
