"""The command that codes a stretch of a study again and shows the difference."""

import json
from collections import Counter
from contextlib import closing

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.options import JSON_OBJECT, STUDY, error_console, output_console, read_settings
from infra.codebook.recode import LONGEST_NAME, Stretch, again, difference, history, moment, recode
from infra.factory.stores import build_store
from infra.profiles.loading import checked_profile
from models.errors import InputError
from models.evaluation.recoding import Recoding

_SHOWN = 20  # codes that change


@click.command()
@STUDY
@click.option("--profile", required=True, help="The profile to try: a name, or the path of a TOML file.")
@click.option("--codebook", "book", default="now", show_default=True, help="now, empty, or a time: as it stood then.")
@click.option("--since", help="Only segments from this time on.")
@click.option("--until", help="Only segments before this time.")
@click.option("--name", help="Name of the run; the same name continues an interrupted one. Default: the profile's.")
@JSON_OBJECT
def replay(
    study: str | None, profile: str, book: str, since: str | None, until: str | None, name: str | None, as_json: bool
) -> None:
    """Code part of a study again with another profile or codebook, and show the difference.

    Existing codes stay. Segments that people have coded show which of the two is nearer to them.
    """
    settings = read_settings(needs_folder=True, study=study, profile=profile)
    stretch = Stretch(
        settings.study,
        (name or checked_profile(settings).name)[:LONGEST_NAME],
        moment(since, "--since") if since else None,
        moment(until, "--until") if until else None,
    )
    with closing(build_store(settings)) as store:
        pipeline = again(settings, store, stretch, history(store, settings.study, book))
        now = recode(store, stretch, profile, pipeline, error_console())
        recoding = difference(store.database, stretch)
    if not recoding.segments:
        raise InputError(f"study '{settings.study}' has no coded segments in that stretch; code some first")
    if as_json:
        report = {"study": settings.study, "replay": stretch.name, **recoding.to_json()}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(recoding, stretch, now, output_console())


def _print(recoding: Recoding, stretch: Stretch, now: int, console: Console) -> None:
    share = recoding.same / recoding.segments
    console.print(
        f"Study '{escape(stretch.study)}', replay '{escape(stretch.name)}': {recoding.segments} segments ({now} coded "
        f"now), {recoding.same} of them ({share:.0%}) get the same code, {recoding.uncoded} none",
        highlight=False,
    )
    if recoding.judged:
        console.print(
            f"People coded {recoding.judged} of them: {recoding.right_before} have one of their codes now, "
            f"{recoding.right_after} would have",
            highlight=False,
        )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head, justify in (("code", "left"), ("now", "right"), ("would be", "right"), ("kept", "right")):
        table.add_column(head, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("goes to", overflow="fold")
    table.add_column("comes from", overflow="fold")
    moved = [code for code in recoding.codes if code.moved]
    for code in moved[:_SHOWN]:
        counts = (str(code.before), str(code.after), str(code.kept))
        table.add_row(escape(code.code), *counts, _most(code.went), _most(code.came))
    console.print(table, highlight=False)
    if len(moved) > _SHOWN:
        console.print(f"and {len(moved) - _SHOWN} more codes that change; --json has them all", style="dim")


def _most(counts: Counter[str]) -> str:
    return escape(", ".join(f"{label} ({count})" for label, count in counts.most_common(3)))
