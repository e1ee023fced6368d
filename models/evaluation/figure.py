"""A figure with its interval over draws of units, and none where it is not defined."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.bootstrap import resample
from models.ports import Floats

_MOST_DRAWS, _FEWEST_DRAWS, _CELLS = 1_000, 200, 10_000_000
"""Draws at most and at least (five in each tail), and how many times units they may be: 80 MB of numbers."""
_DEFINED = 0.9  # an interval needs a figure in so large a share of the draws
_TINY = 1e-9  # rounding: a figure that varies by less does not vary, and a divisor below is 0


@dataclass(frozen=True)
class Figure:
    """A figure over ``n`` units with its 95% interval; no value where it is not defined, and then why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it, numbers to four places."""
        ends = (None if end is None else round(end, 4) for end in (self.value, self.low, self.high))
        return {**dict(zip(("value", "low", "high"), ends, strict=True)), "n": self.n, "why": self.why or None}


def draw_weights(units: int, seed: int) -> Floats:
    """How often each unit counts: once in row 0, which gives the figure, and as drawn in the others.

    Args:
        units: How many there are.
        seed: Of the draws.

    Returns:
        Shape ``(1 + draws, units)``.
    """
    draws = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _CELLS // max(units, 1)))
    drawn = resample(units, draws, seed) if units else np.ones((0, 0))
    return np.concatenate([np.ones((1, units)), drawn])


def figure_of(values: Floats, n: int, why: str) -> Figure:
    """A figure from row 0 and its interval from the others; none where no draw differs, which tells nothing.

    Args:
        values: What it is with each row of ``draw_weights``; NaN where it is not defined.
        n: Over how many units.
        why: What is said where it is not defined.
    """
    if not n or not np.isfinite(values[0]):
        return Figure(None, None, None, n, why)
    draws = values[1:][np.isfinite(values[1:])]
    if len(draws) < _DEFINED * (len(values) - 1) or np.ptp(draws) < _TINY:
        return Figure(float(values[0]), None, None, n)
    low, high = np.quantile(draws, (0.025, 0.975))
    return Figure(float(values[0]), float(low), float(high), n)


def quotients(above: Floats, below: Floats) -> Floats:
    """Divide, shape for shape; NaN where there is nothing to divide by."""
    divided: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.abs(below) > _TINY)
    return divided
