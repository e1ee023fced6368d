"""Counts of a stream, by stratum and cell, that remember what they were some blocks ago. Memory stays flat."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.drift.counts.caps import BurstCaps
from models.drift.counts.history import COARSE, SnapshotHistory
from models.drift.counts.snapshots import CLOCK, HOURS, BlockSnapshot, Counts, HourSnapshot, pad

RECENT = 2_048
"""Segments that are remembered one by one, for a change point to the segment: five windows of 400."""
_MOST_CELLS = 192
"""Cells that are counted apart; when a further one comes, the rarer half is given up. Free codes have no end."""
_MOST_STRATA = 192
"""Strata that are told apart; all further ones are one."""
_HOURS_EVERY = 16
"""Blocks between two snapshots by hour, as many as a window has: a day has to pass to learn anything of hours."""
_HOUR, _DAY, _MONDAY = 3_600, 86_400, 3  # seconds; days from 1970-01-01, a Thursday, to a Monday's place 0
_MOST_OF_ALL = 0.5
"""Share of what came since a change from which on the cells that changed are most: then all begin anew."""
_KNOWN = 100
"""Segments of a reference before caps are worked out of it: ten rows of ten."""
_NEWEST = 4
"""Blocks, a quarter of a window, whose shares may raise a cap: what goes on that long is no burst."""
_YOUNG = 512
"""Blocks up to which caps are worked out at the end of each, as shares are still learned; then at every fourth."""
_STRATUM_SEPARATOR = "\x1f"
"""Between a stratum's group and what divides it further; alone it names the stratum of all that are too many."""


@dataclass(frozen=True, slots=True)
class RecentSegment:
    """One segment, as far as a change point needs it."""

    at: float
    segment: UUID
    stratum: int
    cell: int
    """Its column; 0 where it is in none."""


@dataclass
class OpenBlock:
    """Segments of the block that has not ended yet: stratum, column and time of each."""

    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def add(self, stratum: int, column: int, at: float) -> None:
        """Count one segment."""
        self.rows.append(stratum)
        self.columns.append(column)
        self.times.append(at)

    def counted(self, shape: tuple[int, int]) -> tuple[Counts, Counts, Counts]:
        """Counts by stratum and cell, by stratum and hour, and by hour and cell; column 0 of the first has all.

        Args:
            shape: Of the first, ``(strata, 1 + cells)``.
        """
        rows, columns, times = np.array(self.rows), np.array(self.columns), np.array(self.times)
        hours = (times // _HOUR % 24).astype(int)
        days = HOURS.stop + ((times // _DAY + _MONDAY) % 7).astype(int)
        hits, (strata, width) = _pairs(rows, columns, shape), shape
        hits[:, 0] = np.bincount(rows, minlength=strata)
        strata_by_hour = _pairs(rows, hours, (strata, CLOCK)) + _pairs(rows, days, (strata, CLOCK))
        cells_by_hour = _pairs(hours, columns, (CLOCK, width)) + _pairs(days, columns, (CLOCK, width))
        cells_by_hour[:, 0] = 0
        return hits, strata_by_hour, cells_by_hour


class StratifiedCounts:
    """Cumulative counts of cells by stratum, with snapshots at block ends.

    A stratum is what is held fixed (a source, so that a source that grows is not taken for a change in what is said);
    a cell is what may change its share in it. Cells beyond the 192 most frequent ones are counted in column 0 only.
    Cells that are steps of a scale are counted upwards: a value counts for its own step and for all above it.

    Counts only grow, so what any window held is the difference ``counts[end] - counts[start]`` of two snapshots,
    whatever its length; one pass over the stream serves all windows. Of a cell that comes in bursts no more is counted
    than :class:`~models.drift.counts.caps.BurstCaps` lets pass: repeats are one event, however long they are.

    Attributes:
        steps: Names of the cells, where they are steps of a scale.
        repeats: Whether repeats count each for themselves.
        strata: Rows by name of the stratum.
        cells: Columns by cell, from 1.
        groups: By stratum: what it belongs to, such as the source of a source's night.
        counts: Up to the end of the last block, shape ``(strata, 1 + cells)``; column 0 counts all of a stratum.
        strata_by_hour: The same by hour of the day and day of the week, shape ``(strata, 31)``.
        cells_by_hour: And by cell, shape ``(31, 1 + cells)``.
        history: What they were at earlier blocks.
        recent: The newest segments, one by one.
        caps: What tells bursts.
        open_block: What came since the last block ended.

    Example:
        >>> table = StratifiedCounts()
        >>> for n in range(6):
        ...     table.add(60.0 * n, UUID(int=n), ("shop", ""), "late" if n % 3 == 0 else "cost")
        >>> table.close_block(1, 300.0)
        >>> table.cells, table.counts[0, :3]
        ({'late': 1, 'cost': 2}, array([6., 2., 4.]))
        >>> table.counts[0, :3] - table.history.base.counts[0, :3]  # since the reference began
        array([6., 2., 4.])
    """

    def __init__(
        self, steps: tuple[str, ...] = (), *, repeats: bool = False, start: tuple[int, float] = (0, 0.0)
    ) -> None:
        """Make empty counts.

        Args:
            steps: Names of the cells, where they are steps of a scale.
            repeats: Whether repeats count each for themselves.
            start: Block behind which they begin, and its time, seconds since 1970.
        """
        self.steps = steps
        self.repeats = repeats
        self.strata: dict[str, int] = {}
        self.cells: dict[str, int] = {}
        self.groups: list[str] = []
        self.counts: Counts = np.zeros((4, 8))
        self.strata_by_hour: Counts = np.zeros((4, CLOCK))
        self.cells_by_hour: Counts = np.zeros((CLOCK, 8))
        self.history = SnapshotHistory(self._snapshot(*start), self._hour_snapshot(0))
        self.recent: deque[RecentSegment] = deque(maxlen=RECENT)
        self.caps = BurstCaps()
        self.open_block = OpenBlock()
        self._members: Counts = np.zeros((1, 0))
        for step in steps:
            self._add_cell(step)

    def add(self, at: float, segment: UUID, key: tuple[str, str], cell: str | None) -> None:
        """Count one segment.

        Args:
            at: Its time, seconds since 1970.
            segment: Its id.
            key: Its group, and what divides the group further (or nothing); both together are its stratum.
            cell: Its cell; none where it counts for its stratum alone.
        """
        name = key[0] + _STRATUM_SEPARATOR + key[1]
        stratum = self.strata.get(name)
        if stratum is None:
            stratum = self._add_stratum(name, key[0])
        column = 0
        if cell is not None:
            known = self.cells.get(cell)
            column = self._add_cell(cell) if known is None else known
        self.recent.append(RecentSegment(at, segment, stratum, column))
        if self.repeats or not self.caps.exceeded(stratum, column):
            self.open_block.add(stratum, column, at)

    @property
    def names(self) -> dict[int, str]:
        """Cells by their column."""
        return {column: cell for cell, column in self.cells.items()}

    @property
    def total(self) -> float:
        """Segments counted since the reference began, up to the last block's end."""
        return float(self.counts[:, 0].sum() - self.history.base.counts[:, 0].sum())

    def members(self) -> Counts:
        """Which strata make up which group, shape ``(1 + groups, strata)``; the first group is all of them."""
        if self._members.shape[1] != len(self.counts) or self._members[0].sum() != len(self.groups):
            names = list(dict.fromkeys(self.groups))
            place = {name: n + 1 for n, name in enumerate(names)} if len(names) > 1 else {}
            self._members = np.zeros((1 + len(place), len(self.counts)))
            self._members[0, : len(self.groups)] = 1
            for stratum, group in enumerate(self.groups if place else ()):
                self._members[place[group], stratum] = 1
        return self._members

    def close_block(self, block: int, at: float) -> None:
        """End a block: add up what came in it, and keep a snapshot.

        Args:
            block: Its number.
            at: Time of its last segment, seconds since 1970.
        """
        self._add_up()
        self.history.blocks.append(self._snapshot(block, at))
        if block <= _YOUNG or block % COARSE == 0:
            self._update_caps()
        if block % _HOURS_EVERY == 0:
            self.history.add_hours(self._hour_snapshot(block))

    def rebase(self, at: float, cells: Iterable[str] | None = None) -> None:
        """Begin the reference anew behind a change, at the first block's end that is not before ``at``.

        Args:
            at: Seconds since 1970.
            cells: Only of these; of all where none are given, and where these are most of what came since.
        """
        blocks = self.history.blocks
        start = next((snapshot for snapshot in blocks if snapshot.at >= at), blocks[-1])
        columns = [] if cells is None or self.steps else [self.cells[cell] for cell in cells if cell in self.cells]
        came = (self.counts - start.counts).sum(axis=0)
        if columns and came[columns].sum() <= _MOST_OF_ALL * max(came[0], 1.0):
            self.history.rebase_cells(columns, start)
        else:
            self.history.rebase(start)

    def reference_starts(self) -> tuple[Counts, Counts]:
        """What had been counted where each cell's reference begins: :meth:`denominators`, and the cells themselves."""
        base = self.history.base.counts
        size, hits = self.denominators(base), base[:, 1:].copy()
        for column, start in self.history.rebased.items():
            size[:, column - 1], hits[:, column - 1] = start.counts[:, 0], start.counts[:, column]
        return size, hits

    def denominators(self, counts: Counts) -> Counts:
        """Segments that a cell is a share of: all of its stratum, but for a steady cell without those that changed.

        Args:
            counts: Shape ``(..., strata, 1 + cells)``.

        Returns:
            Shape ``(..., strata, cells)``, or ``(..., strata, 1)`` where no cell changed.
        """
        if not self.history.rebased:
            return counts[..., :1].copy()
        changed = list(self.history.rebased)
        size = np.repeat(counts[..., :1] - counts[..., changed].sum(axis=-1, keepdims=True), counts.shape[-1] - 1, -1)
        size[..., [column - 1 for column in changed]] = counts[..., :1]
        return np.asarray(size)

    def _snapshot(self, block: int, at: float) -> BlockSnapshot:
        return BlockSnapshot(block, at, self.counts.copy(), self.strata_by_hour.copy())

    def _hour_snapshot(self, block: int) -> HourSnapshot:
        return HourSnapshot(block, self.strata_by_hour.copy(), self.cells_by_hour.copy())

    def _update_caps(self) -> None:
        if self.repeats or self.total < _KNOWN:
            self.caps.clear()
            return
        blocks = self.history.blocks
        newest = blocks[-min(len(blocks), _NEWEST + 1)]
        since = (self.history.base, newest)
        self.caps.update(*(self._without_lower_steps(self.counts - start.counts) for start in since))

    def _without_lower_steps(self, counts: Counts) -> Counts:
        """Counts of the cells without those of the steps below."""
        if not self.steps:
            return counts
        return np.concatenate([counts[:, :2], np.diff(counts[:, 1:], axis=1)], axis=1)

    def _with_lower_steps(self, counts: Counts) -> Counts:
        """Counts of steps, each with all below it; column 0 stays."""
        if not self.steps:
            return counts
        upwards, last = np.zeros_like(counts), 1 + len(self.steps)
        upwards[:, 0], upwards[:, 1:last] = counts[:, 0], np.cumsum(counts[:, 1:last], axis=1)
        return upwards

    def _add_up(self) -> None:
        """Add what came since the last block's end to the counts."""
        block, self.open_block = self.open_block, OpenBlock()
        if block.rows:
            rows, columns = self.counts.shape
            hits, strata_by_hour, cells_by_hour = block.counted((rows, columns))
            self.counts += self._with_lower_steps(hits)
            self.strata_by_hour += strata_by_hour
            self.cells_by_hour += self._with_lower_steps(cells_by_hour)

    def _add_stratum(self, name: str, group: str) -> int:
        if len(self.strata) >= _MOST_STRATA:
            name, group = _STRATUM_SEPARATOR, ""
        if name not in self.strata:
            self.strata[name] = len(self.strata)
            self.groups.append(group)
            self.caps.add_stratum()
            if len(self.strata) > len(self.counts):
                self._pad(len(self.counts), 0)
        return self.strata[name]

    def _add_cell(self, name: str) -> int:
        if len(self.cells) >= _MOST_CELLS:
            self._forget_rarest()
        taken = set(self.cells.values())
        column = next(n for n in range(1, _MOST_CELLS + 1) if n not in taken)
        self.cells[name] = column
        if column >= self.counts.shape[1]:
            self._pad(0, self.counts.shape[1])
        return column

    def _pad(self, rows: int, columns: int) -> None:
        """Room for more strata or cells, in the counts and in all snapshots."""
        self.counts = pad(self.counts, rows, columns)
        self.strata_by_hour = pad(self.strata_by_hour, rows, 0)
        self.cells_by_hour = pad(self.cells_by_hour, 0, columns)
        self.history.pad(rows, columns)

    def _forget_rarest(self) -> None:
        """Give up the rarer half of the cells; their segments stay counted for their strata."""
        self._add_up()
        since = (self.counts - self.history.base.counts).sum(axis=0)
        order = sorted(self.cells.values(), key=lambda column: (since[column], column))
        gone = sorted(order[: len(order) // 2])
        self.counts[:, gone] = 0
        self.cells_by_hour[:, gone] = 0
        self.history.clear_cells(gone)
        self.cells = {cell: column for cell, column in self.cells.items() if column not in gone}
        kept = [RecentSegment(s.at, s.segment, s.stratum, 0) if s.cell in gone else s for s in self.recent]
        self.recent = deque(kept, maxlen=RECENT)


def _pairs(rows: NDArray[np.int_], columns: NDArray[np.int_], shape: tuple[int, int]) -> Counts:
    """How often each pair comes, in the shape of a table."""
    flat = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)
