"""The command that compares how groups of segments are coded."""

import json
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.options import JSON_OBJECT, STUDY, output_console, read_settings
from infra.factory.stores import opened_store
from infra.storage.analysis.coded_segments import coded_segments
from infra.storage.studies import check_study
from models.evaluation.group_rates import GroupShare, compare_groups

_WORDS = (
    "wrong: of segments drawn by chance, the share whose code people did not let stand. let stand: of all that people "
    "judged. * differs from the other groups by more than chance explains (Fisher's exact test, Holm's correction, 5%)."
)


@click.command()
@STUDY
@click.option("--by", multiple=True, help="source, language, length or an attribute; may be repeated. Default: all.")
@JSON_OBJECT
def bias(study: str | None, by: tuple[str, ...], as_json: bool) -> None:
    """Compare error, acceptance, routing and reuse between groups of segments, with intervals."""
    settings = read_settings(study=study)
    with opened_store(settings) as store:
        check_study(store.database, settings.study)
        shares = compare_groups(coded_segments(store.database, settings.study, by))
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in shares], ensure_ascii=False))
    elif not shares:
        click.echo(f"no segment of study '{settings.study}' is coded yet", err=True)
    else:
        _print(shares, output_console())


def _as_json(share: GroupShare) -> dict[str, object]:
    return {**share._asdict(), "share": share.share, "stands_out": share.stands_out}


def _print(shares: list[GroupShare], console: Console) -> None:
    for by, looked_at in groupby(shares, lambda share: share.by):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=escape(by), title_justify="left")
        for head in ("", "group"):
            table.add_column(head, overflow="fold")
        for head in ("share", "95% interval", "segments", "others"):
            table.add_column(head, justify="right", no_wrap=True)
        for each in looked_at:
            rest = "-" if each.rest is None else f"{each.rest:.2f}"
            interval = f"{each.low:.2f} to {each.high:.2f}"
            mark = " *" if each.stands_out else ""
            table.add_row(each.measure, escape(each.group) + mark, f"{each.share:.2f}", interval, str(each.total), rest)
        console.print(table, highlight=False)
        console.print()
    console.print(_WORDS, style="dim", highlight=False)
