"""Commands that tune adapters, one or a grid of them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from infra.cli.commands import CommandList
from infra.cli.options import Command, error_console, read_settings, several
from infra.finetuning.lora import Job, run

if TYPE_CHECKING:
    from models.coding.prompts import Ending


def _licences(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if not all(value.partition("=")[::2]):
            raise click.BadParameter(f"'{value}' is not SOURCE=LICENCE, such as 'interviews=CC BY 4.0'")
    return dict(value.split("=", 1) for value in values)


def _repeats(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    repeats = {}
    for value in values:
        source, _, times = value.partition("=")
        if not source or not times.isdigit():
            raise click.BadParameter(f"'{value}' is not SOURCE=TIMES, such as opencodes_games_as_art=2")
        repeats[source] = int(times)
    return repeats


def _tuning_options(command: Command) -> Command:
    """What one adapter and a grid of them are tuned by."""
    return several(
        command,
        click.option("--epochs", type=click.IntRange(1), default=2, show_default=True),
        click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Texts per update."),
        click.option("--lr", type=click.FloatRange(0, min_open=True), default=6e-4, show_default=True),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option(
            "--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts the texts fall into."
        ),
        click.option(
            "--fold", type=click.IntRange(0), default=0, show_default=True, help="The part kept for validation."
        ),
        click.option("--repeat", multiple=True, callback=_repeats, help="SOURCE=TIMES it is shown an epoch; 0: never."),
        click.option("--licence", "licences", multiple=True, callback=_licences, help="SOURCE=LICENCE, for the card."),
    )


@click.group(invoke_without_command=True, cls=CommandList)
@click.option("--pairs", type=click.Path(path_type=Path, dir_okay=False), help="JSONL: `text` and `codes`, a list.")
@click.option("--base", default="SmolLM2-135M-Instruct", show_default=True, help="Packaged model, folder, or hub name.")
@click.option("--prompt", type=click.IntRange(1, 6), default=1, show_default=True, help="The paper's prompt.")
@click.option("--ending", type=click.Choice(["dot", "newline"]), default="dot", show_default=True)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["plain", "chat"]),
    default="plain",
    show_default=True,
    help="chat: messages in the model's chat template; the member's `format` must be the same.",
)
@click.option("--role", type=click.Choice(["member", "moderator"]), default="member", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the adapter and its card.")
@_tuning_options
@click.pass_context
def finetune(context: click.Context, /, **options: Any) -> None:
    """Tune a LoRA adapter on pairs of text and code. Run again, it continues an interrupted run."""
    if context.invoked_subcommand is not None:
        return
    for needed in ("pairs", "out"):
        if options[needed] is None:
            raise click.UsageError(f"missing option --{needed}")
    from models.backends.lora.packing import Recipe
    from models.backends.sentence.bertscore import TokenStates

    recipe = Recipe(
        base=options["base"],
        prompt=options["prompt"],
        ending=cast("Ending", options["ending"]),
        role=options["role"],
        format=options["fmt"],
        epochs=options["epochs"],
        batch=options["batch"],
        learning_rate=options["lr"],
        seed=options["seed"],
    )
    data = {key: options[key] for key in ("pairs", "out", "folds", "fold", "repeat", "licences", "device")}
    card = run(Job(recipe=recipe, **data), read_settings().weights_dir, error_console(), TokenStates())
    click.echo(json.dumps({"out": str(options["out"]), **card["metrics"]}))


@finetune.command()
@click.option("--pairs", type=click.Path(path_type=Path, dir_okay=False), required=True, help="What the members had.")
@click.option(
    "--adapter", "adapters", type=click.Path(path_type=Path, file_okay=False), multiple=True, required=True,
    help="A tuned member; it reads only the texts that were kept from its training.",
)  # fmt: skip
@click.option("--samples", type=click.IntRange(0), default=2, show_default=True, help="Sampled answers per text.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="JSONL for a moderator.")
def proposals(pairs: Path, adapters: tuple[Path, ...], samples: int, out: Path) -> None:
    """Let members propose codes for texts they were not trained on: what a moderator learns from."""
    from infra.finetuning.cross_fitting import cross_fit
    from models.backends.sentence.embedder import SentenceEmbedder

    cache = read_settings().weights_dir
    written = cross_fit(pairs, adapters, samples, out, cache=cache, embedder=SentenceEmbedder())
    click.echo(json.dumps({"out": str(out), "texts": written}))


@finetune.command()
@click.option("--pairs", type=click.Path(path_type=Path, dir_okay=False), required=True, help="As for finetune.")
@click.option("--bases", multiple=True, default=["SmolLM2-135M-Instruct"], show_default=True, help="May be repeated.")
@click.option(
    "--prompts", type=click.IntRange(1, 6), multiple=True, default=list(range(1, 7)), help="Repeated; default: all."
)
@click.option(
    "--endings",
    type=click.Choice(["dot", "newline"]),
    multiple=True,
    default=["dot", "newline"],
    help="Default: both; a prompt that ends with a question mark has one form only.",
)
@click.option(
    "--few-shot", "shots", type=click.IntRange(0, 5), multiple=True,
    help="Adds rows that are not tuned, with so many examples in the prompt; 0: none. May be repeated.",
)  # fmt: skip
@_tuning_options
@click.option("--limit", type=click.IntRange(1), help="Only the first so many texts by hash: a quick grid.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Cells tuned at the same time.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the results, one subfolder per cell.",
)
@click.option("--top", type=click.IntRange(1), help="Writes profile.toml with the best so many cells as members.")
def grid(**options: Any) -> None:
    """Tune and compare bases, prompts and endings. Run again, it continues an interrupted run."""
    from infra.finetuning.grid import Grid, run_grid
    from models.backends.sentence.bertscore import TokenStates

    training = {"learning_rate": options.pop("lr"), **{key: options.pop(key) for key in ("epochs", "batch", "seed")}}
    mix = {key: options.pop(key) for key in ("folds", "fold", "repeat", "licences", "device")}
    console = error_console()
    tried = Grid(training=training, mix=mix, **options)
    click.echo(run_grid(tried, read_settings().weights_dir, console, TokenStates()), nl=False)
    if tried.top:
        console.print(f"profile with {tried.top} members: qualstream code FILE --profile {tried.out / 'profile.toml'}")
