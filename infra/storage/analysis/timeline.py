"""How often codes were given over time, in all of a study or a part of it; without times, how often in all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select

from infra.storage.database import Database
from infra.storage.outcomes import Named, names_now
from infra.storage.segment_search import Filters, matching_ids
from infra.storage.tables import final_codes, segments

TimeStep = Literal["hour", "day"]
STEPS: dict[TimeStep, tuple[timedelta, int]] = {"hour": (timedelta(hours=1), 48), "day": (timedelta(days=1), 30)}
"""How long a step is, and how many are shown where nobody says from when on."""
_MOST_STEPS = 400  # where somebody does


@dataclass(frozen=True)
class OverTime:
    """How many segments got each code in each step of time, by when they were said."""

    moments: Sequence[datetime]
    """Where each step begins."""
    codes: Sequence[Named]
    """The most used of that time, the most used first."""
    counts: Sequence[Sequence[int]]
    """One row a code, one number a moment."""
    segments: int = 0
    """Of the study, or of the part of it."""
    untimed: int = 0
    """Those of them that do not say when they were said: they stand at the time they were taken in."""
    earlier: bool = False
    """Whether some of them are older than the first step."""
    later: bool = False
    """Whether some are newer than the last step: none of those has a code."""

    @property
    def is_course(self) -> bool:
        """Whether there is a course over time to draw."""
        return len(self.moments) > 1

    @property
    def totals(self) -> list[tuple[Named, int]]:
        """How often each code was given in all of these steps."""
        return [(code, sum(counts)) for code, counts in zip(self.codes, self.counts, strict=True)]


def over_time(database: Database, study: str, by: TimeStep, most: int = 8, filters: Filters | None = None) -> OverTime:
    """The codes that most segments of the last steps have in the end; of earlier ones where no newer one is coded.

    Args:
        database: The read model's.
        study: Whose.
        by: How long a step is.
        most: Codes at most.
        filters: What narrows the segments; ``None``: nothing does. With a day to begin at, up to 400 steps are shown.
    """
    filters = filters or Filters()
    with database.reading() as connection:
        which = [segments.c.study == study]
        if not filters.none:
            which.append(segments.c.id.in_(matching_ids(study, filters, connection)))
        ends = select(func.min(segments.c.order_at), func.max(segments.c.order_at), func.count())
        first, last, n = connection.execute(ends.where(*which)).one()
        if not n:
            return OverTime((), (), ())
        timed = connection.execute(select(func.count(segments.c.timestamp)).where(*which)).scalar_one()
        coded = _last_coded(connection, study, which) or last
        moments = _moments(first, last, coded, by, _MOST_STEPS if filters.since else STEPS[by][1])
        rows = _rows(connection, study, by, [*which, segments.c.order_at >= moments[0]])
        names = names_now(connection, {row.code_id for row in rows})
    timeline = _table(rows, names, moments, most)
    later = _floor(last, by) > moments[-1]
    return replace(timeline, segments=n, untimed=n - timed, earlier=first < moments[0], later=later)


def _last_coded(connection: Connection, study: str, which: Sequence[ColumnElement[bool]]) -> datetime | None:
    final = final_codes.c
    query = select(func.max(segments.c.order_at)).join_from(segments, final_codes, segments.c.id == final.segment_id)
    return connection.execute(query.where(*which, final.study == study, final.code_id.is_not(None))).scalar()


def _moments(first: datetime, last: datetime, coded: datetime, by: TimeStep, steps: int) -> list[datetime]:
    """The last steps, or those up to the last coded segment where it is older than that."""
    length = STEPS[by][0]
    span = length * (steps - 1)
    oldest, newest, coded = (_floor(moment, by) for moment in (first, last, coded))
    begins = max(oldest, (newest if coded >= newest - span else coded) - span)
    ends = min(newest, begins + span)
    return [begins + length * n for n in range((ends - begins) // length + 1)]


def _rows(connection: Connection, study: str, by: TimeStep, which: Sequence[ColumnElement[bool]]) -> Sequence[Any]:
    start, final = _start(by, connection.dialect.name), final_codes.c
    query = (
        select(start.label("start"), final.code_id, func.max(final.label).label("label"), func.count().label("n"))
        .join_from(segments, final_codes, segments.c.id == final.segment_id)
        .where(*which, final.study == study, final.code_id.is_not(None))
        .group_by(start, final.code_id)
    )
    return connection.execute(query).all()


def _table(rows: Sequence[Any], names: dict[UUID, Named], moments: list[datetime], most: int) -> OverTime:
    counts: dict[Named, dict[datetime, int]] = {}
    for row in rows:
        code = names.get(row.code_id, Named(row.code_id, row.label))
        of_code, moment = counts.setdefault(code, {}), datetime.fromisoformat(row.start).replace(tzinfo=UTC)
        of_code[moment] = of_code.get(moment, 0) + row.n
    ordered = sorted(counts, key=lambda code: (-sum(counts[code].values()), code.label))[:most]
    by_code = [[counts[code].get(moment, 0) for moment in moments] for code in ordered]
    return OverTime(moments, ordered, by_code)


def _floor(moment: datetime, by: TimeStep) -> datetime:
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if by == "hour" else hour.replace(hour=0)


def _start(by: TimeStep, dialect: str) -> ColumnElement[str]:
    """The beginning of a segment's step, as ``2026-03-01T14:00:00`` in UTC."""
    at = segments.c.order_at
    if dialect == "sqlite":
        return func.strftime("%Y-%m-%dT%H:00:00" if by == "hour" else "%Y-%m-%dT00:00:00", at)
    return func.to_char(func.timezone("UTC", at), f'YYYY-MM-DD"T"{"HH24" if by == "hour" else "00"}":00:00"')
