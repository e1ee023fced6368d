"""What a worker tells of its work. Knows no client of Prometheus or OpenTelemetry: ``infra.telemetry`` hands it on."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
AGES_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)


class Histogram:
    """How many values there were, by size."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start with none.

        Args:
            bounds: Largest value of each bin, ascending; what is larger than all of them has a bin of its own.
        """
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Span(NamedTuple):
    """A segment's stay with a role; or a batch's, without a parent. Holds ids and numbers, never a text."""

    name: str
    trace: int
    """128 bits."""
    id: int
    """64 bits."""
    parent: int | None
    began_ns: int
    """Unix time in nanoseconds."""
    ended_ns: int
    facts: Mapping[str, str | int]
    linked: tuple[tuple[int, int], ...] = ()
    """Trace and id of spans that it goes with although they are no parents: its batch's, a foreign producer's."""
    failed: bool = False


class Spans(Protocol):
    """Takes spans that have ended."""

    def keep(self, spans: Sequence[Span]) -> None:
        """Hand them on soon. Never waits, never fails."""
        ...
