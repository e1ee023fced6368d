"""The command that prints how well a study's coders agree."""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.annotation.agreement import CONVENTION, StudyAgreement, study_agreement
from infra.annotation.part_agreement import OVERLAP_RULES, PartAgreement, compared, part_agreement
from infra.cli.options import JSON_OBJECT, STUDY, output_console, read_settings
from infra.factory.stores import opened_store
from infra.storage.studies import check_study
from models.evaluation.figure import Figure

_MEASURES = ("precision", "recall", "f1")


@click.command()
@STUDY
@click.option(
    "--models/--people", "with_models", default=False, show_default=True, help="Include the models as coders."
)
@JSON_OBJECT
def agreement(study: str | None, with_models: bool, as_json: bool) -> None:
    """Measure how well coders agree beyond chance: over all codes, per pair and per code, and on marked parts."""
    settings = read_settings(study=study)
    with opened_store(settings) as store:
        check_study(store.database, settings.study)
        report = study_agreement(store.database, settings.study, with_models=with_models)
        parts = part_agreement(store.database, settings.study, with_models=with_models)
    if as_json:
        click.echo(json.dumps({**report.to_json(), "parts": parts.to_json()}, ensure_ascii=False))
    else:
        console = output_console()
        _print(report, console)
        _print_parts(parts, console)


def _print(report: StudyAgreement, console: Console) -> None:
    figures, double = report.figures, report.double
    console.print(
        f"Study '{escape(report.study)}': {double.coded} segments coded by people, {double.twice} of them by two or "
        f"more; {figures.units} compared, {figures.silent} left out because all report that no code fits",
        highlight=False,
    )
    overall = (
        ("Krippendorff's alpha", figures.alpha),
        ("Fleiss' kappa", figures.fleiss),
        ("the same", figures.percent),
    )
    _print_table(console, ("all coders",), [((name,), figure) for name, figure in overall])
    if figures.pairs:
        _print_table(console, ("pair", "Cohen's kappa of"), [(pair.coders, pair.kappa) for pair in figures.pairs])
    if figures.codes:
        rows = [((report.labels[code.code], _overused(code.overused_by)), code.alpha) for code in figures.codes]
        _print_table(console, ("code, by alpha", "given more often by"), rows)
    console.print(CONVENTION, style="dim", highlight=False)


def _print_parts(report: PartAgreement, console: Console) -> None:
    """Parts that people marked, at the rule ``half``; the others are in the JSON and on the page."""
    if not report.parts:
        return
    pairs = report.figures.pairs
    heading = compared(report.with_models) if pairs else "No two coders have read the same document."
    console.print(f"\nMarked parts: {report.parts}. {heading}", highlight=False)
    rows: list[tuple[Sequence[str], Figure]] = []
    for pair in pairs:
        entries = [("all codes", pair.whole), *((report.labels[code], each) for code, each in pair.codes.items())]
        for label, overlap in entries:
            names = (" and ".join(pair.coders), label)
            rows += [((*names, f"{name}, characters"), getattr(overlap.characters, name)) for name in _MEASURES]
            rows += [((*names, f"{name}, parts"), getattr(overlap.parts["half"], name)) for name in _MEASURES]
            rows.append(((*names, "alpha (unitizing)"), overlap.alpha))
    if rows:
        _print_table(console, ("pair", "code", "figure"), rows, unit="documents")
        console.print(
            f"Precision: of what the second marked, the share that the first did too; recall the other way round. "
            f"Parts count as the same where {OVERLAP_RULES['half']}.",
            style="dim",
            highlight=False,
        )


def _overused(by: Sequence[Any]) -> str:
    return ", ".join(f"{use.coder} ({use.own}, others {use.others:.1f})" for use in by)


def _print_table(
    console: Console, heads: Sequence[str], rows: Sequence[tuple[Sequence[str], Figure]], unit: str = "segments"
) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    for head in ("value", "95% interval", unit):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for names, figure in rows:
        value = "-" if figure.value is None else f"{figure.value:.3f}"
        interval = "-" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
        table.add_row(*map(escape, names), value, interval, str(figure.n), escape(figure.why))
    console.print()
    console.print(table, highlight=False)
