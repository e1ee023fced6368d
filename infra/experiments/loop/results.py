"""What runs of the loop come to: means over seeds with intervals, and differences of arms paired by seed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from infra.experiments.active_learning.results import Interval, interval
from infra.experiments.loop.course import ARMS, LATEST, NAMES, LoopCourse, LoopRun
from models.evaluation.clopper_pearson import interval as exact_interval
from models.ports import Floats

WINDOW = 250  # segments over which curves are smoothed


@dataclass(frozen=True)
class ArmResult:
    """One arm over all seeds."""

    arm: str
    runs: tuple[LoopRun, ...]

    @property
    def spared(self) -> Interval:
        """The share of segments that nobody looked at."""
        return interval([float(run.spared.mean()) for run in self.runs])

    @property
    def latest(self) -> Interval:
        """The same of the last 500."""
        return interval([float(run.spared[-LATEST:].mean()) for run in self.runs])

    @property
    def wrong(self) -> Interval:
        """The share of wrong codes among those that nobody looked at, of the runs in which there were any."""
        return interval([wrong_share(run) for run in self.runs])

    @property
    def promised(self) -> int:
        """Runs in which a promise was made."""
        return sum(run.promised is not None for run in self.runs)

    @property
    def exceeded(self) -> int:
        """Of these, runs in which more codes were wrong than promised."""
        return sum(wrong_share(run) > run.course.wrong for run in self.runs if run.promised is not None)

    @property
    def labels(self) -> Mapping[str, float]:
        """Labels that people gave, by reason, mean over seeds."""
        total: Counter[str] = Counter()
        for run in self.runs:
            total.update(run.labels)
        return {reason: count / len(self.runs) for reason, count in total.most_common()}

    def hours(self, seconds: float) -> Interval:
        """People's time at so many seconds a label, in hours."""
        return interval([(len(run.reasons) - int(run.spared.sum())) * seconds / 3600 for run in self.runs])

    def curve(self, of: Callable[[LoopRun], Floats]) -> Floats:
        """A figure of each segment, smoothed over ``WINDOW`` segments and averaged over seeds."""
        rows = [of(run).astype(float) for run in self.runs]
        shortest = min(len(row) for row in rows)
        mean = np.nanmean([row[:shortest] for row in rows], axis=0)
        width = min(WINDOW, shortest)
        kernel = np.ones(width) / width
        return np.convolve(mean, kernel, mode="valid")


def wrong_share(run: LoopRun) -> float:
    """Share of wrong codes among those that nobody looked at; not a number where there are none."""
    spared = int(run.spared.sum())
    return float(run.wrong.sum()) / spared if spared else float("nan")


@dataclass(frozen=True)
class LoopResult:
    """All runs of one set under one course."""

    data: str
    course: LoopCourse
    runs: tuple[LoopRun, ...]

    @cached_property
    def arms(self) -> list[ArmResult]:
        """The arms that were played, and those that follow from them, in a fixed order."""
        by_arm: dict[str, list[LoopRun]] = {}
        for run in sorted((*self.runs, *_derived(self.runs)), key=lambda run: run.seed):
            by_arm.setdefault(run.arm, []).append(run)
        return [ArmResult(arm, tuple(by_arm[arm])) for arm in ARMS if arm in by_arm]

    def gap(self, other: ArmResult) -> Interval:
        """What the whole system spares more than another arm, paired by seed."""
        mine = {run.seed: float(run.spared.mean()) for arm in self.arms if arm.arm == "whole" for run in arm.runs}
        theirs = {run.seed: float(run.spared.mean()) for run in other.runs}
        return interval([mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())])


def _derived(runs: Sequence[LoopRun]) -> list[LoopRun]:
    """Everything to people, and an oracle that sees which of the whole system's codes are wrong."""
    wholes = [run for run in runs if run.arm == "whole"]
    return [each for run in wholes for each in (_people(run), _oracle(run))]


def _people(run: LoopRun) -> LoopRun:
    return LoopRun(**{**run.__dict__, "arm": "people", "reasons": "l" * len(run.reasons), "promised": None})


def _oracle(run: LoopRun) -> LoopRun:
    """Accepts every right code, and of the wrong ones as many as the promise allows, as they come."""
    reasons, accepted, wrong = [], 0, 0
    for hit in run.right:
        takes = hit == "1" or (wrong + 1) <= run.course.wrong * (accepted + 1)
        accepted, wrong = accepted + takes, wrong + (takes and hit == "0")
        reasons.append("-" if takes else "l")
    return LoopRun(**{**run.__dict__, "arm": "oracle", "reasons": "".join(reasons), "promised": 0})


HEADER = ("arm", "spared", "last 500", "wrong of spared", "promised", "exceeded", "hours of people", "whole ahead by")


def rows(result: LoopResult, seconds: float) -> list[list[str]]:
    """One line an arm, for a table."""
    lines = []
    for arm in result.arms:
        ahead = "" if arm.arm == "whole" else _points(result.gap(arm), "+")
        runs, exceeded = arm.promised, f"{arm.exceeded} of {arm.promised}" if arm.promised else "-"
        hours = arm.hours(seconds)
        lines.append([
            NAMES[arm.arm], _points(arm.spared), _points(arm.latest), _points(arm.wrong),
            f"{runs} of {len(arm.runs)}", exceeded, f"{hours.mean:.1f}", ahead,
        ])  # fmt: skip
    return lines


def _points(value: Interval, sign: str = "") -> str:
    if not np.isfinite(value.mean):
        return "-"
    ends = "" if not np.isfinite(value.low) else f" [{value.low * 100:{sign}.1f}, {value.high * 100:{sign}.1f}]"
    return f"{value.mean * 100:{sign}.1f}%{ends}"


def as_json(result: LoopResult, seconds: float) -> dict[str, Any]:
    """Everything that is shown, for programs."""
    return {
        "data": result.data,
        "course": asdict(result.course),
        "seconds_per_label": seconds,
        "arms": {
            arm.arm: {
                "seeds": len(arm.runs),
                "spared": arm.spared.to_json(),
                "spared_of_last_500": arm.latest.to_json(),
                "wrong_of_spared": arm.wrong.to_json(),
                "promised": arm.promised,
                "exceeded": arm.exceeded,
                "exceeded_interval": [round(end, 4) for end in exact_interval(arm.exceeded, arm.promised)]
                if arm.promised
                else None,
                "labels": {reason: round(count, 1) for reason, count in arm.labels.items()},
                "hours": arm.hours(seconds).to_json(),
                "whole_ahead_by": result.gap(arm).to_json(),
            }
            for arm in result.arms
        },
    }
