"""Runs of the loop: each finished one is a line of a file, so that what was broken off goes on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infra.experiments.active_learning.datasets import CodedTexts
from infra.experiments.loop.baselines import run_baseline
from infra.experiments.loop.course import LoopCourse, LoopRun, Texts, lay_out, run_key
from infra.experiments.loop.system import LoopSystem
from models.errors import InputError
from models.ports import Embedder
from schemas import Proposal

PLAYED = ("whole", "classifier", "precedents", "head", "random")
"""Arms that are played; the others follow from them."""


def play(
    data: CodedTexts,
    course: LoopCourse,
    seeds: Sequence[int],
    arms: Sequence[str],
    embedder: Embedder,
    file: Path,
    said: Mapping[str, Sequence[Proposal]] | None = None,
) -> Iterator[LoopRun]:
    """Play what is not in the file yet, seed by seed, and append it.

    Raises:
        InputError: If the file cannot be read or written, or there are too few texts.
    """
    known = {run.key: run for run in read_runs(file)}
    for seed in seeds:
        texts: Texts | None = None
        for arm in arms:
            sha256 = f"{data.sha256}{'+members' if said and arm == 'whole' else ''}"
            run = known.get(run_key(sha256, arm, seed, course))
            if run is None:
                texts = texts or lay_out(data, course, seed)
                run = _played(texts, course, arm, embedder, sha256, said)
                _append(file, run)
            yield run


def _played(
    texts: Texts,
    course: LoopCourse,
    arm: str,
    embedder: Embedder,
    sha256: str,
    said: Mapping[str, Sequence[Proposal]] | None,
) -> LoopRun:
    if arm not in ("whole", "classifier"):
        return run_baseline(texts, embedder.embed(texts.texts), course, arm, sha256)
    whole = arm == "whole"
    system = LoopSystem(texts, course, embedder, precedents=whole, said=said if whole else None)
    return system.run(sha256, arm)


def read_runs(file: Path) -> list[LoopRun]:
    """The runs in a file, none if there is no file; a line that was broken off is passed over.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{file}' ({error}); give another folder with --out") from error
    runs = []
    for line in lines:
        try:
            runs.append(LoopRun.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            continue
    return runs


def _append(file: Path, run: LoopRun) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        with file.open("a", encoding="utf-8") as out:
            out.write(("" if whole else "\n") + json.dumps(run.to_json(), ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot write '{file}' ({error.strerror}); give another folder with --out") from error
