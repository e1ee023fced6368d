"""Active learning played through on texts whose codes are known: train, ask about the next texts, train again."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from infra.experiments.active_learning.datasets import CodedTexts, Course, Draw, Rows, draw
from models.classifier.query import DIVERSITY, Strategy, choose
from models.classifier.stopping import advise
from models.evaluation.metrics import f1_by_code
from models.ports import Bools, Floats

THRESHOLD = 0.5


class Learnt(Protocol):
    """A trained model."""

    def read(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Embeddings ``(n, dim)`` and each code's probability ``(n, k)``."""
        ...


class Learner(Protocol):
    """What can be trained."""

    @property
    def configuration(self) -> dict[str, Any]:
        """What it was made with, for the records."""
        ...

    def train(self, texts: Sequence[str], targets: Bools, seed: int) -> Learnt:
        """Train anew on all texts."""
        ...


@dataclass(frozen=True)
class Setup:
    """What is compared."""

    model: str
    head: str
    strategy: Strategy

    @property
    def name(self) -> str:
        """In tables and legends."""
        return f"{self.model}, {self.head}, {self.strategy}"


@dataclass(frozen=True)
class Seconds:
    """What one step took, on the clock and of the processor."""

    clock: float
    cpu: float


@dataclass(frozen=True)
class Step:
    """One training and what came of it."""

    labels: int
    f1: dict[str, float | None]
    """By code; ``None`` for one that neither the test texts nor the model's decisions about them have."""
    train: Seconds
    query: Seconds
    """Reading the pool and choosing from it."""
    asked: tuple[str, ...] = ()
    """The texts chosen after this training."""
    kappa: float | None = None
    delta_f: float | None = None
    stops: bool = False

    @property
    def macro_f1(self) -> float:
        """Mean over the codes that there are."""
        known = [value for value in self.f1.values() if value is not None]
        return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True)
class Run:
    """One seed of one setup on one set."""

    data: str
    sha256: str
    coders: str
    course: Course
    setup: Setup
    seed: int
    configuration: dict[str, Any]
    steps: tuple[Step, ...]
    started_with: tuple[str, ...] = ()
    circumstances: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells this run from others: what it was made from and how."""
        return run_key(self.sha256, self.coders, self.course, self.setup, self.seed, self.configuration)

    @property
    def curve(self) -> list[float]:
        """Macro-F1 after each training."""
        return [step.macro_f1 for step in self.steps]

    def to_json(self) -> dict[str, Any]:
        """Everything, for a line of a file."""
        return {"key": self.key, **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What ``to_json`` gave."""
        values = {name: value for name, value in values.items() if name != "key"}
        steps = [
            Step(**{**step, "train": Seconds(**step["train"]), "query": Seconds(**step["query"])})
            for step in values.pop("steps")
        ]
        setup, course = Setup(**values.pop("setup")), Course(**values.pop("course"))
        return cls(setup=setup, course=course, steps=tuple(steps), **values)


def run_key(sha256: str, coders: str, course: Course, setup: Setup, seed: int, configuration: dict[str, Any]) -> str:
    """Sixteen hex digits that stay the same as long as everything that a run depends on does."""
    what = [sha256, coders, asdict(course), asdict(setup), seed, configuration]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


def simulate(data: CodedTexts, course: Course, setup: Setup, learner: Learner, seed: int) -> Run:
    """Play one run through.

    The seed draws the pool and the texts labelled at the start, so runs of equal seed are paired whatever the setup.

    Raises:
        InputError: If there are too few texts.
    """
    drawn = draw(data, course, seed)
    labelled = drawn.pool[: course.initial]
    steps: list[Step] = []
    decisions: list[Bools] = []
    for number in range(course.iterations + 1):
        step, asked, decided = _step(data, drawn, labelled, learner, (setup.strategy, course, number, seed))
        decisions.append(decided)
        advice = advise(decisions)
        steps.append(Step(**{**vars(step), "kappa": advice.kappa, "delta_f": advice.delta_f, "stops": advice.stops}))
        labelled = np.concatenate([labelled, asked])
    ids = data.ids
    return Run(
        data=data.name,
        sha256=data.sha256,
        coders=data.coders,
        course=course,
        setup=setup,
        seed=seed,
        configuration=learner.configuration | {"codes": list(data.codes)},
        steps=tuple(steps),
        started_with=tuple(ids[row] for row in drawn.pool[: course.initial]),
    )


def _step(
    data: CodedTexts,
    drawn: Draw,
    labelled: Rows,
    learner: Learner,
    how: tuple[Strategy, Course, int, int],
) -> tuple[Step, Rows, Bools]:
    """Train, choose what to ask next, and test."""
    strategy, course, number, seed = how
    begun = _now()
    learnt = learner.train([data.texts[row] for row in labelled], data.taught[labelled], seed)
    train, begun = _since(begun), _now()
    asked = np.array([], dtype=np.intp)
    if number < course.iterations:
        rest = np.setdiff1d(drawn.pool, labelled)
        rng = np.random.default_rng([seed, number])
        asked = rest[_choose(learnt, data, (rest, labelled), strategy, course.query, rng)]
    query = _since(begun)
    _, probabilities = learnt.read([data.texts[row] for row in drawn.test])
    decided = probabilities > THRESHOLD
    scores = dict(zip(data.codes, f1_where_known(data.judged[drawn.test], decided), strict=True))
    ids = data.ids
    return Step(len(labelled), scores, train, query, tuple(ids[row] for row in asked)), asked, decided


def _choose(
    learnt: Learnt,
    data: CodedTexts,
    rows: tuple[Rows, Rows],
    strategy: Strategy,
    n: int,
    rng: np.random.Generator,
) -> Rows:
    rest, labelled = rows
    embeddings, probabilities = learnt.read([data.texts[row] for row in rest])
    if strategy in DIVERSITY:
        known, _ = learnt.read([data.texts[row] for row in labelled])
    else:
        known = np.zeros((len(labelled), embeddings.shape[1]))
    return choose(strategy, probabilities, embeddings, (known, data.taught[labelled]), n, rng)


def f1_where_known(truth: Bools, decided: Bools) -> list[float | None]:
    """F1 of each code, shape of both ``(n, k)``; ``None`` where there is nothing to find and nothing was found."""
    known = np.asarray((truth | decided).any(axis=0))
    return [float(score) if there else None for score, there in zip(f1_by_code(truth, decided), known, strict=True)]


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> Seconds:
    clock, cpu = _now()
    return Seconds(round(clock - begun[0], 4), round(cpu - begun[1], 4))
