"""Commands about single segments: what is known of one, and deleting some for good."""

import json
from collections.abc import Iterator
from uuid import UUID

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.commands import CommandList
from infra.cli.options import JSON_OBJECT, STUDY, output_console, read_settings
from infra.factory.stores import opened_store
from infra.storage.store import Store
from infra.storage.studies import check_study
from infra.storage.trace import Trace, segments_named, trace
from models.errors import InputError
from models.routing.confidence_stages import STAGES
from schemas.feedback import attributes_of

_STANDINGS = {"code": "code", "proposed": "proposed code", "none": "no code"}
_NAMES = click.argument("names", metavar="ID...", nargs=-1, required=True)


@click.group(cls=CommandList)
def segments() -> None:
    """Show what is known of a segment, or delete segments for good."""


@segments.command("show")
@_NAMES
@STUDY
@JSON_OBJECT
def show_command(names: tuple[str, ...], study: str | None, as_json: bool) -> None:
    """Print a segment's story: its text, what each model proposed, its code and why, and what people decided.

    ID is the segment's own id, as in the file that it came from, or Qualstream's.
    """
    settings = read_settings(study=study)
    with opened_store(settings) as store:
        for segment in _ids(store, settings.study, names):
            story = trace(store.database, settings.study, segment)
            if story is not None and as_json:
                click.echo(json.dumps(dict(_story(story)), ensure_ascii=False))
            elif story is not None:
                _print(story, output_console())


@segments.command()
@_NAMES
@STUDY
@click.confirmation_option(prompt="This deletes segments for good, wherever they are kept. Go on?")
def delete(names: tuple[str, ...], study: str | None) -> None:
    """Delete segments wherever they are kept; prints a receipt as JSON. The same as `qualstream erase --segment`."""
    from infra.erasure.erase import Eraser

    settings = read_settings(needs_folder=True, study=study)
    with opened_store(settings) as store:
        receipt = Eraser(settings, store).segments(set(_ids(store, settings.study, names)), "segments by id")
    click.echo(receipt.to_json())


def _ids(store: Store, study: str, names: tuple[str, ...]) -> list[UUID]:
    """Every segment that goes by these names; several may have one own id, from several sources."""
    check_study(store.database, study)
    ids = []
    for name in names:
        known = segments_named(store.database, study, name)
        if not known:
            raise InputError(f"study '{study}' has no segment '{name}'; an id of its file or of Qualstream is expected")
        ids += known
    return list(dict.fromkeys(ids))


def _story(story: Trace) -> Iterator[tuple[str, object]]:
    segment, decision, given = story.segment, story.decision, story.assignment
    yield "id", str(segment.id)
    yield "source", segment.source
    yield "text", segment.text
    yield "attributes", attributes_of(segment.metadata)
    yield "taken in", story.taken_in_at.isoformat()
    yield "published", None if story.published_at is None else story.published_at.isoformat()
    if decision is not None:
        yield "proposals", {each.member: each.label or each.fault for each in decision.proposals}
        yield "decision", f"{decision.label} ({decision.verdict}: {decision.why})"
    if given is not None:
        yield _STANDINGS[given.standing], given.label
        yield "new code" if given.new else "reused" if given.standing == "code" else "why", given.why
        yield "confidence", given.confidence
        yield "route", given.route
        yield "confidence stage", STAGES[given.confidence_stage] if given.confidence_stage else None
    if story.request is not None:
        yield "asked", f"{story.request.reason}; {story.open_slots} more people are asked for"
    yield "people", [f"{each.annotation.annotator}: {', '.join(c.label for c in each.codes)}" for each in story.people]
    yield "final codes", [code.label for code in story.outcome.codes]
    yield "set aside", [f"{each.letter.role}: {each.letter.reason}" for each in story.letters]


def _print(story: Trace, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _story(story):
        if value not in (None, [], {}):
            table.add_row(name, escape(_plain(value)))
    console.print(table, highlight=False)
    console.print()


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {each}" for name, each in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
