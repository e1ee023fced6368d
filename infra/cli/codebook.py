"""Commands on a study's codebook: teach it, group its codes under themes, show its threshold."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from infra.annotation.import_labels import Importing, Plan, plan
from infra.annotation.memos import keep_memos
from infra.brokers import open_history
from infra.cli.commands import CommandList
from infra.cli.options import (
    DATE_ORDER,
    DRY_RUN,
    ENCODING,
    HEADER_ROW,
    ID_COLUMN,
    JSON_OBJECT,
    MASK,
    PROFILE,
    SHEET,
    STUDY,
    TABLE_FORMAT,
    TEXT_COLUMN,
    output_console,
    output_file,
    person,
    read_settings,
)
from infra.codebook.codebook_import import CodebookEntry, CodebookNode, codebook_entries, import_codebook
from infra.codebook.codebook_table import is_codebook, read_codebook_table
from infra.codebook.themes_job import Themed, as_lines, theme_file, theme_study
from infra.codebook.thresholds_job import as_object, study_threshold
from infra.factory.stores import build_store, opened_store
from infra.files.coded_texts import nothing_coded
from infra.files.labels.code_cells import distinct
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import LabelSheet, read_label_file
from infra.files.labels.raw_table import opened, read_table
from infra.files.refi_archive import is_refi
from infra.files.rows import ReadingOptions
from infra.masking.intake import Masking
from infra.refi.codebook_files import CODEBOOK_FORMATS, write_codebook
from infra.refi.memos_import import plan_memos
from infra.refi.reading import RefiContent, read_refi
from infra.settings import Settings
from infra.storage.studies import check_study
from models.codebook.codebook import Codebook
from models.codebook.edits import Act
from models.codebook.themes import ThemeSettings
from models.coding.labels import label_fault
from models.refinement.thresholds import Judgement
from schemas import CodeEvent

SHOWN, FIRST = 20, 10
"""Rows left out that are listed, further ones are counted; and labels that a dry run shows."""


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@STUDY
@click.option("--coder", help="Who coded it: a person's name or initials; rows that name a coder keep theirs.")
@TABLE_FORMAT
@TEXT_COLUMN
@ID_COLUMN
@click.option("--codes-column", help="Column with the codes; default: codes, code, labels, label, themes, theme, ...")
@click.option("--code-columns", help="Columns that are codes themselves, holding yes or no; separated by commas.")
@click.option(
    "--separator", help="What separates several codes in a cell; default: ; and |, and what the column shows."
)
@ENCODING
@SHEET
@HEADER_ROW
@DATE_ORDER
@MASK
@DRY_RUN
def teach(source: Path, study: str | None, coder: str | None, dry_run: bool, **given: Any) -> None:
    """Bring in texts that people have coded: their codes join the codebook and lead the moderator.

    A corrected file, whatever its name or date, takes the place of what the same coder said about the same texts: what
    changed is changed, and a text whose cell of codes is empty by now has none. Codes are those that are called so now.
    """
    settings = read_settings(study=study, masking=given["mask"])
    name = person(coder, "--coder") if coder is not None else ""
    refi = read_refi(source, name) if is_refi(source.name) else None
    nodes = refi.nodes if refi else _codebook_nodes(source, given)
    masking = Masking(settings)
    who = Importing(settings.study, name or "teach", datetime.now(UTC), teach_unmatched=True, masking=masking)
    events = _bring_in(settings, codebook_entries(nodes), source, name, dry_run=dry_run) if nodes else ()
    if nodes and not (refi and refi.sheet.rows):
        _bring_memos(settings, refi, who, events, dry_run=dry_run)
        _say_untaken(refi)
        return
    sheet = refi.sheet if refi else _read_sheet(source, name, given)
    with open_history(settings, read_only=dry_run) as history, closing(build_store(settings)) as store:
        planned = plan(store.database, sheet, who)
        outcome = planned.write(history.write) if planned.changes and not dry_run else ""
    if dry_run:
        show_plan(planned, output_console())
        outcome = "nothing was written (dry run)" if planned.changes else ""
    sources = {annotation.source for annotation in planned.kept if annotation.source}
    _bring_memos(settings, refi, who, [*events, *planned.events], sources, dry_run=dry_run)
    for line in _taught(planned, settings.study, outcome, source.name):
        click.echo(line, err=True)


def _say_untaken(refi: RefiContent | None) -> None:
    """Say what a project without a coded passage that could be taken has all the same."""
    for note in refi.sheet.notes if refi else ():
        click.echo(note, err=True)
    for row in refi.sheet.rejected[:SHOWN] if refi else ():
        click.echo(f"{row.file}, passage {row.line}: {row.reason}; left out", err=True)


def _bring_memos(
    settings: Settings,
    refi: RefiContent | None,
    who: Importing,
    events: Sequence[CodeEvent],
    documents: Collection[str] = (),
    *,
    dry_run: bool,
) -> None:
    """Bring a project's notes into the study as memos, and say what they came to."""
    if refi is None or not refi.memos:
        return
    with closing(build_store(settings)) as store:
        history = {event.id: event for event in [*store.code_events(settings.study), *events]}
        planned = plan_memos(store.database, refi.memos, Codebook(history.values()), who, documents)
        if not dry_run:
            keep_memos(store.database, settings.study, planned.memos, who.masking)
    click.echo(planned.sentence, err=True)


def _codebook_nodes(source: Path, given: Mapping[str, Any]) -> Sequence[CodebookNode]:
    """The codes of a table that is a codebook; none of one that has coded texts."""
    options = ReadingOptions(**{name: given[name] for name in ("encoding", "sheet", "header_row")})
    with opened(source) as stream:
        table = read_table(stream, source.name, given["fmt"], options)
    return _table_nodes(source, given["fmt"], options) if is_codebook(table) else ()


def _table_nodes(source: Path, fmt: str | None = None, options: ReadingOptions | None = None) -> Sequence[CodebookNode]:
    """The codes of a table, and words about what of it is not read."""
    options = options or ReadingOptions()
    nodes = read_codebook_table(source, fmt, options)
    for sentence in options.report.warnings:
        click.echo(f"warning: {sentence}", err=True)
    return nodes


def _bring_in(
    settings: Settings, entries: Sequence[CodebookEntry], source: Path, author: str, *, dry_run: bool
) -> Sequence[CodeEvent]:
    """Bring a codebook into the study, and say what it came to.

    Returns:
        What it changed, or would change.
    """
    at = datetime.now(UTC)
    act = Act(author or "import", at, f"imported from {source.name}", "imported")
    with open_history(settings, read_only=dry_run) as history:
        with closing(build_store(settings)) as store:
            imported = import_codebook(entries, store.code_events(settings.study), settings.study, act)
        outcome = history.write(list(imported.events)) if imported.events and not dry_run else ""
    if dry_run and imported.events:
        outcome = "nothing was written (dry run)"
    click.echo(f"codebook: {imported.summary}" + (f"; {outcome}" if outcome else ""), err=True)
    return imported.events


@click.group(cls=CommandList)
def codebook() -> None:
    """Import or export a codebook: codes, themes and definitions."""


@codebook.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@STUDY
@click.option("--author", default="import", show_default=True, help="Who brings it in.")
@DRY_RUN
def import_(source: Path, study: str | None, author: str, dry_run: bool) -> None:
    """Import a codebook: a table with one code per row (A > B is a path), or a file of REFI-QDA.

    Empty cells change nothing, and no code is removed. Of a project, the notes on codes and on documents that the study
    has become memos.
    """
    settings = read_settings(study=study)
    refi = read_refi(source) if is_refi(source.name) else None
    nodes = refi.nodes if refi else _table_nodes(source)
    name = person(author, "--author")
    events = _bring_in(settings, codebook_entries(nodes), source, name, dry_run=dry_run)
    who = Importing(settings.study, name, datetime.now(UTC), masking=Masking(settings))
    _bring_memos(settings, refi, who, events, dry_run=dry_run)
    for note in refi.sheet.notes if refi else ():
        click.echo(note, err=True)


@codebook.command("export")
@STUDY
@click.option("--format", "fmt", type=click.Choice(list(CODEBOOK_FORMATS)), default="csv", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File; default: standard output.")
def export_codebook(study: str | None, fmt: str, out: Path | None) -> None:
    """Export codes, themes and definitions: a table, Markdown (md), or a REFI-QDA codebook (qdc)."""
    settings = read_settings(study=study)
    with opened_store(settings) as store, output_file(out) as file:
        check_study(store.database, settings.study)
        book = Codebook(store.code_events(settings.study))
        write_codebook(book, settings.study, store.segments_by_code(settings.study), fmt, file)
    active = sum(state.active for state in book.values())
    click.echo(f"{active} codes and themes of study '{settings.study}'" + (f" in {out}" if out else ""), err=True)


def _read_sheet(source: Path, coder: str, given: Mapping[str, Any]) -> LabelSheet:
    text, id_, codes = (given[f"{name}_column"] or "" for name in ("text", "id", "codes"))
    columns = SheetColumns(
        text=text,
        id=id_,
        codes=codes,
        separator=given["separator"],
        indicators=tuple(name.strip() for name in (given["code_columns"] or "").split(",") if name.strip()),
        coder_given=bool(coder),
    )
    options = ReadingOptions(**{name: given[name] for name in ("encoding", "sheet", "header_row", "date_order")})
    sheet = read_label_file(source, coder, columns, given["fmt"], options)
    if not any(row.coded for row in sheet.rows) and not sheet.uncoded:
        raise nothing_coded(sheet)
    return sheet


def show_plan(planned: Plan, console: Console) -> None:
    """Print the first labels that a file comes to, and the codes that it would create."""
    table = Table("coder", "codes", "text", box=None, pad_edge=False)
    for annotation in planned.annotations[:FIRST]:
        codes = "taken back" if annotation.withdrawn else "; ".join(annotation.labels) or "none fits"
        table.add_row(*map(escape, (annotation.annotator, codes, (annotation.text or "")[:200])))
    console.print(table)
    if planned.new:
        console.print(f"new codes: {', '.join(planned.new)}", markup=False, highlight=False)


def _taught(planned: Plan, study: str, outcome: str, file: str) -> Iterator[str]:
    """What a file came to, line by line; the last one sums it up."""
    yield from planned.notes
    yield from (f"{file}, line {row.line}: {row.reason}; left out" for row in planned.rejected[:SHOWN])
    yield from (
        f"{file}, line {row.line}: {row.text[:60]!r} is no segment of the study; left out"
        for row in planned.unmatched[:SHOWN]
        if not row.taught
    )
    kept = [annotation for annotation in planned.kept if not annotation.withdrawn]
    codes = distinct(code for annotation in kept for code in annotation.labels)
    coders = ", ".join(sorted({annotation.annotator for annotation in kept})) or "nobody"
    texts = len({annotation.segment_id for annotation in kept})
    unlike = sum(label_fault(code) is not None for code in codes)
    parts = [f"{texts} texts with {len(codes)} codes of {coders} taught to study '{study}'"]
    parts[0] += f", {outcome}" if outcome else ": nothing is new"
    lost = len(planned.rejected) + sum(not row.taught for row in planned.unmatched)
    for count, words in (
        (planned.changed, "corrected"),
        (planned.taken_back, "taken back, their cells are empty"),
        (planned.already, "there already"),
        (planned.uncoded, "not coded yet"),
        (lost, "rows left out"),
        (unlike, "of the codes are none that members may write"),
    ):
        parts += [f"{count} {words}"] if count else []
    yield "; ".join(parts)


@click.command()
@STUDY
@click.option("--profile", help="Profile, for its embedder: a name, or the path of a TOML file.")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="What `qualstream code` wrote, in place of a codebook; JSON lines out, the tree on standard error.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=ThemeSettings.threshold,
    show_default=True,
    help="Mean cosine of a code to those of its theme.",
)
@click.option(
    "--alone-from", type=click.IntRange(min=1), help="Segments from which one code is a theme; default: never."
)
@click.option("--dry-run", is_flag=True, help="Show the result without writing it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per code, for programs.")
def themes(
    study: str | None,
    profile: str | None,
    file: Path | None,
    threshold: float,
    alone_from: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Assign themes to codes that have none; leave the rest."""
    settings = read_settings(study=study, profile=profile)
    options = ThemeSettings(threshold, alone_from)
    if file is not None:
        themed, written = theme_file(settings, options, file, study), "nothing is kept of a file"
    else:
        themed = theme_study(settings, options, dry_run=dry_run)
        written = f"{len(themed.events)} changes " + ("not written (dry run)" if dry_run else "written")
    if as_json or file is not None:
        for line in as_lines(themed):
            click.echo(json.dumps(line, ensure_ascii=False))
    else:
        output_console().print(as_tree(themed))
    if file is not None and not as_json:
        output_console(stderr=True).print(as_tree(themed))
    click.echo(summary(themed, written), err=True)


def as_tree(themed: Themed) -> Tree:
    """Themes with their codes and how many segments each has; then the codes that stand alone."""
    tree = Tree(Text("themes"), guide_style="dim")
    lines = as_lines(themed)
    for home in dict.fromkeys(line["theme_id"] for line in lines):
        codes = [line for line in lines if line["theme_id"] == home]
        name = codes[0]["theme"] or home or "without a theme"
        branch = tree.add(_counted(name, sum(line["segments"] for line in codes), "bold" if home else "dim"))
        for line in codes:
            branch.add(_counted(line["code"], line["segments"]))
    return tree


def _counted(label: str, segments: int, style: str = "") -> Text:
    return Text.assemble((label, style), (f"  {segments}", "dim"))


def summary(themed: Themed, written: str) -> str:
    """One line on what a run came to."""
    arrangement, homes = themed.arrangement, themed.arrangement.homes
    alone = sum(code.id not in homes for code in themed.codes)
    themes = len({*homes.values()})
    return (
        f"{themes} themes ({len(arrangement.created)} new) over {len(homes)} codes "
        f"({len(arrangement.placed)} placed now); "
        f"{alone} codes stand alone; {written}"
    )


@click.command()
@STUDY
@PROFILE
@JSON_OBJECT
def threshold(study: str | None, profile: str | None, as_json: bool) -> None:
    """Show from which similarity codes are reused, and what people said that moved it.

    A refiner learns at its start; what people say later counts from its next start.
    """
    settings = read_settings(study=study, profile=profile)
    default, now, evidence = study_threshold(settings)
    if as_json:
        click.echo(json.dumps(as_object(settings.study, default, now, evidence), ensure_ascii=False))
        return
    click.echo(f"study      {settings.study}\ndefault    {default}\nthreshold  {now}")
    if evidence:
        output_console().print(as_table(evidence))


def as_table(evidence: Sequence[Judgement]) -> Table:
    """One row a judgement, the nearest pair first."""
    table = Table("cosine", "said", "code", "other code", "by", "how", "when", box=None, pad_edge=False)
    for judgement in sorted(evidence, key=lambda judgement: -judgement.similarity):
        verdict = "same" if judgement.same else "different"
        names = (escape(name) for name in (judgement.a, judgement.b, judgement.author))
        when = f"{judgement.at:%Y-%m-%d %H:%M}"
        table.add_row(f"{judgement.similarity:.2f}", verdict, *names, judgement.reason, when)
    return table
