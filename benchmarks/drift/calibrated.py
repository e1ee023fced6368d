"""Detectors set to equal false alarms: each at the loosest setting at which few unchanged streams raise any."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.drift.arms import Looks, evidently_by_test
from benchmarks.drift.streams import DRAW, Item
from models.evaluation.clopper_pearson import interval

ALLOWED = 0.05
"""Share of the unchanged streams that may raise any alarm."""
_RESAMPLES = 2_000


def loosest(unchanged: Sequence[Mapping[str, Sequence[int]]]) -> str:
    """The first setting at which at most the allowed share of the unchanged streams raises any alarm; else the last.

    Args:
        unchanged: Alarms of each unchanged stream by setting, the loosest setting first.
    """
    settings = list(unchanged[0])
    few = ALLOWED * len(unchanged)
    return next((s for s in settings if sum(bool(each[s]) for each in unchanged) <= few), settings[-1])


def evidently_alarms(
    changed: Sequence[Sequence[Item]], unchanged: Sequence[Sequence[Item]], windows: tuple[int, int, int]
) -> dict[str, tuple[list[list[int]], list[list[int]]]]:
    """By test of Evidently, its alarms in streams that change, and in the unchanged ones that set its limits.

    Code and source are watched; each has its own limit, which half of the allowed streams pass.
    """
    named = [(f"changed {n}", items) for n, items in enumerate(changed)]
    named += [(f"unchanged {n}", items) for n, items in enumerate(unchanged)]
    rows = [(name, [[item.code, item.source, None, None, None] for item in items]) for name, items in named]
    by_test = evidently_by_test(rows, windows)
    return {test: _alarms(looks, len(unchanged)) for test, looks in by_test.items() if test != "all"}


def _alarms(looks: Mapping[str, Looks], count: int) -> tuple[list[list[int]], list[list[int]]]:
    columns = ("code", "source")
    limits = {}
    for column in columns:
        highest = sorted(
            max((d.get(column, 0.0) for _, d in looks[f"unchanged {n}"]), default=0.0) for n in range(count)
        )
        limits[column] = highest[-1 - int(ALLOWED / len(columns) * count)]
    raised = {
        name: [n for n, drifts in each if any(drifts.get(column, 0.0) > limits[column] for column in columns)]
        for name, each in looks.items()
    }
    of = {
        kind: [seen for name, seen in raised.items() if name.startswith(f"{kind} ")]
        for kind in ("changed", "unchanged")
    }
    return of["changed"], of["unchanged"]


def share(found: int, of: int) -> str:
    """A share with its exact 95% interval.

    >>> share(6, 10)
    '60% (26% to 88%)'
    """
    low, high = interval(found, of)
    return f"{found / of:.0%} ({low:.0%} to {high:.0%})"


def mean(values: Sequence[float]) -> str:
    """A mean with its 95% bootstrap interval; a dash where there is nothing."""
    if not values:
        return "-"
    random = np.random.default_rng(DRAW)
    drawn = random.choice(np.asarray(values), (_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(values):,.1f} ({low:,.1f} to {high:,.1f})"
