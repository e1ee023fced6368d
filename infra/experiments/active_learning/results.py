"""What experiments found: means over seeds with intervals, and differences of setups paired by seed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from infra.experiments.active_learning.learners import name_of
from infra.experiments.active_learning.simulation import Run, Setup

LEVEL = 0.95
Measure = Callable[[Run], float]


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, or over their differences, with Student's 95% interval; none for a single seed."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        """To four places; ends that are not known are left out."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: round(value, 4) for name, value in ends.items() if np.isfinite(value)} | {"seeds": self.seeds}


def interval(values: Sequence[float]) -> Interval:
    """The interval of a mean; values that are not known (NaN) are left out."""
    from scipy.stats import t

    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    half = float(t.ppf((1 + LEVEL) / 2, len(known) - 1)) * float(known.std(ddof=1)) / len(known) ** 0.5
    return Interval(mean, mean - half, mean + half, len(known))


def final(run: Run) -> float:
    """Macro-F1 after the last training."""
    return run.curve[-1]


def along(run: Run) -> float:
    """Mean macro-F1 of all trainings after the first, whose texts no strategy chose: the height of the whole curve."""
    return float(np.mean(run.curve[1:] or run.curve))


@dataclass(frozen=True)
class Found:
    """All runs of one set, with the same coders and course."""

    data: str
    coders: str
    runs: tuple[Run, ...]

    @property
    def title(self) -> str:
        """The set, and who taught and judged where that is known."""
        return f"{self.data} ({self.coders})" if self.coders else self.data

    @cached_property
    def by_setup(self) -> Mapping[Setup, list[Run]]:
        """Runs of each setup, by seed."""
        runs_by_setup: defaultdict[Setup, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.seed):
            runs_by_setup[run.setup].append(run)
        return dict(runs_by_setup)

    @property
    def sizes(self) -> list[int]:
        """Labels at each training."""
        return self.runs[0].course.sizes

    def values(self, setup: Setup, measure: Measure = final) -> list[float]:
        """A measure of each seed."""
        return [measure(run) for run in self.by_setup[setup]]

    def curve(self, setup: Setup) -> list[Interval]:
        """Macro-F1 after each training."""
        return [interval(values) for values in zip(*(run.curve for run in self.by_setup[setup]), strict=True)]

    def seconds(self, setup: Setup, what: str = "train", clock: str = "clock") -> list[float]:
        """Mean seconds of each step: ``train`` or ``query``, on the ``clock`` or of the ``cpu``."""
        durations = [[getattr(getattr(step, what), clock) for step in run.steps] for run in self.by_setup[setup]]
        return [float(value) for value in np.mean(durations, axis=0)]

    def per_code(self, setup: Setup) -> dict[str, Interval]:
        """F1 of each code after the last training."""
        runs = self.by_setup[setup]
        return {code: interval([_number(run.steps[-1].f1.get(code)) for run in runs]) for code in runs[0].steps[-1].f1}

    def gap(self, a: Setup, b: Setup, measure: Measure = final) -> Interval:
        """``a - b`` over the seeds that both have, which had the same pool, start and test."""
        theirs = {run.seed: measure(run) for run in self.by_setup.get(b, [])}
        return interval([measure(run) - theirs[run.seed] for run in self.by_setup.get(a, []) if run.seed in theirs])

    def settled(self, setup: Setup) -> list[int | None]:
        """At how many labels the stopping criteria first agreed, by seed."""
        return [next((step.labels for step in run.steps if step.stops), None) for run in self.by_setup[setup]]


def collect(runs: Iterable[Run]) -> list[Found]:
    """Runs by set and coders, each seed of each setup once: the last."""
    last = {(run.data, run.coders, tuple(run.course.sizes), run.setup, run.seed): run for run in runs}
    groups: defaultdict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in last.values():
        groups[run.data, run.coders, tuple(run.course.sizes)].append(run)
    return [Found(place[0], place[1], tuple(group)) for place, group in groups.items()]


HEADER = ("model", "head", "strategy", "seeds", "macro-F1", "95% interval", "whole curve", "train s", "query s")


def rows(result: Found, clock: str = "clock") -> list[list[str]]:
    """One line a setup, best first: macro-F1 at the end with its interval, and the last training's seconds."""
    lines = []
    order = sorted(result.by_setup, key=lambda setup: -interval(result.values(setup)).mean)
    for setup in order:
        end, whole = interval(result.values(setup)), interval(result.values(setup, along))
        query = result.seconds(setup, "query", clock)
        seconds = (result.seconds(setup, "train", clock)[-1], query[-2] if len(query) > 1 else query[-1])
        what = (name_of(setup.model), setup.head, setup.strategy, str(end.seeds))
        scores = (f"{end.mean:.3f}", ends(end), f"{whole.mean:.3f}")
        lines.append([*what, *scores, *(f"{value:.2f}" for value in seconds)])
    return lines


def ends(bounds: Interval, sign: str = "") -> str:
    """An interval as text."""
    return "-" if not np.isfinite(bounds.low) else f"{bounds.low:{sign}.3f} to {bounds.high:{sign}.3f}"


def as_json(result: Found) -> dict[str, Any]:
    """Everything, for programs."""
    setups = [
        {
            "model": name_of(setup.model),
            "head": setup.head,
            "strategy": setup.strategy,
            "seeds": [run.seed for run in result.by_setup[setup]],
            "macro_f1": [each.to_json() for each in result.curve(setup)],
            "whole_curve": interval(result.values(setup, along)).to_json(),
            "per_code": {code: each.to_json() for code, each in result.per_code(setup).items()},
            "settled_at_labels": result.settled(setup),
            **{
                f"{what}_{name}": [round(value, 3) for value in result.seconds(setup, what, clock)]
                for what in ("train", "query")
                for name, clock in (("s", "clock"), ("cpu_s", "cpu"))
            },
            "configuration": result.by_setup[setup][0].configuration,
        }
        for setup in result.by_setup
    ]
    first = result.runs[0]
    return {
        "data": result.data,
        "coders": result.coders,
        "sha256": first.sha256,
        "labels": result.sizes,
        "setups": setups,
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
