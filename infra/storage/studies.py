"""Which studies there are, and how much of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, func, select

from infra.storage.alerts import waits
from infra.storage.database import Database
from infra.storage.tables import alerts, annotations, assignments, codes, grants, requests, segments, study_rules
from models.errors import InputError


@dataclass(frozen=True)
class StudyCounts:
    """A study, and how much of it there is."""

    name: str
    segments: int
    coded: int
    codes: int
    waiting: int
    """Segments that people have not coded yet."""
    newest: datetime | None
    alerts: int = 0
    """Nobody has seen to them."""


def studies(database: Database, now: datetime | None = None) -> list[StudyCounts]:
    """Every study that has segments, codes or rules, by name; open alerts are counted where the time is given."""

    def count(column: Column[Any], *where: ColumnElement[bool]) -> dict[str, int]:
        query = select(column, func.count()).where(*where).group_by(column)
        return {row[0]: row[1] for row in connection.execute(query)}

    with database.reading() as connection:
        newest = {
            row[0]: row[1]
            for row in connection.execute(
                select(segments.c.study, func.max(segments.c.order_at)).group_by(segments.c.study)
            )
        }
        taken_in, coded = count(segments.c.study), count(assignments.c.study)
        used = count(codes.c.study, codes.c.retired.is_(False), codes.c.level == "code")
        open_alerts = {} if now is None else count(alerts.c.study, waits(now))
        waiting = count(requests.c.study, requests.c.lacks > 0)
        named = {*taken_in, *used, *connection.execute(select(study_rules.c.study)).scalars()}
    return [
        StudyCounts(
            name=name,
            segments=taken_in.get(name, 0),
            coded=coded.get(name, 0),
            codes=used.get(name, 0),
            waiting=waiting.get(name, 0),
            newest=newest.get(name),
            alerts=open_alerts.get(name, 0),
        )
        for name in sorted(named, key=str.casefold)
    ]


def is_study(database: Database, study: str) -> bool:
    """Whether somebody made a study: it has texts, codes, rules or labels, or a person has a role in it."""
    made_by = (segments.c.study, codes.c.study, study_rules.c.study, annotations.c.study, grants.c.scope)
    with database.reading() as connection:
        return any(connection.execute(select(name).where(name == study).limit(1)).first() for name in made_by)


def check_study(database: Database, study: str) -> None:
    """See that there is such a study.

    Raises:
        InputError: If there is none; it names those that there are.
    """
    known = [each.name for each in studies(database)]
    if study not in known:
        there = (
            f"those that there are: {', '.join(known)}" if known else "there is none yet: `qualstream ingest` makes one"
        )
        raise InputError(f"no study '{study}' in '{database.name}'; {there}")
