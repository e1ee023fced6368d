"""The command that takes a study's data out again: segments, labels, or a project for other programs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select

from infra.accounts.audit import AuditLog
from infra.cli.options import STUDY, Command, output_file, read_settings, several
from infra.clock import SystemClock
from infra.factory.stores import opened_store
from infra.files.timestamps import read_time
from infra.storage.segment_search import Filters
from infra.storage.store import Store
from infra.storage.studies import check_study
from infra.storage.tables import codes
from models.errors import InputError
from schemas.codebook import Level
from schemas.ids import normalised_label


def _narrowing(command: Command) -> Command:
    """The options that say which segments are exported; `_filters` takes what they give."""
    return several(
        command,
        click.option("--code", help="Only segments with this final code (its label)."),
        click.option("--theme", help="Only segments with a final code under this theme."),
        click.option("--source", default="", help="Only segments of this source or document."),
        click.option("--attribute", "attributes", multiple=True, help="NAME=VALUE: only these; may be repeated."),
        click.option("--from", "since", help="Only from this time on, such as 2026-03-01."),
        click.option("--to", "until", help="Only up to this time; a day is meant whole."),
        click.option("--decided", "human", flag_value="decided", help="Only what people have decided."),
        click.option("--undecided", "human", flag_value="undecided", help="Only where coders do not agree."),
    )


@click.command()
@STUDY
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["csv", "jsonl", "parquet", "qdpx"]),
    default="csv",
    show_default=True,
    help="qdpx: a REFI-QDA project with all texts, the codebook, every coded passage, its coders and memos.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File; default: standard output.")
@click.option("--labels", is_flag=True, help="What people decided instead, with who and when: their last words.")
@click.option("--history", is_flag=True, help="With --labels: everything they said, withdrawn labels included.")
@click.option("--memos", "notes", flag_value="memos", help="The memos on codes and documents instead.")
@click.option("--comments", "notes", flag_value="comments", help="What coders said to each other instead.")
@click.option(
    "--disputed",
    type=click.Choice(["majority", "none", "model"]),
    default="majority",
    show_default=True,
    help="The final code where coders differ and nobody has adjudicated: what more than half gave, none, or that "
    "majority and else the model's.",
)
@click.option("--full", is_flag=True, help="With how the models came to their code, and attributes as JSON too.")
@click.option(
    "--base",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With qdpx: the project that was taken in; what a study has no place for (cases, variables, notes, sets, "
    "links, pictures, recordings, texts that were not taken in) is written out again as it is there.",
)
@_narrowing
def export(study: str | None, fmt: str, out: Path | None, labels: bool, history: bool, **given: Any) -> None:
    """Write a study's segments with their final codes, the labels that people gave, their memos or their comments."""
    if history and not labels:
        raise InputError("--history goes with --labels; add it")
    if given["base"] and fmt != "qdpx":
        raise InputError("--base goes with --format qdpx; add it")
    settings = read_settings(study=study)
    with opened_store(settings) as store:
        check_study(store.database, settings.study)
        write = _writer(store, settings.study, fmt, labels, history, given)
        with output_file(out) as file:
            AuditLog(store.database, SystemClock()).add_command("export", scope=settings.study, subject=fmt)
            count = write(file)
    what = given["notes"] or ("labels" if labels or fmt == "qdpx" else "segments")
    if not count:
        click.echo(f"study '{settings.study}' has no such {what} in '{settings.data_dir}'", err=True)
    else:
        click.echo(f"{count} {what} of study '{settings.study}'" + (f" in {out}" if out else ""), err=True)


def _writer(
    store: Store, study: str, fmt: str, labels: bool, history: bool, given: dict[str, Any]
) -> Callable[[Any], int]:
    """What writes the file and says how many rows it has; nothing is written before all options are known to fit."""
    from infra.annotation.notes_files import write_notes
    from infra.files.export import export as export_segments
    from infra.files.export import export_labels
    from infra.files.segment_export import SegmentChoice
    from infra.refi.rest import with_the_rest
    from infra.refi.study_project import study_project

    filters, notes = _filters(store, study, given), given["notes"]
    if notes:
        if labels or fmt == "qdpx" or filters != Filters():
            raise InputError(f"--{notes} writes all of them, as csv, jsonl or parquet; leave the other options out")
        return lambda file: write_notes(store.database, study, notes, fmt, file)
    if (labels or fmt == "qdpx") and filters != Filters():
        raise InputError("labels and projects are exported whole; leave the options out that narrow, or --labels")
    if fmt == "qdpx":

        def project(file: Any) -> int:
            archive, count = study_project(store, study, datetime.now(UTC))
            if given["base"]:
                archive, kept = with_the_rest(archive, given["base"])
                click.echo(kept, err=True)
            file.write(archive)
            return count

        return project
    if labels:
        return lambda file: export_labels(store, study, fmt, file, history=history)
    choice = SegmentChoice(filters, given["disputed"], given["full"])
    return lambda file: export_segments(store, study, fmt, file, choice)


def _filters(store: Store, study: str, given: dict[str, Any]) -> Filters:
    until = _moment(given["until"], "--to")
    if until is not None and len(given["until"].strip()) <= len("2026-01-01"):
        until += timedelta(days=1)
    return Filters(
        code=_code(store, study, "code", given["code"]),
        theme=_code(store, study, "theme", given["theme"]),
        source=given["source"],
        attributes=tuple(map(_attribute, given["attributes"])),
        since=_moment(given["since"], "--from"),
        until=until,
        human=given["human"] or "",
    )


def _moment(value: str | None, option: str) -> datetime | None:
    if value is None:
        return None
    moment = read_time(value)
    if moment is None:
        raise InputError(f"{option}: '{value[:40]}' found; a time such as 2026-03-01 or 2026-03-01T12:00 is expected")
    return moment


def _attribute(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals):
        raise InputError(f"--attribute: '{pair[:40]}' found; NAME=VALUE is expected, such as rating=1")
    return name, value


def _code(store: Store, study: str, level: Level, label: str | None) -> UUID | None:
    """The living code or theme that goes by a label."""
    if label is None:
        return None
    query = select(codes.c.id, codes.c.label).where(codes.c.study == study, codes.c.level == level)
    with store.database.reading() as connection:
        rows = connection.execute(query.where(codes.c.retired.is_(False))).all()
    for row in rows:
        if normalised_label(row.label) == normalised_label(label):
            code: UUID = row.id
            return code
    raise InputError(f"study '{study}' has no {level} '{label}'; `qualstream codebook export` lists those it has")
