"""Looks for a recent window whose shares differ from those before it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.drift.counting import COARSE, Counts, Mark, Table
from models.drift.dispersion import Dispersion, expect
from models.drift.evidence import benjamini_hochberg, tails

_LENGTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Windows that are looked at, in blocks."""
_GLANCE = 3.6  # standard deviations from which on the tails are worked out
_FALSE = 0.05
"""Share of the cells named in an alert that may be named by chance: that something moved is known by then."""
_SEEN = 4  # times that a cell must have been seen to be tested


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

    mark: Mark
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
    """How a table is scanned."""

    least: int
    """Segments of a reference."""
    swing: float
    """Relative change of a share that is none, as one standard deviation."""
    allowed: float
    """Share of false alarms that this look may spend."""
    fixed: Mark | None = None
    """End of a fixed reference; none where the reference goes up to the window."""

    def run(self, table: Table, dispersion: Dispersion, since: float | None = None) -> Finding | None:
        """Compare windows of all lengths with what was before them; the surest one that differs, if any.

        Args:
            table: The counts.
            dispersion: How much they vary anyway.
            since: Compare only what came since then, seconds since 1970, with what was before.
        """
        starts = self._starts(table, since)
        if not starts:
            return None
        blocks = np.array([table.marks[-1].block - mark.block for mark in starts], dtype=np.float64)
        members = membership(table)
        window = table.now - np.stack([mark.counts for mark in starts])
        ends = [self.fixed if self.fixed and self.fixed.block <= mark.block else mark for mark in starts]
        whole = window + np.stack([mark.counts for mark in ends]) - table.base.counts
        observed, mean, variance = (members @ part for part in expect(window, whole))
        size = members @ window[..., :1]
        share = mean / np.maximum(size, 1)
        variance = variance * dispersion.factor(blocks, *mean.shape[1:]) + (self.swing * mean * (1 - share)) ** 2
        surplus = observed - mean
        far = (surplus**2 > _GLANCE**2 * variance) & (mean > 0) & (variance > 0)
        if not far.any():
            return None
        tests = _tests(members @ (table.now - table.base.counts)[:, 1:]) * len(blocks)
        p = np.ones(mean.shape)
        for w in np.flatnonzero(far.any(axis=(1, 2))):
            counts = observed[w], mean[w], variance[w], members @ whole[w, :, 1:]
            self._work_out(table, starts[w], members, counts, np.nonzero(far[w]), p[w])
        level = self.allowed / tests
        place = np.unravel_index((p / level[None, :, None]).argmin(), p.shape)
        best, g, c = int(place[0]), int(place[1]), int(place[2])
        if p[best, g, c] > level[g]:
            return None
        moved = _moved(table, (window[best], whole[best] - window[best], members), p[best], level)
        return Finding(
            mark=starts[best],
            blocks=int(blocks[best]),
            p=float(p[best, g, c] / level[g]),
            moved=moved,
            before=int((whole[best] - window[best])[:, 0].sum()),
            after=int(window[best][:, 0].sum()),
            factor=float(dispersion.factor(blocks[best : best + 1], *mean.shape[1:])[0, g, c]),
        )

    def _starts(self, table: Table, since: float | None) -> list[Mark]:
        """Marks at which windows begin."""
        now, base, marks = table.marks[-1].block, table.base, table.marks
        enough = self.least + base.counts[:, 0].sum()
        if since is not None:
            later = [mark for mark in marks[1:-1] if mark.at >= since and mark.counts[:, 0].sum() >= enough]
            return later[:1]
        by_block = {mark.block: mark for mark in marks[1:-1]}
        starts = []
        for length in _LENGTHS:
            start = now - length
            if start <= base.block:
                break
            mark = by_block.get(start) or by_block.get(start - start % COARSE)
            if mark and mark.counts[:, 0].sum() >= enough:
                starts.append(mark)
        return starts

    def _work_out(
        self,
        table: Table,
        start: Mark,
        members: Counts,
        found: tuple[Counts, Counts, Counts, Counts],
        where: tuple[NDArray[np.intp], ...],
        p: Counts,
    ) -> None:
        """P-values of one window's cells that look far off, without the block that speaks loudest for each of them.

        A burst of the same words within one block is none that lasts.
        """
        groups, cells = where
        o, m, v, k = (part[groups, cells] for part in found)
        counts = np.stack([mark.counts for mark in table.marks if mark.block >= start.block])
        within = np.diff(members @ counts, axis=0)
        seen, sizes = within[:, groups, cells + 1], within[:, groups, 0]
        due = sizes * (m / np.maximum(sizes.sum(axis=0), 1))
        up = o > m
        loudest = np.where(up, seen - due, due - seen).argmax(axis=0)
        every = np.arange(len(groups))
        left = 1 - due[loudest, every] / m
        o, m, v = o - seen[loudest, every], m * left, v * left
        n = sizes.sum(axis=0) - sizes[loudest, every]
        k = k - seen[loudest, every]
        most = m > n / 2  # what most segments are is judged by the others
        o, m, up = np.where(most, n - o, o), np.where(most, n - m, m), up != most
        most_there = np.where(most, n, np.minimum(n, k))
        low, high = tails(o, np.maximum(m, 1e-9), np.maximum(v, 1e-9), np.maximum(most_there, o))
        p[groups, cells] = np.where(left > 0, np.minimum(1.0, 2 * np.where(up, high, low)), 1.0)


def membership(table: Table) -> Counts:
    """Which strata make up which group, shape ``(1 + groups, strata)``; the first group is all of them."""
    names = list(dict.fromkeys(table.groups))
    if len(names) <= 1:
        rows = np.zeros((1, len(table.now)))
    else:
        rows = np.zeros((1 + len(names), len(table.now)))
        place = {name: n + 1 for n, name in enumerate(names)}
        for stratum, group in enumerate(table.groups):
            rows[place[group], stratum] = 1
    rows[0, : len(table.groups)] = 1
    return rows


def _tests(counts: Counts) -> Counts:
    """Number of tests that each group's share of false alarms is divided by: half is for all groups together."""
    each = (counts >= _SEEN).sum(axis=1)
    if len(each) == 1:
        return np.asarray(np.maximum(each, 1), dtype=np.float64)
    tests = np.full(len(each), 2.0 * max(int(each[1:].sum()), 1))
    tests[0] = 2.0 * max(int(each[0]), 1)
    return tests


def _moved(table: Table, found: tuple[Counts, Counts, Counts], p: Counts, level: Counts) -> tuple[Moved, ...]:
    """The cells that moved, the surest first: those in all groups together, and those in one group."""
    window, reference, members = found
    stands = ((p <= level[:, None]) & (p < 1)) | benjamini_hochberg(p.ravel(), _FALSE).reshape(p.shape)
    names, groups = table.names, [None, *dict.fromkeys(table.groups)]
    known = reference[:, :1] > 0
    due = window[:, :1] * reference / np.maximum(reference[:, :1], 1)
    observed, expected = members @ (window * known), members @ due
    rows: list[tuple[float, Moved]] = []
    for g, c in zip(*np.nonzero(stands), strict=True):
        size = max(float(observed[g, 0]), 1.0)
        one = Moved(names[c + 1], groups[g], float(p[g, c]), float(observed[g, c + 1]), float(expected[g, c + 1]), size)
        rows.append((p[g, c] / level[g], one))
    return tuple(one for _, one in sorted(rows, key=lambda row: (row[0], row[1].cell, row[1].group or "")))
