"""The command line of learning: which classifiers were released, and going back to an earlier one."""

import getpass
import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from infra.learning.checkpoints import Checkpoints
from infra.learning.explaining import explain_command
from infra.learning.releasing import again, classifier_of, find, serving
from infra.learning.simulation_command import simulate_command
from infra.settings import Settings, ensure_data_dir, load_settings
from infra.teaching import write
from models.clock import SystemClock
from models.errors import InputError
from schemas import ModelRelease

_STUDY = click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
_LONGEST_NAME = 120


@click.group()
def learn() -> None:
    """The classifiers that people's labels teach."""


@learn.command("releases")
@_STUDY
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def list_releases(study: str | None, as_json: bool) -> None:
    """List a study's classifiers, released or refused, newest first, with the one that serves."""
    settings = load_settings(study=study)
    known = releases_of(settings)
    serves = serving(known)
    if as_json:
        for one in known:
            click.echo(json.dumps(json.loads(one.model_dump_json()) | {"serves": one == serves}, ensure_ascii=False))
        return
    if not known:
        click.echo(f"study '{settings.study}' has no classifier yet in '{settings.data_dir}'", err=True)
        return
    Console(width=None if sys.stdout.isatty() else 200).print(_table(known, serves))


@learn.command()
@click.argument("version")
@_STUDY
@click.option("--author", help="Who goes back to it; default: your user name.")
def rollback(version: str, study: str | None, author: str | None) -> None:
    """Let an earlier VERSION of a study's classifier serve again; `learn releases` shows them."""
    settings = load_settings(study=study)
    name = " ".join((author or getpass.getuser()).split())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InputError(f"author {name[:40]!r} is no name; 1 to {_LONGEST_NAME} characters are expected in --author")
    known = releases_of(settings)
    earlier = find(known, version)
    Checkpoints(settings.data_dir).load(earlier)
    release = again(earlier, serving(known), name, SystemClock())
    how = write(settings, [release])
    click.echo(f"version {version} serves study '{settings.study}' again; {how}", err=True)


learn.add_command(explain_command)
learn.add_command(simulate_command)


def releases_of(settings: Settings) -> list[ModelRelease]:
    """What was released and refused of a study's classifier, newest first, as the read model has it."""
    from infra import wiring

    ensure_data_dir(settings)
    store = wiring.store(settings)
    try:
        known = [
            one for one in store.history(ModelRelease, settings.study) if one.model == classifier_of(settings.study)
        ]
    finally:
        store.close()
    return sorted(known, key=lambda one: (one.released_at, one.version), reverse=True)


def _table(known: Sequence[ModelRelease], serves: ModelRelease | None) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "version", "when", "labels", "macro-F1", "outcome", "by", "why"):
        table.add_column(name, justify="right" if name in ("labels", "macro-F1") else "left", no_wrap=name != "why")
    for one in known:
        macro = one.metrics.get("macro_f1")
        table.add_row(
            "serves" if one == serves else "",
            one.version,
            f"{one.released_at:%Y-%m-%d %H:%M}",
            str(one.labels),
            "" if macro is None else f"{macro:.3f}",
            one.outcome,
            one.author,
            one.why,
        )
    return table
