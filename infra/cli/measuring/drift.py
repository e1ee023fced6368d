"""The commands that say what changed in a file, or in a study since a day."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from infra.cli.commands import CommandList
from infra.cli.options import (
    STUDY,
    TABLE_FORMAT,
    TEXT_COLUMN,
    Command,
    error_console,
    output_console,
    read_options,
    read_settings,
    reading_options,
    say_written,
    several,
)
from infra.factory.models import Models
from infra.factory.pipeline import build_pipeline
from infra.factory.stores import build_store
from infra.files.timestamps import read_time
from infra.settings import Settings
from models.drift.settings import DriftSettings
from models.errors import InputError, SettingError, UnavailableError
from models.pipeline import Pipeline
from schemas import DriftAlert

if TYPE_CHECKING:
    from infra.drift.scan_file import RowCoder, ScanOptions, ScanResult
    from infra.drift.timestamped_texts import TimestampedTexts

CODED_AT_MOST = 1_500
"""Rows of a file without codes that are coded on the way unless told otherwise: five minutes at five a second."""
_SHOWN = 160
"""Characters of an example in the table."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object per alert, for programs.")
_HTML = click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to this file.")
_EMBED = click.option(
    "--embed/--no-embed", default=None, help="Whether texts are embedded; default: unless there are very many."
)


def _moment(_context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = read_time(value)
    if moment is None:
        raise click.BadParameter(f"'{value}' is no time such as 2026-03-01 or 2026-03-01T14:00")
    return moment


def _length(_context: click.Context, _option: click.Parameter, value: str | None) -> int | timedelta | None:
    if value is None or value.isdigit():
        return None if value is None else int(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", value.strip())
    if match is None:
        raise click.BadParameter(f"'{value}' is neither a number of segments such as 400 nor a time such as 6h or 2d")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _watched(command: Command) -> Command:
    """The options that say how to watch."""
    return several(
        command,
        click.option("--window", callback=_length, help="Segments in a window, or time such as 6h, 2d; default 400."),
        click.option(
            "--false-alarms",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help="Probability that a stream without a change raises any alert; default 0.05.",
        ),
        click.option(
            "--reference",
            type=click.Choice(["sliding", "fixed", "seasonal-hour", "seasonal-weekday"]),
            help="What the newest segments are compared with; default: all since the last change.",
        ),
    )


@click.group(cls=CommandList)
def drift() -> None:
    """Find what changed in what people say or in how it is coded, since when, and why."""


@drift.command("scan")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@STUDY
@_JSON
@_HTML
@click.option("--from", "since", callback=_moment, help="Only rows from this time on (UTC where it has no zone).")
@click.option("--to", "until", callback=_moment, help="Only rows before this time.")
@_watched
@TABLE_FORMAT
@TEXT_COLUMN
@read_options
@click.option("--time-column", help="Column with the time; default: the usual names.")
@click.option("--code-column", help="Column with the code, or with a list of them; default: the usual names.")
@click.option("--source-column", help="Column with where it came from; default: the first usual one that varies.")
@click.option("--confidence-column", help="Column with the coder's confidence, 0 to 1.")
@click.option("--profile", help="Code the rows with this profile, whatever codes the file has.")
@click.option(
    "--code/--no-code",
    default=None,
    help=f"Whether rows are coded first; default: a file without codes of up to {CODED_AT_MOST:,} rows is.",
)
@click.option("--texts-only", is_flag=True, help="Ignore codes: watch texts and sources only.")
@_EMBED
def scan_file(file: Path, study: str | None, as_json: bool, html: Path | None, **given: Any) -> None:
    """Report what changed in FILE, a table of timestamped texts (- for standard input), coded or not.

    Times without a zone are UTC. A file without codes is coded on the way where it is small enough, by the profile that
    is set or named; else, or with --no-code, it is watched by its texts and sources alone.
    """
    from infra.drift.report_html import write_report
    from infra.drift.scan_file import ScanOptions, example_texts
    from infra.drift.timestamped_texts import ReadOptions, read_timestamped
    from infra.files.row_tally import RowTally
    from streams.worker import tune_gc

    tune_gc()
    profile = given.pop("profile")
    if (profile or given["code"]) and given["texts_only"]:
        named = "--profile" if profile else "--code"
        raise InputError(f"{named} codes the rows and --texts-only leaves codes alone; give one of them")
    settings = read_settings(study=study, profile=profile)
    err = error_console()
    columns = ReadOptions(
        **{what: given[f"{what}_column"] for what in ("text", "time", "code", "source", "confidence")},
        **{what: given[what] for what in ("fmt", "since", "until")},
        reading=reading_options(settings, given),
    )
    options = ScanOptions(
        settings.study, drift_settings(given, lateness=timedelta()), given["embed"], given["texts_only"]
    )
    with read_timestamped(file, columns, RowTally(err)) as reading:
        result, coded = _scanned(reading, options, settings, err, code=True if profile else given["code"])
        ids = {id_ for alert in result.alerts for id_ in alert.examples}
        texts = example_texts(reading, options, ids) if html or options.embed is not False else {}
    _say_scanned(reading, result, options, err, coded=coded)
    show(result.alerts, as_json, result.verdict, texts)
    if html is not None:
        write_report(html, reading.name, result.alerts, result.data, texts, result.verdict)
        say_written(html)


@drift.command("report")
@STUDY
@click.option("--since", callback=_moment, help="Only segments from this time on; default: all.")
@_JSON
@_HTML
@_watched
@_EMBED
def report(study: str | None, since: datetime | None, as_json: bool, html: Path | None, **given: Any) -> None:
    """Report what changed in a study."""
    from infra.drift.report_html import write_report
    from infra.drift.scan_study import report_study
    from infra.storage.observations import texts_of

    settings = read_settings(needs_folder=True, study=study)
    err = error_console()
    with closing(build_store(settings)) as store:
        embedder = (lambda: _embedder(settings)) if given["embed"] else None
        result = report_study(store.database, settings.study, since, drift_settings(given), embedder)
        if not result.segments:
            raise InputError(f"study '{settings.study}' has no segments in '{settings.data_dir}' since then")
        err.print(f"{result.segments:,} segments of study '{settings.study}' watched", highlight=False, markup=False)
        texts = texts_of(store.database, [id_ for alert in result.alerts for id_ in alert.examples])
        show(result.alerts, as_json, result.verdict, texts)
        if html is not None:
            write_report(html, f"study '{settings.study}'", result.alerts, result.data, texts, result.verdict)
            say_written(html)


def drift_settings(given: dict[str, Any], **fixed: Any) -> DriftSettings:
    """The defaults, with what was given in their place."""
    requested = {name: given[name] for name in ("window", "false_alarms", "reference") if given.get(name) is not None}
    return DriftSettings(**requested, **fixed)


def as_json_line(alert: DriftAlert, texts: Mapping[UUID, str] | None = None) -> str:
    """An alert for programs, with the texts of its examples as far as they are given."""
    row = alert.model_dump(mode="json")
    row["example_texts"] = [texts[id_] for id_ in alert.examples if id_ in texts] if texts else []
    row["interval"] = [row.pop("earliest"), row.pop("latest")]
    return json.dumps(row, ensure_ascii=False)


def show(
    alerts: Sequence[DriftAlert],
    as_json: bool,
    verdict: str = "no change found",
    texts: Mapping[UUID, str] | None = None,
) -> None:
    """Print the alerts on standard output, in the order in which they were seen.

    Args:
        alerts: What was found.
        as_json: Whether programs read it: one JSON object an alert.
        verdict: What is printed where there is no alert.
        texts: Texts of the alerts' examples, as far as they are known.
    """
    if as_json:
        for alert in alerts:
            click.echo(as_json_line(alert, texts))
        return
    console = output_console()
    if not alerts:
        console.print(verdict, highlight=False)
        return
    from infra.drift.report_html import interval, shown_p, shown_time

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("since (95% interval)", "seen", "kind", "cause", "p", "effect", "what"):
        table.add_column(head, overflow="fold", justify="right" if head in ("p", "effect") else "left")
    for alert in alerts:
        between = f"\n[dim]{interval(alert)}[/dim]" if interval(alert) else ""
        row = (shown_time(alert.detected_at), escape(alert.kind), alert.cause, shown_p(alert.p), f"{alert.effect:+.3f}")
        table.add_row(shown_time(alert.at) + between, *row, _told(alert, texts or {}))
    console.print(table, highlight=False)


def _told(alert: DriftAlert, texts: Mapping[UUID, str]) -> str:
    """What an alert says and, of texts, what is new in them and five of them, as Rich's markup."""
    lines = [escape(alert.says)]
    new = {"new": alert.terms, "nearest codes": alert.nearest, "name": [alert.name] if alert.name else []}
    lines += [f"[dim]{what}:[/dim] {escape(', '.join(each))}" for what, each in new.items() if each]
    shown = [" ".join(texts[id_].split()) for id_ in alert.examples if id_ in texts] if alert.terms else []
    return "\n".join([*lines, *(f"[dim]- {escape(text[:_SHOWN])}[/dim]" for text in shown)])


def _scanned(
    reading: "TimestampedTexts", options: "ScanOptions", settings: Settings, err: Console, *, code: bool | None
) -> "tuple[ScanResult, bool]":
    """Scan a file, coded on the way where that is asked for or, unless it is refused, the file is small enough.

    Returns:
        What was found, and whether rows were coded on the way.
    """
    from infra.drift.scan_file import novel, scan

    small = not reading.coded and not options.texts_only and reading.rows <= CODED_AT_MOST
    models = Models.of(settings)
    if code or (code is None and small):
        try:
            pipeline = build_pipeline(settings)
            result = scan(reading, options, lambda: models.embedder, _coder(pipeline, reading.rows, err))
            return novel(reading, options, result, models.embedder, pipeline.moderator), True
        except (SettingError, UnavailableError) as error:
            if code:
                raise
            err.print(f"not coded: {error}", highlight=False, markup=False, soft_wrap=True)
    result = scan(reading, options, lambda: models.embedder)
    return novel(reading, options, result, models.embedder), False


def _say_scanned(reading: Any, result: Any, options: Any, err: Console, *, coded: bool) -> None:
    how = "coded on the way (--no-code leaves codes alone)" if coded else "as coded in the file"
    if not coded and (options.texts_only or not reading.coded):
        large = f", and more than {CODED_AT_MOST:,} rows (--code codes them)" if reading.rows > CODED_AT_MOST else ""
        why = "" if options.texts_only else f": no column of codes (see --code-column){large}"
        how = f"by texts and sources alone{why}"
    source = f"source: '{reading.source_column}'" if reading.source_column else "one source"
    embedded = f"{result.embedded:,} texts embedded" if result.embedded else "no text embedded"
    lines = [
        f"{result.segments:,} segments watched, {how}; {source}; {embedded}; "
        f"{_count(len(result.alerts), 'alert')} at a false-alarm rate of {options.settings.false_alarms:g} a stream",
        *([result.verdict] if not result.alerts and result.verdict.startswith("too few") else []),
        *([f"not looked at, for there are too few segments: {'; '.join(result.unseen)}"] if result.unseen else []),
        *([far] if (far := reading.times.says()) else []),
    ]
    for line in lines:
        err.print(line, highlight=False, markup=False, soft_wrap=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _embedder(settings: Settings) -> Any:
    return Models.of(settings).embedder


def _coder(pipeline: Pipeline, rows: int, err: Console) -> "RowCoder":
    """What codes rows on the way, with a progress bar."""
    return lambda segments: iter(track(pipeline.run(segments), description="coding", total=rows, console=err))
