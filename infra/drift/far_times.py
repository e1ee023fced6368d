"""Times so far from all others of a file that a clock or a typing fault is likely: 1970, 2206."""

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

_MOST = 500
"""Times of either end that are remembered."""
_SHARE = 0.05
"""Of all rows that either end may hold: what is more than that is no fault of a few rows."""
_YEAR_S = 365 * 86_400.0


class RowTime(NamedTuple):
    """When a row was said, and where it stands."""

    at: float
    """Seconds since 1970."""
    line: int


@dataclass
class FarTimes:
    """Remembers the earliest and the latest times of a file, and tells which of them lie far outside the rest.

    The rest is what lies between the 5th and the 95th percentile. A time is far outside it where it is more than a
    year away, and further than the rest is long.

    Example:
        >>> times = FarTimes()
        >>> for n in range(40):
        ...     times.add(1.7e9 + 86_400 * n, line=n + 2)
        >>> times.add(0.0, line=42)
        >>> [row.line for row in times.far()], times.says()
        ([42], '1 row far outside the rest (2023-11-14 to 2023-12-23): line 42, 1970-01-01')
    """

    rows: int = 0
    _first: list[tuple[float, int]] = field(default_factory=list)
    _last: list[tuple[float, int]] = field(default_factory=list)

    def add(self, at: float, line: int) -> None:
        """Take one row's time, seconds since 1970."""
        self.rows += 1
        for heap, value in ((self._first, -at), (self._last, at)):
            if len(heap) < _MOST:
                heapq.heappush(heap, (value, line))
            else:
                heapq.heappushpop(heap, (value, line))

    def far(self) -> list[RowTime]:
        """The rows far outside the rest, the earliest first."""
        first, last, rest = self._ends()
        if rest is None:
            return []
        least = max(rest[1] - rest[0], _YEAR_S)
        early = [row for row in first if rest[0] - row.at > least]
        return [*early, *(row for row in last if row.at - rest[1] > least)]

    def says(self, most: int = 3) -> str:
        """One line about them for a reader, with at most so many lines named; empty where there are none."""
        far, (first, last, rest) = self.far(), self._ends()
        if not far or rest is None:
            return ""
        near = [rest[0], rest[1], *(row.at for row in (*first, *last) if row not in far)]
        named = "; ".join(f"line {row.line}, {_day(row.at)}" for row in far[:most])
        more = f"; {len(far) - most} more" if len(far) > most else ""
        rows = f"{len(far):,} row{'' if len(far) == 1 else 's'}"
        days = dict.fromkeys((_day(min(near)), _day(max(near))))
        return f"{rows} far outside the rest ({' to '.join(days)}): {named}{more}"

    def _ends(self) -> tuple[list[RowTime], list[RowTime], tuple[float, float] | None]:
        """The rows before and behind the rest, and when the rest begins and ends."""
        first = sorted(RowTime(-at, line) for at, line in self._first)
        last = sorted(RowTime(at, line) for at, line in self._last)
        out = min(max(1, int(_SHARE * self.rows)), _MOST - 1)
        if self.rows <= 2 * out:
            return [], [], None
        return first[:out], last[-out:], (first[out].at, last[-out - 1].at)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
