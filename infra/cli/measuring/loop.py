"""The command that plays the closed loop through on texts whose codes are known."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from infra.cli.commands import CommandList
from infra.cli.options import PIPED_WIDTH, PROFILE, error_console, output_console, read_settings, say_written
from infra.experiments.active_learning.datasets import Columns, read_coded
from infra.experiments.loop.course import NAMES, LoopCourse, LoopRun
from infra.experiments.loop.members import read_proposals
from infra.experiments.loop.results import HEADER, LoopResult, as_json, rows, wrong_share
from infra.experiments.loop.runs import PLAYED, play
from infra.factory.classifiers import build_classifier_factory
from infra.factory.models import Models
from infra.settings import ensure_data_dir
from models.errors import InputError

_COUNT = click.IntRange(1)
_INSIDE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.group(cls=CommandList)
def loop() -> None:
    """The closed loop: code, route under a promise, label what is routed, learn, go on."""


@loop.command("simulate")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="A file of texts with codes, as `teach` reads it."
)
@click.option("--text-column", help="Column with the text; default: the usual names.")
@click.option("--labels-column", help="Column with the codes; default: the usual names.")
@click.option("--codes", type=_COUNT, help="Keep the so many commonest codes; default: all.")
@click.option("--limit", type=_COUNT, default=3_000, show_default=True, help="Texts a run, at most.")
@click.option("--wrong", type=_INSIDE, default=0.1, show_default=True, help="Promised: most wrong of what is accepted.")
@click.option("--certainty", type=_INSIDE, default=0.95, show_default=True, help="How sure the promise is.")
@click.option("--audit", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Share drawn by chance.")
@click.option("--error-rate", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Of the person.")
@click.option("--seconds-per-label", type=float, default=20.0, show_default=True, help="What a label costs a person.")
@click.option("--seeds", type=_COUNT, default=10, show_default=True)
@click.option("--first-seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--shuffle/--keep-order", default=True, show_default=True, help="Order by seed, or that of the file.")
@click.option(
    "--tune/--no-tune",
    default=True,
    show_default=True,
    help="Whether bodies are tuned, as in the stream.",
)
@click.option("--often", is_flag=True, help="Tune bodies as often as the stream does, which takes longer.")
@click.option("--arm", "arms", multiple=True, type=click.Choice(PLAYED), default=PLAYED, help="Default: all.")
@click.option(
    "--proposals",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What `qualstream code` wrote of these texts, as members' proposals; without, the nearest label is one.",
)
@PROFILE
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: below the data folder.")
def simulate_loop(data: Path, arms: Sequence[str], seeds: int, out: Path | None, **options: Any) -> None:
    """Replay a file with a simulated person who gives its codes, and count what people are spared and what is wrong.

    The parts are the stream's own. Beside the whole system, in the same run: the study's classifier, the precedents and
    a plain logistic head alone, a share by chance, everything to people, and an oracle. A finished run is kept in
    --out, so that what was broken off goes on.
    """
    settings = read_settings(profile=options["profile"])
    coded = read_coded(data, Columns(options["text_column"], options["labels_column"]), options["codes"])
    course = LoopCourse(
        options["wrong"], options["certainty"], options["audit"], options["error_rate"], options["limit"],
        options["shuffle"], tune=options["tune"], often=options["often"],
    )  # fmt: skip
    folder = ensure_data_dir(settings)
    out = out or folder / "loops" / coded.name
    said = read_proposals(options["proposals"]) if options["proposals"] else None
    factory = build_classifier_factory(Models.of(settings), folder / "embeddings")
    err = error_console()
    for note in coded.notes:
        err.print(note, highlight=False, markup=False, soft_wrap=True)
    err.print(f"{len(coded.texts)} texts, {len(coded.codes)} codes, {len(arms)} arms, {seeds} seeds", highlight=False)
    numbers = range(options["first_seed"], options["first_seed"] + seeds)
    runs = _announced(play(coded, course, numbers, arms, factory, out / "runs.jsonl", said), seeds * len(arms), err)
    _hand_over(LoopResult(coded.name, course, tuple(runs)), out, options["seconds_per_label"])


def _announced(runs: Iterator[LoopRun], count: int, err: Console) -> Iterator[LoopRun]:
    for number, run in enumerate(runs, 1):
        err.print(
            f"{number}/{count}  seed {run.seed}, {NAMES[run.arm]}: {run.spared.mean():.1%} spared, "
            f"{wrong_share(run):.1%} of it wrong",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        yield run


def _hand_over(result: LoopResult, out: Path, seconds: float) -> None:
    from infra.experiments.loop.plots import write_plots

    console = output_console(least=PIPED_WIDTH)
    show(result, seconds, console)
    file = out / "loop.json"
    try:
        file.write_text(json.dumps(as_json(result, seconds), indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{file}' ({error.strerror}); give another folder with --out") from error
    for path in [file, *write_plots([result], out, seconds)]:
        say_written(path)


def show(result: LoopResult, seconds: float, console: Console) -> None:
    """Print each arm, then what people were asked for."""
    course = result.course
    console.print(
        f"\n{result.data}: at most {course.wrong:.0%} wrong of what nobody looks at, {course.certainty:.0%} certain; "
        "mean over seeds, 95% interval", highlight=False, markup=False,
    )  # fmt: skip
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in HEADER:
        table.add_column(name, justify="left" if name == "arm" else "right", no_wrap=True)
    for line in rows(result, seconds):
        table.add_row(*line)
    console.print(table)
    for arm in result.arms:
        if arm.labels and arm.arm not in ("people", "oracle"):
            reasons = ", ".join(f"{reason} {count:.0f}" for reason, count in arm.labels.items())
            console.print(f"labels, {NAMES[arm.arm]}: {reasons}", highlight=False, markup=False)
