"""How much a share swings by hour of the day and by day of the week, as far as a stream has shown it."""

from functools import cache

import numpy as np

from models.drift.counts import Table
from models.drift.snapshots import HOURS, WEEKDAYS, Clock, Counts, Mark

_SIZES = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
_LIKELY = np.array([0.2, 0.25, 0.35, 0.15, 0.05])
"""Sizes that a swing may have, as multiples of what is expected of it, and how likely they are beforehand."""
_NUGGET = 0.05
_WEEK = 1 / 3  # weekdays differ less than hours do
_ALIKE = 0.8  # of what is likely beforehand is learned from the cells together: a stream swings in most of its codes
_TOGETHER = 12
_REST = 5  # Saturday
_FEW = 4.0
_MOST = 4.0


class Clocks:
    """What hours and weekdays make of a table's windows, by what was known when each window began; for one look."""

    def __init__(self, table: Table, swing: float, factors: Counts) -> None:
        """Take what there is.

        Args:
            table: The counts.
            swing: What to expect where nothing is known yet: a relative change, as one standard deviation.
            factors: By how much the counts of cells vary more than chance has it, shape ``(cells,)``.
        """
        self._table, self._factors = table, factors
        self._parts = ((HOURS, swing), (WEEKDAYS, swing * _WEEK))
        self._together: dict[int, list[Counts]] = {}

    def judge(self, start: Mark, members: Counts, column: int) -> tuple[float, float]:
        """Judge one cell of a window.

        Args:
            start: The mark at which the window begins.
            members: Which strata count, shape ``(strata,)``.
            column: The cell's.

        Returns:
            By what to multiply its expected share, and the relative variance that is left.
        """
        table, since = self._table, self._table.since(column)
        window, before = table.now - start.counts, start.counts - since.counts
        here, there = table.present - start.present, start.present - since.present
        weight = members * _shares(before, column) * window[:, 0] * (before[:, 0] > 0)
        clock = next((one for one in reversed(table.clocks) if one.block <= start.block), None)
        known, surplus = self._seen(clock, before, column)
        ratio, left = 1.0, 0.0
        for (part, swing), likely in zip(self._parts, self._likely(clock, start), strict=True):
            mean, spread = _swings(known[part], surplus[part], swing, likely)
            now, was = _mix(here[:, part], weight), _mix(there[:, part], weight)
            ratio *= max(1 + float(now @ mean), 1 / _MOST) / max(1 + float(was @ mean), 1 / _MOST)
            left += float((now - was) @ spread @ (now - was))
        return min(max(ratio, 1 / _MOST), _MOST), left

    def _likely(self, clock: Clock | None, start: Mark) -> list[Counts]:
        """How likely each size of swing is in this stream, by its most frequent cells, of hours and of weekdays."""
        key = -1 if clock is None else clock.block
        if key not in self._together:
            before = start.counts - self._table.base.counts
            often = sorted(self._table.cells.values(), key=lambda column: (-before[:, column].sum(), column))
            seen = [self._seen(clock, before, column) for column in often[:_TOGETHER]]
            known, surplus = (np.stack(each) for each in zip(*seen, strict=True))
            self._together[key] = [
                _ALIKE * _weights(_evidence(known[:, p], surplus[:, p], swing)[2].sum(axis=0), _LIKELY)
                + (1 - _ALIKE) * _LIKELY
                for p, swing in self._parts
            ]
        return self._together[key]

    def _seen(self, clock: Clock | None, before: Counts, column: int) -> tuple[Counts, Counts]:
        """What was due in each hour if hours were alike, and how much more there was, each shape ``(31,)``."""
        table = self._table
        began = None if column in table.begins else table.began.get(column, table.began.get(0))
        if clock is None or began is None or began.block >= clock.block:
            return np.zeros(WEEKDAYS.stop), np.zeros(WEEKDAYS.stop)
        hits = (clock.hours - began.hours)[:, column]
        alike = _shares(before, column) @ (clock.present - began.present)
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


def _swings(known: Counts, surplus: Counts, swing: float, likely: Counts) -> tuple[Counts, Counts]:
    """How much each hour differs, relatively: a smooth, normally distributed function of the hour, of unknown size.

    Args:
        known: Counts that were due, shape ``(hours,)``.
        surplus: What there was beyond that, shape ``(hours,)``.
        swing: What size to expect.
        likely: How likely its multiples are beforehand.

    Returns:
        Means, shape ``(hours,)``, and covariance.

    Source:
        Rasmussen & Williams, "Gaussian Processes for Machine Learning", MIT Press (2006), chapters 2 and 5.
    """
    spreads, means, evidence = (part[0] for part in _evidence(known[None], surplus[None], swing))
    weights = _weights(evidence, likely)
    mean = weights @ means
    apart = means - mean
    return mean, np.einsum("k,kij->ij", weights, spreads) + np.einsum("k,ki,kj->ij", weights, apart, apart)


def _evidence(known: Counts, surplus: Counts, swing: float) -> tuple[Counts, Counts, Counts]:
    """By cell and size of swing: covariance and mean of the hours, and how likely the counts are (a logarithm)."""
    alike, precise = _kernel(known.shape[1])
    sizes = ((_SIZES * swing) ** 2)[:, None, None]
    unit = np.eye(known.shape[1])
    spreads = np.linalg.inv(precise / sizes + known[:, None, :, None] * unit)
    means = np.einsum("ckij,cj->cki", spreads, surplus)
    depth = np.linalg.slogdet(unit + sizes * alike * known[:, None, None, :])[1]
    evidence: Counts = (np.einsum("cki,ci->ck", means, surplus) - depth) / 2
    return np.asarray(spreads), np.asarray(means), evidence


def _weights(evidence: Counts, likely: Counts) -> Counts:
    weights = likely * np.exp(evidence - evidence.max())
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
