"""A study as the drift monitor looks at it: every segment with its code, and what was changed on purpose."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, null, or_, select

from infra.storage.annotations import CurrentCodes, abstaining
from infra.storage.database import CHUNK, Database, chunks
from infra.storage.tables import annotations, assignments, code_events, codes, dead_letters, decisions, segments
from infra.storage.tables import releases as release_rows
from models.drift.observation import KnownChange, Observed
from models.ports import Embedder
from models.text.words import distinct_words
from schemas import CodeEvent
from schemas.coding import CONFIDENCE
from schemas.ids import uniform

_CURATED = ("merged", "split", "retired", "restored")
"""What people do to a codebook; that the refiner opens new codes is no change on purpose."""
_given, _parents, _themes = codes.alias("given"), codes.alias("parents"), codes.alias("themes")


def count_observations(database: Database, study: str, since: datetime | None = None) -> int:
    """How many segments :func:`observed` gives."""
    query = _joined(select(func.count()), study).where(*_watched(study, since, None))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def observations(
    database: Database,
    study: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    embedder: Embedder | None = None,
    share: float = 1.0,
) -> Iterator[Observed]:
    """Every coded segment and every dead letter of a study by the segments' own time; memory stays flat.

    A code goes by its present name, but one that was merged since is still itself: what the codebook moved is seen.
    What people say of the codes comes later, see :func:`judgements`.

    Args:
        database: The read model.
        study: The study.
        since: Only segments said from then on.
        until: Only segments said before.
        embedder: For the directions of their texts; without one they have none.
        share: Of the segments whose texts are embedded, drawn by their ids.
    """
    query = _query(study, since, until, texts=embedder is not None)
    with database.reading() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=CHUNK)
        rows = streaming.execute(query.order_by(segments.c.order_at, segments.c.seq))
        if embedder is None:
            yield from map(_observed, rows)
        else:
            yield from with_vectors(((_observed(row), row.text) for row in rows), embedder, share)


def judgements(
    database: Database, study: str, since_decided: datetime | None = None, until_decided: datetime | None = None
) -> Iterator[tuple[datetime, Observed]]:
    """What people said of the codes, as it was said, with the time when it was.

    That is the first word on each audited code, and of every further person who codes a segment whether their first
    codes for it are the ones that stood last by then; corrections and adjudications are no words of their own.

    A word stands in the segments' own time where the stream was by then: at the first segment that was coded
    afterwards, and not before an earlier word. One after which nothing was coded yet is left for later, with all that
    follow it.

    Args:
        database: The read model.
        study: The study.
        since_decided: Only words given after that.
        until_decided: Only words given before.
    """
    with database.reading() as connection:
        span, place = (study, since_decided, until_decided), None
        judged = heapq.merge(_accepted(connection, *span), _agreed(connection, *span), key=_order)
        for row, accepted, agreed in judged:
            if row.place is None:
                return
            place = row.place if place is None else max(place, row.place)
            observed = Observed(
                place, row.segment_id, row.source, row.code, accepted=accepted, agreed=agreed, judged=True
            )
            yield row.decided_at, observed


def changes(
    database: Database, study: str, since: datetime | None = None, until: datetime | None = None
) -> list[KnownChange]:
    """What was changed on purpose, in the segments' own time: releases, the codebook, people who began to code."""
    with database.reading() as connection:
        on_purpose = [*_released(connection, study), *_curated(connection, study), *_began(connection, study)]
        placed = [
            KnownChange(_first_coded(connection, study, change.at), change.kind, change.what) for change in on_purpose
        ]
    kept = [
        change for change in placed if (since is None or change.at >= since) and (until is None or change.at < until)
    ]
    return sorted(kept, key=lambda change: (change.at, change.kind, change.what))


def texts_of(database: Database, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The texts of some segments; those that are not there are left out."""
    texts: dict[UUID, str] = {}
    with database.reading() as connection:
        for chunk in chunks(ids):
            query = select(segments.c.id, segments.c.text).where(segments.c.id.in_(chunk))
            texts.update((row.id, row.text) for row in connection.execute(query))
    return texts


def texts_between(
    database: Database, study: str, since: datetime | None, until: datetime | None, most: int, *, newest: bool = False
) -> list[tuple[datetime, UUID, str, str]]:
    """Time, id, source and text of the first segments of a stretch, or of its newest, in order of time.

    Args:
        database: The read model.
        study: The study.
        since: Segments said from then on.
        until: Segments said before then.
        most: How many at most.
        newest: Whether the last ones are meant.
    """
    at = segments.c.order_at
    query = select(at, segments.c.id, segments.c.source, segments.c.text).where(*_watched(study, since, until))
    ordered = query.order_by(at.desc() if newest else at, segments.c.id).limit(most)
    with database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(ordered)]
    return rows[::-1] if newest else rows


def frequent_labels(database: Database, study: str, most: int) -> list[str]:
    """The labels that most segments were given, the most frequent first."""
    label = assignments.c.label
    query = select(label).where(assignments.c.study == study).group_by(label).order_by(func.count().desc(), label)
    with database.reading() as connection:
        return list(connection.execute(query.limit(most)).scalars())


def _query(study: str, since: datetime | None, until: datetime | None, *, texts: bool) -> Select[*tuple[Any, ...]]:
    query = select(
        segments.c.id,
        segments.c.order_at,
        segments.c.source,
        (segments.c.text if texts else null()).label("text"),
        func.coalesce(_given.c.label, assignments.c.label).label("code"),
        _themes.c.label.label("theme"),
        assignments.c.new,
        assignments.c.confidence,
        assignments.c.similarity,
        assignments.c.models,
        assignments.c.segment_id.label("assigned"),
        decisions.c.agreement,
        decisions.c.verdict,
    )
    return _joined(query, study).where(*_watched(study, since, until))


_Word = tuple[Row[Any], bool | None, bool | None]
"""Where and when it was said; whether a code was accepted; whether two people agreed."""


def _order(word: _Word) -> tuple[datetime, UUID]:
    return word[0].decided_at, word[0].segment_id


def _accepted(connection: Connection, study: str, since: datetime | None, until: datetime | None) -> Iterator[_Word]:
    word = func.row_number().over(
        partition_by=annotations.c.segment_id, order_by=(annotations.c.decided_at, annotations.c.annotator)
    )
    given = select(
        annotations.c.segment_id, annotations.c.decided_at, annotations.c.accepted, word.label("word")
    ).where(
        annotations.c.study == study,
        annotations.c.sample,
        annotations.c.accepted.is_not(None),
        annotations.c.withdrawn.is_(False),
    )
    judged = given.subquery("said")
    query = _placed(judged, study, since, until).where(judged.c.word == 1)
    for row in connection.execute(query):
        yield row, row.accepted, None


def _agreed(connection: Connection, study: str, since: datetime | None, until: datetime | None) -> Iterator[_Word]:
    """Each person's first coding of a segment that somebody else had coded by then: up to there all are others'."""
    columns = annotations.c
    own = func.row_number().over(partition_by=(columns.segment_id, columns.annotator), order_by=columns.decided_at)

    def before(column: ColumnElement[Any]) -> ColumnElement[Any]:
        earlier = func.lag(column, type_=column.type)
        return earlier.over(partition_by=columns.segment_id, order_by=(columns.decided_at, columns.annotator))

    given = select(
        columns.segment_id,
        columns.decided_at,
        columns.withdrawn,
        columns.code_ids,
        columns.labels,
        own.label("word"),
        before(columns.withdrawn).label("gone_before"),
        before(columns.code_ids).label("codes_before"),
        before(columns.labels).label("labels_before"),
    ).where(columns.study == study, columns.kind == "coding", ~abstaining(annotations))
    if since is not None:
        fresh = select(columns.segment_id).where(columns.study == study, columns.decided_at > since)
        given = given.where(columns.segment_id.in_(fresh))
    codings = given.subquery("said")
    further = (codings.c.word == 1, codings.c.withdrawn.is_(False), codings.c.gone_before.is_(False))
    rows = connection.execute(_placed(codings, study, since, until).where(*further)).all()
    if not rows:
        return
    codes_now = CurrentCodes.read(connection, study)
    for row in rows:
        yield (
            row,
            None,
            _chosen(codes_now, row.code_ids, row.labels) == _chosen(codes_now, row.codes_before, row.labels_before),
        )


def _chosen(codes_now: CurrentCodes, ids: Sequence[str], labels: Sequence[str]) -> frozenset[UUID]:
    """Codes as they are today, so that what was merged since is no disagreement."""
    chosen = [UUID(each) for each in ids] or [codes_now.id_of(label) for label in labels]
    return frozenset(codes_now.resolve(chosen, labels)[0])


def _placed(judged: Subquery, study: str, since: datetime | None, until: datetime | None) -> Select[*tuple[Any, ...]]:
    """Words within a stretch of the time when they were said, with their segments' codes and their own places."""
    later, there = assignments.alias("later"), segments.alias("there")
    place = (
        select(there.c.order_at)
        .join_from(later, there, later.c.segment_id == there.c.id)
        .where(later.c.study == study, later.c.assigned_at >= judged.c.decided_at)
        .order_by(later.c.assigned_at, there.c.order_at)
        .limit(1)
        .scalar_subquery()
    )
    code = func.coalesce(_given.c.label, assignments.c.label).label("code")
    query = select(*judged.c, segments.c.source, code, place.label("place"))
    query = query.join_from(judged, segments, judged.c.segment_id == segments.c.id)
    query = query.join(assignments, assignments.c.segment_id == segments.c.id)
    query = query.join(_given, assignments.c.code_id == _given.c.id, isouter=True)
    if since is not None:
        query = query.where(judged.c.decided_at > since)
    if until is not None:
        query = query.where(judged.c.decided_at < until)
    return query.order_by(judged.c.decided_at, judged.c.segment_id)


def _joined(query: Select[*tuple[Any, ...]], study: str) -> Select[*tuple[Any, ...]]:
    letters = select(dead_letters.c.segment_id).where(
        dead_letters.c.study == study, dead_letters.c.replayed_at.is_(None)
    )
    dead = letters.distinct().subquery("dead")
    return (
        query.select_from(segments)
        .join(assignments, segments.c.id == assignments.c.segment_id, isouter=True)
        .join(decisions, segments.c.id == decisions.c.segment_id, isouter=True)
        .join(_given, assignments.c.code_id == _given.c.id, isouter=True)
        .join(_parents, _given.c.parent == _parents.c.id, isouter=True)
        .join(_themes, _parents.c.final == _themes.c.id, isouter=True)
        .join(dead, dead.c.segment_id == segments.c.id, isouter=True)
        .where(or_(assignments.c.segment_id.is_not(None), dead.c.segment_id.is_not(None)))
    )


def _watched(study: str, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    at = segments.c.order_at
    narrowed = ([at >= since] if since is not None else []) + ([at < until] if until is not None else [])
    return [segments.c.study == study, *narrowed]


def _observed(row: Row[Any]) -> Observed:
    if row.assigned is None:
        return Observed(row.order_at, row.id, row.source, "", dead=True)
    return Observed(
        at=row.order_at,
        segment=row.id,
        source=row.source,
        code=row.code,
        theme=row.theme,
        new=row.new,
        confidence=row.confidence,
        agreement=row.agreement,
        rewrote=None if row.verdict is None else row.verdict == "rewrote",
        similarity=None if row.new else row.similarity,
        models=named_models(row.models),
    )


def _released(connection: Connection, study: str) -> Iterator[KnownChange]:
    serves = or_(release_rows.c.study == study, release_rows.c.study.is_(None))
    query = select(release_rows.c.released_at, release_rows.c.model, release_rows.c.version)
    for row in connection.execute(query.where(serves, release_rows.c.outcome == "released")):
        yield KnownChange(row.released_at, "model", f"release {row.version} of {row.model}")


def _curated(connection: Connection, study: str) -> Iterator[KnownChange]:
    query = select(code_events.c.record).where(code_events.c.study == study, code_events.c.kind.in_(_CURATED))
    events = [CodeEvent.from_bytes(raw) for raw in connection.execute(query).scalars()]
    ids = sorted({id_ for event in events for id_ in event.into})
    labels: dict[UUID, str] = {}
    for chunk in chunks(ids):
        rows = connection.execute(select(codes.c.id, codes.c.label).where(codes.c.id.in_(chunk)))
        labels.update((row.id, row.label) for row in rows)
    for event in events:
        into = ", ".join(f"'{labels[id_]}'" for id_ in event.into if id_ in labels)
        yield KnownChange(event.at, "codebook", f"{event.kind} '{event.label}'" + (f" into {into}" if into else ""))


def _began(connection: Connection, study: str) -> Iterator[KnownChange]:
    first = func.min(annotations.c.decided_at).label("first")
    query = select(annotations.c.annotator, first).where(annotations.c.study == study)
    for row in connection.execute(query.group_by(annotations.c.annotator)):
        yield KnownChange(row.first, "people", f"{row.annotator} began to code")


def _first_coded(connection: Connection, study: str, at: datetime) -> datetime:
    """When the first segment that was coded from then on was said: the change's place in the segments' own time."""
    query = (
        select(segments.c.order_at)
        .join_from(assignments, segments, assignments.c.segment_id == segments.c.id)
        .where(assignments.c.study == study, assignments.c.assigned_at >= at)
        .order_by(assignments.c.assigned_at)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() or at


_BATCH = 256


_LONGEST = 2_000  # characters: no sentence model reads more


def with_vectors(rows: Iterable[tuple[Observed, str]], embedder: Embedder, share: float = 1.0) -> Iterator[Observed]:
    """Give the segments the words of their text, and a share of them, drawn by their ids, its direction."""
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        drawn = [n for n, (observed, _) in enumerate(batch) if uniform(observed.segment, "embedded") < share]
        vectors = embedder.embed([batch[n][1][:_LONGEST] for n in drawn]) if drawn else ()
        by_place = dict(zip(drawn, vectors, strict=True))
        for n, (observed, text) in enumerate(batch):
            yield replace(observed, words=distinct_words(text[:_LONGEST]), vector=by_place.get(n, observed.vector))


def named_models(models: Any) -> str:
    """Every model that had a say in the code, in one line that is the same whatever their order."""
    if isinstance(models, dict):
        return ", ".join(f"{role} {models[role]}" for role in sorted(models) if role != CONFIDENCE)
    return models if isinstance(models, str) else ""
