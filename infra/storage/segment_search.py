"""Finding segments of a study: by words, by what became of them, and by who coded them; read page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, String, case, cast, func, or_, select, true

from infra.storage.annotations import current_annotations, waiting
from infra.storage.database import Database
from infra.storage.outcomes import Assigned, Outcome, outcomes
from infra.storage.tables import annotations, assignments, codes, decided_codes, final_codes, segments
from schemas.feedback import READING_NOTES

COUNTED = 10_000
"""Matches are counted up to here; a page needs no more."""
RouteFilter = Literal["", "accepted", "people", "suggested", "none"]
_MOST_WORDS = 12
_MOST_CHOICES = 500  # of a filter's values that are offered


@dataclass(frozen=True)
class Filters:
    """What is looked for; what is not set does not narrow."""

    words: str = ""
    code: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    source: str = ""
    low: float | None = None
    high: float | None = None
    route: RouteFilter = ""
    annotator: str = ""
    human: Literal["", "yes", "no", "decided", "undecided"] = ""
    """Coded by people, by none, decided by people, or not, because they do not agree and nobody has adjudicated."""
    theme: UUID | None = None
    """A theme, under which one of its final codes stands."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Names with the values that a segment must have, as text."""
    uncoded_by: str = ""
    """Somebody who has not coded it."""
    hides: Literal["", "blind", "all"] = ""
    """Segments whose code is to be kept secret: those that wait for a blind reading, or all that wait for a reading.
    They match nothing that tells what the system or people made of them."""

    @property
    def none(self) -> bool:
        """Whether nothing narrows."""
        return all(getattr(self, each.name) == each.default for each in fields(self) if each.name != "hides")

    @property
    def by_outcome(self) -> bool:
        """Whether what matches tells what the system or people made of it."""
        return (
            bool(self.code or self.route or self.human == "undecided") or self.low is not None or self.high is not None
        )


class Mark(NamedTuple):
    """Where a page ended: the next one begins after it."""

    order_at: datetime
    seq: int


@dataclass(frozen=True)
class SegmentMatch:
    """A segment that was found."""

    id: UUID
    text: str
    source: str
    said_at: datetime
    """Where nobody said when, the time at which it was taken in."""
    confidence: float | None
    route: str | None
    outcome: Outcome
    similarity: float | None = None
    """In meaning, to what was asked; none where it was found by words."""
    own_id: str | None = None
    """The source's."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    proposed: str | None = None
    """A label that models propose and nobody has admitted yet."""
    timestamp: datetime | None = None
    """When it was said, as far as its source tells."""


@dataclass(frozen=True)
class Page:
    """Segments, newest first, and where the next page begins, if there is one."""

    matches: Sequence[SegmentMatch]
    after: Mark | None


@dataclass(frozen=True)
class Choices:
    """What the filters can be set to."""

    codes: Sequence[tuple[UUID, str]]
    sources: Sequence[str]
    annotators: Sequence[str]
    attributes: Sequence[str]


def find(database: Database, study: str, filters: Filters, *, after: Mark | None = None, limit: int = 50) -> Page:
    """The newest segments that match, by the time they were said, else taken in."""
    order = (segments.c.order_at.desc(), segments.c.seq.desc())
    with database.reading() as connection:
        query = _matching(_ROWS, study, filters, connection).order_by(*order).limit(limit + 1)
        if after is not None:
            earlier = or_(segments.c.order_at < after.order_at, segments.c.seq < after.seq)
            query = query.where(segments.c.order_at <= after.order_at, earlier)
        rows = connection.execute(query).all()
        matches = _found(connection, rows[:limit])
    more = len(rows) > limit
    return Page(matches, Mark(rows[limit - 1].order_at, rows[limit - 1].seq) if more else None)


def among(database: Database, study: str, filters: Filters, near: Sequence[tuple[UUID, float]]) -> list[SegmentMatch]:
    """Those of some segments that match, in the order in which they are given, each with its similarity."""
    cosines = dict(near)
    with database.reading() as connection:
        query = _matching(_ROWS, study, filters, connection, by_id=True).where(segments.c.id.in_(list(cosines)))
        matches = {match.id: match for match in _found(connection, connection.execute(query).all(), cosines)}
    return [matches[id_] for id_ in cosines if id_ in matches]


def count(database: Database, study: str, filters: Filters, most: int = COUNTED) -> int:
    """How many segments match; ``most + 1`` where there are more than that."""
    with database.reading() as connection:
        matches = _matching(select(segments.c.id), study, filters, connection).limit(most + 1).subquery()
        return connection.execute(select(func.count()).select_from(matches)).scalar_one()


def choices(database: Database, study: str) -> Choices:
    """A study's codes, sources and annotators, for the filters; at most 500 of each."""
    listed = (codes.c.study == study, codes.c.level == "code", codes.c.retired.is_(False))
    labels = select(codes.c.id, codes.c.label).where(*listed).order_by(func.lower(codes.c.label)).limit(_MOST_CHOICES)
    people = select(annotations.c.annotator).where(annotations.c.study == study).distinct()
    with database.reading() as connection:
        return Choices(
            [(row.id, row.label) for row in connection.execute(labels)],
            _sources(connection, study),
            sorted(connection.execute(people.limit(_MOST_CHOICES)).scalars()),
            attribute_names(connection, study)[:_MOST_CHOICES],
        )


def attribute_names(connection: Connection, study: str) -> list[str]:
    """The attributes that segments of a study have, by name."""
    return [name for name in metadata_names(connection, study) if name not in READING_NOTES]


def metadata_names(connection: Connection, study: str | None) -> list[str]:
    """All that the metadata of a study's segments, or of all, holds, by name."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_each_text
    pairs = each(segments.c.metadata).table_valued("key", "value", name="pairs")
    query = select(pairs.c.key).select_from(segments.join(pairs, true())).distinct()
    query = query if study is None else query.where(segments.c.study == study)
    return sorted(connection.execute(query).scalars())


def _sources(connection: Connection, study: str) -> list[str]:
    """The study's sources by the index over them: from each straight to the next one."""
    sources: list[str] = []
    while len(sources) < _MOST_CHOICES:
        query = select(func.min(segments.c.source)).where(segments.c.study == study)
        following = connection.execute(query.where(segments.c.source > sources[-1]) if sources else query).scalar_one()
        if following is None:
            break
        sources.append(following)
    return sources


_ROWS = select(
    segments.c.seq,
    segments.c.id,
    segments.c.text,
    segments.c.source,
    segments.c.own_id,
    segments.c.metadata,
    segments.c.order_at,
    segments.c.timestamp,
    assignments.c.code_id,
    assignments.c.label,
    assignments.c.confidence,
    assignments.c.route,
    assignments.c.standing,
)
Query = Select[*tuple[Any, ...]]


def _matching(query: Query, study: str, filters: Filters, connection: Connection, *, by_id: bool = False) -> Query:
    done = assignments.c
    of_study = func.coalesce(segments.c.study, "") if by_id else segments.c.study  # else SQLite would read all of it
    query = query.join_from(segments, assignments, segments.c.id == done.segment_id, isouter=True)
    where = [of_study == study, *_words(filters.words, connection.dialect.name)]
    bounds = (
        (filters.since, segments.c.order_at.__ge__),
        (filters.until, segments.c.order_at.__lt__),
        (filters.source or None, segments.c.source.__eq__),
        (filters.low, done.confidence.__ge__),
        (filters.high, done.confidence.__le__),
    )
    where += [narrow(bound) for bound, narrow in bounds if bound is not None]
    if filters.route:
        where.append(done.route.is_(None) if filters.route == "none" else done.route == filters.route)
    if filters.annotator:
        current = current_annotations(study, annotations.c.annotator == filters.annotator)
        where.append(segments.c.id.in_(select(current.c.segment_id)))
    if filters.uncoded_by:
        theirs = current_annotations(study, annotations.c.annotator == filters.uncoded_by)
        where.append(segments.c.id.not_in(select(theirs.c.segment_id)))
    if filters.human:
        where.append(_by_people(filters.human, study))
    where += [attribute_text(name, connection.dialect.name) == value for name, value in filters.attributes]
    if filters.hides and filters.by_outcome:
        where.append(segments.c.id.not_in(waiting(study, every=filters.hides == "all")))
    if filters.code is not None:
        where.append(_coded_as(study, final_codes.c.code_id == filters.code))
    if filters.theme is not None:
        parents = codes.alias("parents")
        below = select(codes.c.id).join_from(codes, parents, codes.c.parent == parents.c.id)
        below = below.where(or_(parents.c.id == filters.theme, parents.c.final == filters.theme))
        where.append(_coded_as(study, final_codes.c.code_id.in_(below)))
    return query.where(*where)


def matching_ids(study: str, filters: Filters, connection: Connection) -> Query:
    """A query for the ids of all segments that match."""
    return _matching(select(segments.c.id), study, filters, connection)


def attribute_text(name: str, dialect: str) -> ColumnElement[str]:
    """An attribute's value as text; none where a segment lacks it."""
    if dialect != "sqlite":
        return func.json_extract_path_text(segments.c.metadata, name)
    pairs = func.json_each(segments.c.metadata).table_valued("key", "value", "type", name="named")  # any name is one
    truth = pairs.c.type.in_(("true", "false"))
    value = case((truth, pairs.c.type), else_=cast(pairs.c.value, String))
    return select(value).where(pairs.c.key == name).limit(1).correlate(segments).scalar_subquery()


def _by_people(human: str, study: str) -> ColumnElement[bool]:
    if human.endswith("decided"):
        apart = decided_codes.c.decided_by == "undecided"
        which = (decided_codes.c.study == study, apart if human == "undecided" else ~apart)
        return segments.c.id.in_(select(decided_codes.c.segment_id).where(*which))
    coded = segments.c.id.in_(select(current_annotations(study).c.segment_id))
    return coded if human == "yes" else ~coded


def _words(words: str, dialect: str) -> list[ColumnElement[bool]]:
    """Each word must occur, whatever its case. SQLite folds ASCII alone, so other letters are given in each case."""
    conditions = []
    for word in words.split()[:_MOST_WORDS]:
        spelt = {word} if word.isascii() or dialect != "sqlite" else {word, word.lower(), word.upper(), word.title()}
        text = segments.c.text
        like = [text.ilike(_pattern(w), escape="\\") if dialect != "sqlite" else _like(text, w) for w in sorted(spelt)]
        conditions.append(or_(*like))
    return conditions


def _like(text: ColumnElement[str], word: str) -> ColumnElement[bool]:
    return text.like(_pattern(word), escape="\\")


def _pattern(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _coded_as(study: str, which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of a segment's final codes is such a one."""
    return segments.c.id.in_(select(final_codes.c.segment_id).where(final_codes.c.study == study, which))


def _found(
    connection: Connection, rows: Sequence[Row[Any]], cosines: Mapping[UUID, float] | None = None
) -> list[SegmentMatch]:
    given: dict[UUID, Assigned | None] = {
        row.id: None if row.code_id is None else Assigned(row.code_id, row.label, row.standing) for row in rows
    }
    settled = outcomes(connection, given)
    return [
        SegmentMatch(
            row.id,
            row.text,
            row.source,
            row.order_at,
            row.confidence,
            row.route,
            settled[row.id],
            None if cosines is None else cosines[row.id],
            row.own_id,
            row.metadata,
            row.label if row.standing == "proposed" else None,
            row.timestamp,
        )
        for row in rows
    ]
