"""The read model and the intake, in SQL: what users see, and what must not be lost before it is published.

Several processes may read and write at once. Every write may be repeated; see ``infra.storage.projections``.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, get_args
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, and_, case, delete, exists, func, or_, select, update

from infra.storage.analysis.code_counts import code_counts
from infra.storage.database import CHUNK, Database, chunks, open_database
from infra.storage.derived.decided_codes import update_every_decided_code
from infra.storage.intake import IntakeMask, OnMasked, OnSegment, SegmentIntake
from infra.storage.projections import PROJECTIONS, insert, write
from infra.storage.tables import (
    annotations,
    assignments,
    codes,
    dead_letters,
    decisions,
    metadata,
    requests,
    segments,
    workers,
)
from schemas import CodeEvent, DeadLetter, Record, Segment
from schemas.coding import Route

R = TypeVar("R", bound=Record)
_SEEN_LATELY_S = 15.0  # a worker says every second how it goes
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])
_COUNTED = ((segments, "taken_in"), (decisions, "decided"), (assignments, "refined"), (dead_letters, "dead_lettered"))


class Unpublished(NamedTuple):
    """A segment that is taken in and not yet on the topic."""

    id: UUID
    study: str
    record: bytes


@dataclass(frozen=True)
class StageCounts:
    """How many records stand at each stage."""

    taken_in: int
    published: int
    decided: int
    refined: int
    routed: int
    accepted: int
    people: int
    dead_lettered: int
    codes: int
    new: int
    reused: int
    suggested: int = 0


@dataclass(frozen=True)
class LiveViewLine:
    """One line of a live view."""

    text: str
    label: str
    new: bool
    similarity: float
    confidence: float | None
    route: str | None
    standing: str = "code"


@dataclass(frozen=True)
class SetAside:
    """A dead letter and when it was replayed, if it was."""

    letter: DeadLetter
    replayed_at: datetime | None


@dataclass(frozen=True)
class WorkerState:
    """What one worker says about itself; counts are since it started."""

    role: str
    instance: str
    pid: int
    host: str
    started_at: datetime
    seen_at: datetime
    read: int = 0
    written: int = 0
    dead_lettered: int = 0
    errors: int = 0
    last_error: str | None = None
    last_commit_at: datetime | None = None

    def alive(self, now: datetime) -> bool:
        """Whether it was seen lately."""
        return (now - self.seen_at).total_seconds() < _SEEN_LATELY_S


def open_store(url: str, mask: IntakeMask | None = None) -> "Store":
    """Open the store and bring its tables up to date.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        mask: Masks what is taken in, where that is wanted.

    Raises:
        SettingError: If the URL, the folder, the login or the tables are not as they must be.
        UnavailableError: If the database does not answer now; any method may raise it later too.
    """
    return Store(open_database(url, update_every_decided_code), mask)


class Store:
    """The read model. Threads may share it; processes open their own."""

    def __init__(self, database: Database, mask: IntakeMask | None = None) -> None:
        self._database, self._mask = database, mask

    def close(self) -> None:
        """Let go of all connections."""
        self._database.close()

    @property
    def database(self) -> Database:
        """For what else is kept beside the read model: people's side of it, and their accounts."""
        return self._database

    # Intake

    def take_in(
        self, taken: Iterable[Segment], changed: OnSegment | None = None, masked: OnMasked | None = None
    ) -> int:
        """Keep segments until they are published; those already there stay as they are, and those erased stay away.

        Each 500 are committed together, so a stream that breaks off keeps what came before. Where the installation or
        a study wants personal data masked it is done here, before anything is kept. ``changed`` gets those that are
        there with another text, ``masked`` what was looked through of those that are new. Returns how many those were.
        """
        intake = SegmentIntake(self._database, self._mask, changed, masked)
        return sum(intake.keep(chunk) for chunk in chunks(taken))

    def unpublished(self, limit: int) -> list[Unpublished]:
        """The segments to publish next: by the time they were said (else taken in), then as they came."""
        query = (
            select(segments.c.id, segments.c.study, segments.c.record)
            .where(segments.c.published_at.is_(None))
            .order_by(segments.c.order_at, segments.c.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Unpublished(*row) for row in connection.execute(query)]

    def backlog(self, most: int) -> int:
        """How many segments of all studies wait to be published; not counted beyond ``most``."""
        waiting = select(segments.c.id).where(segments.c.published_at.is_(None)).limit(most).subquery()
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(waiting)).scalar_one()

    def mark_published(self, ids: Iterable[UUID]) -> None:
        """Note that the broker has confirmed these segments."""
        for chunk in chunks(ids):
            unpublished = and_(segments.c.id.in_(chunk), segments.c.published_at.is_(None))
            with self._database.writing() as connection:
                connection.execute(update(segments).where(unpublished).values(published_at=_now()))

    def reopen(self, study: str | None = None, published_before: datetime | None = None) -> int:
        """Make segments without an outcome unpublished again: their messages, or what came of them, got lost.

        An outcome is an accepted code, a question to people, kept or answered, or a dead letter that was not replayed.

        Args:
            study: Only its segments; all where none is given.
            published_before: Only what was published before; all where no time is given.

        Returns:
            How many were published before and are not any more.
        """
        lost = select(segments.c.id).where(segments.c.published_at.is_not(None), ~has_outcome())
        if published_before is not None:
            lost = lost.where(segments.c.published_at < published_before)
        with self._database.reading() as connection:  # of all segments: nobody is to wait for it
            ids = connection.execute(_of_study(lost, segments.c.study, study)).scalars().all()
        for chunk in chunks(ids):
            with self._database.writing() as connection:
                connection.execute(update(segments).where(segments.c.id.in_(chunk)).values(published_at=None))
        return len(ids)

    # What the topics say

    def record(self, records: Sequence[Record]) -> None:
        """Write a batch of any kinds of record, all or nothing; repeats and disorder change nothing."""
        if records:
            with self._database.writing() as connection:
                write(connection, records, _now())

    def history(self, kind: type[R], study: str | None = None) -> Iterator[R]:
        """Every record of one kind in the order of its time, as it came, read as it is used."""
        table, order = PROJECTIONS[kind].table, PROJECTIONS[kind].order
        query = _of_study(select(table.c.record), table.c.get("study"), study)
        for (raw,) in self._stream(query.order_by(*(table.c[name] for name in order))):
            yield kind.from_bytes(raw)

    def code_events(self, study: str | None = None) -> Iterator[CodeEvent]:
        """The codebook's history."""
        return self.history(CodeEvent, study)

    # What users see

    def counts(self, study: str | None = None) -> StageCounts:
        """Count every stage, of one study or of all."""

        def count(column: Column[Any], *where: ColumnElement[bool]) -> Any:
            counted = select(func.count()).select_from(column.table).where(*where)
            return _of_study(counted, column, study).scalar_subquery()

        done, coded = assignments.c, assignments.c.study
        query = select(
            *(count(table.c.study).label(name) for table, name in _COUNTED),
            count(segments.c.study, segments.c.published_at.is_not(None)).label("published"),
            count(coded, done.route.is_not(None)).label("routed"),
            count(codes.c.study, codes.c.retired.is_(False), codes.c.level == "code").label("codes"),
            count(coded, done.new.is_(True)).label("new"),
            count(coded, done.new.is_(False), done.standing == "code").label("reused"),
            *(count(coded, done.route == route).label(route) for route in get_args(Route)),
        )
        with self._database.reading() as connection:
            return StageCounts(**connection.execute(query).mappings().one())

    def open_segments(self, study: str | None = None) -> int:
        """How many segments have no outcome yet."""
        query = _of_study(select(func.count()).select_from(segments).where(~has_outcome()), segments.c.study, study)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def has_open_segments(self) -> bool:
        """Whether any segment has no outcome yet; soon told where one has not, for the newest are asked first."""
        newest_open = select(segments.c.seq).where(~has_outcome()).order_by(segments.c.seq.desc()).limit(1)
        with self._database.reading() as connection:
            return connection.execute(newest_open).first() is not None

    def newest(self, study: str | None, limit: int) -> list[LiveViewLine]:
        """The segments coded last, newest first."""
        done = assignments.c
        query = (
            select(segments.c.text, _LABEL, done.new, done.similarity, done.confidence, done.route, done.standing)
            .join_from(assignments, segments, done.segment_id == segments.c.id)
            .join(_GIVEN, done.code_id == _GIVEN.c.id, isouter=True)
            .join(codes, codes.c.id == _NOW, isouter=True)
            .order_by(done.assigned_at.desc(), done.segment_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [LiveViewLine(*row) for row in connection.execute(_of_study(query, done.study, study))]

    def top_codes(self, study: str | None, limit: int) -> list[tuple[str, int]]:
        """The most used final codes by their present labels, with how many segments have each."""
        with self._database.reading() as connection:
            return [(count.label, count.segments) for count in code_counts(connection, study, limit)]

    def segments_by_code(self, study: str) -> dict[UUID, int]:
        """How many segments have each code of a study in the end."""
        with self._database.reading() as connection:
            return {count.id: count.segments for count in code_counts(connection, study)}

    def rows(self, study: str | None = None, *where: ColumnElement[bool]) -> Generator[dict[str, Any], None, None]:
        """Every segment with what became of it, in the order it was said, for an export; memory stays flat.

        ``where`` narrows the rows of ``segments``. What has not come yet is ``None``; ``proposals``, ``models`` and
        ``metadata`` are JSON values.
        """
        query = (
            select(*_EXPORTED)
            .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
            .join(decisions, segments.c.id == decisions.c.segment_id, isouter=True)
            .join(_GIVEN, assignments.c.code_id == _GIVEN.c.id, isouter=True)
            .join(codes, codes.c.id == _NOW, isouter=True)
            .join(_PARENTS, codes.c.parent == _PARENTS.c.id, isouter=True)
            .join(_THEMES, _PARENTS.c.final == _THEMES.c.id, isouter=True)
            .where(*where)
            .order_by(segments.c.order_at, segments.c.seq)
        )
        for row in self._stream(_of_study(query, segments.c.study, study)):
            yield dict(row._mapping)

    # What was set aside

    def dead_letters(
        self, study: str | None = None, *, limit: int | None = None, replayed: bool | None = None
    ) -> list[SetAside]:
        """Dead letters, newest first; ``replayed`` narrows to those that were, or were not."""
        query: Select[bytes, datetime | None] = select(dead_letters.c.record, dead_letters.c.replayed_at)
        if replayed is not None:
            query = query.where(dead_letters.c.replayed_at.is_not(None) == replayed)
        query = _of_study(query, dead_letters.c.study, study)
        query = query.order_by(dead_letters.c.at.desc(), dead_letters.c.id).limit(limit)
        with self._database.reading() as connection:
            return [SetAside(DeadLetter.from_bytes(raw), at) for raw, at in connection.execute(query)]

    def dead_letter(self, letter: UUID) -> SetAside | None:
        """One dead letter, or ``None`` if there is none by that id."""
        query = select(dead_letters.c.record, dead_letters.c.replayed_at).where(dead_letters.c.id == letter)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else SetAside(DeadLetter.from_bytes(row[0]), row[1])

    def mark_replayed(self, letter: UUID) -> None:
        """Note that a dead letter's message was put back on its topic: its segment is open again."""
        with self._database.writing() as connection:
            statement = update(dead_letters).where(dead_letters.c.id == letter)
            connection.execute(statement.values(replayed_at=_now()))

    # Workers

    def heartbeat(self, state: WorkerState) -> None:
        """Keep what a worker says about itself, in place of what it said before."""
        statement = insert(workers, self._database.dialect)
        values = {column.name: statement.excluded[column.name] for column in workers.c if not column.primary_key}
        upsert = statement.on_conflict_do_update(index_elements=["role", "instance"], set_=values)
        with self._database.writing() as connection:
            connection.execute(upsert, asdict(state))

    def workers(self) -> list[WorkerState]:
        """What every worker last said, by role and instance."""
        query = select(workers).order_by(workers.c.role, workers.c.instance)
        with self._database.reading() as connection:
            return [WorkerState(**row) for row in connection.execute(query).mappings()]

    def reset(self, study: str | None = None) -> None:
        """Forget one study, or everything; releases and workers belong to no study and go only with everything."""
        with self._database.erasing() as connection:
            for table in metadata.sorted_tables:
                if table.info.get("stays"):
                    continue
                if study is None:
                    connection.execute(delete(table))
                elif "study" in table.c:
                    connection.execute(delete(table).where(table.c.study == study))

    def _stream(self, query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
        with self._database.reading() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=CHUNK)
            yield from streaming.execute(query)


_GIVEN, _PARENTS, _THEMES = codes.alias("given"), codes.alias("parents"), codes.alias("themes")
_IN_CODEBOOK = assignments.c.standing == "code"
_NOW = func.coalesce(_GIVEN.c.final, case((_IN_CODEBOOK, assignments.c.code_id)))
"""The code that a segment's code is by now: what it was merged into, or itself; none outside the codebook."""
_LABEL = func.coalesce(codes.c.label, assignments.c.label)


_EXPORTED = (
    segments.c.id,
    segments.c.own_id,
    segments.c.study,
    segments.c.text,
    segments.c.source,
    segments.c.timestamp,
    segments.c.language,
    func.coalesce(codes.c.label, case((_IN_CODEBOOK, assignments.c.label))).label("code"),
    _NOW.label("code_id"),
    _THEMES.c.label.label("theme"),
    assignments.c.new,
    assignments.c.similarity,
    assignments.c.confidence,
    assignments.c.route,
    assignments.c.verdict,
    assignments.c.standing,
    assignments.c.proposed,
    decisions.c.proposals,
    assignments.c.models,
    segments.c.metadata,
)


def has_outcome() -> ColumnElement[bool]:
    """Whether a row of ``segments`` has been coded and routed, and asked about where it should be, or set aside."""
    coded = assignments.c.segment_id
    asked = or_(exists().where(requests.c.segment_id == coded), exists().where(annotations.c.segment_id == coded))
    routed = or_(assignments.c.route.in_(("accepted", "suggested")), and_(assignments.c.route == "people", asked))
    dead = exists().where(dead_letters.c.segment_id == segments.c.id, dead_letters.c.replayed_at.is_(None))
    return or_(exists().where(coded == segments.c.id, routed), dead)


def _of_study(query: Query, column: ColumnElement[Any] | None, study: str | None) -> Query:
    """Narrow to a study; a table whose rows belong to none is left whole."""
    return query if study is None or column is None else query.where(column == study)


def _now() -> datetime:
    return datetime.now(UTC)
