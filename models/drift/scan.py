"""Looks for a recent window whose shares differ from those before it."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.drift.counts.history import COARSE
from models.drift.counts.snapshots import BlockSnapshot, Counts
from models.drift.counts.stratified import StratifiedCounts
from models.drift.overdispersion import Dispersion, hypergeometric
from models.drift.seasonality import SeasonalModel
from models.drift.tail_tests import tails

_LENGTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Windows that are looked at, in blocks: an eighth of a window to 32 of them, so that small and slow changes show."""
_GLANCE, _GLANCE_ONCE = 3.6, 1.6
"""Standard deviations from which on cells of a window that differs may be named: of all, and of one looked at once."""
_UPWARDS, _DOWNWARDS = 0.95, 0.8
"""Of the deviation at which a normal distribution would raise an alert: from there on the tails are worked out."""
_FALSE = 0.05
"""Share of the cells named in an alert that may be named by chance: that something moved is known by then."""
_LOUDEST = 100.0
"""By how much less sure a finding may be without the block that speaks loudest for it."""
_ALLOWED_FOR = 12  # tests of a look, the surest first, that hours and weekdays are allowed for: that takes a while
_SEEN = 4  # times that a cell must have been seen to be tested: rarer ones cannot show anything at these levels


@dataclass(frozen=True)
class Moved:
    """One cell whose share is not what it was, in one group or in all of them."""

    cell: str
    group: str | None
    """None: in all of them together."""
    p: float
    """Of this test alone."""
    observed: float
    """Segments in the window, among those whose stratum the reference has."""
    expected: float
    """What they would be if the window's strata were as in the reference."""
    size: float
    """Segments that could have been in the cell."""

    @property
    def before(self) -> float:
        """Share in the reference, among strata as the window has them."""
        return self.expected / self.size

    @property
    def after(self) -> float:
        """Share in the window."""
        return self.observed / self.size

    @property
    def rose(self) -> bool:
        """Whether there is more of it now."""
        return self.observed > self.expected


@dataclass(frozen=True)
class Finding:
    """A window that differs."""

    start: BlockSnapshot
    """Where the window begins, as the scan saw it."""
    blocks: int
    p: float
    """After paying for all cells, groups, windows and looks, as a share of this table's false alarms."""
    moved: tuple[Moved, ...]
    """At least one; the surest first."""
    before: int
    after: int
    factor: float
    """By how much the variance of the surest cell was inflated."""


@dataclass(frozen=True)
class Scan:
    """Compares the newest windows of many lengths with what was before them, cell by cell and group by group.

    A window's hits ``x``, stratum by stratum as many as it has, are hypergeometric given window and reference together:
    ``m = size * hits / whole`` in each stratum, summed over strata (Mantel-Haenszel), so that a stratum that grows
    changes nothing. Their variance is ``factor * v + (tolerated_sd * m (1 - share))^2``: multiplied by what the stream
    varies anyway, plus what nobody would call a change. The two-sided tail of ``x``, as a binomial or a negative
    binomial count, is compared with ``alpha / (tests * windows)``, half of the tests for all groups together. What
    passes is worked out again without its loudest block, and with what hours and weekdays make of the window.

    Example:
        >>> from datetime import UTC, datetime
        >>> from uuid import UUID
        >>> table, dispersion = StratifiedCounts(), Dispersion()
        >>> for n in range(1_200):
        ...     late = n % 10 == 0 if n < 800 else n % 3 == 0
        ...     table.add(60.0 * n, UUID(int=n), ("shop", ""), "late" if late else f"code {n % 7}")
        ...     if n % 25 == 24:
        ...         table.close_block(1 + n // 25, 60.0 * n)
        >>> finding = Scan(least=200, tolerated_sd=0.03, seasonal_sd=0.22, alpha=0.01).run(table, dispersion)
        >>> finding.p < 0.001, finding.start.block >= 32, finding.moved[0].cell, finding.moved[0].rose
        (True, True, 'late', True)

    Source:
        Mantel & Haenszel, "Statistical Aspects of the Analysis of Data from Retrospective Studies", JNCI 22 (1959);
        windows of many lengths as in Bifet & Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM
        2007.
    """

    least: int
    """Segments of a reference."""
    tolerated_sd: float
    """Relative change of a share that is none, as one standard deviation."""
    seasonal_sd: float
    """The same for an hour of the day that was not seen yet."""
    alpha: float
    """Probability of a false alarm that this look may spend."""
    reference_end: BlockSnapshot | None = None
    """End of a fixed reference; none where the reference goes up to the window."""

    def run(self, table: StratifiedCounts, dispersion: Dispersion, since: float | None = None) -> Finding | None:
        """Compare windows of all lengths with what was before them; the surest one that differs, if any.

        Args:
            table: The counts.
            dispersion: How much they vary anyway.
            since: Compare only what came since then, seconds since 1970, with what was before.
        """
        starts = self.window_starts(table, since)
        if not starts:
            return None
        members = table.members()
        compared = self._compare(table, starts, members, dispersion)
        level = self.alpha / (_tests(members @ (table.counts - table.history.base.counts)[:, 1:]) * len(starts))
        far = compared.alarming(level) if since is None else compared.far(_GLANCE_ONCE)
        if not far.any():
            return None
        p = np.ones(compared.mean.shape)
        for w in np.flatnonzero(far.any(axis=(1, 2))):
            _fill_p_values(table, starts[w], members, compared.of(w), np.nonzero(far[w]), p[w])
        seasons = SeasonalModel(table, self.seasonal_sd, compared.factor[-1, 0])
        place = _surest(table, starts, members, (compared, seasons), p, level[:, None])
        if place is None:
            return None
        best, g, c = place
        part = compared.of(best)
        return Finding(
            start=starts[best],
            blocks=table.history.blocks[-1].block - starts[best].block,
            p=float(p[place] / level[g]),
            moved=_moved(table, part, members, p[best], level),
            before=int(part.reference_size.sum(axis=0).max()),
            after=int((table.counts - starts[best].counts)[:, 0].sum()),
            factor=float(part.factor[g, c]),
        )

    def _compare(
        self, table: StratifiedCounts, starts: list[BlockSnapshot], members: Counts, dispersion: Dispersion
    ) -> "_Comparison":
        """All windows with the references before them."""
        blocks = np.array([table.history.blocks[-1].block - start.block for start in starts], dtype=np.float64)
        before = np.stack([start.counts for start in starts])
        window = table.counts - before
        if self.reference_end:
            ends = (self.reference_end if self.reference_end.block <= start.block else start for start in starts)
            before = np.stack([end.counts for end in ends])
        size_begun, hits_begun = table.reference_starts()
        size, reference_size = table.denominators(window), np.maximum(table.denominators(before) - size_begun, 0)
        hits, reference = window[..., 1:], np.maximum(before[..., 1:] - hits_begun, 0)
        enough = reference_size.sum(axis=1, keepdims=True) >= self.least
        mean, variance = hypergeometric(size, size + reference_size, hits + reference)
        mean, variance = members @ mean, members @ variance
        group_size = members @ size
        share = np.minimum(mean / np.maximum(group_size, 1), 1.0)
        factor = dispersion.factor(blocks, *mean.shape[1:])
        variance = variance * factor + (self.tolerated_sd * mean * (1 - share)) ** 2
        return _Comparison(
            members @ hits,
            np.where(enough, mean, 0.0),
            variance,
            members @ (hits + reference),
            (members @ (size * reference / np.maximum(size + reference_size, 1))) * (1 - share),
            factor,
            size,
            hits,
            reference_size,
            reference,
        )

    def window_starts(self, table: StratifiedCounts, since: float | None = None) -> list[BlockSnapshot]:
        """Where windows begin that have a reference long enough."""
        history = table.history
        base, newest = history.base, history.blocks[-1].block
        enough = self.least + base.counts[:, 0].sum()
        if since is not None:
            later = (block for block in history.blocks[1:-1] if block.at >= since)
            return [block for block in later if block.counts[:, 0].sum() >= enough][:1]
        starts = []
        for length in _LENGTHS:
            block = newest - length
            if block <= base.block:
                break
            start = history.at_block(block) or history.at_block(block - block % COARSE)
            if start and start.block > base.block and start.counts[:, 0].sum() >= enough:
                starts.append(start)
        return starts


@dataclass(frozen=True)
class _Comparison:
    """Windows and references: by group, shape ``(windows, groups, cells)``, then by stratum."""

    observed: Counts
    mean: Counts
    variance: Counts
    most: Counts
    """In window and reference together."""
    crossed: Counts
    """By how much the surplus falls if the reference's share is taken to be twice as large."""
    factor: Counts
    size: Counts
    hits: Counts
    reference_size: Counts
    reference: Counts

    def far(self, glance: float | Counts) -> NDArray[np.bool_]:
        """Where so many standard deviations lie between what is and what was due."""
        surplus = self.observed - self.mean
        return (surplus**2 > glance**2 * self.variance) & (self.mean > 0) & (self.variance > 0)

    def alarming(self, level: Counts) -> NDArray[np.bool_]:
        """Where the tails may be below a level: counts have a longer one above, and a shorter one below, than normal.

        Args:
            level: By group, shape ``(groups,)``.
        """
        from scipy.special import ndtri

        up = self.observed > self.mean
        glance = -ndtri(np.minimum(level, 0.5) / 2)[:, None] * np.where(up, _UPWARDS, _DOWNWARDS)
        return self.far(np.asarray(glance))

    def of(self, window: int | np.signedinteger[Any]) -> "_Comparison":
        """One window's part, a view."""
        return _Comparison(*(getattr(self, field.name)[window] for field in fields(self)))


def _surest(
    table: StratifiedCounts,
    starts: list[BlockSnapshot],
    members: Counts,
    by: tuple[_Comparison, SeasonalModel],
    p: Counts,
    level: Counts,
) -> tuple[int, int, int] | None:
    """The surest test that stands when hours and weekdays are allowed for; none where none does."""
    compared, seasons = by
    done: set[tuple[int, int, int]] = set()

    def allow(w: int, g: int, c: int) -> None:
        if (w, g, c) in done:
            return
        done.add((w, g, c))
        part = compared.of(w)
        ratio, left = seasons.adjustment(starts[w], members[g], c + 1)
        part.mean[g, c] += (ratio - 1) * part.crossed[g, c]
        part.variance[g, c] = part.variance[g, c] * max(ratio, 1.0) + left * part.crossed[g, c] ** 2
        _fill_p_values(table, starts[w], members, part, (np.array([g]), np.array([c])), p[w])

    for _ in range(_ALLOWED_FOR):
        w, g, c = (int(n) for n in np.unravel_index((p / level).argmin(), p.shape))
        if p[w, g, c] > level[g, 0]:
            return None
        if (w, g, c) in done:
            part = compared.of(w)
            near = part.far(_GLANCE) & (p[w] >= 1)
            _fill_p_values(table, starts[w], members, part, np.nonzero(near), p[w])
            for also in np.argwhere(p[w] <= _FALSE):
                allow(w, int(also[0]), int(also[1]))
            return w, g, c
        allow(w, g, c)
    return None


def _fill_p_values(
    table: StratifiedCounts,
    start: BlockSnapshot,
    members: Counts,
    part: _Comparison,
    where: tuple[NDArray[np.intp], ...],
    p: Counts,
) -> None:
    """P-values of one window's cells that look far off, with and without the block that speaks loudest for each.

    A burst within one block is no change that lasts: without it a finding may be a hundred times less sure, no more.
    """
    groups, cells = where
    o, m, v, k = (each[groups, cells] for each in (part.observed, part.mean, part.variance, part.most))
    counts = np.stack([block.counts for block in table.history.blocks if block.block >= start.block])
    within = np.diff(counts, axis=0)
    seen, sizes = (members @ within)[:, groups, cells + 1], members @ table.denominators(within)
    sizes = sizes[:, groups, cells if table.history.rebased else 0]
    due = sizes * (m / np.maximum(sizes.sum(axis=0), 1))
    up = o > m
    loudest = np.where(up, seen - due, due - seen).argmax(axis=0)
    every = np.arange(len(groups))
    without = seen[loudest, every], sizes[loudest, every], 1 - due[loudest, every] / m
    n = sizes.sum(axis=0)
    whole = _two_sided(o, m, v, k, n, up)
    o, n, k, m, v = o - without[0], n - without[1], k - without[0], m * without[2], v * without[2]
    p[groups, cells] = np.where(without[2] > 0, np.maximum(whole, _two_sided(o, m, v, k, n, up) / _LOUDEST), 1.0)


def _two_sided(o: Counts, m: Counts, v: Counts, k: Counts, n: Counts, up: NDArray[np.bool_]) -> Counts:
    """P-values of counts ``o`` with mean and variance, of at most ``k`` among ``n`` segments."""
    most = m > n / 2  # what most segments are is judged by the others
    o, m, up = np.where(most, n - o, o), np.where(most, n - m, m), up != most
    most_there = np.where(most, n, np.minimum(n, k))
    low, high = tails(o, np.maximum(m, 1e-9), np.maximum(v, 1e-9), np.maximum(most_there, o))
    return np.asarray(np.minimum(1.0, 2 * np.where(up, high, low)))


def _tests(counts: Counts) -> Counts:
    """Number of tests that each group's share of false alarms is divided by: half is for all groups together."""
    each = (counts >= _SEEN).sum(axis=1)
    if len(each) == 1:
        return np.asarray(np.maximum(each, 1), dtype=np.float64)
    tests = np.full(len(each), 2.0 * max(int(each[1:].sum()), 1))
    tests[0] = 2.0 * max(int(each[0]), 1)
    return tests


def _moved(table: StratifiedCounts, part: _Comparison, members: Counts, p: Counts, level: Counts) -> tuple[Moved, ...]:
    """The cells that moved, the surest first: those in all groups together, and those in one group."""
    from scipy.stats import false_discovery_control

    stands = ((p <= level[:, None]) & (p < 1)) | (false_discovery_control(p.ravel()) <= _FALSE).reshape(p.shape)
    names, groups = table.names, [None, *dict.fromkeys(table.groups)]
    known = part.reference_size > 0
    size = members @ (part.size * known)
    due = members @ (part.size * part.reference / np.maximum(part.reference_size, 1))
    observed = members @ (part.hits * known)
    size = np.maximum(np.broadcast_to(size, due.shape), 1.0)
    moved: list[tuple[float, Moved]] = []
    for g, c in zip(*np.nonzero(stands), strict=True):
        p_, seen, expected, of = (float(each[g, c]) for each in (p, observed, due, size))
        moved.append((p_ / level[g], Moved(names[c + 1], groups[g], p_, seen, expected, of)))
    return tuple(each for _, each in sorted(moved, key=lambda row: (row[0], row[1].cell, row[1].group or "")))
