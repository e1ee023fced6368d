"""What had been counted when a block ended, and how that is kept: each as what it has more than the one before it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]

HOURS, WEEKDAYS, CLOCK = slice(0, 24), slice(24, 31), 31
"""Columns, or rows, of what is counted by hour of the day and by day of the week (UTC, Monday first)."""


@dataclass(frozen=True, slots=True)
class BlockSnapshot:
    """What had been counted when a block ended."""

    block: int
    at: float
    """Time of the block's last segment, seconds since 1970."""
    counts: Counts
    """Shape ``(strata, 1 + cells)``; column 0 counts all of a stratum."""
    strata_by_hour: Counts
    """All of a stratum by hour and by day of the week, shape ``(strata, 31)``."""

    def padded(self, rows: int, columns: int) -> "BlockSnapshot":
        """The same with room for more strata and cells, none of them seen yet."""
        return BlockSnapshot(self.block, self.at, pad(self.counts, rows, columns), pad(self.strata_by_hour, rows, 0))


@dataclass(frozen=True, slots=True)
class HourSnapshot:
    """What had been counted by hour of the day and by day of the week when a sixteenth block ended."""

    block: int
    strata_by_hour: Counts
    """As in the block's snapshot, shape ``(strata, 31)``."""
    cells_by_hour: Counts
    """By cell, shape ``(31, 1 + cells)``; column 0 is not used."""

    def padded(self, rows: int, columns: int) -> "HourSnapshot":
        """The same with room for more strata and cells, none of them seen yet."""
        return HourSnapshot(self.block, pad(self.strata_by_hour, rows, 0), pad(self.cells_by_hour, 0, columns))


def pad(counts: Counts, rows: int, columns: int) -> Counts:
    """Counts with so many rows and columns of zeros behind them."""
    return np.pad(counts, ((0, rows), (0, columns)))


def encode_blocks(snapshots: Iterable[BlockSnapshot]) -> list[list[Any]]:
    """Snapshots of blocks, ready for JSON.

    >>> start = BlockSnapshot(4, 0.5, np.array([[7.0, 3.0]]), np.zeros((1, CLOCK)))
    >>> later = BlockSnapshot(5, 1.5, np.array([[9.0, 3.0]]), np.zeros((1, CLOCK)))
    >>> encode_blocks([start, later])
    [[4, 0.5, [[0, 1], [7, 3]], [[], []]], [5, 1.5, [[0], [2]], [[], []]]]
    >>> decode_blocks(encode_blocks([start, later]), (1, 2))[1].counts
    array([[9., 3.]])
    """
    return _encode_increments(([s.block, s.at], [s.counts, s.strata_by_hour]) for s in snapshots)


def decode_blocks(encoded: Iterable[list[Any]], shape: tuple[int, int]) -> list[BlockSnapshot]:
    """Read what :func:`encode_blocks` wrote of counts of this shape."""
    return [BlockSnapshot(*facts, *arrays) for facts, arrays in _decode_increments(encoded, (shape, (shape[0], CLOCK)))]


def encode_hours(snapshots: Iterable[HourSnapshot]) -> list[list[Any]]:
    """Snapshots by hour, ready for JSON."""
    return _encode_increments(([s.block], [s.strata_by_hour, s.cells_by_hour]) for s in snapshots)


def decode_hours(encoded: Iterable[list[Any]], shape: tuple[int, int]) -> list[HourSnapshot]:
    """Read what :func:`encode_hours` wrote of counts of this shape."""
    shapes = ((shape[0], CLOCK), (CLOCK, shape[1]))
    return [HourSnapshot(*facts, *arrays) for facts, arrays in _decode_increments(encoded, shapes)]


def encode_sparse(counts: Counts) -> list[list[int]]:
    """Where counts are not 0, and what they are.

    >>> encode_sparse(np.array([[0.0, 5.0], [0.0, 2.0]]))
    [[1, 3], [5, 2]]
    """
    flat = counts.ravel()
    where = np.flatnonzero(flat)
    return [where.tolist(), flat[where].astype(np.int64).tolist()]


def decode_sparse(encoded: list[list[int]], shape: tuple[int, ...]) -> Counts:
    """Read what :func:`encode_sparse` wrote."""
    counts = np.zeros(int(np.prod(shape)))
    counts[encoded[0]] = encoded[1]
    return counts.reshape(shape)


def _encode_increments(snapshots: Iterable[tuple[list[Any], list[Counts]]]) -> list[list[Any]]:
    """Of each snapshot its facts, then what each of its counts has more than the one before it."""
    encoded, before = [], None
    for facts, arrays in snapshots:
        increments = arrays if before is None else [now - then for now, then in zip(arrays, before, strict=True)]
        encoded.append([*facts, *map(encode_sparse, increments)])
        before = arrays
    return encoded


def _decode_increments(
    encoded: Iterable[list[Any]], shapes: Sequence[tuple[int, int]]
) -> Iterator[tuple[list[Any], list[Counts]]]:
    totals = [np.zeros(shape) for shape in shapes]
    for row in encoded:
        facts, increments = row[: -len(shapes)], row[-len(shapes) :]
        totals = [total + decode_sparse(more, total.shape) for total, more in zip(totals, increments, strict=True)]
        yield facts, totals
