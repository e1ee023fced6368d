"""Commands that bring texts in, code files, and take a study's data out again."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from infra.annotation.import_labels import Importing
from infra.annotation.memos import keep_memos
from infra.cli.commands import CommandList
from infra.cli.options import (
    CASCADE,
    DRY_RUN,
    JSON_LINES,
    MASK,
    PROFILE,
    STUDY,
    error_console,
    read_settings,
    read_source,
    show_preview,
    source_options,
)
from infra.factory.stores import opened_store
from infra.files.preview import preview, repeated
from infra.files.refi_archive import is_refi
from infra.files.row_tally import RowTally, Source, accepted_segments
from infra.masking.intake import Masking, MaskingBeside, MaskingTally
from infra.profiles.loading import checked_profile
from infra.settings import Settings
from infra.storage.store import SetAside, Store
from infra.storage.studies import check_study, studies
from infra.weights.advice import language_line, profile_line
from models.codebook.codebook import Codebook
from models.errors import InputError
from schemas import Segment
from schemas.study import CodingMode, MaskingLevel


@click.command()
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True))
@STUDY
@PROFILE
@CASCADE
@source_options
@click.option(
    "--coded", type=click.Path(path_type=Path), help="Texts that people have coded, to lead the models; see `teach`."
)
@click.option(
    "--codebook",
    type=click.Path(path_type=Path),
    help="Codes to use: a table with a row a code, or a file of REFI-QDA; see `codebook import`.",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(CodingMode)),
    help="Where further codes come from. inductive: models open them. deductive: none, only given codes are used. "
    "mixed: models propose them. Default: as the profile has it, else inductive.",
)
@MASK
@DRY_RUN
def code(
    source: Path,
    study: str | None,
    profile: str | None,
    cascade: str | None,
    coded: Path | None,
    codebook: Path | None,
    mode: CodingMode | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Code the segments of SOURCE (a file, or - for standard input) without Kafka; JSON lines out."""
    from infra.local.file_coding import CodingTally, as_row, code_segments, given_codes
    from infra.refi.codebook_files import codebook_of_file

    chosen = {"study": study, "profile": profile, "cascade": cascade, "masking": given["mask"]}
    settings = read_settings(needs_folder=not dry_run, **chosen)
    masking = MaskingBeside(Masking(settings), settings.masking)
    if dry_run:
        _dry_run(read_source(source, settings, given), settings.study, masking)
        return
    codes = given_codes(settings, masking, coded, codebook_of_file(codebook, settings.study) if codebook else (), mode)
    tally = RowTally(error_console())
    segments: Iterable[Segment] = map(
        masking.mask, accepted_segments(settings.study, read_source(source, settings, given), tally)
    )
    if str(source) != "-":
        segments = list(segments)  # a total for the progress bar, and nothing is coded of a file that is broken
    profile_used = checked_profile(settings)
    tally.console.print(profile_line(profile_used, settings.weights_dir), highlight=False)
    if isinstance(segments, list) and (line := language_line(profile_used, segments, settings.weights_dir)):
        tally.console.print(line, highlight=False)
    coding, out = CodingTally(), sys.stdout  # as it is before the progress bar takes it
    outcomes = code_segments(settings, segments, codes)
    with _progress(tally.console, len(segments) if isinstance(segments, list) else None) as advance:
        for outcome in outcomes:
            out.write(json.dumps(as_row(outcome), ensure_ascii=False) + "\n")
            out.flush()
            coding.add(outcome)
            advance()
    rejected = f", {len(tally.rejected)} rows rejected" if tally.rejected else ""
    rejected += f", {tally.left_out} left out" if tally.left_out else ""
    rejected += f", {masking.tally}" if masking.level != "off" else ""
    tally.console.print(coding.counts(rejected), soft_wrap=True)
    if summary := coding.summary():
        tally.console.print(summary, highlight=False, soft_wrap=True)


def _dry_run(source: Source, study: str, masking: MaskingBeside) -> None:
    """Show what a file would come to, and what of it would be masked."""
    seen = preview(source, study, mask=masking.mask)
    show_preview(seen, "" if masking.level == "off" else str(masking.tally))


@contextmanager
def _progress(console: Console, total: int | None) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error for the time of a block; call what it gives once a segment."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("coding", total=total)
        yield lambda: progress.advance(task)


@click.command()
@click.argument(
    "sources", metavar="SOURCE...", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, required=True
)
@STUDY
@source_options
@click.option(
    "--changed",
    type=click.Choice(["keep-old", "version"]),
    default="keep-old",
    show_default=True,
    help="If a known id comes with another text: keep the old text, or add the new one as a version.",
)
@MASK
@DRY_RUN
@JSON_LINES
def ingest(
    sources: tuple[Path, ...],
    study: str | None,
    changed: str,
    mask: str | None,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Send the segments of files to the study; the running stack, or the next one, codes them.

    SOURCE is a file, several (each a document or source of its own), or - for standard input. A file that cannot be
    read loses no other.
    """
    settings = read_settings(study=study, masking=mask)
    masking = Masking(settings)
    read = [read_source(source, settings, given) for source in sources]
    if dry_run:
        beside = MaskingBeside(masking, _level(settings, masking))
        _each(read, lambda source: _dry_run(source, settings.study, beside))
        return
    with opened_store(settings) as store:
        if "study" not in settings.model_fields_set:
            raise InputError(_no_study(store))
        level = masking.level(store.database, settings.study)
        intake = _Intake(store, settings.study, masking, changed == "version", hidden=level != "off")
        try:
            _each(read, intake.take)
        finally:
            if intake.files:
                intake.say(_masked(intake.masked, masking) if level != "off" else "", as_json=as_json)


def _each(sources: Sequence[Source], work: Callable[[Source], None]) -> None:
    """Work on each of several files; what one is refused for loses no other.

    Raises:
        InputError: In the end, if one could not be read; with its reason where it was the only one.
    """
    if len(sources) == 1:
        work(sources[0])
        return
    console, refused = error_console(), 0
    repeats = repeated([(source.path.name, source.path) for source in sources])
    for n, source in enumerate(sources):
        console.print(f"{source.name}:", markup=False, highlight=False, soft_wrap=True)
        try:
            if n in repeats:
                raise InputError(repeats[n])
            work(source)
        except InputError as error:
            console.print(f"not taken in: {error}", markup=False, highlight=False, soft_wrap=True)
            refused += 1
    if refused:
        raise InputError(f"{refused} of {len(sources)} files were not taken in; see above why, the others were")


@dataclass
class _Intake:
    """Files on their way into a study, and what came of them."""

    store: Store
    study: str
    masking: Masking
    versions: bool
    """Whether a known id with another text is a version of its own."""
    hidden: bool
    """Whether texts are not to be printed."""
    files: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    masked: MaskingTally = field(default_factory=MaskingTally)

    def take(self, source: Source) -> None:
        """Take in one file."""
        tally = RowTally(error_console(), hidden=self.hidden)
        taken = accepted_segments(self.study, source, tally)
        new = self.store.take_in(taken, tally.changed.append, self.masked.add)
        versions = self.store.take_in(tally.versions(), masked=self.masked.add) if self.versions else 0
        self.files += 1
        self.counts.update(new=new, versions=versions, changed=len(tally.changed))
        self.counts.update(read=tally.good, rejected=len(tally.rejected), left_out=tally.left_out)
        if is_refi(source.name):
            self._take_notes(source.path)
        tally.say_changed("taken as a version beside the old one" if self.versions else "the old one is kept")

    def _take_notes(self, project: Path) -> None:
        """Take in what a project notes of its documents, and of codes that the study has, as memos."""
        from infra.refi.memos_import import plan_memos
        from infra.refi.reading import read_refi

        who = Importing(self.study, "import", datetime.now(UTC), masking=self.masking)
        book = Codebook(self.store.code_events(self.study))
        planned = plan_memos(self.store.database, read_refi(project).memos, book, who)
        keep_memos(self.store.database, self.study, planned.memos, self.masking)
        if planned.sentence:
            click.echo(planned.sentence, err=True)

    def say(self, masked: str, *, as_json: bool) -> None:
        """What came of all files, in one line."""
        counts = self.counts
        new = counts["new"] + counts["versions"]
        if as_json:
            report = {"read": counts["read"], "new": new, "rejected": counts["rejected"]}
            report |= {"left_out": counts["left_out"], "changed": counts["changed"], "masked": self.masked.segments}
            click.echo(json.dumps(report))
            return
        beside = f"{counts['versions']} taken as new versions" if self.versions else "--changed version takes it beside"
        parts = [f"{counts['read']} segments read, {new} of them new; {counts['rejected']} rows rejected"]
        parts += [f"{counts['left_out']} left out"] if counts["left_out"] else []
        parts += [f"{counts['changed']} with another text than before ({beside})"] if counts["changed"] else []
        parts += [masked] if masked else []
        click.echo("; ".join(parts), err=True)


def _level(settings: Settings, masking: Masking) -> MaskingLevel:
    """What would be masked; no store is made to say it."""
    if settings.database_url is None and not Path(settings.store_url.removeprefix("sqlite:///")).exists():
        return settings.masking
    with opened_store(settings) as store:
        return masking.level(store.database, settings.study)


def _masked(tally: MaskingTally, masking: Masking) -> str:
    """What was masked, and whether anybody can see it again."""
    kept = "originals are kept encrypted" if masking.key else "no key is set, so originals are not kept"
    return f"{tally} ({kept})"


def _no_study(store: Store) -> str:
    known = ", ".join(each.name for each in studies(store.database))
    there = f"studies that there are: {known}" if known else "a new name makes a study"
    return f"no study is named, and texts are not taken into the demo's by chance; add --study NAME ({there})"


@click.group("dead-letters", cls=CommandList)
def dead_letters() -> None:
    """List, show and replay messages that could not be read or coded."""


@dead_letters.command("list")
@STUDY
@JSON_LINES
def list_letters(study: str | None, as_json: bool) -> None:
    """List dead letters, newest first."""
    settings = read_settings()
    with opened_store(settings) as store:
        if study is not None:
            check_study(store.database, study)
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
    with opened_store(read_settings()) as store:
        kept = _kept_letter(store, letter)
    raw = kept.letter.raw
    shown = json.loads(kept.letter.model_dump_json(exclude={"raw", "key"}))
    shown["key"] = None if kept.letter.key is None else kept.letter.key.decode("utf-8", "backslashreplace")
    shown["raw"] = None if raw is None else raw.decode("utf-8", "backslashreplace")
    click.echo(json.dumps(shown, ensure_ascii=False, indent=2))


@dead_letters.command()
@click.argument("letters", type=click.UUID, nargs=-1, required=True)
def replay(letters: tuple[UUID, ...]) -> None:
    """Send dead letters to their topic again, unchanged."""
    from infra.telemetry.status import replay_letters

    settings = read_settings()
    with opened_store(settings) as store:
        kept = [_kept_letter(store, letter).letter for letter in letters]
        asyncio.run(replay_letters(settings, kept))
        for each in kept:
            store.mark_replayed(each.id)
    click.echo(f"{len(kept)} replayed", err=True)


def _kept_letter(store: Store, letter: UUID) -> SetAside:
    kept = store.dead_letter(letter)
    if kept is None:
        raise InputError(f"no dead letter {letter}; `qualstream dead-letters list` shows those there are")
    return kept


@click.command()
@STUDY
@click.option("--all", "everything", is_flag=True, help="Every study.")
@click.option("--minutes", default=5.0, show_default=True, help="Only segments sent at least this long ago.")
def reopen(study: str | None, everything: bool, minutes: float) -> None:
    """Send segments again that have no outcome: no code, no request to people, no dead letter.

    The running stack, or the next one, codes them. Ingest also does this by itself when nothing is in progress.
    """
    settings = read_settings(needs_folder=True, study=study)
    with opened_store(settings) as store:
        if not everything:
            check_study(store.database, settings.study)
        before = datetime.now(UTC) - timedelta(minutes=minutes)
        count = store.reopen(None if everything else settings.study, before)
    click.echo(f"{count} segments are published again", err=True)
