"""How often a cell may come in a row before it is one event that repeats itself."""

from bisect import bisect_left
from collections import deque

import numpy as np

from models.drift.counts.snapshots import Counts

ROW, EARLIER = 10, 30
"""Segments of a stratum in a row in which a cell is not expected more often than chance makes it, and those before."""
_SHARES = (0.0155, 0.0475, 0.0932, 0.1505, 0.2183, 0.2971, 0.3883, 0.4957, 0.631)
"""Shares up to which a cell comes 2, 3, 4 ... 10 times or more among ten with a probability below one in a hundred."""
_PRIOR = 10
"""Segments that a cell's share in the whole stream counts for beside what its stratum shows: as many as a row has."""


class BurstCaps:
    """Tells bursts and repeats of a cell from what chance brings, so that a burst counts as one event.

    A cell of share ``p`` may come ``n`` times among ten segments of its stratum, where ``n`` is the lowest number with
    ``P(Binomial(10, p) >= n) < 0.01``; what comes beyond that is not counted. Its share is the largest of three: that
    in the reference and that in the newest blocks, each as they were counted and drawn towards the cell's share in all
    strata as ``(hits + 10 share) / (size + 10)``, and the one that it lately had in all of four rows of ten but one,
    counted or not. So what goes on is no burst, however much of it there is: where a code takes another's place whole,
    nothing of it would be counted that could lift its cap.

    Attributes:
        runs: By stratum, the columns of its last ten segments; 0 for one that is in no cell.
        earlier: By stratum, those of the thirty segments before them.
        caps: By stratum and column, how often it may come; as often as it does where nothing is known yet.

    Example:
        One segment in a hundred is of cell 1, so it may come twice among ten.

        >>> caps = BurstCaps()
        >>> caps.add_stratum()
        >>> caps.update(np.array([[1_000.0, 10.0]]), np.array([[100.0, 1.0]]))
        >>> caps.caps[0][1]
        2
        >>> [caps.exceeded(0, 1) for _ in range(4)]
        [False, False, True, True]

    Source:
        The shares are quantiles of the binomial distribution: ``scipy.stats.binom.sf(n - 1, 10, share)`` is 0.01.
    """

    def __init__(self) -> None:
        self.runs: list[deque[int]] = []
        self.earlier: list[deque[int]] = []
        self.caps: list[list[int]] = []

    def add_stratum(self) -> None:
        """Make room for the segments of a further stratum."""
        self.runs.append(deque(maxlen=ROW))
        self.earlier.append(deque(maxlen=EARLIER))

    def exceeded(self, stratum: int, column: int) -> bool:
        """Whether a segment's cell has come as often as it may in its stratum; the segment is remembered."""
        run, cap = self.runs[stratum], ROW + 1
        if stratum < len(self.caps) and column < len(self.caps[stratum]):
            cap = self.caps[stratum][column]
        exceeded = column > 0 and run.count(column) >= cap and not self._goes_on(stratum, column)
        if len(run) == ROW:
            self.earlier[stratum].append(run[0])
        run.append(column)
        return exceeded

    def _goes_on(self, stratum: int, column: int) -> bool:
        """Whether a cell came so often in three of the last four rows of ten that its run is what is to be expected."""
        before, run = list(self.earlier[stratum]), self.runs[stratum]
        if len(before) < EARLIER:
            return False
        rows = [before[start : start + ROW].count(column) for start in range(0, EARLIER, ROW)]
        lasting = sorted([*rows, run.count(column)])[1]
        return run.count(column) < bisect_left(_SHARES, lasting / ROW) + 2

    def update(self, reference: Counts, newest: Counts) -> None:
        """Work the caps out anew.

        Args:
            reference: Counts since the reference began, shape ``(strata, 1 + cells)``; column 0 counts all.
            newest: Counts of the newest blocks, same shape.
        """
        cells = reference.sum(axis=0)
        prior = _PRIOR * cells / cells[0]
        long, short = ((part + prior) / (part[:, :1] + _PRIOR) for part in (reference, newest))
        self.caps = (np.searchsorted(_SHARES, np.maximum(long, short)) + 2).tolist()

    def clear(self) -> None:
        """Forget the caps: too little is known."""
        self.caps = []
