"""A grid of experiments, run by run; each finished run is a line of a file, so that a broken grid goes on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.experiments.active_learning.datasets import CodedTexts, Course
from infra.experiments.active_learning.simulation import Learner, Run, Setup, run_key, simulate
from infra.experiments.run_file import append_run, read_runs
from infra.training.tracking import Tracking


@dataclass(frozen=True)
class Job:
    """One run that is wanted."""

    data: CodedTexts
    course: Course
    setup: Setup
    seed: int
    learner: Learner

    @property
    def key(self) -> str:
        """The key that its run will have."""
        configuration = self.learner.configuration | {"codes": list(self.data.codes)}
        return run_key(self.data.sha256, self.data.coders, self.course, self.setup, self.seed, configuration)


def play(
    jobs: Iterable[Job], file: Path, *, also: Iterable[Path] = (), fresh: Callable[[Run], None] = lambda run: None
) -> Iterator[Run]:
    """Play what is not in the file yet, and append it.

    Args:
        jobs: What is wanted, in order.
        file: JSON lines; made where it is missing.
        also: Files with runs that need not be played again either.
        fresh: Told of each run that was played now.

    Returns:
        The runs of all jobs, in their order.

    Raises:
        InputError: If the file cannot be read or written, or a set has too few texts.
    """
    known = {run.key: run for each in (*also, file) for run in read_runs(each, Run.from_json)}
    for job in jobs:
        run = known.get(job.key)
        if run is None:
            run = simulate(job.data, job.course, job.setup, job.learner, job.seed)
            append_run(file, run.to_json())
            fresh(run)
        yield run


def track(tracking: Tracking, run: Run) -> None:
    """Have a finished run kept: configuration, data, coders, the texts asked for, F1 by code, times."""
    configuration = {**vars(run.setup), **vars(run.course), "seed": run.seed, "made": run.configuration}
    tags = {"data": run.data, "data_sha256": run.sha256, "coders": run.coders or "unknown", "kind": "simulation"}
    with tracking.run(f"simulation of {run.data}", f"{run.setup.name}, seed {run.seed}", configuration, tags) as kept:
        for number, step in enumerate(run.steps):
            known: Mapping[str, float | None] = {
                "labels": step.labels, "macro_f1": step.macro_f1, "kappa": step.kappa, "delta_f": step.delta_f,
                "train_s": step.train.clock, "query_s": step.query.clock,
                **{f"f1.{code}": value for code, value in step.f1.items()},
            }  # fmt: skip
            kept.metrics({name: value for name, value in known.items() if value is not None}, number)
        kept.artifact("selected", {"start": run.started_with, "asked": [step.asked for step in run.steps]})
