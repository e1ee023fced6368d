"""The command that plays active learning through on texts that people coded."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from infra.experiments.active_learning.datasets import Columns, Course, read_coded
from infra.experiments.active_learning.learners import HEADS, Reading, learner, setups
from infra.experiments.active_learning.results import HEADER, Found, as_json, collect, ends, rows
from infra.experiments.active_learning.runs import Job, play
from infra.experiments.active_learning.simulation import Run, Setup
from infra.settings import ensure_data_dir, load_settings
from infra.training.tracking import MlflowTracking, NoTracking, Tracking
from models.classifier.query import STRATEGIES
from models.errors import InputError

_WIDTH = 200  # what is piped is not folded
_COUNT = click.IntRange(1)


@click.command("simulate")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="JSONL or CSV: texts with lists of codes.")
@click.option("--text-column", default="text", show_default=True)
@click.option("--labels-column", default="labels", show_default=True, help="A list; in CSV between semicolons.")
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
def simulate_command(data: Path, models: Sequence[str], heads: Sequence[str], strategies: Sequence[str],
                     **options: Any) -> None:  # fmt: skip
    """Play active learning through: train, ask, train again, on texts whose codes are known.

    A finished run is kept in --out, so that a grid that was broken off goes on.
    """
    settings = load_settings()
    if bool(options["coder_field"]) != bool(options["train_coder"]):
        raise InputError("--coder-field and --train-coder go together; give both or neither")
    columns = Columns(options["text_column"], options["labels_column"],
                      options["coder_field"], options["train_coder"], options["test_coder"])  # fmt: skip
    coded = read_coded(data, columns, options["codes"])
    course = Course(**{name: options[name] for name in ("initial", "query", "iterations", "pool", "test")})
    reading = Reading(options["max_tokens"], options["device"])
    made = {setup: learner(setup, reading) for setup in setups(models, heads, strategies)}
    jobs = [Job(coded, course, setup, seed, each) for seed in range(options["seeds"]) for setup, each in made.items()]
    out = options["out"] or ensure_data_dir(settings) / "simulations" / coded.name
    tracking: Tracking = MlflowTracking(settings.tracking_url) if options["track"] else NoTracking()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    err = Console(stderr=True)
    err.print(f"{len(coded.texts)} texts, {len(coded.codes)} codes, {len(made)} setups, {options['seeds']} seeds",
              highlight=False)  # fmt: skip
    found = collect(_told(play(jobs, out / "runs.jsonl", fresh=lambda run: track(tracking, run)), len(jobs), err))
    _hand_over(found, out, err)


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


def _told(runs: Iterator[Run], count: int, err: Console) -> Iterator[Run]:
    for number, run in enumerate(runs, 1):
        err.print(f"{number}/{count}  seed {run.seed}, {run.setup.name}: macro-F1 {run.curve[-1]:.3f}",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip
        yield run


def _hand_over(found: Sequence[Found], out: Path, err: Console) -> None:
    from infra.experiments.active_learning.plots import write_plots

    console = Console(width=max(_WIDTH, Console().width))
    for each in found:
        show(each, console)
    file = out / "results.json"
    try:
        file.write_text(json.dumps([as_json(each) for each in found], indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{file}' ({error.strerror}); give another folder with --out") from error
    for path in [file, *write_plots(found, out)]:
        err.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)


def show(found: Found, console: Console) -> None:
    """Print a set's setups, best first, then what each code has, then differences of strategies."""
    console.print(f"\n{found.title}: {found.sizes[0]} to {found.sizes[-1]} labels, of {found.runs[0].course.pool}; "
                  "macro-F1 after the last training", highlight=False, markup=False)  # fmt: skip
    console.print(_table(HEADER, rows(found)))
    codes = list(found.runs[0].steps[-1].f1)
    lines = []
    for setup in found.by_setup:
        scores = found.per_code(setup)
        lines.append([setup.name, *(f"{scores[code].mean:.2f}" for code in codes)])
    console.print(_table(("F1 by code", *codes), lines))
    gaps = [[f"{a.name} - {b.name}", *_gap(found, a, b)] for a, b in _pairs(found)]
    if gaps:
        console.print(_table(("paired by seed", "macro-F1", "95% interval"), gaps))


def _pairs(found: Found) -> Iterator[tuple[Setup, Setup]]:
    """Setups that differ in one thing only."""
    setups_there = list(found.by_setup)
    for n, a in enumerate(setups_there):
        for b in setups_there[n + 1 :]:
            if sum(vars(a)[name] != vars(b)[name] for name in vars(a)) == 1:
                yield a, b


def _gap(found: Found, a: Setup, b: Setup) -> tuple[str, str]:
    gap = found.gap(a, b)
    return f"{gap.mean:+.3f}{'*' if gap.excludes_zero else ' '}", ends(gap, "+")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for n, name in enumerate(header):
        table.add_column(name, justify="right" if n > 2 or (n and header is not HEADER) else "left")
    for line in lines:
        table.add_row(*line)
    return table
