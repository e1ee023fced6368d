"""Active learning by the notice's protocol on three open sets: `python -m benchmarks.learning [--cells ...] [--write]`.

Every finished run is a line under ``build/learning``; what is there is not run again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.open_sets import FOLDER
from benchmarks.pages.layout import options
from benchmarks.pages.learning import LEAST_SEEDS, publish, questions
from infra.experiments.active_learning.datasets import CodedTexts, Columns, Course, read_coded
from infra.experiments.active_learning.learners import FROZEN, OWN_HEAD, TRANSFORMER, Reading, learner
from infra.experiments.active_learning.results import collect
from infra.experiments.active_learning.runs import Job, play, read_runs
from infra.experiments.active_learning.simulation import Learner, Setup

BUILD = Path("build/learning")
LARGER = BUILD / "bodies" / "all-mpnet-base-v2"
"""The larger body, put together from its packages (see ``docs/results/active-learning.md``)."""
SMALL = "all-MiniLM-L6-v2"
GAMES, NHS, GERMAN = "game_review_bombing", "nhs_patient_feedback", "aisic_interviews"
INCONSISTENCY, ENTROPY, RANDOM = "category-inconsistency", "prediction-entropy", "random"
UNMENDED = "category-inconsistency-unmended"
SEEDS = tuple(range(10))
END_TO_END = {"epochs": 8, "batch": 8}
"""SetFit's 16 epochs of batches of two would take four times as long."""


@dataclass(frozen=True)
class Set:
    """A set and how it is read."""

    name: str
    course: Course
    commonest: int | None = None
    max_tokens: int = 64
    columns: Columns = field(default_factory=Columns)


SETS = {
    NHS: Set(NHS, Course(test=300), commonest=6),
    GAMES: Set(GAMES, Course(test=300)),
    GERMAN: Set(GERMAN, Course(initial=20, query=20, iterations=4, pool=100), max_tokens=128),
}


def coder_set(train: str, test: str) -> Set:
    """The German interviews, taught by one coder and judged by one."""
    pool = {"a": 40, "b": 70}[train]
    course = Course(initial=20, query=10, iterations=(pool - 20) // 10, pool=pool)
    columns = Columns(coder="labels_coder", train_coder=train, test_coder=test)
    return Set(GERMAN, course, max_tokens=128, columns=columns)


@dataclass(frozen=True)
class Cells:
    """Cells of the grid that are run one after another, seed by seed."""

    name: str
    sets: tuple[Set, ...]
    setups: tuple[tuple[str, str], ...]
    """Model and head."""
    strategies: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS


_BOTH = (SETS[NHS], SETS[GAMES])
_CODERS = tuple(coder_set(train, test) for train in "ab" for test in "ab")
_UNTUNED = f"{FROZEN}{SMALL}"
CELLS = {
    cells.name: cells
    for cells in (
        Cells("head", (*_BOTH, SETS[GERMAN]), ((_UNTUNED, "logistic"),), (INCONSISTENCY, UNMENDED, ENTROPY, RANDOM)),
        Cells("coders", _CODERS, ((_UNTUNED, "logistic"),), (INCONSISTENCY,)),
        Cells("tuned-nhs", (SETS[NHS],), ((SMALL, "logistic"),), (INCONSISTENCY, ENTROPY)),
        Cells("head-differentiable", (*_BOTH, SETS[GERMAN]), ((_UNTUNED, "differentiable-frozen"),),
              (INCONSISTENCY, ENTROPY)),
        Cells("larger", _BOTH, ((f"{FROZEN}{LARGER}", "logistic"),), (INCONSISTENCY, ENTROPY)),
        Cells("tuned-games", (SETS[GAMES],), ((SMALL, "logistic"),), (INCONSISTENCY, ENTROPY)),
        Cells("transformer", (SETS[NHS],), ((f"{TRANSFORMER}{SMALL}", OWN_HEAD),), (INCONSISTENCY,), SEEDS[:5]),
        Cells("tuned-differentiable", (SETS[NHS],), ((SMALL, "differentiable-frozen"), (SMALL, "differentiable")),
              (INCONSISTENCY,), SEEDS[:5]),
        Cells("tuned-german", (SETS[GERMAN],), ((SMALL, "logistic"),), (INCONSISTENCY, ENTROPY)),
        Cells("tuned-larger", (SETS[NHS],), ((str(LARGER), "logistic"),), (INCONSISTENCY,), SEEDS[:5]),
        Cells("tuned-others", (SETS[NHS],), ((SMALL, "logistic"),), (UNMENDED, RANDOM)),
        Cells("other-strategies", (*_BOTH, SETS[GERMAN]), ((_UNTUNED, "logistic"),),
              ("least-confidence", "breaking-ties", "embedding-kmeans", "core-set")),
    )
}  # fmt: skip


class Bench:
    """Sets and learners, each made once."""

    def __init__(self) -> None:
        self._data: dict[Set, CodedTexts] = {}
        self._learners: dict[tuple[int, str, str], Learner] = {}

    def jobs(self, cells: Cells) -> Iterator[Job]:
        """Seed by seed, so that a part of the cells is a whole comparison with fewer seeds."""
        for seed in cells.seeds:
            for which in cells.sets:
                for model, head in cells.setups:
                    for strategy in cells.strategies:
                        setup = Setup(model, head, strategy)  # type: ignore[arg-type]
                        yield Job(self.data(which), which.course, setup, seed, self._learner(which, setup))

    def data(self, which: Set) -> CodedTexts:
        if which not in self._data:
            file = FOLDER / which.name / "open.jsonl"
            self._data[which] = read_coded(file, which.columns, which.commonest)
        return self._data[which]

    def _learner(self, which: Set, setup: Setup) -> Learner:
        place = (which.max_tokens, setup.model, setup.head)
        if place not in self._learners:
            reading = Reading(max_tokens=which.max_tokens, end_to_end=END_TO_END)
            self._learners[place] = learner(setup, reading)
        return self._learners[place]


def run(names: Sequence[str]) -> None:
    """Run the cells that are not there yet."""
    import torch

    torch.set_num_threads(1)
    bench, begun = Bench(), time.perf_counter()
    for name in names:
        for number, done in enumerate(
            play(bench.jobs(CELLS[name]), BUILD / f"{name}.jsonl", also=BUILD.glob("*.jsonl")), 1
        ):
            cpu = sum(step.train.cpu + step.query.cpu for step in done.steps)
            print(
                f"{time.perf_counter() - begun:7.0f} s  {name} {number}: {done.data} {done.coders} {done.setup.name}, "
                f"seed {done.seed}: {' '.join(f'{value:.3f}' for value in done.curve)}  ({cpu:.1f} s of processor)",
                flush=True,
            )


def report() -> None:
    """Write the page from the runs that are there."""
    every = [done for file in sorted(BUILD.glob("*.jsonl")) for done in read_runs(file)]
    seeds = Counter((done.data, done.coders, done.setup) for done in every)
    runs = [done for done in every if seeds[done.data, done.coders, done.setup] >= LEAST_SEEDS]
    found = sorted(collect(runs), key=lambda each: [*SETS].index(each.data))
    course = SETS[NHS].course
    tuned = [done.configuration["tuning"] for done in runs if done.configuration.get("tuned")]
    facts = {**vars(course), "last": course.sizes[-1], "small": SMALL, "tuning": _tuning(tuned)}
    publish(
        [each for each in found if not each.coders],
        [each for each in found if each.coders],
        Bench().data(coder_set("b", "a")),
        questions(SMALL, str(LARGER)),
        facts,
    )


def _tuning(configurations: Sequence[dict[str, Any]]) -> str:
    """How bodies were tuned, in words; several ways where the settings changed between runs."""
    shown = ("passes", "step", "learning_rate", "temperature")
    ways = [", ".join(f"{name} {each[name]}" for name in shown if name in each) for each in configurations]
    return "; or ".join(dict.fromkeys(ways)) or "no run yet"


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--cells", nargs="*", choices=list(CELLS), help="run only these; none with --cells alone")
    given = parser.parse_args()
    run(list(CELLS) if given.cells is None else given.cells)
    if given.write:
        report()


if __name__ == "__main__":
    main()
