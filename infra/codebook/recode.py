"""Code a stretch of a study again under another profile or codebook, beside what stands, and show the difference."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from sqlalchemy import select

from infra.factory.models import build_embedder
from infra.factory.pipeline import build_pipeline
from infra.factory.stores import build_store
from infra.files.timestamps import read_time
from infra.profiles.loading import checked_profile
from infra.settings import Settings, ensure_data_dir, load_settings
from infra.storage.database import Database
from infra.storage.final_codes import names_now, outcomes
from infra.storage.projections import insert
from infra.storage.tables import assignments, recodings, segments
from models.errors import InputError
from models.evaluation.recoding import RecodedSegment, Recoding, compare
from models.moderation.precedents import CodedText, opened
from models.pipeline import Coded, Outcome
from models.refinement.reindexing import reconcile
from schemas import CodeEvent, Segment

if TYPE_CHECKING:
    from infra.storage.store import Store
    from models.pipeline import Pipeline

_TOGETHER = 32  # segments coded between two writes: a replay that is broken off goes on there
_SHOWN = 20
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Stretch:
    """Which of a study's coded segments are coded again, and under which name that is kept."""

    study: str
    name: str
    since: datetime | None = None
    until: datetime | None = None


def recode(store: "Store", stretch: Stretch, profile: str, pipeline: "Pipeline", console: Console) -> int:
    """Code what is left of a stretch again; what stands is not touched.

    Returns:
        Segments that were coded now; those of an earlier run under the same name are not coded again.
    """
    left = _left(store.database, stretch)
    batches = [left[n : n + _TOGETHER] for n in range(0, len(left), _TOGETHER)]
    for some in track(batches, "coding again", console=console, transient=True):
        rows = [_row(outcome, stretch, profile) for outcome in pipeline.run(some)]
        with store.database.writing() as connection:
            statement = insert(recodings, store.database.dialect)
            new = {name: statement.excluded[name] for name in ("profile", "label", "proposed", "at")}
            keys = [column.name for column in recodings.primary_key]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)
    return len(left)


def difference(database: Database, stretch: Stretch) -> Recoding:
    """What stands beside what a replay made of the same segments, with what people said about them."""
    query = (
        select(recodings.c.segment_id, recodings.c.label, assignments.c.code_id, assignments.c.label.label("before"))
        .join_from(recodings, assignments, recodings.c.segment_id == assignments.c.segment_id)
        .where(recodings.c.study == stretch.study, recodings.c.replay == stretch.name)
        .order_by(recodings.c.segment_id)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
        names = names_now(connection, {row.code_id for row in rows})
        ends = outcomes(connection, dict.fromkeys(row.segment_id for row in rows))
    return compare(
        [
            RecodedSegment(
                names[row.code_id].label if row.code_id in names else row.before,
                row.label,
                tuple(code.label for code in ends[row.segment_id].codes),
            )
            for row in rows
        ]
    )


def _left(database: Database, stretch: Stretch) -> list[Segment]:
    done = select(recodings.c.segment_id).where(recodings.c.replay == stretch.name)
    query = (
        select(segments.c.record)
        .join_from(segments, assignments, segments.c.id == assignments.c.segment_id)
        .where(segments.c.study == stretch.study, segments.c.id.not_in(done))
        .order_by(segments.c.order_at, segments.c.seq)
    )
    if stretch.since is not None:
        query = query.where(segments.c.order_at >= stretch.since)
    if stretch.until is not None:
        query = query.where(segments.c.order_at < stretch.until)
    with database.reading() as connection:
        return [Segment.from_bytes(raw) for raw in connection.execute(query).scalars()]


def _row(outcome: Outcome, stretch: Stretch, profile: str) -> dict[str, Any]:
    coded = outcome.assignment if isinstance(outcome, Coded) else None
    return {
        "replay": stretch.name,
        "segment_id": outcome.segment.id,
        "study": stretch.study,
        "profile": profile,
        "label": coded and coded.label,
        "proposed": coded and coded.proposed,
        "at": datetime.now(UTC),
    }


def again(settings: Settings, store: "Store", stretch: Stretch, events: Sequence[CodeEvent]) -> "Pipeline":
    """The profile's steps over a codebook of their own.

    Nobody's annotations lead the moderator: what people decided is what the result is compared with.

    Args:
        settings: With the profile to try.
        store: The read model.
        stretch: The study, and the replay that may have created codes before it was broken off.
        events: The codebook's history that it begins with.
    """
    from models.fakes import MemoryCodeIndex

    index = MemoryCodeIndex()
    embeds = build_embedder(checked_profile(settings), settings)
    reconcile(index, embeds, events)
    index.put(opened([CodedText(stretch.study, stretch.name, "", _created(store.database, stretch))], embeds))
    made = build_pipeline(settings, index)
    made.refiner.recall(events)
    return made


def _created(database: Database, stretch: Stretch) -> tuple[str, ...]:
    """The labels that this replay gave before."""
    query = select(recodings.c.label).where(recodings.c.replay == stretch.name, recodings.c.label.is_not(None))
    with database.reading() as connection:
        return tuple(connection.execute(query.distinct().order_by(recodings.c.label)).scalars())


def history(store: "Store", study: str, wanted: str) -> list[CodeEvent]:
    """The codebook's events that a replay begins with.

    Args:
        store: The read model.
        study: The study.
        wanted: ``now``, ``empty``, or a time: the codebook as it stood then.

    Raises:
        InputError: If it is none of these.
    """
    if wanted == "empty":
        return []
    then = None if wanted == "now" else moment(wanted, "--codebook")
    return [event for event in store.code_events(study) if then is None or event.at <= then]


def moment(value: str, option: str) -> datetime:
    """A time as it was given on the command line.

    Raises:
        InputError: If it cannot be told.
    """
    found = read_time(value)
    if found is None:
        raise InputError(f"{option} is {value!r}; a time such as 2026-11-22 or 2026-11-22T09:30 is expected")
    return found


@click.command()
@click.option("--study", help="Study; default: QUALSTREAM_STUDY, else demo.")
@click.option("--profile", required=True, help="The profile to try: a name, or the path of a TOML file.")
@click.option("--codebook", "book", default="now", show_default=True, help="now, empty, or a time: as it stood then.")
@click.option("--since", help="Only segments from this time on.")
@click.option("--until", help="Only segments before this time.")
@click.option("--name", help="What to keep it under; the same name goes on where it was broken off. Default: profile.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def replay(
    study: str | None, profile: str, book: str, since: str | None, until: str | None, name: str | None, as_json: bool
) -> None:
    """Code a stretch of a study again under another profile or codebook, beside what stands, and show the difference.

    Nothing that stands is changed. Segments that people coded tell which of the two is nearer to them.
    """
    settings = load_settings(study=study, profile=profile)
    ensure_data_dir(settings)
    stretch = Stretch(
        settings.study,
        (name or checked_profile(settings).name)[:_LONGEST_NAME],
        moment(since, "--since") if since else None,
        moment(until, "--until") if until else None,
    )
    store = build_store(settings)
    try:
        made = again(settings, store, stretch, history(store, settings.study, book))
        now = recode(store, stretch, profile, made, Console(stderr=True))
        found = difference(store.database, stretch)
    finally:
        store.close()
    if not found.segments:
        raise InputError(f"study '{settings.study}' has no coded segments in that stretch; code some first")
    if as_json:
        click.echo(json.dumps({"study": settings.study, "replay": stretch.name, **found.to_json()}, ensure_ascii=False))
    else:
        _print(found, stretch, now, Console(width=None if sys.stdout.isatty() else 120))


def _print(found: Recoding, stretch: Stretch, now: int, console: Console) -> None:
    share = found.same / found.segments
    console.print(
        f"Study '{escape(stretch.study)}', replay '{escape(stretch.name)}': {found.segments} segments ({now} coded "
        f"now), {found.same} of them ({share:.0%}) get the same code, {found.uncoded} none",
        highlight=False,
    )
    if found.judged:
        console.print(
            f"People coded {found.judged} of them: {found.right_before} have one of their codes now, "
            f"{found.right_after} would have",
            highlight=False,
        )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head, justify in (("code", "left"), ("now", "right"), ("would be", "right"), ("kept", "right")):
        table.add_column(head, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("goes to", overflow="fold")
    table.add_column("comes from", overflow="fold")
    moved = [code for code in found.codes if code.moved]
    for code in moved[:_SHOWN]:
        counts = (str(code.before), str(code.after), str(code.kept))
        table.add_row(escape(code.code), *counts, _most(code.went), _most(code.came))
    console.print(table, highlight=False)
    if len(moved) > _SHOWN:
        console.print(f"and {len(moved) - _SHOWN} more codes that change; --json has them all", style="dim")


def _most(counts: Counter[str]) -> str:
    return escape(", ".join(f"{label} ({count})" for label, count in counts.most_common(3)))
