"""The command line of learning: what serves a study, what was released, and going back to an earlier one."""

import getpass
import json
import sys
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.table import Table

from infra.brokers import publish_or_keep
from infra.clock import SystemClock
from infra.experiments.active_learning.command import simulate_command
from infra.factory.stores import opened_store
from infra.profiles.loading import load_profile
from infra.settings import Settings, load_settings, nearest
from infra.storage.releases import history
from infra.storage.store import Store
from infra.storage.studies import studies
from infra.training.checkpoints import Checkpoints
from infra.training.explain import explain_command
from infra.training.releases import again, classifier_of, find, serving
from infra.training.report import Report, report, to_json
from models.errors import InputError
from schemas import ModelRelease

_STUDY = click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
_LONGEST_NAME = 120
_ATTEMPTS = 10  # shown in the status


@click.group()
def learn() -> None:
    """The classifiers that people's labels teach."""


@learn.command("status")
@_STUDY
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def show_status(study: str | None, as_json: bool) -> None:
    """Show a study's classifier: what serves, how good it is, whose labels there are, and whether more of them pay."""
    settings = load_settings(study=study)
    profile = load_profile(settings.profile)
    with opened_store(settings) as store:
        found = report(store, settings.data_dir, settings.study, profile.trainer, SystemClock().now())
        if not (found.releases or found.labels.rows):
            _known(store, settings)
    if as_json:
        click.echo(json.dumps(to_json(found, _ATTEMPTS), ensure_ascii=False))
    else:
        _print(found, _console())


def _known(store: Store, settings: Settings) -> None:
    """See that there is such a study at all."""
    names = [one.name for one in studies(store.database)]
    if settings.study in names:
        return
    there = f"there is '{nearest(settings.study, names) or names[0]}': name one with --study, or " if names else ""
    raise InputError(
        f"no study '{settings.study}' in '{settings.data_dir}'; {there}bring its texts in with `qualstream ingest`"
    )


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
        found = f"study '{settings.study}' has no classifier yet in '{settings.data_dir}'"
        click.echo(f"{found}; `qualstream learn status` says what it waits for", err=True)
        return
    _console().print(_table(known, serves))


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
    how = publish_or_keep(settings, [release])
    click.echo(f"version {version} serves study '{settings.study}' again; {how}", err=True)


learn.add_command(explain_command)
learn.add_command(simulate_command)


def releases_of(settings: Settings) -> list[ModelRelease]:
    """What was released and refused of a study's classifier, newest first, as the read model has it."""
    with opened_store(settings) as store:
        return history(store.database, classifier_of(settings.study))


def _console() -> Console:
    """Where labels and reasons are shown as they are, whatever brackets and colons they have."""
    return Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False, highlight=False)


def _table(known: Sequence[ModelRelease], serves: ModelRelease | None) -> Table:
    table = _columns("", "version", "when", "labels", "macro-F1", "outcome", "by", "why")
    for one in known:
        table.add_row(
            "serves" if one == serves else "",
            one.version,
            f"{one.released_at:%Y-%m-%d %H:%M}",
            str(one.labels),
            _figure(one.metrics.get("macro_f1")),
            one.outcome,
            one.author,
            one.why,
        )
    return table


def _print(found: Report, console: Console) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    for name, value in _facts(found):
        facts.add_row(name, value)
    console.print(facts)
    if found.codes:
        codes = _columns("code", "F1", "before", "held out", "taught")
        for row in found.codes:
            codes.add_row(row.label, _figure(row.f1), _figure(row.before), str(row.held_out), str(row.taught))
        console.print("", codes)
    if found.releases:
        console.print("", _table(found.releases[:_ATTEMPTS], found.current))


def _facts(found: Report) -> Iterator[tuple[str, str]]:
    labels, advice = found.labels, found.advice
    yield "study", found.study
    yield from _serves(found)
    coders = ", ".join(f"{one.name} {one.segments}" for one in found.coders)
    counted = f"{len(labels.rows)} segments, {len(labels.training)} taught and {len(labels.held_out)} held out"
    yield "labels", counted + (f"; by {coders}" if coders else "")
    if found.next is not None:
        yield "next", found.next.sentence
    elif labels.codes:
        yield "next", "Not known here: ask on the machine where the trainer works."
    yield "stopping", "Too few trainings to tell yet." if advice is None else advice.sentence
    if not found.trainer:
        yield "trainer", "None is at work, so new labels teach nothing for now: start it with `qualstream up`."


def _serves(found: Report) -> Iterator[tuple[str, str]]:
    one = found.current
    if one is None:
        need = found.missing
        yield "serves", "nothing yet"
        if need.labels:
            yield (
                "needed",
                f"About {need.labels} more labelled segments: code them on the page, or `qualstream teach` them.",
            )
        else:
            yield "needed", "Labels enough: the first serves once it is better than always saying the commonest code."
        yield "to test on", f"{need.held_out} of {need.least} held-out labels"
        lacking = [f"{label} ({more} more)" for label, more in need.lacking]
        yield "codes", ", ".join([*need.enough, *lacking]) or f"none has {found.least_examples} examples yet"
        return
    yield (
        "serves",
        f"{one.version} since {one.released_at:%Y-%m-%d %H:%M} UTC, by {one.author}, taught {one.labels} segments",
    )
    low, high = one.metrics.get("macro_f1_low"), one.metrics.get("macro_f1_high")
    around = "" if low is None or high is None else f", 95% interval {low:.3f} to {high:.3f}"
    held = one.metrics.get("held_out")
    tested = "" if held is None else f" on {held:.0f} held-out segments that people labelled"
    yield "macro-F1", (_figure(one.metrics.get("macro_f1")) or "not measured") + tested + around


def _columns(*names: str) -> Table:
    """A plain table; figures stand at the right, and only reasons and labels wrap."""
    table = Table(box=None, pad_edge=False)
    for name in names:
        figures = name in ("labels", "macro-F1", "F1", "before", "held out", "taught")
        table.add_column(name, justify="right" if figures else "left", no_wrap=name not in ("why", "code"))
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
