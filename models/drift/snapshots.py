"""What a table remembers of earlier blocks, and how it is kept: each as what it has more than the one before it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]

HOURS, WEEKDAYS, CLOCK = slice(0, 24), slice(24, 31), 31
"""Columns, or rows, of what is counted by hour of the day and by day of the week (UTC, Monday first)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What had been counted when a block ended."""

    block: int
    at: float
    """Time of the block's last segment, seconds since 1970."""
    counts: Counts
    """Shape ``(strata, 1 + cells)``; column 0 counts all of a stratum."""
    present: Counts
    """All of a stratum by hour and by day of the week, shape ``(strata, 31)``."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What had been counted by hour of the day and by day of the week when a sixteenth block ended."""

    block: int
    present: Counts
    """As in the mark, shape ``(strata, 31)``."""
    hours: Counts
    """By cell, shape ``(31, 1 + cells)``; column 0 is not used."""


def marks_told(marks: list[Mark]) -> list[list[Any]]:
    """Marks, ready for JSON."""
    told, counts, present = [], np.zeros(1), np.zeros(1)
    for mark in marks:
        told.append([mark.block, mark.at, sparse(mark.counts - counts), sparse(mark.present - present)])
        counts, present = mark.counts, mark.present
    return told


def marks_heard(told: list[list[Any]], shape: tuple[int, ...]) -> list[Mark]:
    """Read what :func:`marks_told` wrote."""
    marks: list[Mark] = []
    counts, present = np.zeros(shape), np.zeros((shape[0], CLOCK))
    for block, at, more, there in told:
        counts, present = counts + dense(more, shape), present + dense(there, present.shape)
        marks.append(Mark(block, at, counts, present))
    return marks


def clocks_told(clocks: list[Clock]) -> list[list[Any]]:
    """Clocks, ready for JSON."""
    told, present, hours = [], np.zeros(1), np.zeros(1)
    for clock in clocks:
        told.append([clock.block, sparse(clock.present - present), sparse(clock.hours - hours)])
        present, hours = clock.present, clock.hours
    return told


def clocks_heard(told: list[list[Any]], shape: tuple[int, ...]) -> list[Clock]:
    """Read what :func:`clocks_told` wrote."""
    clocks: list[Clock] = []
    present, hours = np.zeros((shape[0], CLOCK)), np.zeros((CLOCK, shape[1]))
    for block, there, more in told:
        present, hours = present + dense(there, present.shape), hours + dense(more, hours.shape)
        clocks.append(Clock(block, present, hours))
    return clocks


def sparse(counts: Counts) -> list[list[int]]:
    """Where counts are not 0, and what they are."""
    flat = counts.ravel()
    where = np.flatnonzero(flat)
    return [where.tolist(), flat[where].astype(np.int64).tolist()]


def dense(found: list[list[int]], shape: tuple[int, ...]) -> Counts:
    """Read what :func:`sparse` wrote."""
    counts = np.zeros(int(np.prod(shape)))
    counts[found[0]] = found[1]
    return counts.reshape(shape)
