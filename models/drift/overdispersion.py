"""How much more a stream's counts vary than independent segments would: bursts, repeats, day and night."""

from typing import Any, Self

import numpy as np

from models.drift.counts.snapshots import Counts
from models.drift.counts.stratified import StratifiedCounts

LAG = 16  # blocks, one window, that are not learned from yet: they may be those that changed
_SCALES = 4  # lengths of windows: 1, 2, 4, 8 blocks: half a window; what lasts longer than that is a change
_PRIOR, _POOLED = 4.0, 24.0
"""Windows that count as much as what is known of shorter ones, and as what all cells together show."""


class Dispersion:
    """Variance of the counts of windows, divided by what it would be if segments came independently.

    With a window's hits ``x`` and their hypergeometric mean ``m`` and variance ``v`` given the window before it, the
    factor is ``sum (x - m)^2 / sum v`` over windows: 1 for independent segments, more where they come in bursts.
    Learned at each length of a window for itself, since what clings together for an hour shows in windows of an hour.
    Each window is compared with the one before it alone: a change that stays is seen once, not in all that follow it.
    What one cell shows is drawn towards what all show, and what long windows show towards what shorter ones do.

    Attributes:
        learned: Number of the block up to which it has learned.

    Example:
        Of a cell that is in every second segment, exactly, nothing varies more than chance would have it.

        >>> from uuid import UUID
        >>> table = StratifiedCounts(repeats=True)
        >>> for n in range(200):
        ...     table.add(float(n), UUID(int=n), ("shop", ""), "late" if n % 2 else "cost")
        ...     if n % 10 == 9:
        ...         table.close_block(1 + n // 10, float(n))
        >>> dispersion = Dispersion()
        >>> dispersion.learn(table, 20, table.members())
        >>> dispersion.factor(np.array([1.0, 8.0]), groups=1, cells=7)[..., :2].ravel()
        array([1., 1., 1., 1.])

    Source:
        von Neumann, "Distribution of the Ratio of the Mean Square Successive Difference to the Variance",
        Annals of Mathematical Statistics 12 (1941).
    """

    def __init__(self) -> None:
        self.learned = 0
        self._squares = np.zeros((_SCALES, 1, 1))
        self._expected = np.zeros((_SCALES, 1, 1))
        self._windows = np.zeros(_SCALES)

    def learn(self, table: StratifiedCounts, upto: int, members: Counts) -> None:
        """Learn from all windows that ended by the block ``upto`` and were not learned from.

        Args:
            table: The counts.
            upto: Number of a block.
            members: Which strata make up which group, shape ``(groups, strata)``.
        """
        if upto <= self.learned:
            return
        first = table.history.base.block
        for block in range(max(self.learned, first) + 1, upto + 1):
            for scale in range(_SCALES):
                length = 1 << scale
                if block % length or block - 2 * length < first:
                    break  # and none of the longer ones ends here or has begun
                start, middle, end = (table.history.at_block(block - n * length) for n in (2, 1, 0))
                if start and middle and end:
                    self._add(scale, end.counts - middle.counts, end.counts - start.counts, members)
        self.learned = upto

    def factor(self, blocks: Counts, groups: int, cells: int) -> Counts:
        """What to multiply variances by.

        Args:
            blocks: Lengths of windows, shape ``(w,)``.
            groups: Number of groups.
            cells: Number of cells.

        Returns:
            At least 1, shape ``(w, groups, cells)``.
        """
        squares, expected = self._room(groups, cells)
        prior, factors = np.ones((groups, cells)), []
        for scale in range(_SCALES):
            n = self._windows[scale]
            whole = expected[scale].sum()
            pooled = squares[scale].sum() / whole if whole > 0 else 1.0
            weight = np.minimum(n, 2 * expected[scale])
            own = squares[scale] / np.maximum(expected[scale], 1e-9)
            near = (n * pooled + _PRIOR * prior) / (n + _PRIOR)
            prior = (weight * own + _POOLED * near) / (weight + _POOLED)
            factors.append(np.maximum(prior, 1.0))
        scales = np.minimum(np.log2(np.maximum(blocks, 1)).astype(int), _SCALES - 1)
        return np.asarray(np.stack(factors)[scales])

    def _add(self, scale: int, window: Counts, whole: Counts, members: Counts) -> None:
        squares, expected = self._room(len(members), whole.shape[1] - 1)
        _, mean, variance = expect(window, whole)
        surplus = members @ (window[:, 1:] - mean)
        squares[scale] += surplus**2
        expected[scale] += members @ variance
        self._windows[scale] += 1

    def _room(self, groups: int, cells: int) -> tuple[Counts, Counts]:
        have = self._squares.shape
        more = (max(0, groups - have[1]), max(0, cells - have[2]))
        if any(more):
            by = ((0, 0), (0, more[0]), (0, more[1]))
            self._squares, self._expected = np.pad(self._squares, by), np.pad(self._expected, by)
        return self._squares, self._expected

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "learned": self.learned,
            "squares": self._squares.tolist(),
            "expected": self._expected.tolist(),
            "windows": self._windows.tolist(),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        dispersion = cls()
        dispersion.learned = state["learned"]
        dispersion._squares, dispersion._expected = np.array(state["squares"]), np.array(state["expected"])
        dispersion._windows = np.array(state["windows"])
        return dispersion


def expect(window: Counts, whole: Counts) -> tuple[Counts, Counts, Counts]:
    """Counts to expect in a window if it were drawn from the whole, stratum by stratum.

    Args:
        window: Shape ``(..., strata, 1 + cells)``.
        whole: Window and reference together, same shape or one that it spreads to.

    Returns:
        Observed, mean and variance (hypergeometric), each shape ``(..., strata, cells)``.

    Source:
        Mantel & Haenszel, "Statistical Aspects of the Analysis of Data from Retrospective Studies", JNCI 22 (1959).
    """
    return window[..., 1:], *hypergeometric(window[..., :1], whole[..., :1], whole[..., 1:])


def hypergeometric(size: Counts, whole: Counts, hits: Counts) -> tuple[Counts, Counts]:
    """Mean and variance of the hits in a window of ``size`` drawn from the ``whole`` with so many ``hits``.

    >>> mean, variance = hypergeometric(np.array(10.0), np.array(100.0), np.array(20.0))
    >>> from scipy.stats import hypergeom
    >>> float(mean), bool(np.isclose(variance, hypergeom(100, 20, 10).var()))
    (2.0, True)
    """
    share = size / np.maximum(whole, 1)
    mean = share * hits
    variance = mean * (1 - share) * np.maximum(whole - hits, 0) / np.maximum(whole - 1, 1)
    return mean, variance
