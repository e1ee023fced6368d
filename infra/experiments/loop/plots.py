"""The loop's figures: what people are spared over time, and how much of that is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.experiments.loop.course import NAMES
from infra.experiments.loop.results import HEADER, WINDOW, ArmResult, LoopResult, rows
from infra.experiments.plots import as_page, as_svg, clean, inked, write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "whole": "#2f7d5b",
    "classifier": "#3d5a9e",
    "precedents": "#a67c1b",
    "head": "#b4532a",
    "random": "#888888",
    "people": "#22302a",
    "oracle": "#7a3f7a",
}


def write_plots(results: Sequence[LoopResult], folder: Path, seconds: float) -> list[Path]:
    """Write ``loop.png`` and ``index.html`` with tables.

    Raises:
        InputError: If the folder cannot be written to.
    """
    with inked():
        figure = _figure(results)
        drawing = as_svg(figure, "loop")
        tables = "".join(_table(_title(result), rows(result, seconds)) for result in results)
        page = as_page("The closed loop", drawing + tables)
        return write_figures({"loop": figure}, page, folder)


def _figure(results: Sequence[LoopResult]) -> "Figure":
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(10, 3.2 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), 2, squeeze=False)
    for result, (left, right) in zip(results, axes, strict=True):
        for arm in result.arms:
            _draw(left, right, arm)
        left.set(title=_title(result), xlabel="segments", ylabel="spared (share of the last 250)", ylim=(0, 1))
        right.set(title="wrong among what nobody looked at, so far", xlabel="segments")
        right.set_ylim(0, 3 * result.course.wrong)
        right.axhline(result.course.wrong, color="#22302a", linewidth=0.8, linestyle=":")
        left.legend(fontsize=7, frameon=False)
        clean(left)
        clean(right)
    return figure


def _title(result: LoopResult) -> str:
    return f"{result.data}, at most {result.course.wrong:.0%} wrong"


def _draw(left: "Axes", right: "Axes", arm: ArmResult) -> None:
    spared = arm.curve(lambda run: run.spared)
    places = np.arange(len(spared)) + WINDOW
    left.plot(places, spared, color=_COLOURS[arm.arm], label=NAMES[arm.arm], linewidth=1.3)
    if arm.promised and arm.arm != "oracle":
        wrongs = [np.cumsum(run.wrong) / np.maximum(1, np.cumsum(run.spared)) for run in arm.runs]
        right.plot(np.mean(wrongs, axis=0), color=_COLOURS[arm.arm], linewidth=1.3)


def _table(title: str, lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in HEADER)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<h2>{title}</h2><div class='wide'><table><tr>{head}</tr>{body}</table></div>"
