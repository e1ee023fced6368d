"""The paper's figures 2 to 6 as PNG files."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.paper.comparing import UPPER_BOUNDS
from infra.experiments.evaluation_plots import write_plots
from infra.experiments.plots import as_page, clean, inked, write_figures
from models.evaluation.report import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = {"coverage": "#2f7d5b", "novelty": "#b4532a", "divergence": "#52708c"}


def draw_plots(evaluation: Evaluation, against: str, folder: Path) -> list[Path]:
    """Draw every figure; the page that comes with them is not kept, since docs/paper.md has the tables."""
    files = write_plots(evaluation, against, folder)
    with inked():
        files += write_figures({"coverage": _shares(evaluation)}, as_page("Figure 3", ""), folder)
    (folder / "index.html").unlink()
    return [file for file in files if file.suffix == ".png"]


def _shares(evaluation: Evaluation) -> "Figure":
    from matplotlib.figure import Figure

    scores = evaluation.pooled.scores
    names = [name for name in scores if name not in UPPER_BOUNDS]
    figure = Figure(figsize=(10, 1.2 + 0.34 * len(names)), layout="constrained")
    for ax, (metric, colour) in zip(figure.subplots(1, 3, sharey=True), SHARES.items(), strict=True):
        values = [scores[name][metric].value for name in names]
        ends = [[scores[name][metric].value - scores[name][metric].low for name in names]]
        ends.append([scores[name][metric].high - scores[name][metric].value for name in names])
        ax.barh(names, values, color=colour, height=0.65, xerr=ends, capsize=2)
        ax.set_title(f"{metric}, 95% interval", fontsize=9)
        ax.invert_yaxis() if ax.get_subplotspec().is_first_col() else None
        clean(ax)
    return figure
