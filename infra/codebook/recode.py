"""Code a stretch of a study again under another profile or codebook, beside what stands, and show the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from sqlalchemy import select

from infra.factory.models import Models
from infra.factory.pipeline import GivenCodes, build_pipeline
from infra.files.timestamps import read_time
from infra.profiles.loading import load_profile
from infra.profiles.study_rules import rules_of
from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.outcomes import names_now, outcomes
from infra.storage.projections import insert
from infra.storage.tables import assignments, recodings, segments
from models.errors import InputError
from models.evaluation.recoding import RecodedSegment, Recoding, compare
from models.moderation.precedents import CodedText, opened
from models.pipeline import CodedSegment, CodingOutcome
from models.refinement.reindexing import reconcile
from schemas import CodeEvent, Segment

if TYPE_CHECKING:
    from infra.storage.store import Store
    from models.pipeline import Pipeline

_TOGETHER = 32  # segments coded between two writes: a replay that is broken off goes on there
LONGEST_NAME = 80  # characters of a replay's name


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
    for batch in track(batches, "coding again", console=console, transient=True):
        rows = [_row(outcome, stretch, profile) for outcome in pipeline.run(batch)]
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


def _row(outcome: CodingOutcome, stretch: Stretch, profile: str) -> dict[str, Any]:
    coded = outcome.assignment if isinstance(outcome, CodedSegment) else None
    return {
        "replay": stretch.name,
        "segment_id": outcome.segment.id,
        "study": stretch.study,
        "profile": profile,
        "label": coded.label if coded and coded.standing == "code" else None,
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
    embedder = Models.of(settings).embedder
    reconcile(index, embedder, events)
    index.put(opened([CodedText(stretch.study, stretch.name, "", _created(store.database, stretch))], embedder))
    rules = rules_of(store.database, load_profile(settings.profile), stretch.study)
    pipeline = build_pipeline(settings, index, GivenCodes(mode=rules.coding_mode))
    pipeline.refiner.update_rules([rules])
    pipeline.refiner.load_history(events)
    return pipeline


def _created(database: Database, stretch: Stretch) -> tuple[str, ...]:
    """The labels that this replay gave before."""
    query = select(recodings.c.label).where(recodings.c.replay == stretch.name, recodings.c.label.is_not(None))
    with database.reading() as connection:
        return tuple(connection.execute(query.distinct().order_by(recodings.c.label)).scalars())


def history(store: "Store", study: str, start: str) -> list[CodeEvent]:
    """The codebook's events that a replay begins with.

    Args:
        store: The read model.
        study: The study.
        start: ``now``, ``empty``, or a time: the codebook as it stood then.

    Raises:
        InputError: If it is none of these.
    """
    if start == "empty":
        return []
    then = None if start == "now" else moment(start, "--codebook")
    return [event for event in store.code_events(study) if then is None or event.at <= then]


def moment(value: str, option: str) -> datetime:
    """A time as it was given on the command line.

    Raises:
        InputError: If it cannot be told.
    """
    then = read_time(value)
    if then is None:
        raise InputError(f"{option} is {value!r}; a time such as 2026-11-22 or 2026-11-22T09:30 is expected")
    return then
