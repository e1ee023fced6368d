"""The command that simulates active learning on texts that people coded."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from infra.cli.options import PIPED_WIDTH, error_console, output_console, read_settings, say_written
from infra.experiments.active_learning.datasets import Columns, Course, read_coded
from infra.experiments.active_learning.learners import HEADS, Reading, learner, setups
from infra.experiments.active_learning.results import HEADER, Found, as_json, collect, ends, rows
from infra.experiments.active_learning.runs import Job, play, track
from infra.experiments.active_learning.simulation import Run, Setup
from infra.settings import ensure_data_dir
from infra.training.tracking import MlflowTracking, NoTracking, Tracking
from models.classifier.query import STRATEGIES
from models.errors import InputError

_COUNT = click.IntRange(1)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="A file of texts with codes, as `teach` reads it."
)
@click.option("--text-column", help="Column with the text; default: the usual names.")
@click.option("--labels-column", help="Column with the codes; default: the usual names.")
@click.option("--codes", type=_COUNT, help="Keep the so many commonest codes; default: all.")
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("all-MiniLM-L6-v2",),
    show_default=True,
    help="A sentence model, tuned; frozen:NAME as it comes; transformer:NAME an encoder with its own layer.",
)
@click.option("--head", "heads", multiple=True, type=click.Choice(HEADS), default=("logistic",), show_default=True)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(STRATEGIES),
    default=("category-inconsistency", "prediction-entropy"),
    show_default=True,
)
@click.option("--initial", type=_COUNT, default=20, show_default=True, help="Labels at the start, by chance.")
@click.option("--query", type=_COUNT, default=25, show_default=True, help="Labels asked for after each training.")
@click.option("--iterations", type=click.IntRange(0), default=5, show_default=True)
@click.option("--pool", type=_COUNT, default=210, show_default=True, help="Texts that it may ask about.")
@click.option("--test", type=_COUNT, help="Texts to test on, the same for all seeds; default: what the pool leaves.")
@click.option("--seeds", type=_COUNT, default=10, show_default=True)
@click.option("--coder-field", help="A column of coders' names, or how the names of their own columns begin.")
@click.option("--train-coder", help="Whose codes are taught.")
@click.option("--test-coder", help="Whose codes are tested against; default: the same coder's.")
@click.option("--max-tokens", type=click.IntRange(8), default=256, show_default=True, help="Where texts are cut.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: below the data folder.")
@click.option("--track/--no-track", default=True, show_default=True, help="Whether MLflow keeps each run.")
def simulate(data: Path, models: Sequence[str], heads: Sequence[str], strategies: Sequence[str],
                     **options: Any) -> None:  # fmt: skip
    """Simulate active learning (train, ask, train again) on texts whose codes are known.

    Finished runs are kept in --out, so that an interrupted grid continues.
    """
    settings = read_settings()
    if bool(options["coder_field"]) != bool(options["train_coder"]):
        raise InputError("--coder-field and --train-coder go together; give both or neither")
    columns = Columns(options["text_column"], options["labels_column"],
                      options["coder_field"], options["train_coder"], options["test_coder"])  # fmt: skip
    coded = read_coded(data, columns, options["codes"])
    course = Course(**{name: options[name] for name in ("initial", "query", "iterations", "pool", "test")})
    reading = Reading(options["max_tokens"], options["device"])
    learners = {setup: learner(setup, reading) for setup in setups(models, heads, strategies)}
    jobs = [
        Job(coded, course, setup, seed, each) for seed in range(options["seeds"]) for setup, each in learners.items()
    ]
    out = options["out"] or ensure_data_dir(settings) / "simulations" / coded.name
    tracking: Tracking = MlflowTracking(settings.tracking_url) if options["track"] else NoTracking()
    err = error_console()
    for note in coded.notes:
        err.print(note, highlight=False, markup=False, soft_wrap=True)
    err.print(f"{len(coded.texts)} texts, {len(coded.codes)} codes, {len(learners)} setups, {options['seeds']} seeds",
              highlight=False)  # fmt: skip
    results = collect(
        _announced(play(jobs, out / "runs.jsonl", fresh=lambda run: track(tracking, run)), len(jobs), err)
    )
    _hand_over(results, out)


def _announced(runs: Iterator[Run], count: int, err: Console) -> Iterator[Run]:
    for number, run in enumerate(runs, 1):
        err.print(f"{number}/{count}  seed {run.seed}, {run.setup.name}: macro-F1 {run.curve[-1]:.3f}",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip
        yield run


def _hand_over(results: Sequence[Found], out: Path) -> None:
    from infra.experiments.active_learning.plots import write_plots

    console = output_console(least=PIPED_WIDTH)
    for each in results:
        show(each, console)
    file = out / "results.json"
    try:
        file.write_text(json.dumps([as_json(each) for each in results], indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{file}' ({error.strerror}); give another folder with --out") from error
    for path in [file, *write_plots(results, out)]:
        say_written(path)


def show(result: Found, console: Console) -> None:
    """Print a set's setups, best first, then what each code has, then differences of strategies."""
    console.print(f"\n{result.title}: {result.sizes[0]} to {result.sizes[-1]} labels, of {result.runs[0].course.pool}; "
                  "macro-F1 after the last training", highlight=False, markup=False)  # fmt: skip
    console.print(_table(HEADER, rows(result)))
    codes = list(result.runs[0].steps[-1].f1)
    lines = []
    for setup in result.by_setup:
        scores = result.per_code(setup)
        lines.append([setup.name, *(f"{scores[code].mean:.2f}" for code in codes)])
    console.print(_table(("F1 by code", *codes), lines))
    gaps = [[f"{a.name} - {b.name}", *_gap(result, a, b)] for a, b in _pairs(result)]
    if gaps:
        console.print(_table(("paired by seed", "macro-F1", "95% interval"), gaps))


def _pairs(result: Found) -> Iterator[tuple[Setup, Setup]]:
    """Setups that differ in one thing only."""
    setups_there = list(result.by_setup)
    for n, a in enumerate(setups_there):
        for b in setups_there[n + 1 :]:
            if sum(vars(a)[name] != vars(b)[name] for name in vars(a)) == 1:
                yield a, b


def _gap(result: Found, a: Setup, b: Setup) -> tuple[str, str]:
    gap = result.gap(a, b)
    return f"{gap.mean:+.3f}{'*' if gap.excludes_zero else ' '}", ends(gap, "+")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for n, name in enumerate(header):
        table.add_column(name, justify="right" if n > 2 or (n and header is not HEADER) else "left")
    for line in lines:
        table.add_row(*line)
    return table
