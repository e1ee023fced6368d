"""The command line. Data on standard output, words on standard error, our errors one line."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import click
from rich.console import Console

from infra.accounts.commands import account
from infra.annotation.agreement import agreement_command
from infra.codebook.recode import replay as replay_command
from infra.codebook.seed_codebook import teach
from infra.codebook.themes_job import themes
from infra.codebook.thresholds_job import threshold
from infra.drift.commands import drift
from infra.experiments.evaluate import evaluate_command
from infra.factory.stores import forget_codes, opened_store
from infra.finetuning.lora import finetune
from infra.settings import Settings, ensure_data_dir, load_settings
from infra.telemetry import logs
from infra.telemetry.invariant_check import check_command
from infra.training.commands import learn
from models.errors import InputError, QualstreamError, SettingError

EXIT_ERROR, EXIT_SETTING, EXIT_STOPPED = 1, 2, 130
err = Console(stderr=True)
_STUDY = click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
_CASCADE = click.option(
    "--cascade",
    type=click.Choice(["off", "on"]),
    help="Whether a segment that the first members agree on, or nearly identical to an earlier one, skips the rest; "
    "default: as the profile has it.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Code live feedback: a stream, an ensemble of small models, a codebook, and people where it counts."""


def main() -> None:
    """Run the command line; what goes wrong in our own words is one line and an exit status."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(EXIT_STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SettingError as error:
        _say_error(error)
        sys.exit(EXIT_SETTING)
    except (QualstreamError, ExceptionGroup) as error:
        _say_error(error)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)


def _say_error(error: Exception) -> None:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if logs.last_words(error):
        return
    click.echo("error: " + " ".join(str(error).split()), err=True)


def _settings(**overrides: Any) -> Settings:
    settings = load_settings(**overrides)
    logs.configure(settings.log_level, settings.log_format, settings.instance)
    return settings


@cli.command()
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True))
@_STUDY
@click.option("--profile", help="Profile: a name, or the path of a TOML file.")
@_CASCADE
@click.option("--format", "fmt", type=click.Choice(["csv", "tsv", "jsonl", "xlsx", "lines"]), help="Default: by name.")
@click.option("--text-column", help="Column with the text; default: the usual names.")
@click.option("--id-column", help="Column with the source's own id.")
@click.option("--time-column", help="Column with the time it was said.")
@click.option("--coded", type=click.Path(path_type=Path), help="Texts that people coded, to lead: see `teach`.")
def code(
    source: Path,
    study: str | None,
    profile: str | None,
    cascade: str | None,
    coded: Path | None,
    **columns: str | None,
) -> None:
    """Code the segments of SOURCE (a file, or - for standard input) without Kafka; JSON lines out."""
    from infra.local.file_coding import code_source

    settings = _settings(study=study, profile=profile, cascade=cascade)
    ensure_data_dir(settings)
    code_source(settings, source, sys.stdout, err, coded, **columns)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True))
@_STUDY
@click.option("--format", "fmt", type=click.Choice(["csv", "tsv", "jsonl", "xlsx", "lines"]), help="Default: by name.")
@click.option("--text-column", help="Column with the text; default: the usual names.")
@click.option("--id-column", help="Column with the source's own id.")
@click.option("--time-column", help="Column with the time it was said.")
@_JSON
def ingest(source: Path, study: str | None, as_json: bool, **columns: str | None) -> None:
    """Take in the segments of SOURCE; the running stack, or the next one, codes them."""
    from infra.local.file_coding import Tally, segments_of

    settings = _settings(study=study)
    tally = Tally(err)
    with opened_store(settings) as store:
        new = store.take_in(segments_of(settings, source, tally, **columns))
    report = {"read": tally.good, "new": new, "rejected": len(tally.rejected)}
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(f"{tally.good} segments read, {new} of them new; {len(tally.rejected)} rows rejected", err=True)


@cli.command()
@click.option("--role", help="Run this one role in the foreground; default: the whole stack on this machine.")
@click.option("--port", default=0, help="Port of the embedded broker; 0 is any free one.", show_default=True)
@click.option("--profile", help="Profile: a name, or the path of a TOML file.")
@_STUDY
@_CASCADE
def up(role: str | None, port: int, profile: str | None, study: str | None, cascade: str | None) -> None:
    """Run one process a role, with the Kafka of QUALSTREAM_KAFKA_URL or else the embedded broker; or one role alone."""
    settings = _settings(profile=profile, study=study, cascade=cascade)
    ensure_data_dir(settings)
    if role is not None:
        from infra.roles.run import run_role

        run_role(role, settings)
        return
    from infra.local.demo import run_stack

    run_stack(settings, port, err)


@cli.command()
@click.option("--profile", help="Profile: a name, or the path of a TOML file.")
@_STUDY
@_CASCADE
def demo(profile: str | None, study: str | None, cascade: str | None) -> None:
    """Code 200 real reviews, live, on this machine."""
    from infra.local.demo import run_demo

    settings = _settings(profile=profile, study=study, cascade=cascade)
    if not run_demo(settings, Console()):
        sys.exit(EXIT_STOPPED)
    program = os.path.relpath(sys.argv[0])
    click.echo(f"\nThe coded reviews: {program} export --study {settings.study} --format csv --out reviews.csv")
    click.echo(f"Read, correct and curate them in a browser: {program} up")


@cli.command()
@click.option("--role", help="Only this role.")
@click.option("--check", is_flag=True, help="Exit with 1 unless every role (or this one) was seen lately.")
@_JSON
def status(role: str | None, check: bool, as_json: bool) -> None:
    """Per role: lag, rate, last commit, errors."""
    from infra.telemetry.status import report

    settings = _settings()
    with opened_store(settings) as store:
        healthy = report(settings, store, role, as_json, Console(width=None if sys.stdout.isatty() else 200))
    if check and not healthy:
        sys.exit(EXIT_ERROR)


@cli.command()
@click.argument("topic")
@click.option("--follow", "-f", is_flag=True, help="Go on with new messages until stopped.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many messages.")
def tail(topic: str, follow: bool, limit: int | None) -> None:
    """Print a topic's messages as JSON lines, with partition, offset and key."""
    from infra.telemetry.status import print_topic

    asyncio.run(print_topic(_settings(), topic, follow, limit, sys.stdout))


@cli.command()
@click.option("--check", is_flag=True, help="Compare with the brokers; exit with 1 where a topic differs.")
@_JSON
def topics(check: bool, as_json: bool) -> None:
    """Print the topics with their settings and each role's rights, for whoever runs the Kafka; or compare."""
    from infra.telemetry.topics import check as compare
    from infra.telemetry.topics import expected, print_topics

    settings = _settings()
    console = Console(width=None if sys.stdout.isatty() else 200)
    if not check:
        print_topics(expected(settings), as_json, console)
    elif not compare(settings, as_json, console):
        sys.exit(EXIT_ERROR)


@cli.command()
@click.option("--check", type=click.Path(path_type=Path), help="Exit with 1 unless this file shows the same print.")
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


@cli.command()
@_STUDY
@click.option("--format", "fmt", type=click.Choice(["csv", "jsonl", "parquet"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File; default: standard output.")
@click.option("--labels", is_flag=True, help="What people decided instead, with who and when: their last words.")
@click.option("--history", is_flag=True, help="With --labels: everything they said, what they took back included.")
def export(study: str | None, fmt: str, out: Path | None, labels: bool, history: bool) -> None:
    """Write a study's segments with their codes, or the labels that people gave."""
    from infra.files.export import export as write
    from infra.files.export import export_labels

    if history and not labels:
        raise InputError("--history goes with --labels; add it")
    settings = _settings(study=study)
    with opened_store(settings) as store, _output(out) as file:
        if labels:
            count = export_labels(store, settings.study, fmt, file, history=history)
        else:
            count = write(store, settings.study, fmt, file)
    what = "labels" if labels else "segments"
    if not count:
        click.echo(f"study '{settings.study}' has no {what} in '{settings.data_dir}'", err=True)
    else:
        click.echo(f"{count} {what} of study '{settings.study}'" + (f" in {out}" if out else ""), err=True)


@contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        with out.open("wb") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot write '{out}' ({error.strerror}); give another file with --out") from error


@cli.group("dead-letters")
def dead_letters() -> None:
    """What could not be read or coded, kept whole."""


@dead_letters.command("list")
@_STUDY
@_JSON
def list_letters(study: str | None, as_json: bool) -> None:
    """List dead letters, newest first."""
    settings = _settings()
    with opened_store(settings) as store:
        for kept in store.dead_letters(study=study):
            letter = kept.letter
            if as_json:
                click.echo(letter.model_dump_json())
            else:
                place = f"{letter.topic}/{letter.partition}@{letter.offset}"
                again = f"  replayed {kept.replayed_at:%Y-%m-%d %H:%M}" if kept.replayed_at else ""
                click.echo(f"{letter.id}  {letter.at:%Y-%m-%d %H:%M:%S}  {place:<22} {letter.reason}{again}")


@dead_letters.command("show")
@click.argument("letter", type=click.UUID)
def show_letter(letter: UUID) -> None:
    """Show one dead letter with the message as it came."""
    with opened_store(_settings()) as store:
        kept = _found(store, letter)
    raw = kept.letter.raw
    shown = json.loads(kept.letter.model_dump_json(exclude={"raw", "key"}))
    shown["key"] = None if kept.letter.key is None else kept.letter.key.decode("utf-8", "backslashreplace")
    shown["raw"] = None if raw is None else raw.decode("utf-8", "backslashreplace")
    click.echo(json.dumps(shown, ensure_ascii=False, indent=2))


@dead_letters.command()
@click.argument("letters", type=click.UUID, nargs=-1, required=True)
def replay(letters: tuple[UUID, ...]) -> None:
    """Put dead letters back on the topic they were read from, as they came."""
    from infra.telemetry.status import replay_letters

    settings = _settings()
    with opened_store(settings) as store:
        found = [_found(store, letter).letter for letter in letters]
        asyncio.run(replay_letters(settings, found))
        for each in found:
            store.mark_replayed(each.id)
    click.echo(f"{len(found)} replayed", err=True)


def _found(store: Any, letter: UUID) -> Any:
    kept = store.dead_letter(letter)
    if kept is None:
        raise InputError(f"no dead letter {letter}; `qualstream dead-letters list` shows those there are")
    return kept


@cli.command()
@_STUDY
@click.option("--all", "everything", is_flag=True, help="Every study.")
@click.confirmation_option(prompt="This deletes segments, codes and decisions for good. Go on?")
def reset(study: str | None, everything: bool) -> None:
    """Delete a study (or everything) from the read model and the code index."""
    from infra.brokers import data_folder_lock

    settings = _settings(study=study)
    ensure_data_dir(settings)
    forgotten = None if everything else settings.study
    with data_folder_lock(settings), opened_store(settings) as store:
        store.reset(forgotten)
        forget_codes(settings, forgotten)
    click.echo("everything deleted" if everything else f"study '{settings.study}' deleted", err=True)


cli.add_command(account)
cli.add_command(check_command)
cli.add_command(finetune)
cli.add_command(learn)
cli.add_command(teach)
cli.add_command(themes)
cli.add_command(threshold)
cli.add_command(evaluate_command)
cli.add_command(agreement_command)
cli.add_command(drift)
cli.add_command(replay_command)

if __name__ == "__main__":
    main()
