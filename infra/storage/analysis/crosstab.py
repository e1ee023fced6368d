"""Final codes by what segments have: a source or an attribute; and which codes stand together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, String, cast, distinct, func, select

from infra.storage.annotations import waiting
from infra.storage.outcomes import Named, is_coded, names_now
from infra.storage.segment_search import attribute_text
from infra.storage.tables import final_codes, segments
from models.evaluation.association import Association, chi_square

SOURCE = "source"
OTHERS = "(others)"
WITHOUT = "(none)"
Hides = Literal["", "blind", "all"]
Within = Literal["segment", "document"]
_VALUES, _CODES = 20, 30
"""Columns and rows that a table has; the most frequent ones, and the others together."""


@dataclass(frozen=True)
class Crosstab:
    """How many segments with each value have each code in the end."""

    values: Sequence[str]
    totals: Sequence[int]
    """Coded segments with each value, whatever their codes."""
    codes: Sequence[Named]
    counts: Sequence[Sequence[int]]
    """One row a code, one number a value."""
    single: bool
    """Whether no segment has several codes: only then one test may be made of the whole table."""

    def row_share(self, row: int, column: int) -> float:
        """Of the segments with a code, how many have the value."""
        total = sum(self.counts[row])
        return self.counts[row][column] / total if total else 0.0

    def column_share(self, row: int, column: int) -> float:
        """Of the coded segments with a value, how many have the code."""
        return self.counts[row][column] / self.totals[column] if self.totals[column] else 0.0

    @cached_property
    def by_code(self) -> list[Association | None]:
        """For each code: whether having it goes with the value."""
        rest = [[total - n for n, total in zip(row, self.totals, strict=True)] for row in self.counts]
        return [chi_square([row, without]) for row, without in zip(self.counts, rest, strict=True)]

    @cached_property
    def whole(self) -> Association | None:
        """For all codes together; none where segments have several codes and would count twice."""
        return chi_square(self.counts) if self.single else None


@dataclass(frozen=True)
class Cooccurrence:
    """In how many segments, or documents, two codes stand together."""

    codes: Sequence[Named]
    counts: Sequence[Sequence[int]]
    """Square and symmetric; on the diagonal, how many have the code at all."""

    @property
    def paired(self) -> bool:
        """Whether any two codes stand together."""
        return any(n for row, counts in enumerate(self.counts) for n in counts[row + 1 :])

    def jaccard(self, row: int, column: int) -> float:
        """Of those that have either code, how many have both."""
        both = self.counts[row][column]
        either = self.counts[row][row] + self.counts[column][column] - both
        return both / either if either else 0.0


def crosstab(connection: Connection, study: str, by: str, hides: Hides = "") -> Crosstab:
    """Count final codes by a source or an attribute.

    Args:
        connection: A transaction that reads.
        study: Whose.
        by: ``source``, or an attribute's name.
        hides: Which segments are left out, as for ``infra.storage.segment_search.Filters``.
    """
    value = segments.c.source if by == SOURCE else attribute_text(by, connection.dialect.name)
    value = func.coalesce(func.nullif(cast(value, String), ""), WITHOUT).label("value")
    coded = _coded(study, hides, value)
    totals = Counter[str](dict(_pairs(connection, _counted(coded, [coded.c.value], count_segments=True))))
    rows = connection.execute(_counted(coded, [coded.c.value, coded.c.code_id, coded.c.label])).all()
    kept = [name for name, _ in totals.most_common(_VALUES)]
    values = [*sorted(kept, key=_by_number), *([OTHERS] if len(totals) > len(kept) else [])]
    place = {name: n for n, name in enumerate(values)}
    counts = _Rows(len(values))
    for row in rows:
        if row.code_id is not None:
            counts.add(row.code_id, row.label, place.get(row.value, len(values) - 1), row.n)
    column_totals = [0] * len(values)
    for name, n in totals.items():
        column_totals[place.get(name, len(values) - 1)] += n
    named, table = counts.most(connection, _CODES)
    single = sum(row.n for row in rows) == sum(totals.values())
    return Crosstab(values, column_totals, named, table, single)


def cooccurrence(connection: Connection, study: str, within: Within, hides: Hides = "") -> Cooccurrence:
    """Count in how many segments or documents each two codes stand together; the 30 most used codes."""
    coded = _coded(study, hides, segments.c.source.label("value"))
    unit = coded.c.segment_id if within == "segment" else coded.c.value
    one = select(unit.label("unit"), coded.c.code_id).where(coded.c.code_id.is_not(None)).distinct().subquery("one")
    other = one.alias("other")
    n = func.count().label("n")
    query = select(one.c.code_id, other.c.code_id.label("beside"), n)
    query = query.join_from(one, other, one.c.unit == other.c.unit).group_by(one.c.code_id, other.c.code_id)
    both = {(row.code_id, row.beside): row.n for row in connection.execute(query)}
    used = Counter({code: count for (code, beside), count in both.items() if code == beside})
    names = names_now(connection, used)
    most = sorted(used, key=lambda code: (-used[code], names[code].label if code in names else ""))[:_CODES]
    named = [names.get(code, Named(code, str(code))) for code in most]
    return Cooccurrence(named, [[both.get((row, column), 0) for column in most] for row in most])


class _Rows:
    """Counts by code, a list each."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._counts: dict[UUID, list[int]] = {}
        self._labels: dict[UUID, str] = {}

    def add(self, code: UUID, label: str, column: int, n: int) -> None:
        self._counts.setdefault(code, [0] * self._width)[column] += n
        self._labels[code] = label or str(code)

    def most(self, connection: Connection, most: int) -> tuple[list[Named], list[list[int]]]:
        names = names_now(connection, self._counts)
        named = {code: names.get(code, Named(code, self._labels[code])) for code in self._counts}
        order = sorted(self._counts, key=lambda code: (-sum(self._counts[code]), named[code].label.casefold()))[:most]
        return [named[code] for code in order], [self._counts[code] for code in order]


def _coded(study: str, hides: Hides, value: Any) -> Any:
    """Each coded segment's final codes with its value; segments for which no code fits have none."""
    final = final_codes.c
    query = (
        select(final.segment_id, final.code_id, final.label, value)
        .join_from(segments, final_codes, segments.c.id == final.segment_id)
        .where(segments.c.study == study, final.study == study, is_coded())
    )
    if hides:
        query = query.where(segments.c.id.not_in(waiting(study, every=hides == "all")))
    return query.subquery("coded")


def _counted(coded: Any, by: Sequence[ColumnElement[Any]], *, count_segments: bool = False) -> Any:
    n = func.count(distinct(coded.c.segment_id)) if count_segments else func.count()
    return select(*by, n.label("n")).group_by(*by)


def _pairs(connection: Connection, query: Any) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in connection.execute(query)]


def _by_number(value: str) -> tuple[int, float, str]:
    """Numbers by their size, then words by their letters."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value.casefold()
