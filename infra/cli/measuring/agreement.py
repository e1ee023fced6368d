"""The command that prints how well a study's coders agree."""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.annotation.agreement import CONVENTION, StudyAgreement, study_agreement
from infra.cli.options import JSON_OBJECT, STUDY, output_console, read_settings
from infra.factory.stores import opened_store
from models.evaluation.reliability import Figure


@click.command()
@STUDY
@click.option(
    "--models/--people", "with_models", default=False, show_default=True, help="Include the models as coders."
)
@JSON_OBJECT
def agreement(study: str | None, with_models: bool, as_json: bool) -> None:
    """Measure how well coders agree beyond chance: over all codes, per pair and per code."""
    settings = read_settings(study=study)
    with opened_store(settings) as store:
        report = study_agreement(store.database, settings.study, with_models=with_models)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        _print(report, output_console())


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


def _overused(by: Sequence[Any]) -> str:
    return ", ".join(f"{use.coder} ({use.own}, others {use.others:.1f})" for use in by)


def _print_table(console: Console, heads: Sequence[str], rows: Sequence[tuple[Sequence[str], Figure]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    for head in ("value", "95% interval", "segments"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for names, figure in rows:
        value = "-" if figure.value is None else f"{figure.value:.3f}"
        interval = "-" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
        table.add_row(*map(escape, names), value, interval, str(figure.n), escape(figure.why))
    console.print()
    console.print(table, highlight=False)
