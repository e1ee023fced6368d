"""The commands of learning: what serves a study and why, what was released, and going back to an earlier one."""

import getpass
import json
from collections.abc import Iterator, Sequence
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from infra.brokers import publish_or_keep
from infra.cli.commands import CommandList
from infra.cli.measuring.simulate import simulate
from infra.cli.options import JSON_LINES, JSON_OBJECT, STUDY, output_console, person, read_settings
from infra.clock import SystemClock
from infra.factory.stores import opened_store
from infra.profiles.loading import load_profile
from infra.settings import Settings
from infra.storage.releases import history
from infra.storage.store import Store
from infra.storage.studies import studies
from infra.training.checkpoints import Checkpoints
from infra.training.explain import NONE_YET, Explainer, Explanation, stored_segment
from infra.training.explain import to_json as explanation_json
from infra.training.releases import again, classifier_of, find, serving
from infra.training.report import ClassifierReport, report, to_json
from models.errors import InputError
from models.text.words import nearest
from schemas import ModelRelease

_ATTEMPTS = 10  # shown in the status


@click.group(cls=CommandList)
def learn() -> None:
    """Inspect and roll back the classifiers that people's labels train."""


@learn.command("status")
@STUDY
@JSON_OBJECT
def show_status(study: str | None, as_json: bool) -> None:
    """Show a study's classifier: its version and quality, whose labels it has, and whether more would help."""
    settings = read_settings(study=study)
    profile = load_profile(settings.profile)
    with opened_store(settings) as store:
        status = report(store, settings.data_dir, settings.study, profile.trainer, SystemClock().now())
        if not (status.releases or status.labels.rows):
            _known(store, settings)
    if as_json:
        click.echo(json.dumps(to_json(status, _ATTEMPTS), ensure_ascii=False))
    else:
        _print(status, _console())


def _known(store: Store, settings: Settings) -> None:
    """See that there is such a study at all."""
    names = [study.name for study in studies(store.database)]
    if settings.study in names:
        return
    there = f"there is '{nearest(settings.study, names) or names[0]}': name one with --study, or " if names else ""
    raise InputError(
        f"no study '{settings.study}' in '{settings.data_dir}'; {there}bring its texts in with `qualstream ingest`"
    )


@learn.command("releases")
@STUDY
@JSON_LINES
def list_releases(study: str | None, as_json: bool) -> None:
    """List a study's classifiers, released or refused, newest first, with the one that serves."""
    settings = read_settings(study=study)
    known = releases_of(settings)
    serves = serving(known)
    if as_json:
        for release in known:
            row = json.loads(release.model_dump_json()) | {"serves": release == serves}
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    if not known:
        finding = f"study '{settings.study}' has no classifier yet in '{settings.data_dir}'"
        click.echo(f"{finding}; `qualstream learn status` says what it waits for", err=True)
        return
    _console().print(_table(known, serves))


@learn.command()
@click.argument("version")
@STUDY
@click.option("--author", help="Who does this; default: your user name.")
def rollback(version: str, study: str | None, author: str | None) -> None:
    """Go back to an earlier VERSION of a study's classifier; `learn releases` lists them."""
    settings = read_settings(study=study)
    name = person(author or getpass.getuser(), "--author")
    known = releases_of(settings)
    earlier = find(known, version)
    Checkpoints(settings.data_dir).load(earlier)
    release = again(earlier, serving(known), name, SystemClock())
    outcome = publish_or_keep(settings, [release])
    click.echo(f"version {version} serves study '{settings.study}' again; {outcome}", err=True)


@learn.command()
@click.argument("segment", type=click.UUID)
@click.option("--code", help="Label of the code to explain; default: the likeliest.")
@JSON_OBJECT
def explain(segment: UUID, code: str | None, as_json: bool) -> None:
    """Show which words of SEGMENT speak for its classifier's code, and which against it."""
    settings = read_settings()
    with opened_store(settings) as store:
        stored = stored_segment(store.database, segment)
        release = serving(history(store.database, classifier_of(stored.study)))
    if release is None:
        raise InputError(f"study '{stored.study}' has none to ask: {NONE_YET}")
    explanation = Explainer(settings.data_dir).explain(release, stored.text, code)
    if as_json:
        click.echo(json.dumps(explanation_json(explanation, segment), ensure_ascii=False))
    else:
        _print_explanation(explanation)


learn.add_command(simulate)


def releases_of(settings: Settings) -> list[ModelRelease]:
    """What was released and refused of a study's classifier, newest first, as the read model has it."""
    with opened_store(settings) as store:
        return history(store.database, classifier_of(settings.study))


def _console() -> Console:
    """Where labels and reasons are shown as they are, whatever brackets and colons they have."""
    return output_console(markup=False, emoji=False, highlight=False)


def _table(known: Sequence[ModelRelease], serves: ModelRelease | None) -> Table:
    table = _columns("", "version", "when", "labels", "macro-F1", "outcome", "by", "why")
    for release in known:
        table.add_row(
            "serves" if release == serves else "",
            release.version,
            f"{release.released_at:%Y-%m-%d %H:%M}",
            str(release.labels),
            _figure(release.metrics.get("macro_f1")),
            release.outcome,
            release.author,
            release.why,
        )
    return table


def _print(status: ClassifierReport, console: Console) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    for name, value in _facts(status):
        facts.add_row(name, value)
    console.print(facts)
    if status.codes:
        codes = _columns("code", "F1", "before", "labels")
        for row in status.codes:
            codes.add_row(row.label, _figure(row.f1), _figure(row.before), str(row.taught))
        console.print("", codes)
    if status.releases:
        console.print("", _table(status.releases[:_ATTEMPTS], status.current))


def _facts(status: ClassifierReport) -> Iterator[tuple[str, str]]:
    labels, advice = status.labels, status.advice
    yield "study", status.study
    yield from _serves(status)
    coders = ", ".join(f"{coder.name} {coder.segments}" for coder in status.coders)
    counted = f"{len(labels.rows)} segments"
    yield "labels", counted + (f"; by {coders}" if coders else "")
    if status.next is not None:
        yield "next", status.next.sentence
    elif labels.codes:
        yield "next", "Not known here: ask on the machine where the trainer works."
    yield "stopping", "Too few trainings to tell yet." if advice is None else advice.sentence
    if not status.trainer:
        yield "trainer", "None is at work, so new labels teach nothing for now: start it with `qualstream up`."


def _serves(status: ClassifierReport) -> Iterator[tuple[str, str]]:
    release = status.current
    if release is None:
        need = status.missing
        yield "serves", "nothing yet"
        if need.labels:
            yield (
                "needed",
                f"About {need.labels} more labelled segments: code them on the page, or `qualstream teach` them.",
            )
        else:
            yield "needed", "Labels enough: the first serves once it is better than always saying the commonest code."
        yield "to compare on", f"{need.labelled} of {need.least} labels"
        lacking = [f"{label} ({more} more)" for label, more in need.lacking]
        yield "codes", ", ".join([*need.enough, *lacking]) or f"none has {status.least_examples} examples yet"
        return
    since = f"{release.version} since {release.released_at:%Y-%m-%d %H:%M} UTC"
    yield "serves", f"{since}, by {release.author}, taught {release.labels} segments"
    low, high = release.metrics.get("macro_f1_low"), release.metrics.get("macro_f1_high")
    around = "" if low is None or high is None else f", 95% interval {low:.3f} to {high:.3f}"
    held = release.metrics.get("held_out")
    tested = "" if held is None else f" on {held:.0f} segments that people labelled, judged by what was not taught them"
    yield "macro-F1", (_figure(release.metrics.get("macro_f1")) or "not measured") + tested + around


def _columns(*names: str) -> Table:
    """A plain table; figures stand at the right, and only reasons and labels wrap."""
    table = Table(box=None, pad_edge=False)
    for name in names:
        figures = name in ("labels", "macro-F1", "F1", "before")
        table.add_column(name, justify="right" if figures else "left", no_wrap=name not in ("why", "code"))
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _print_explanation(explanation: Explanation) -> None:
    probability = f"{explanation.probability:.1%} (without words {explanation.baseline:.1%})"
    table = Table(title=f"'{explanation.label}' {probability}, {explanation.version}")
    table.add_column("Word", overflow="fold")
    table.add_column("Log-odds", justify="right")
    table.add_column("Share", justify="right")
    for part in sorted(explanation.words, key=lambda each: -abs(each.share)):
        table.add_row(part.text, "not read" if part.weight is None else f"{part.weight:+.3f}", f"{part.share:+.1%}")
    output_console(markup=False, emoji=False).print(table)  # a review's brackets and colons stay as they are
    others = ", ".join(f"{guess.label} {guess.probability:.0%}" for guess in explanation.guesses)
    click.echo(f"likeliest: {others}; unexplained {explanation.gap:+.3f}", err=True)
