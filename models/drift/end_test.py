"""Whether a stream's codes changed anywhere in it: asked once, at its end, so that little is enough to tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.drift.counts.snapshots import BlockSnapshot, Counts
from models.drift.counts.stratified import RecentSegment, StratifiedCounts
from models.drift.scan import Finding, Moved
from models.drift.seasonality import SeasonalModel

LEAST = 60
"""Segments below which nothing can be told: twenty runs of three."""
_RUN, _MOST_RUNS = 3, 40
"""Segments of a run at least, and runs at most: what clings together for shorter than a run is no change."""
_EDGE = 10  # runs of so many are on either side of a change at least
_DRAWS, _AT_ONCE = 999, 250
"""Orders of the runs that are drawn, and how many are held in memory at a time."""
_SEEN = 4  # times that a cell must have been seen to be counted for itself: the rarer ones are one
_FAR = 6.0  # standard deviations of such a difference: some 5 pass over all splits and cells at 0.005, and chance
_FALSE = 0.05  # share of the cells named that may be named by chance


@dataclass(frozen=True)
class EndTest:
    """Looks for one change in what is remembered of a stream since its reference began.

    Each segment's surplus over its stratum's share of each cell is added up over runs of segments. ``S``, the surplus
    behind a split between runs, has variance ``V f (1 - f)`` where ``f`` of the segments lie before it, plus what
    nobody would call a change. Two statistics are taken over all splits: the largest sum of ``S^2 / variance`` over
    the cells, which sees many codes that move a little, and the largest of one cell. Their p-values are their ranks
    among the same statistics of the runs in other orders, the smaller of both again by its rank: if nothing changed,
    all orders are alike. What hours and weekdays may make of the split is taken off, and it has to hold still.

    Example:
        >>> from uuid import UUID
        >>> table = StratifiedCounts()
        >>> for n in range(120):
        ...     table.add(60.0 * n, UUID(int=n), ("shop", ""), "late" if n < 60 else "cost")
        ...     if n % 25 == 24:
        ...         table.close_block(1 + n // 25, 60.0 * n)
        >>> finding = EndTest(table, alpha=0.005, tolerated_sd=0.03, seasonal_sd=0.22, seed=1).run()
        >>> sorted(moved.cell for moved in finding.moved), finding.p < 1
        (['cost', 'late'], True)

    Source:
        Antoch & Hušková, "Permutation Tests in Change Point Analysis", Statistics & Probability Letters 53 (2001);
        runs in place of segments as in Kirch, "Block Permutation Principles for the Change Analysis of Dependent
        Data", Journal of Statistical Planning and Inference 137 (2007).
    """

    table: StratifiedCounts
    alpha: float
    """Probability of a false alarm."""
    tolerated_sd: float
    """Relative change of a share that is none, as one standard deviation."""
    seasonal_sd: float
    """The same for an hour of the day that was not seen yet."""
    seed: int
    """Of the orders that are drawn."""

    @property
    def enough(self) -> bool:
        """Whether there are segments enough to tell a change."""
        return len(self._segments) >= LEAST

    def run(self) -> Finding | None:
        """The change, if there is one."""
        starts = self.table.history.blocks[1:-1]
        if not self.enough or not starts or self._variance.sum() <= 0:
            return None
        drawn = self._drawn()
        squares = self._surplus(np.arange(self._runs)[None])[0] ** 2 / self._spread
        p, by_sum = _rank(squares, drawn)
        if p > self.alpha:
            return None
        split = int((squares.sum(axis=1) if by_sum else squares.max(axis=1)).argmax())
        at = self._segments[self._ends[self._splits[split]]].at
        start = next((block for block in starts if block.at >= at), starts[-1])
        allowed = self._allowed(start, split)
        p = max(p, _rank(allowed[None], drawn)[0])
        return self._finding(start, split, allowed, p) if p <= self.alpha else None

    @cached_property
    def _segments(self) -> Sequence[RecentSegment]:
        history = self.table.history
        newest = max([history.base, *history.rebased.values()], key=lambda block: block.block)
        return [each for each in self.table.recent if not newest.block or each.at > newest.at]

    @cached_property
    def _strata(self) -> NDArray[np.intp]:
        return np.array([each.stratum for each in self._segments])

    @cached_property
    def _hits(self) -> Counts:
        """Which segment is in which cell, shape ``(segments, columns)``; the last one is of all rare cells."""
        columns = np.array([each.cell for each in self._segments])
        hits = (columns[:, None] == np.array(self._columns)).astype(np.float64)
        rest = (columns > 0) & (hits.sum(axis=1) == 0)
        return np.concatenate([hits, rest[:, None]], axis=1)

    @cached_property
    def _columns(self) -> list[int]:
        """Of the cells that were seen often enough."""
        seen = np.bincount([each.cell for each in self._segments])
        return [int(column) for column in np.flatnonzero(seen >= _SEEN) if column]

    @cached_property
    def _shares(self) -> Counts:
        """Of each cell in the stratum of each segment, shape of the hits."""
        present = np.eye(int(self._strata.max()) + 1)[self._strata]
        by_stratum = (present.T @ self._hits) / np.maximum(present.sum(axis=0), 1)[:, None]
        return np.asarray(by_stratum[self._strata])

    @cached_property
    def _variance(self) -> Counts:
        return np.asarray((self._shares * (1 - self._shares)).sum(axis=0))

    @property
    def _runs(self) -> int:
        return min(_MOST_RUNS, len(self._segments) // _RUN)

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        """Segments before the end of each run."""
        return np.asarray(np.arange(1, self._runs + 1) * len(self._segments) // self._runs)

    @cached_property
    def _splits(self) -> NDArray[np.intp]:
        """Runs behind whose end there may be a change."""
        edge = max(1, self._runs // _EDGE)
        return np.arange(edge - 1, self._runs - edge)

    @cached_property
    def _by_run(self) -> Counts:
        surplus = np.cumsum(self._hits - self._shares, axis=0)[self._ends - 1]
        return np.asarray(np.diff(surplus, axis=0, prepend=0.0))

    @cached_property
    def _crossed(self) -> Counts:
        """Surplus behind each split of a share that doubles there, shape ``(splits, columns)``."""
        before = (self._ends[self._splits] / len(self._segments))[:, None]
        hits = self._hits.sum(axis=0)
        return np.asarray(before * (1 - before) * hits * (1 - hits / len(self._segments)))

    @cached_property
    def _spread(self) -> Counts:
        """Variance of the surplus behind each split, shape ``(splits, columns)``."""
        before = (self._ends[self._splits] / len(self._segments))[:, None]
        return np.asarray(before * (1 - before) * self._variance + (self.tolerated_sd * self._crossed) ** 2 + 1e-9)

    def _surplus(self, orders: NDArray[np.intp]) -> Counts:
        """What is behind each split beyond what is due, shape ``(orders, splits, columns)``."""
        return np.asarray(-np.cumsum(self._by_run[orders], axis=1)[:, self._splits])

    def _drawn(self) -> tuple[Counts, Counts]:
        """Both statistics of the runs in other orders."""
        random = np.random.default_rng(self.seed)
        orders = random.permuted(np.tile(np.arange(self._runs), (_DRAWS, 1)), axis=1)
        sums, largest = [], []
        for first in range(0, _DRAWS, _AT_ONCE):
            squares = self._surplus(orders[first : first + _AT_ONCE]) ** 2 / self._spread
            sums.append(squares.sum(axis=2).max(axis=1))
            largest.append(squares.max(axis=(1, 2)))
        return np.concatenate(sums), np.concatenate(largest)

    def _allowed(self, start: BlockSnapshot, split: int) -> Counts:
        """The squares at a split with what hours and weekdays may make of it taken off, shape ``(columns,)``."""
        seasons = SeasonalModel(self.table, self.seasonal_sd, np.ones(self.table.counts.shape[1]))
        members = self.table.members()[0]
        adjustments = [seasons.adjustment(start, members, column) for column in self._columns]
        ratio = np.array([*(each[0] for each in adjustments), 1.0])
        left = np.array([*(each[1] for each in adjustments), max((each[1] for each in adjustments), default=0.0)])
        crossed = self._crossed[split]
        surplus = self._surplus(np.arange(self._runs)[None])[0, split] - (ratio - 1) * crossed
        return np.asarray(surplus**2 / (self._spread[split] * np.maximum(ratio, 1.0) + left * crossed**2))

    def _finding(self, start: BlockSnapshot, split: int, squares: Counts, p: float) -> Finding | None:
        end = int(self._ends[self._splits[split]])
        moved = self._moved(end, squares[: len(self._columns)])
        if not moved:
            return None
        return Finding(
            start=start,
            blocks=self.table.history.blocks[-1].block - start.block,
            p=p / self.alpha,
            moved=moved,
            before=end,
            after=len(self._segments) - end,
            factor=1.0,
        )

    def _moved(self, end: int, squares: Counts) -> tuple[Moved, ...]:
        """The cells that moved, the surest first, as far as the strata behind the split were there before it."""
        from scipy.stats import chi2, false_discovery_control

        p = chi2.sf(squares, 1)
        stands = (false_discovery_control(p) <= _FALSE) | (p == p.min())
        present = np.eye(int(self._strata.max()) + 1)[self._strata]
        size_before, size = present[:end].sum(axis=0), present[end:].sum(axis=0)
        known = size_before > 0
        share = (present[:end].T @ self._hits[:end]) / np.maximum(size_before, 1)[:, None]
        due, observed = (size * known) @ share, known @ (present[end:].T @ self._hits[end:])
        whole, names = float((size * known).sum()), self.table.names
        if not whole:
            return ()
        order = [int(c) for c in np.argsort(p, kind="stable") if stands[c]]
        return tuple(
            Moved(names[self._columns[c]], None, float(p[c]), float(observed[c]), float(due[c]), whole) for c in order
        )


def smallest_change(segments: int) -> float:
    """By how much a code of every second segment has to rise or fall, midway, to be found most times.

    >>> round(smallest_change(300), 2)
    0.35
    """
    return min(1.0, _FAR / math.sqrt(segments))


def _rank(squares: Counts, drawn: tuple[Counts, Counts]) -> tuple[float, bool]:
    """The p-value of squares, shape ``(splits, columns)``, and whether it is their sum that is the surer."""
    values = [np.append(each, own) for each, own in zip(drawn, _statistics(squares), strict=True)]
    ranks = np.stack([_at_least(each) for each in values])
    smaller = ranks.min(axis=0)
    return float((smaller <= smaller[-1]).mean()), bool(ranks[0, -1] <= ranks[1, -1])


def _statistics(squares: Counts) -> tuple[float, float]:
    return float(squares.sum(axis=1).max()), float(squares.max())


def _at_least(values: Counts) -> Counts:
    """For each value, the share of all that are as large."""
    ordered = np.sort(values)
    return np.asarray((len(values) - np.searchsorted(ordered, values - 1e-9)) / len(values))
