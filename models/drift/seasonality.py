"""How much a share swings by hour of the day and by day of the week, as far as a stream has shown it."""

from functools import cache

import numpy as np

from models.drift.counts.snapshots import HOURS, WEEKDAYS, BlockSnapshot, Counts, HourSnapshot
from models.drift.counts.stratified import StratifiedCounts

_SIZES = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
"""Sizes that a swing may have, as multiples of what is expected of it: a quarter of it to four times it."""
_SIZE_PRIOR = np.array([0.2, 0.25, 0.35, 0.15, 0.05])
"""How likely these sizes are beforehand: about what is expected, rather less than more."""
_NUGGET = 0.05  # share of an hour's variance that its neighbours do not have; it keeps the kernel invertible too
_WEEK = 1 / 3  # weekdays differ less than hours do
_ALIKE = 0.8  # of what is likely beforehand is learned from the cells together: a stream swings in most of its codes
_TOGETHER = 12  # cells that are learned from together, the most frequent: rarer ones show next to nothing
_REST = 5  # place of Saturday in the week: from there on people do not work
_FEW = 4.0  # segments that the share in all strata counts for in each one, as in a change point's odds
_MOST = 4.0  # times that a share may rise or fall by the hour: a normal distribution could give less than none


class SeasonalModel:
    """What hours and weekdays make of the windows of stratified counts, by what was known when each window began.

    A cell's share in hour ``h`` is taken to be its share times ``1 + f(h)``, where ``f`` is a Gaussian process on the
    clock, ``f ~ N(0, s^2 K)`` with ``K(h, k) = exp(cos(2 pi (h - k) / 24) - 1)`` (plus a nugget), and for the week a
    kernel that tells working days from the rest. The counts due in each hour, ``n_h``, and the surplus ``y_h`` over
    them give the posterior: covariance ``(K^-1 / s^2 + diag(n))^-1``, mean covariance times ``y``. The size ``s`` is
    averaged over five multiples of what is expected, weighted by their evidence in the stream's most frequent cells.
    A window that has other hours than its reference is then due ``(1 + f(window)) / (1 + f(reference))`` times as much.

    A model is of one moment: when the counts grow, a new one is made.

    Example:
        Of a week by night and day in which nothing swings, a window of nights alone is due what it would be due
        anyway, and what is not known of nights is left as a variance.

        >>> from uuid import UUID
        >>> table, hour = StratifiedCounts(), 3_600.0
        >>> for n in range(96):
        ...     table.add(n * hour, UUID(int=n), ("shop", ""), "late" if n % 2 else "cost")
        ...     if n % 6 == 5:
        ...         table.close_block(1 + n // 6, n * hour)
        >>> model = SeasonalModel(table, 0.22, factors=np.ones(2))
        >>> start, (every, *_) = table.history.blocks[-2], table.members()
        >>> ratio, variance = model.adjustment(start, every, table.cells["late"])
        >>> ratio, 0 < variance < 0.22**2
        (1.0, True)

    Source:
        Rasmussen & Williams, "Gaussian Processes for Machine Learning", MIT Press (2006), chapters 2 and 5.
    """

    def __init__(self, table: StratifiedCounts, seasonal_sd: float, factors: Counts) -> None:
        """Take what there is.

        Args:
            table: The counts.
            seasonal_sd: What to expect where nothing is known yet: a relative change, as one standard deviation.
            factors: By how much the counts of cells vary more than chance has it, shape ``(cells,)``.
        """
        self._table, self._factors = table, factors
        self._parts = ((HOURS, seasonal_sd), (WEEKDAYS, seasonal_sd * _WEEK))
        self._size_priors_at: dict[int, list[Counts]] = {}

    def adjustment(self, start: BlockSnapshot, members: Counts, column: int) -> tuple[float, float]:
        """What its hours and weekdays make of one cell of a window.

        Args:
            start: Where the window begins.
            members: Which strata count, shape ``(strata,)``.
            column: The cell's.

        Returns:
            By what to multiply its expected share, and the relative variance that is left.
        """
        table, since = self._table, self._table.history.since(column)
        window, before = table.counts - start.counts, start.counts - since.counts
        here, there = table.strata_by_hour - start.strata_by_hour, start.strata_by_hour - since.strata_by_hour
        weight = members * _shares(before, column) * window[:, 0] * (before[:, 0] > 0)
        hours = table.history.hours_at(start.block)
        known, surplus = self._surplus(hours, before, column)
        ratio, left = 1.0, 0.0
        for (part, sd), sizes in zip(self._parts, self._size_priors(hours, start), strict=True):
            mean, spread = _posterior(known[part], surplus[part], sd, sizes)
            now, was = _mix(here[:, part], weight), _mix(there[:, part], weight)
            ratio *= max(1 + float(now @ mean), 1 / _MOST) / max(1 + float(was @ mean), 1 / _MOST)
            left += float((now - was) @ spread @ (now - was))
        return min(max(ratio, 1 / _MOST), _MOST), left

    def _size_priors(self, hours: HourSnapshot | None, start: BlockSnapshot) -> list[Counts]:
        """How likely each size of swing is in this stream, by its most frequent cells, of hours and of weekdays."""
        key = -1 if hours is None else hours.block
        if key not in self._size_priors_at:
            before = start.counts - self._table.history.base.counts
            often = sorted(self._table.cells.values(), key=lambda column: (-before[:, column].sum(), column))
            surpluses = [self._surplus(hours, before, column) for column in often[:_TOGETHER]]
            known, surplus = (np.stack(each) for each in zip(*surpluses, strict=True))
            self._size_priors_at[key] = [
                _ALIKE * _weights(_evidence(known[:, part], surplus[:, part], sd)[2].sum(axis=0), _SIZE_PRIOR)
                + (1 - _ALIKE) * _SIZE_PRIOR
                for part, sd in self._parts
            ]
        return self._size_priors_at[key]

    def _surplus(self, hours: HourSnapshot | None, before: Counts, column: int) -> tuple[Counts, Counts]:
        """What was due in each hour if hours were alike, and how much more there was, each shape ``(31,)``."""
        since = self._table.history.hours_known_since(column)
        if hours is None or since is None or since.block >= hours.block:
            return np.zeros(WEEKDAYS.stop), np.zeros(WEEKDAYS.stop)
        hits = (hours.cells_by_hour - since.cells_by_hour)[:, column]
        alike = _shares(before, column) @ (hours.strata_by_hour - since.strata_by_hour)
        due = alike * hits[HOURS].sum() / max(float(alike[HOURS].sum()), 1e-9)
        factor = self._factors[column - 1]
        return due / factor, (hits - due) / factor


def _shares(counts: Counts, column: int) -> Counts:
    """A cell's share of each stratum, drawn towards that of all where there is little."""
    whole = (counts[:, column].sum() + 0.5) / (counts[:, 0].sum() + 1)
    return np.asarray((counts[:, column] + _FEW * whole) / (counts[:, 0] + _FEW))


def _mix(present: Counts, weight: Counts) -> Counts:
    """In which hours a stratum's segments are, all strata together by their weight."""
    each = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    return np.asarray(weight @ each / max(float(weight.sum()), 1e-12))


def _posterior(known: Counts, surplus: Counts, seasonal_sd: float, sizes: Counts) -> tuple[Counts, Counts]:
    """How much each hour differs, relatively: a smooth, normally distributed function of the hour, of unknown size.

    Args:
        known: Counts that were due, shape ``(hours,)``.
        surplus: What there was beyond that, shape ``(hours,)``.
        seasonal_sd: What size to expect.
        sizes: How likely its multiples are beforehand.

    Returns:
        Means, shape ``(hours,)``, and covariance.
    """
    spreads, means, evidence = (part[0] for part in _evidence(known[None], surplus[None], seasonal_sd))
    weights = _weights(evidence, sizes)
    mean = weights @ means
    apart = means - mean
    return mean, np.einsum("k,kij->ij", weights, spreads) + np.einsum("k,ki,kj->ij", weights, apart, apart)


def _evidence(known: Counts, surplus: Counts, seasonal_sd: float) -> tuple[Counts, Counts, Counts]:
    """By cell and size of swing: covariance and mean of the hours, and how likely the counts are (a logarithm)."""
    alike, precise = _kernel(known.shape[1])
    sizes = ((_SIZES * seasonal_sd) ** 2)[:, None, None]
    unit = np.eye(known.shape[1])
    spreads = np.linalg.inv(precise / sizes + known[:, None, :, None] * unit)
    means = np.einsum("ckij,cj->cki", spreads, surplus)
    log_determinants = np.linalg.slogdet(unit + sizes * alike * known[:, None, None, :])[1]
    evidence: Counts = (np.einsum("cki,ci->ck", means, surplus) - log_determinants) / 2
    return np.asarray(spreads), np.asarray(means), evidence


def _weights(evidence: Counts, prior: Counts) -> Counts:
    weights = prior * np.exp(evidence - evidence.max())
    return np.asarray(weights / weights.sum())


@cache
def _kernel(size: int) -> tuple[Counts, Counts]:
    """How alike hours, or days of the week, swing: neighbours on the clock; working days, and the rest. And inverse."""
    if size == HOURS.stop:
        angle = 2 * np.pi * np.arange(24) / 24
        alike = (1 - _NUGGET) * np.exp(np.cos(angle[:, None] - angle) - 1) + _NUGGET * np.eye(24)
    else:
        rest = np.arange(7) >= _REST
        alike = np.where(rest[:, None] == rest, 0.5, 0.0) + 0.5 * np.eye(7)
    return alike, np.linalg.inv(alike)
