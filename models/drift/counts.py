"""Counts of a stream, by stratum and cell, that remember what they were some blocks ago. Memory stays flat."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.drift.snapshots import (
    CLOCK,
    HOURS,
    Clock,
    Counts,
    Mark,
    clocks_heard,
    clocks_told,
    dense,
    marks_heard,
    marks_told,
    sparse,
)

FINE, COARSE, OLDEST = 128, 4, 1024  # blocks kept one by one; then every fourth; then none
RECENT = 2_048
_CELLS, _STRATA = 192, 192
_TIDY = 16
_HOUR, _DAY, _MONDAY = 3_600, 86_400, 3  # 1970 began on a Thursday
_OWN = 0.5
_ROW = 10
"""Segments in a row in which a cell is not expected more often than chance makes it."""
_SHARES = (0.0155, 0.0475, 0.0932, 0.1505, 0.2183, 0.2971, 0.3883, 0.4957, 0.631)
"""Shares up to which a cell comes 2, 3, 4 ... 10 times or more among ten with a probability below one in a hundred."""
_KNOWN, _DRAWN, _NEWEST = 100, 10, 4
_YOUNG = 512
"""Blocks up to which what a cell may come is worked out anew at the end of each, as its shares are still learned."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One segment, as far as a change point needs it."""

    at: float
    segment: UUID
    stratum: int
    cell: int
    """0 where it is in none."""


class Table:
    """Cumulative counts with marks at block ends.

    A stratum is what is held fixed (a source, so that a source that grows is not taken for a change in what is said);
    a cell is what may change its share in it. Cells beyond the 192 most frequent ones are counted in column 0 only.
    Cells that are steps of a scale are counted upwards: a value counts for its own step and for all above it.

    The reference of a cell begins where the table's does, or later where the cell itself changed: that one code moved
    is no reason to forget what the others were.

    A cell that comes more often among ten segments of its stratum in a row than chance would make it (one in a
    hundred times) and once more is not counted further: repeats and short bursts are one event, however long they are.
    """

    def __init__(self, steps: tuple[str, ...] = (), *, repeats: bool = False) -> None:
        """Make an empty table.

        Args:
            steps: Names of the cells, where they are steps of a scale.
            repeats: Whether repeats count each for themselves.
        """
        self.steps = steps
        self.repeats = repeats
        self.strata: dict[str, int] = {}
        self.cells: dict[str, int] = {}
        self.groups: list[str] = []
        """By stratum: what it belongs to, such as the source of a source's night."""
        self.now: Counts = np.zeros((4, 8))
        self.present: Counts = np.zeros((4, CLOCK))
        self.hours: Counts = np.zeros((CLOCK, 8))
        self.clocks: list[Clock] = [Clock(0, self.present.copy(), self.hours.copy())]
        """The oldest first."""
        self.began: dict[int, Clock] = {0: self.clocks[0]}
        """By column, since when its hours are known: where it changed last; 0 stands for all others."""
        self.begins: set[int] = set()
        """Columns whose hours are known from the next clock on."""
        self.marks: list[Mark] = [Mark(0, 0.0, self.now.copy(), self.present.copy())]
        self.own: dict[int, Mark] = {}
        """By column, where the reference of a cell begins that changed since the table's did."""
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self.kept: int | None = None
        """A block whose mark, as well as the first one, is not given up: the end of a fixed reference."""
        self._rows: list[int] = []
        self._columns: list[int] = []
        self._times: list[float] = []
        self._members: Counts = np.zeros((1, 0))
        self._runs: list[deque[int]] = []
        self._caps: list[list[int]] = []
        for step in steps:
            self._cell(step)

    def add(self, at: float, segment: UUID, key: tuple[str, str], cell: str | None) -> None:
        """Count one segment.

        Args:
            at: Its time, seconds since 1970.
            segment: Its id.
            key: Its group, and what divides the group further (or nothing); both together are its stratum.
            cell: Its cell; none where it counts for its stratum alone.
        """
        name = key[0] + "\x1f" + key[1]
        stratum = self.strata.get(name)
        if stratum is None:
            stratum = self._stratum(name, key[0])
        column = 0
        if cell is not None:
            found = self.cells.get(cell)
            column = self._cell(cell) if found is None else found
        self.recent.append(Seen(at, segment, stratum, column))
        if self.repeats or not self._crowded(stratum, column):
            self._rows.append(stratum)
            self._columns.append(column)
            self._times.append(at)

    @property
    def names(self) -> dict[int, str]:
        """Cells by their column."""
        return {column: cell for cell, column in self.cells.items()}

    @property
    def base(self) -> Mark:
        """Where the reference begins."""
        return self.marks[0]

    def mark(self, block: int) -> Mark | None:
        """The mark of a block, if it is still kept."""
        place = bisect_left(self.marks, block, key=lambda mark: mark.block)
        return self.marks[place] if place < len(self.marks) and self.marks[place].block == block else None

    def members(self) -> Counts:
        """Which strata make up which group, shape ``(1 + groups, strata)``; the first group is all of them."""
        if self._members.shape[1] != len(self.now) or self._members[0].sum() != len(self.groups):
            names = list(dict.fromkeys(self.groups))
            place = {name: n + 1 for n, name in enumerate(names)} if len(names) > 1 else {}
            self._members = np.zeros((1 + len(place), len(self.now)))
            self._members[0, : len(self.groups)] = 1
            for stratum, group in enumerate(self.groups if place else ()):
                self._members[place[group], stratum] = 1
        return self._members

    @property
    def total(self) -> float:
        """Segments counted since the reference began, up to the last mark."""
        return float(self.now[:, 0].sum() - self.base.counts[:, 0].sum())

    def close(self, block: int, at: float) -> None:
        """End a block: add up what came in it, and mark."""
        self._flush()
        self.marks.append(Mark(block, at, self.now.copy(), self.present.copy()))
        if block <= _YOUNG or block % COARSE == 0:
            self._caps = self._worked_out()
        if block % _TIDY == 0:
            clock = Clock(block, self.present.copy(), self.hours.copy())
            self.began.update(dict.fromkeys(self.begins, clock))
            self.begins = set()
            self.clocks = [*(c for c in self.clocks if c.block >= block - OLDEST), clock]
            fine, last = block - FINE, block - OLDEST
            self.marks = [
                mark
                for n, mark in enumerate(self.marks)
                if mark.block >= fine
                or (mark.block >= last and (n == 0 or mark.block % COARSE == 0))
                or (self.kept is not None and (n == 0 or mark.block == self.kept))
            ]
            self.own = {column: mark for column, mark in self.own.items() if mark.block > self.base.block}

    def rebase(self, at: float, cells: Iterable[str] | None = None) -> None:
        """Begin the reference anew behind a change, at the first mark that is not before ``at``.

        Args:
            at: Seconds since 1970.
            cells: Only of these; of all where none are given, and where these are most of what came since.
        """
        later = [n for n, mark in enumerate(self.marks) if mark.at >= at]
        start = later[0] if later else len(self.marks) - 1
        mark = self.marks[start]
        columns = [] if cells is None or self.steps else [self.cells[cell] for cell in cells if cell in self.cells]
        came = (self.now - mark.counts).sum(axis=0)
        if columns and came[columns].sum() <= _OWN * max(came[0], 1.0):
            self.own.update(dict.fromkeys(columns, mark))
            self.begins |= set(columns)
            return
        self.marks, self.own = self.marks[start:], {}
        self.clocks, self.began, self.begins = [], {}, {0}

    def since(self, column: int) -> Mark:
        """Where the reference of a cell begins."""
        return self.own.get(column, self.base)

    def starts(self) -> tuple[Counts, Counts]:
        """What had been counted where the reference of each cell begins: as :meth:`sizes`, and the cells themselves."""
        size, hits = self.sizes(self.base.counts), self.base.counts[:, 1:].copy()
        for column, mark in self.own.items():
            size[:, column - 1], hits[:, column - 1] = mark.counts[:, 0], mark.counts[:, column]
        return size, hits

    def sizes(self, counts: Counts) -> Counts:
        """Segments that a cell is a share of: all of its stratum, but for a steady cell without those that changed.

        Args:
            counts: Shape ``(..., strata, 1 + cells)``.

        Returns:
            Shape ``(..., strata, cells)``, or ``(..., strata, 1)`` where no cell changed.
        """
        if not self.own:
            return counts[..., :1].copy()
        changed = list(self.own)
        size = np.repeat(counts[..., :1] - counts[..., changed].sum(axis=-1, keepdims=True), counts.shape[-1] - 1, -1)
        size[..., [column - 1 for column in changed]] = counts[..., :1]
        return np.asarray(size)

    def _crowded(self, stratum: int, column: int) -> bool:
        """Whether a cell has come as often among the last ten segments as it may."""
        run, most = self._runs[stratum], _ROW
        if stratum < len(self._caps) and column < len(self._caps[stratum]):
            most = self._caps[stratum][column]
        crowded = column > 0 and run.count(column) >= most
        run.append(column)
        return crowded

    def _worked_out(self) -> list[list[int]]:
        """How often each cell may come among ten segments of each stratum.

        By its share there in the reference, or in the last four blocks if that is more: what goes on is no burst.
        """
        if self.repeats or self.total < _KNOWN:
            return []
        whole = self._own(self.now - self.base.counts)
        known = whole.sum(axis=0)
        share = _DRAWN * known / known[0]
        newest = self._own(self.now - self.marks[-min(len(self.marks), _NEWEST + 1)].counts)
        long, short = ((part + share) / (part[:, :1] + _DRAWN) for part in (whole, newest))
        caps: list[list[int]] = (np.searchsorted(_SHARES, np.maximum(long, short)) + 2).tolist()
        return caps

    def _own(self, counts: Counts) -> Counts:
        """Counts of the cells without those of the steps below."""
        if not self.steps:
            return counts
        return np.concatenate([counts[:, :2], np.diff(counts[:, 1:], axis=1)], axis=1)

    def _flush(self) -> None:
        if not self._rows:
            return
        rows, columns, times = np.array(self._rows), np.array(self._columns), np.array(self._times)
        strata, width = self.now.shape
        hours = (times // _HOUR % 24).astype(int)
        days = HOURS.stop + ((times // _DAY + _MONDAY) % 7).astype(int)
        hits = _counted(rows, columns, (strata, width))
        by_clock = _counted(hours, columns, (CLOCK, width)) + _counted(days, columns, (CLOCK, width))
        by_clock[:, 0] = 0
        if self.steps:  # counted for their own step and all above it
            hits[:, 1:], by_clock[:, 1:] = self._upwards(hits[:, 1:]), self._upwards(by_clock[:, 1:])
        hits[:, 0] = np.bincount(rows, minlength=strata)
        self.now += hits
        self.present += _counted(rows, hours, (strata, CLOCK)) + _counted(rows, days, (strata, CLOCK))
        self.hours += by_clock
        self._rows, self._columns, self._times = [], [], []

    def _upwards(self, counts: Counts) -> Counts:
        up = np.zeros_like(counts)
        steps = len(self.steps)
        up[:, :steps] = np.cumsum(counts[:, :steps], axis=1)
        return up

    def _stratum(self, name: str, group: str) -> int:
        if len(self.strata) >= _STRATA:
            name, group = "\x1f", ""  # one stratum for all further ones
        if name not in self.strata:
            self.strata[name] = len(self.strata)
            self.groups.append(group)
            self._runs.append(deque(maxlen=_ROW))
            if len(self.strata) > len(self.now):
                self._grow((len(self.now), 0))
        return self.strata[name]

    def _cell(self, name: str) -> int:
        if len(self.cells) >= _CELLS:
            self._forget()
        taken = set(self.cells.values())
        column = next(n for n in range(1, _CELLS + 1) if n not in taken)
        self.cells[name] = column
        if column >= self.now.shape[1]:
            self._grow((0, self.now.shape[1]))
        return column

    def _grow(self, by: tuple[int, int]) -> None:
        """Room for more strata or cells, in the counts and in all marks."""
        rows, columns = (0, by[0]), (0, by[1])
        self.now = np.pad(self.now, (rows, columns))
        self.present = np.pad(self.present, (rows, (0, 0)))
        self.hours = np.pad(self.hours, ((0, 0), columns))

        def wider(mark: Mark) -> Mark:
            present = np.pad(mark.present, (rows, (0, 0)))
            return Mark(mark.block, mark.at, np.pad(mark.counts, (rows, columns)), present)

        def longer(clock: Clock) -> Clock:
            present = np.pad(clock.present, (rows, (0, 0)))
            return Clock(clock.block, present, np.pad(clock.hours, ((0, 0), columns)))

        self.marks, self.clocks = [wider(mark) for mark in self.marks], [longer(clock) for clock in self.clocks]
        self.own = {column: wider(mark) for column, mark in self.own.items()}
        self.began = {column: longer(clock) for column, clock in self.began.items()}

    def _forget(self) -> None:
        """Give up the rarer half of the cells; their segments stay counted for their strata."""
        self._flush()
        since = (self.now - self.base.counts).sum(axis=0)
        order = sorted(self.cells.values(), key=lambda column: (since[column], column))
        gone = set(order[: len(order) // 2])
        columns = sorted(gone)
        self.now[:, columns] = 0
        self.own = {column: mark for column, mark in self.own.items() if column not in gone}
        self.began = {column: clock for column, clock in self.began.items() if column not in gone}
        self.begins -= gone
        for mark in (*self.marks, *self.own.values()):
            mark.counts[:, columns] = 0
        for hours in (self.hours, *(clock.hours for clock in (*self.clocks, *self.began.values()))):
            hours[:, columns] = 0
        self.cells = {cell: column for cell, column in self.cells.items() if column not in gone}
        kept = [Seen(s.at, s.segment, s.stratum, 0) if s.cell in gone else s for s in self.recent]
        self.recent = deque(kept, maxlen=RECENT)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "steps": list(self.steps),
            "repeats": self.repeats,
            "strata": self.strata,
            "cells": self.cells,
            "groups": self.groups,
            "shape": list(self.now.shape),
            "now": sparse(self.now),
            "marks": marks_told(self.marks),
            "own": [[column, *marks_told([mark])] for column, mark in self.own.items()],
            "present": sparse(self.present),
            "hours": sparse(self.hours),
            "clocks": clocks_told(self.clocks),
            "began": [[column, *clocks_told([clock])] for column, clock in self.began.items()],
            "begins": sorted(self.begins),
            "recent": [[s.at, s.segment.hex, s.stratum, s.cell] for s in self.recent],
            "kept": self.kept,
            "open": [self._rows, self._columns, self._times],
            "runs": [list(run) for run in self._runs],
            "caps": self._caps,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        table, shape = cls(tuple(state["steps"]), repeats=state["repeats"]), tuple(state["shape"])
        table.strata, table.cells, table.groups = dict(state["strata"]), dict(state["cells"]), list(state["groups"])
        table.now = dense(state["now"], shape)
        table.marks = marks_heard(state["marks"], shape)
        table.own = {column: marks_heard([mark], shape)[0] for column, mark in state["own"]}
        table.present = dense(state["present"], (shape[0], CLOCK))
        table.hours = dense(state["hours"], (CLOCK, shape[1]))
        table.clocks = clocks_heard(state["clocks"], shape)
        table.began = {column: clocks_heard([clock], shape)[0] for column, clock in state["began"]}
        table.begins = set(state["begins"])
        table.recent.extend(Seen(at, UUID(segment), stratum, cell) for at, segment, stratum, cell in state["recent"])
        table._runs = [deque(run, maxlen=_ROW) for run in state["runs"]]
        table._caps = [list(row) for row in state["caps"]]
        table.kept = state["kept"]
        table._rows, table._columns, table._times = (list(part) for part in state["open"])
        return table


def _counted(rows: NDArray[np.int_], columns: NDArray[np.int_], shape: tuple[int, int]) -> Counts:
    """How often each pair comes, in the shape of a table."""
    flat = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)
