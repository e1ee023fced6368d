"""Plots of an evaluation: PNG files, and one HTML page that needs nothing but itself."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.experiments.plots import INK, as_page, as_svg, clean, inked, write_figures
from models.evaluation.bootstrap import difference
from models.evaluation.correlation import Agreement, agreement
from models.evaluation.report import PEOPLE, Evaluation, SetScores
from models.ports import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BAR, _HUMAN = "#2f7d5b", "#b4532a"


def write_plots(evaluation: Evaluation, against: str, folder: Path) -> list[Path]:
    """Write ``scores``, ``agreement_cosine``, ``agreement_jsd`` and ``codes_and_length`` as PNG, and ``index.html``.

    Returns:
        The files written.

    Raises:
        InputError: If the folder cannot be written to.
    """
    figures = _figures(evaluation, agreement(evaluation.score_table))
    return write_figures(figures, _page(evaluation, against, figures), folder)


def _figures(evaluation: Evaluation, agreed: Agreement) -> "dict[str, Figure]":
    with inked():
        return {
            "scores": _bars(evaluation.pooled),
            "agreement_cosine": _heat(agreed, agreed.cosine, "Mean cosine of two coders' codes", "Greens"),
            "agreement_jsd": _heat(agreed, agreed.jensen_shannon, "Mean Jensen-Shannon divergence (bits)", "Greens_r"),
            "codes_and_length": _scatter(evaluation.pooled),
        }


def _bars(part: SetScores) -> "Figure":
    """The composite (cosine where METEOR is missing) and ROUGE-1, with 95% intervals."""
    from matplotlib.figure import Figure

    names = list(part.scores)
    left = "composite" if "composite" in part.scores[names[0]] else "cosine"
    figure = Figure(figsize=(9, 1.2 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = {"composite": "Composite (absolute)", "cosine": "Cosine", "rouge_1": "ROUGE-1 F1"}
    for ax, metric in zip(axes, (left, "rouge_1"), strict=True):
        scores = [part.scores[name][metric] for name in names]
        values = np.array([score.value for score in scores])
        ends = np.nan_to_num([[score.value - score.low, score.high - score.value] for score in scores]).T
        ax.barh(names, values, color=_BAR, height=0.65, xerr=np.maximum(ends, 0), ecolor=INK, capsize=2.5)
        ax.set_title(f"{titles[metric]}, {part.texts} texts, 95% interval", fontsize=9)
        clean(ax)
    axes[0].invert_yaxis()
    return figure


def _heat(agreed: Agreement, table: Floats, title: str, colours: str) -> "Figure":
    from matplotlib.figure import Figure

    size = len(agreed.names)
    figure = Figure(figsize=(2.6 + 0.62 * size, 2.0 + 0.52 * size), layout="constrained")
    ax = figure.subplots()
    picture = ax.imshow(table, cmap=colours, vmin=0, vmax=1)
    ax.set_xticks(range(size), agreed.names, rotation=40, ha="right")
    ax.set_yticks(range(size), agreed.names)
    ax.set_title(title, fontsize=9)
    for (row, column), value in np.ndenumerate(table):
        dark = (value > 0.55) == (colours == "Greens")
        label = "" if np.isnan(value) else f"{value:.2f}"
        ax.text(column, row, label, ha="center", va="center", color="white" if dark else INK, fontsize=8)
    ax.spines[:].set_visible(False)
    figure.colorbar(picture, ax=ax, shrink=0.8)
    return figure


def _scatter(part: SetScores) -> "Figure":
    """Distinct codes against words a code, with people's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    ax = figure.subplots()
    points = {name: (scores["distinct"].value, scores["words"].value) for name, scores in part.scores.items()}
    for name, place in {**points, PEOPLE: (part.human["distinct"], part.human["words"])}.items():
        ax.scatter(*place, color=_HUMAN if name == PEOPLE else _BAR, s=42, zorder=3)
        ax.annotate(name, place, xytext=(6, 4), textcoords="offset points", fontsize=8)
    ax.set_xlabel(f"distinct codes on {part.texts} texts")
    ax.set_ylabel("words a code")
    ax.margins(x=0.16, y=0.12)
    clean(ax)
    return figure


def _page(evaluation: Evaluation, against: str, figures: "Mapping[str, Figure]") -> str:
    pictures = "".join(f"<figure>{as_svg(figure, name)}</figure>" for name, figure in figures.items())
    parts = "".join(_section(part, against) for part in evaluation.parts.values())
    tools = "; ".join(f"{what}: {model}" for what, model in evaluation.models.items())
    left_out = "".join(f"<p>{_text(what)} is left out: {_text(why)}.</p>" for what, why in evaluation.left_out.items())
    note = (
        f"Measured with {tools}. 95% intervals from {evaluation.options.resamples} resamples of texts, seed "
        f"{evaluation.options.seed}; codes are equal from a cosine of {evaluation.options.threshold}."
    )
    return as_page("Codes beside people's", f"<p>{_text(note)}</p>{left_out}{pictures}{parts}")


def _section(part: SetScores, against: str) -> str:
    metrics = list(next(iter(part.scores.values())))
    places = {metric: 0 if metric == "distinct" else 3 for metric in metrics}

    def figure(name: str, metric: str) -> str:
        score, n = part.scores[name][metric], places[metric]
        ends = "no interval" if np.isnan(score.low) else f"{score.low:.{n}f} to {score.high:.{n}f}"
        return f"{score.value:.{n}f}<small>{ends}</small>"

    def gap(name: str, metric: str) -> str:
        delta, n = difference(part.scores[name][metric], part.scores[against][metric]), places[metric]
        star = " *" if delta.excludes_zero else ""
        ends = "no interval" if np.isnan(delta.low) else f"{delta.low:+.{n}f} to {delta.high:+.{n}f}"
        return f"{delta.mean:+.{n}f}{star}<small>{ends}</small>"

    others = [name for name in part.scores if name != against]
    human = part.human
    text = (
        f"<h2>{_text(part.name)}</h2><p>{part.texts} texts, {human['distinct']:.0f} distinct human codes, "
        f"{human['words']:.2f} words a code, {human['codes']:.2f} codes a text.</p>"
        + _table(list(part.scores), metrics, figure)
    )
    if others:
        text += f"<h3>Differences to {_text(against)} (* interval without zero)</h3>" + _table(others, metrics, gap)
    return text


def _table(names: list[str], metrics: list[str], cell: Callable[[str, str], str]) -> str:
    head = "".join(f"<th>{_text(metric)}</th>" for metric in metrics)
    rows = [
        f"<tr><td>{_text(name)}</td>" + "".join(f"<td>{cell(name, metric)}</td>" for metric in metrics) + "</tr>"
        for name in names
    ]
    return f'<div class="wide"><table><tr><th>system</th>{head}</tr>{"".join(rows)}</table></div>'


def _text(text: str) -> str:
    return html.escape(text.replace("_", " "))
