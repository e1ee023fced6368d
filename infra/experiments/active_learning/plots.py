"""The notice's four figures: macro-F1 over labels by kind of head, F1 by code, and training time over labels."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.experiments.active_learning.learners import name_of
from infra.experiments.active_learning.results import HEADER, Found, rows
from infra.experiments.active_learning.simulation import Setup
from infra.experiments.plots import as_page, as_svg, clean, inked, write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (
    "#2f7d5b",
    "#b4532a",
    "#3d5a9e",
    "#a67c1b",
    "#7a3f7a",
    "#4a9aa8",
    "#7d2f3a",
    "#5b6b2f",
    "#888888",
    "#22302a",
)
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"))
"""Marker and line: the first for as many setups as there are colours, then the second."""
_CODE_LENGTH = 26
_SHORTEST = 1e-4  # seconds: there is no place for 0 on a logarithmic axis
TITLES = {
    "figure_1": "Figure 1: differentiable heads, macro-F1 over labels",
    "figure_2": "Figure 2: logistic heads, macro-F1 over labels",
    "figure_3": "Figure 3: F1 by code after the last training",
    "figure_4": "Figure 4: seconds of training over labels",
}


@dataclass(frozen=True)
class Look:
    """What tells a setup from the others."""

    color: str
    marker: str
    linestyle: str


def write_plots(results: Sequence[Found], folder: Path, clock: str = "clock") -> list[Path]:
    """Write ``figure_1`` to ``figure_4`` as PNG, with the sets side by side, and ``index.html``.

    A figure without a curve, such as the first where no differentiable head was run, is left out.

    Args:
        results: The sets' runs.
        folder: Made where it is missing.
        clock: ``clock`` for seconds on the clock, ``cpu`` for those of the processor.

    Returns:
        The files written.

    Raises:
        InputError: If the folder cannot be written to.
    """
    figures = _figures(results, clock)
    return write_figures(figures, _page(results, figures, clock), folder)


def _figures(results: Sequence[Found], clock: str) -> "dict[str, Figure]":
    setups = list(dict.fromkeys(setup for each in results for setup in each.by_setup))
    every = [Look(colour, *mark) for mark in _MARKS for colour in _COLOURS]
    looks = {setup: every[n % len(every)] for n, setup in enumerate(setups)}
    differentiable = [setup for setup in setups if setup.head.startswith("differentiable")]
    others = [setup for setup in setups if setup not in differentiable]
    with inked():
        figures = {
            "figure_1": _lines(results, differentiable, looks),
            "figure_2": _lines(results, others, looks),
            "figure_3": _codes(results, looks),
            "figure_4": _times(results, looks, clock),
        }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _side_by_side(results: Sequence[Found], names: int, height: float = 3.6) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 4.2 * len(results), height + 0.2 * names), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, len(results))))


def _lines(results: Sequence[Found], setups: Sequence[Setup], looks: Mapping[Setup, Look]) -> "Figure | None":
    kept = [each for each in results if set(setups) & set(each.by_setup)]
    if not kept:
        return None
    figure, axes = _side_by_side(kept, len(setups))
    for ax, each in zip(axes, kept, strict=True):
        for setup in setups:
            if setup in each.by_setup:
                curve = each.curve(setup)
                ax.plot(each.sizes, [point.mean for point in curve], **vars(looks[setup]), markersize=3)
                low, high = [point.low for point in curve], [point.high for point in curve]
                ax.fill_between(each.sizes, low, high, color=looks[setup].color, alpha=0.12, linewidth=0)
        _dress(ax, each, "macro-F1")
    return _with_legend(figure, setups, looks)


def _codes(results: Sequence[Found], looks: Mapping[Setup, Look]) -> "Figure":
    most = max(len(each.runs[0].steps[-1].f1) for each in results)
    figure, axes = _side_by_side(results, len(looks), 3.2 + max(0.45, 0.08 * len(looks)) * most)
    for ax, each in zip(axes, results, strict=True):
        codes = list(each.runs[0].steps[-1].f1)
        setups = list(each.by_setup)
        for n, setup in enumerate(setups):
            scores = [each.per_code(setup)[code] for code in codes]
            places = np.arange(len(codes)) + 0.8 * ((n + 0.5) / len(setups) - 0.5)
            means = np.array([score.mean for score in scores])
            spans = np.nan_to_num(np.array([[s.mean - s.low, s.high - s.mean] for s in scores]).T)
            look = looks[setup]
            ax.errorbar(means, places, xerr=spans, fmt=look.marker, markersize=3, color=look.color, linewidth=1)
        ax.set_yticks(range(len(codes)), [_short(code) for code in codes])
        ax.invert_yaxis()
        ax.set_xlabel("F1")
        ax.set_title(f"{each.title}, {each.sizes[-1]} labels", fontsize=9)
        clean(ax)
    return _with_legend(figure, list(looks), looks)


def _times(results: Sequence[Found], looks: Mapping[Setup, Look], clock: str) -> "Figure":
    figure, axes = _side_by_side(results, len(looks))
    for ax, each in zip(axes, results, strict=True):
        for setup in each.by_setup:
            seconds = np.maximum(each.seconds(setup, "train", clock), _SHORTEST)
            ax.plot(each.sizes, seconds, **vars(looks[setup]), markersize=3)
        ax.set_yscale("log")
        _dress(ax, each, "seconds of training" + (", processor" if clock == "cpu" else ""))
    return _with_legend(figure, list(looks), looks)


def _dress(ax: "Axes", each: Found, what: str) -> None:
    ax.set_xlabel("labels")
    ax.set_ylabel(what)
    ax.set_xticks(each.sizes)
    ax.set_title(each.title, fontsize=9)
    clean(ax)


def _with_legend(figure: "Figure", setups: Sequence[Setup], looks: Mapping[Setup, Look]) -> "Figure":
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], **vars(looks[setup]), markersize=4) for setup in setups]
    figure.legend(marks, [_name(setup) for setup in setups], loc="outside lower center", fontsize=8, frameon=False)
    return figure


def _page(results: Sequence[Found], figures: "Mapping[str, Figure]", clock: str) -> str:
    pictures = "".join(
        f"<h2>{html.escape(TITLES[name])}</h2><figure>{as_svg(figure, name)}</figure>"
        for name, figure in figures.items()
    )
    tables = "".join(_table(each, clock) for each in results)
    note = (
        "Means over seeds with 95% intervals. Macro-F1 on texts kept apart; the whole curve is its mean over all "
        f"trainings after the first. Seconds are {'of the processor' if clock == 'cpu' else 'on the clock'}, of the "
        "last training and of the last choice."
    )
    return as_page("Active learning, played through", f"<p>{note}</p>{tables}{pictures}")


def _table(each: Found, clock: str) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEADER)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(each, clock)
    )
    return (
        f"<h2>{html.escape(each.title)}: {each.sizes[0]} to {each.sizes[-1]} labels</h2>"
        f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'
    )


def _name(setup: Setup) -> str:
    return f"{name_of(setup.model)}, {setup.head}, {setup.strategy}"


def _short(code: str) -> str:
    code = re.sub(r"[_\s]+", " ", code)
    return code if len(code) <= _CODE_LENGTH else code[: _CODE_LENGTH - 1] + "…"
