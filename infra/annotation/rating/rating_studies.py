"""Rating studies as they are kept: begun with their items, rated one by one, ended."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, distinct, func, select, update

from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import rating_items, rating_studies, ratings, segments
from models.errors import InputError
from models.evaluation.rating_study import SCALES, STANDS, Marks, RatedItem

_RATING_LOCK = 7_305_816  # any number that nothing else locks in this database


@dataclass(frozen=True)
class RatingStudy:
    """What is compared, by how many, and whether it goes on."""

    id: UUID
    study: str
    sources: tuple[str, ...]
    """Whose codes: see ``rating_draw``."""
    quotes: int
    raters: int
    """At most."""
    seed: int
    """Draws the quotes, and with a rater's name their order."""
    author: str
    at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class QuotedItem:
    """A code that is rated, and the segment that it is of."""

    segment: UUID
    item: RatedItem


@dataclass(frozen=True)
class GivenRating:
    """What a rater gave an item, and when."""

    rater: str
    item: str
    marks: Marks
    at: datetime


def list_ratings(database: Database, study: str) -> list[RatingStudy]:
    """A study's rating studies, the newest first."""
    query = select(rating_studies).where(rating_studies.c.study == study)
    with database.reading() as connection:
        return [_study_of(row) for row in connection.execute(query.order_by(rating_studies.c.at.desc()))]


def find_rating(database: Database, study: str, rating: UUID) -> RatingStudy | None:
    """One of a study's; ``None`` where it has none such."""
    with database.reading() as connection:
        return _find(connection, study, rating)


def start_rating(database: Database, rating: RatingStudy, items: Sequence[QuotedItem]) -> None:
    """Keep a rating study with what is rated; the same once more changes nothing."""
    row = {**vars(rating), "sources": list(rating.sources)}
    rows = [
        {
            "rating_id": rating.id,
            "item": each.item.item,
            "study": rating.study,
            "segment_id": each.segment,
            "code": each.item.code,
            "systems": list(each.item.systems),
            "gold": list(each.item.gold),
        }
        for each in items
    ]
    with database.writing() as connection:
        new = connection.execute(insert(rating_studies, database.dialect).on_conflict_do_nothing(), row).rowcount
        if new:
            connection.execute(insert(rating_items, database.dialect), rows)


def end_rating(database: Database, study: str, rating: UUID, at: datetime) -> None:
    """From now on nobody rates; one that has ended stays as it is."""
    running = (*_is(study, rating), rating_studies.c.ended_at.is_(None))
    with database.writing() as connection:
        connection.execute(update(rating_studies).where(*running).values(ended_at=at))


def items_of(database: Database, rating: RatingStudy) -> list[QuotedItem]:
    """What is rated; codes of segments that were erased meanwhile are gone."""
    query = (
        select(rating_items, segments.c.text)
        .join(segments, segments.c.id == rating_items.c.segment_id)
        .where(rating_items.c.rating_id == rating.id)
        .order_by(rating_items.c.item)
    )
    with database.reading() as connection:
        return [
            QuotedItem(row.segment_id, RatedItem(row.item, row.text, row.code, tuple(row.gold), tuple(row.systems)))
            for row in connection.execute(query)
        ]


def given_ratings(database: Database, rating: RatingStudy, rater: str | None = None) -> list[GivenRating]:
    """What raters gave, by rater and item; that of one where it is named."""
    query = select(ratings).where(ratings.c.rating_id == rating.id)
    if rater is not None:
        query = query.where(ratings.c.rater == rater)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(ratings.c.rater, ratings.c.item)).all()
    return [GivenRating(row.rater, row.item, _marks(row), row.at) for row in rows]


def count_items(database: Database, study: str) -> Counter[UUID]:
    """How many codes each of a study's rating studies has; those of segments that were erased are not counted."""
    query = (
        select(rating_items.c.rating_id, func.count())
        .join(segments, segments.c.id == rating_items.c.segment_id)
        .where(rating_items.c.study == study)
        .group_by(rating_items.c.rating_id)
    )
    with database.reading() as connection:
        return Counter({rating: count for rating, count in connection.execute(query)})


def count_rated(database: Database, study: str, rater: str) -> Counter[UUID]:
    """How many codes somebody has rated in each of a study's rating studies."""
    query = (
        select(ratings.c.rating_id, func.count())
        .where(ratings.c.study == study, ratings.c.rater == rater)
        .group_by(ratings.c.rating_id)
    )
    with database.reading() as connection:
        return Counter({rating: count for rating, count in connection.execute(query)})


def by_rater(given: Collection[GivenRating]) -> dict[str, dict[str, Marks]]:
    """The same for ``models.evaluation.rating_study.add_up``: per rater and item the marks."""
    marks: defaultdict[str, dict[str, Marks]] = defaultdict(dict)
    for rating in given:
        marks[rating.rater][rating.item] = rating.marks
    return dict(marks)


def keep_ratings(
    database: Database, rating: RatingStudy, rater: str, segment: UUID, marks: Mapping[str, Marks], at: datetime
) -> None:
    """Keep what a rater gives the codes of a quote, in place of what they gave them before.

    Args:
        database: The read model's.
        rating: Which.
        rater: Who.
        segment: The quote's.
        marks: By item; items that the quote does not have are left out.
        at: When.

    Raises:
        InputError: If it has ended, or as many others as may are rating already.
    """
    of_quote = (rating_items.c.rating_id == rating.id, rating_items.c.segment_id == segment)
    before = (ratings.c.rating_id == rating.id, ratings.c.segment_id == segment, ratings.c.rater == rater)
    with database.exclusive(_RATING_LOCK, rating.study) as connection:
        _check_place(connection, rating, rater)
        known = set(connection.scalars(select(rating_items.c.item).where(*of_quote)))
        rows = [_row(rating, rater, segment, item, each, at) for item, each in marks.items() if item in known]
        connection.execute(delete(ratings).where(*before))
        if rows:
            connection.execute(ratings.insert(), rows)


def has_place(database: Database, rating: RatingStudy, rater: str) -> bool:
    """Whether somebody rates already, or still may."""
    with database.reading() as connection:
        return _has_place(connection, rating, rater)


def _check_place(connection: Connection, rating: RatingStudy, rater: str) -> None:
    now = _find(connection, rating.study, rating.id)
    if now is None or now.ended_at is not None:
        raise InputError("this rating study has ended; nothing more is rated")
    if not _has_place(connection, rating, rater):
        raise InputError(f"{rating.raters} people rate already, and no more were asked for; a lead may begin another")


def _has_place(connection: Connection, rating: RatingStudy, rater: str) -> bool:
    others = (ratings.c.rating_id == rating.id, ratings.c.rater != rater)
    count = connection.execute(select(func.count(distinct(ratings.c.rater))).where(*others)).scalar_one()
    return count < rating.raters


def _find(connection: Connection, study: str, rating: UUID) -> RatingStudy | None:
    row = connection.execute(select(rating_studies).where(*_is(study, rating))).one_or_none()
    return None if row is None else _study_of(row)


def _is(study: str, rating: UUID) -> tuple[ColumnElement[bool], ...]:
    return rating_studies.c.study == study, rating_studies.c.id == rating


def _study_of(row: Any) -> RatingStudy:
    values = {**row._mapping, "sources": tuple(row.sources)}
    return RatingStudy(**values)


def _marks(row: Any) -> dict[str, float]:
    return {name: float(getattr(row, name)) for name in (*SCALES, STANDS)}


def _row(rating: RatingStudy, rater: str, segment: UUID, item: str, marks: Marks, at: datetime) -> dict[str, Any]:
    scales = {scale: int(marks[scale]) for scale in SCALES}
    place = {"rating_id": rating.id, "item": item, "rater": rater, "study": rating.study, "segment_id": segment}
    return {**place, **scales, "stands": bool(marks[STANDS]), "at": at}
