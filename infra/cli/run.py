"""Commands that run the stream and look at it."""

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from infra.cli import EXIT_ERROR, EXIT_STOPPED
from infra.cli.options import (
    CASCADE,
    JSON_LINES,
    JSON_OBJECT,
    PROFILE,
    STUDY,
    error_console,
    output_console,
    read_settings,
)
from models.errors import InputError


@click.command()
@click.option("--role", help="Run this one role in the foreground; default: the whole stack on this machine.")
@click.option("--port", default=0, help="Port of the embedded broker; 0 is any free one.", show_default=True)
@PROFILE
@STUDY
@CASCADE
def up(role: str | None, port: int, profile: str | None, study: str | None, cascade: str | None) -> None:
    """Run the whole stack, one process for each role; or one role with --role.

    Uses the Kafka in QUALSTREAM_KAFKA_URL, or else the embedded broker.
    """
    settings = read_settings(needs_folder=True, profile=profile, study=study, cascade=cascade)
    if role is not None:
        from infra.roles.run import run_role

        run_role(role, settings)
        return
    from infra.local.demo import run_stack

    run_stack(settings, port, error_console())


@click.command()
@PROFILE
@STUDY
@CASCADE
def demo(profile: str | None, study: str | None, cascade: str | None) -> None:
    """Code 200 real reviews, live, on this machine."""
    from infra.local.demo import run_demo

    settings = read_settings(profile=profile, study=study, cascade=cascade)
    if not run_demo(settings, output_console()):
        sys.exit(EXIT_STOPPED)
    program = os.path.relpath(sys.argv[0])
    click.echo(f"\nThe coded reviews: {program} export --study {settings.study} --format csv --out reviews.csv")
    click.echo(f"Read, correct and curate them in a browser: {program} up")


@click.command()
@click.option("--role", help="Only this role.")
@click.option("--check", is_flag=True, help="Exit with 1 unless every role (or this one) was seen lately.")
@JSON_LINES
def status(role: str | None, check: bool, as_json: bool) -> None:
    """Show each role's lag, rate, last commit and errors."""
    from infra.factory.stores import opened_store
    from infra.telemetry.status import report

    settings = read_settings()
    with opened_store(settings) as store:
        healthy = report(settings, store, role, as_json, output_console())
    if check and not healthy:
        sys.exit(EXIT_ERROR)


@click.command()
@click.argument("topic")
@click.option("--follow", "-f", is_flag=True, help="Keep printing new messages until stopped.")
@click.option("--limit", type=click.IntRange(min=1), help="Print at most this many messages.")
def tail(topic: str, follow: bool, limit: int | None) -> None:
    """Print a topic's messages as JSON lines, with partition, offset and key."""
    from infra.telemetry.status import print_topic

    asyncio.run(print_topic(read_settings(), topic, follow, limit, sys.stdout))


@click.command()
@click.option("--check", is_flag=True, help="Compare with the brokers; exit with 1 where a topic differs.")
@JSON_LINES
def topics(check: bool, as_json: bool) -> None:
    """Print topics, their settings and each role's rights; or compare them with the brokers."""
    from infra.telemetry.topics import check as compare
    from infra.telemetry.topics import expected, print_topics

    settings = read_settings()
    console = output_console()
    if not check:
        print_topics(expected(settings), as_json, console)
    elif not compare(settings, as_json, console):
        sys.exit(EXIT_ERROR)


@click.command()
@click.option("--check", type=click.Path(path_type=Path), help="Exit with 1 unless this file contains the same table.")
def topology(check: Path | None) -> None:
    """Print roles and topics: who reads what, who writes what."""
    from streams.topology import describe

    printed = describe()
    if check is None:
        click.echo(printed)
        return
    try:
        shown = check.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{check}' ({error}); give the file that shows the print") from None
    if printed not in shown:
        raise InputError(f"{check} does not show what `qualstream topology` prints; copy the print into it")


@click.command()
@click.option("--study", help="Only this study; default: all.")
@JSON_OBJECT
def check(study: str | None, as_json: bool) -> None:
    """Count whether anything was lost, coded twice or never requested; exits with 1 if so.

    Reads the read model, and the topics whole where the brokers answer. Segments that are under way count as open.
    """
    from infra.factory.stores import opened_store
    from infra.storage.studies import check_study
    from infra.telemetry.invariant_check import check as count
    from infra.telemetry.invariant_check import show

    settings = read_settings()
    with opened_store(settings) as store:
        if study is not None:
            check_study(store.database, study)
        findings = count(settings, store, study)
    if findings.unread:
        click.echo(f"the topics were not read: {findings.unread}", err=True)
    if as_json:
        click.echo(json.dumps(findings.as_json()))
    else:
        show(findings, output_console(highlight=False))
    if findings.faults:
        sys.exit(EXIT_ERROR)
