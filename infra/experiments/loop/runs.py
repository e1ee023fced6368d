"""Runs of the loop: each finished one is a line of a file, so that what was broken off goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infra.experiments.active_learning.datasets import CodedTexts
from infra.experiments.loop.baselines import run_baseline
from infra.experiments.loop.course import LoopCourse, LoopRun, Texts, lay_out, run_key
from infra.experiments.loop.system import LoopSystem
from infra.experiments.run_file import append_run, read_runs
from infra.training.classifier_factory import ClassifierFactory
from schemas import Proposal

PLAYED = ("whole", "classifier", "precedents", "head", "random")
"""Arms that are played; the others follow from them."""


def play(
    data: CodedTexts,
    course: LoopCourse,
    seeds: Sequence[int],
    arms: Sequence[str],
    factory: ClassifierFactory,
    file: Path,
    said: Mapping[str, Sequence[Proposal]] | None = None,
) -> Iterator[LoopRun]:
    """Play what is not in the file yet, seed by seed, and append it.

    Raises:
        InputError: If the file cannot be read or written, or there are too few texts.
    """
    known = {run.key: run for run in read_runs(file, LoopRun.from_json)}
    for seed in seeds:
        texts: Texts | None = None
        for arm in arms:
            sha256 = f"{data.sha256}{'+members' if said and arm == 'whole' else ''}"
            run = known.get(run_key(sha256, arm, seed, course))
            if run is None:
                texts = texts or lay_out(data, course, seed)
                run = _played(texts, course, arm, factory, sha256, said)
                append_run(file, run.to_json())
            yield run


def _played(
    texts: Texts,
    course: LoopCourse,
    arm: str,
    factory: ClassifierFactory,
    sha256: str,
    said: Mapping[str, Sequence[Proposal]] | None,
) -> LoopRun:
    if arm not in ("whole", "classifier"):
        return run_baseline(texts, factory.base.embed(texts.texts), course, arm, sha256)
    whole = arm == "whole"
    if not course.tune:
        factory = replace(factory, tune=None, teach=None)
    system = LoopSystem(texts, course, factory, precedents=whole, said=said if whole else None)
    return system.run(sha256, arm)
