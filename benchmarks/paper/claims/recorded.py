"""Figures that other pages hold: what takes hours is not measured again, but cited with its page and command."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.pages.layout import RESULTS

UNSEEN = "The shipped profile on exam proctoring"
TUNED = "Tuned on the open sets"
REFINED = "Refinement: thresholds"
SECOND = "The human yardstick"
WARM = "Warm start with 100 human-coded texts, nothing tuned: spread"
_MEAN = r"([\d.]+) ± ([\d.]+)"
_GRID_ROW = re.compile(rf"^\| ([\w.-]+) \| (\w+) \| {_MEAN} \| {_MEAN} \| {_MEAN} \| ([\d.]+)")
_GRID_PROMPT = re.compile(r"^\| \*(\d): (.*?)\*")


@dataclass(frozen=True)
class GridCell:
    """One base under one prompt of the paper's appendix B."""

    base: str
    prompt: int
    ending: str
    """``mark`` (a full stop or question mark) or ``line break``."""
    bertscore_f1: float
    deviation: float
    """Standard deviation over the texts."""
    rouge_1: float


@cache
def page(name: str) -> Any:
    """The figures of a result page."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def quality(section: str, system: str, metric: str = "rouge_1") -> dict[str, float]:
    """A figure of docs/results/coding-quality.md with its interval."""
    value: dict[str, float] = _section(section)["systems"][system][metric]
    return value


def quality_difference(section: str, system: str, metric: str = "composite") -> dict[str, float]:
    """A system less the one that its section compares all others with."""
    value: dict[str, float] = _section(section)["differences"][system][metric]
    return value


def _section(title: str) -> Any:
    sections = page("coding-quality")["sections"]
    return next(each for each in sections if each["title"].startswith(title))["parts"]["pooled"]


def question(name: str, when: str = "curve") -> dict[str, int]:
    """In how many comparisons of the active learning page a finding holds, the opposite does, or neither.

    Args:
        name: The finding, as the page has it.
        when: ``final``, after the last training; or ``curve``, the mean over all trainings after the first.
    """
    comparisons = page("active-learning")["questions"][name]
    return dict(Counter(_side(each[when]) for each in comparisons))


def question_range(name: str, when: str = "curve") -> tuple[float, float]:
    """Smallest and largest mean difference of macro-F1 over the comparisons."""
    means = [each[when]["mean"] for each in page("active-learning")["questions"][name]]
    return min(means), max(means)


def _side(gap: dict[str, float]) -> str:
    if gap["low"] > 0:
        return "holds"
    return "opposite" if gap["high"] < 0 else "no clear difference"


def coders() -> dict[str, dict[str, float]]:
    """Macro-F1 after the last training, by who taught and who judged."""
    sets = [each for each in page("active-learning")["sets"] if each["coders"]]
    return {each["coders"]: each["setups"][0]["macro_f1"][-1] | {"labels": each["labels"][-1]} for each in sets}


def hardest_codes(data: str) -> list[tuple[str, float]]:
    """The codes of a set by F1 of its best tuned setup, the hardest first."""
    found = next(each for each in page("active-learning")["sets"] if each["data"] == data and not each["coders"])
    setups = sorted(found["setups"], key=lambda each: -each["macro_f1"][-1]["mean"])
    return sorted(((code, f1["mean"]) for code, f1 in setups[0]["per_code"].items()), key=lambda pair: pair[1])


def learned(data: str, model: str, strategy: str = "category-inconsistency") -> dict[str, Any]:
    """A setup with a logistic head after its last training: ``macro_f1`` and ``train_cpu_s``."""
    found = next(each for each in page("active-learning")["sets"] if each["data"] == data and not each["coders"])
    setup = next(
        each
        for each in found["setups"]
        if (each["model"], each["head"], each["strategy"]) == (model, "logistic", strategy)
    )
    return {"macro_f1": setup["macro_f1"][-1], "train_cpu_s": setup["train_cpu_s"][-1], "labels": found["labels"][-1]}


def training_growth() -> float:
    """With which power of the labels the cost of our tuning grows: slope of the logarithms."""
    runs = page("retraining")["cost"]
    labels, seconds = (np.log([run[key] for run in runs]) for key in ("labels", "cpu_s"))
    return float(np.polyfit(labels, seconds, 1)[0])


def training_seconds(labels: int) -> float:
    """Mean CPU seconds of one tuning."""
    return float(np.mean([run["cpu_s"] for run in page("retraining")["cost"] if run["labels"] == labels]))


def setfit_gap() -> dict[str, dict[str, float]]:
    """Our tuning less SetFit's defaults: points of macro-F1, and how many times as long it takes by the clock."""
    compared = page("retraining")["compared"][0]
    return {"points": compared["points"], "wall": compared["wall"]}


def grid() -> list[GridCell]:
    """The cells of docs/results/grid.md."""
    cells, prompt, ending = [], 0, ""
    for line in (RESULTS / "grid.md").read_text(encoding="utf-8").splitlines():
        heading, row = _GRID_PROMPT.match(line), _GRID_ROW.match(line)
        if heading:
            prompt, ending = int(heading[1]), "line break" if heading[2].endswith("\\n") else "mark"
        elif row:
            cells.append(GridCell(row[1], prompt, ending, float(row[7]), float(row[8]), float(row[9])))
    return cells


def rated() -> dict[str, dict[str, float]]:
    """The blind ratings: of whose codes how many stand, and differences."""
    systems: dict[str, dict[str, float]] = page("rating")["systems"]
    return systems
