"""Counts as they were at the ends of earlier blocks, fewer the longer ago, and where each reference begins."""

from bisect import bisect_left
from collections.abc import Iterable

from models.drift.counts.snapshots import BlockSnapshot, HourSnapshot

FINE = 128
"""Blocks whose ends are kept one by one: eight windows of sixteen blocks."""
COARSE = 4
"""Of older blocks every fourth is kept: a window that began long ago need not begin to the block."""
OLDEST = 1_024
"""Blocks beyond which nothing but the begin of the reference is kept: 64 windows, so memory stays flat."""


class SnapshotHistory:
    """Where the counts stood at earlier blocks.

    A window's counts are ``now - snapshot``, a reference's ``snapshot - reference start``. The reference of a cell
    begins where the history's does, or later where the cell itself changed: that one code moved is no reason to forget
    what the others were.

    Attributes:
        blocks: The oldest first; the first is where the reference begins.
        hours: By hour of the day and day of the week, the oldest first.
        rebased: By column, where the reference of a cell begins that changed since.
        hours_since: By column, since when its hours are known: where it changed last; 0 stands for all others.
        hours_pending: Columns whose hours are known from the next snapshot of hours on.
        reference_end: A block that is kept as well as the first one: the end of a fixed reference.
    """

    def __init__(self, block: BlockSnapshot, hours: HourSnapshot) -> None:
        self.blocks = [block]
        self.hours = [hours]
        self.rebased: dict[int, BlockSnapshot] = {}
        self.hours_since: dict[int, HourSnapshot] = {0: hours}
        self.hours_pending: set[int] = set()
        self.reference_end: int | None = None

    @property
    def base(self) -> BlockSnapshot:
        """Where the reference begins."""
        return self.blocks[0]

    def at_block(self, block: int) -> BlockSnapshot | None:
        """The snapshot of a block, if it is still kept."""
        place = bisect_left(self.blocks, block, key=lambda snapshot: snapshot.block)
        return self.blocks[place] if place < len(self.blocks) and self.blocks[place].block == block else None

    def since(self, column: int) -> BlockSnapshot:
        """Where the reference of a cell begins."""
        return self.rebased.get(column, self.base)

    def hours_known_since(self, column: int) -> HourSnapshot | None:
        """Since when the hours of a cell are known; none where that begins with the next snapshot."""
        return None if column in self.hours_pending else self.hours_since.get(column, self.hours_since.get(0))

    def hours_at(self, block: int) -> HourSnapshot | None:
        """The newest snapshot of hours that is not behind a block."""
        return next((snapshot for snapshot in reversed(self.hours) if snapshot.block <= block), None)

    def add_hours(self, snapshot: HourSnapshot) -> None:
        """Keep a snapshot of hours, and give up what is too old."""
        self.hours_since.update(dict.fromkeys(self.hours_pending, snapshot))
        self.hours_pending = set()
        self.hours = [*(kept for kept in self.hours if kept.block >= snapshot.block - OLDEST), snapshot]
        self._thin_out(snapshot.block)

    def rebase(self, start: BlockSnapshot) -> None:
        """Begin the reference of all cells anew at a snapshot of this history."""
        self.blocks = [snapshot for snapshot in self.blocks if snapshot.block >= start.block]
        self.rebased, self.hours, self.hours_since, self.hours_pending = {}, [], {}, {0}

    def rebase_cells(self, columns: Iterable[int], start: BlockSnapshot) -> None:
        """Begin the reference of some cells anew."""
        self.rebased.update(dict.fromkeys(columns, start))
        self.hours_pending |= set(columns)

    def pad(self, rows: int, columns: int) -> None:
        """Make room for more strata or cells."""
        self.blocks = [snapshot.padded(rows, columns) for snapshot in self.blocks]
        self.hours = [snapshot.padded(rows, columns) for snapshot in self.hours]
        self.rebased = {column: snapshot.padded(rows, columns) for column, snapshot in self.rebased.items()}
        self.hours_since = {column: snapshot.padded(rows, columns) for column, snapshot in self.hours_since.items()}

    def clear_cells(self, columns: list[int]) -> None:
        """Forget all counts of some cells, whose columns others may have."""
        self.rebased = {column: snapshot for column, snapshot in self.rebased.items() if column not in columns}
        self.hours_since = {column: snapshot for column, snapshot in self.hours_since.items() if column not in columns}
        self.hours_pending -= set(columns)
        for block in (*self.blocks, *self.rebased.values()):
            block.counts[:, columns] = 0
        for hours in (*self.hours, *self.hours_since.values()):
            hours.cells_by_hour[:, columns] = 0

    def _thin_out(self, newest: int) -> None:
        self.blocks = [snapshot for n, snapshot in enumerate(self.blocks) if self._is_kept(snapshot.block, newest, n)]
        self.rebased = {column: start for column, start in self.rebased.items() if start.block > self.base.block}

    def _is_kept(self, block: int, newest: int, place: int) -> bool:
        if block >= newest - FINE:
            return True
        if block >= newest - OLDEST and (place == 0 or block % COARSE == 0):
            return True
        return self.reference_end is not None and (place == 0 or block == self.reference_end)
