"""A study's rules applied to what was coded before they held: which of it people would be asked about now, and asking.

Each segment is routed as if it came now. Only requests are written: a route stays what the router gave.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, or_, select

from infra.routing.study_report import read_annotations
from infra.storage.annotations import current_annotations
from infra.storage.database import Database, chunks
from infra.storage.releases import history
from infra.storage.tables import annotations, assignments, requests
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.registry import CLASSIFIERS, ReleaseRegistry
from models.routing.confidence import ACCEPTED_LATELY
from models.routing.router import Routed, Router
from schemas import AnnotationRequest, Assignment, ModelRelease, StudyRules
from schemas.annotation import RequestReason
from schemas.ids import uniform

TaughtBy = Callable[[ModelRelease], OutOfFoldPredictions]
"""Reads what a release of the study's classifier says of labelled segments."""


@dataclass(frozen=True)
class NewQuestions:
    """What rules come to for the segments that are coded already."""

    coded: int
    """Segments that have a code and a route."""
    settled: int
    """Of these, those that people decided or are being asked about, and that need no second person: left alone."""
    reasons: Mapping[RequestReason, int]
    """Why people are asked about the others, and about how many of them."""
    is_sample: bool
    """Whether those that are drawn by chance count for a promise: none of the draw was read for another reason."""

    @property
    def asked(self) -> int:
        """Segments that people are asked about."""
        return sum(self.reasons.values())


def apply_rules(
    database: Database,
    rules: StudyRules,
    now: datetime,
    taught: TaughtBy,
    keep: Callable[[Sequence[AnnotationRequest]], None] | None = None,
) -> NewQuestions:
    """Route a study's coded segments once more, and ask people as the router would have asked.

    What one person coded, or is asked about, gets a second one where the rules of double coding say so. Segments are
    read a few hundred at a time. Nothing is asked twice and nothing is withdrawn, so that what was broken
    off is simply done again.

    Args:
        database: The read model.
        rules: Those in force.
        now: When people are asked; requests expire from then on.
        taught: Reads what a release says of labelled segments; one that cannot be read is passed over.
        keep: Keeps some requests; ``None``: they are only counted.

    Raises:
        UnavailableError: If the database does not answer.
    """
    study, router = rules.study, _router(database, rules, taught)
    coded, settled, reasons = 0, 0, Counter[RequestReason]()
    is_sample = not _gap(database, study, router.drawn_share(study), now)
    for batch, seen_to in _batches(database, study, now):
        routed = router.route([each.model_copy(update={"assigned_at": now}) for each in batch])
        asked = list(_requests(routed, seen_to, is_sample=is_sample))
        if keep is not None and asked:
            keep(asked)
        coded, settled = coded + len(batch), settled + len(seen_to.closed - {each.segment_id for each in asked})
        reasons.update(request.reason for request in asked)
    return NewQuestions(coded, settled, reasons, is_sample)


@dataclass(frozen=True)
class _SeenTo:
    """Which of some segments people see to already."""

    closed: frozenset[UUID]
    """Those that people decided or are being asked about."""
    by_one: Mapping[UUID, bool]
    """Of these, those of one person whom a second may follow, with whether they were drawn by chance."""


def _router(database: Database, rules: StudyRules, taught: TaughtBy) -> Router:
    """A router that knows what the study's own one knows."""
    router = Router(lambda _study: rules, ReleaseRegistry(taught))
    with database.reading() as connection:
        router.update_annotations(read_annotations(connection, rules.study))
        newest = _coded(rules.study, assignments.c.record).order_by(assignments.c.assigned_at.desc())
        records = connection.scalars(newest.limit(ACCEPTED_LATELY)).all()
    router.update_releases(history(database, CLASSIFIERS + rules.study))
    router.recall(Assignment.from_bytes(raw) for raw in reversed(records))
    return router


def _requests(routed: Sequence[Routed], seen_to: _SeenTo, *, is_sample: bool) -> Iterator[AnnotationRequest]:
    """What is asked about those that people do not see to already, and where one does and two should."""
    for request in (each.request for each in routed if each.request is not None):
        segment = request.segment_id
        if segment not in seen_to.closed:
            yield request.model_copy(update={"sample": request.sample and is_sample})
        elif segment in seen_to.by_one and request.coders > 1:
            yield request.model_copy(update={"sample": seen_to.by_one[segment]})


def _gap(database: Database, study: str, share: float, now: datetime) -> bool:
    """Whether a draw lacks segments that people read, or are asked about, for another reason than chance.

    What is left of such a draw is easier, or harder, than the whole.
    """
    current = current_annotations(study)
    coded = _coded(study, assignments.c.segment_id)
    labelled = coded.join(current, current.c.segment_id == assignments.c.segment_id)
    asked = coded.join(requests, requests.c.segment_id == assignments.c.segment_id)
    with database.reading() as connection:
        drawn = set(connection.scalars(labelled.where(current.c.sample)))
        others = {*connection.scalars(labelled), *connection.scalars(asked.where(_open(now), ~requests.c.sample))}
    return any(uniform(segment, "sample") < share for segment in others - drawn)


def _batches(database: Database, study: str, now: datetime) -> Iterator[tuple[list[Assignment], _SeenTo]]:
    """The coded segments in the order in which they were coded, and which of them people see to already."""
    order = (assignments.c.assigned_at, assignments.c.segment_id)
    with database.reading() as connection:
        ids = connection.scalars(_coded(study, assignments.c.segment_id).order_by(*order)).all()
    for chunk in chunks(ids):
        with database.reading() as connection:
            rows = _coded(study, assignments.c.record).where(assignments.c.segment_id.in_(chunk)).order_by(*order)
            batch = [Assignment.from_bytes(raw) for raw in connection.scalars(rows)]
            closed = _closed(connection, chunk, now).intersection(each.segment_id for each in batch)
            seen_to = _SeenTo(closed, _by_one(connection, closed))
        yield batch, seen_to


def _closed(connection: Connection, segments: Sequence[UUID], now: datetime) -> frozenset[UUID]:
    """Of some segments, those that people decided or are being asked about."""
    current = current_annotations(None, annotations.c.segment_id.in_(segments))
    asked = select(requests.c.segment_id).where(requests.c.segment_id.in_(segments), _open(now))
    return frozenset(connection.scalars(select(current.c.segment_id))) | frozenset(connection.scalars(asked))


def _by_one(connection: Connection, closed: frozenset[UUID]) -> dict[UUID, bool]:
    """Segments that one person coded, or one is asked about, as ``_SeenTo.by_one``; nothing settled or asked again."""
    ids, kept = list(closed), requests.c
    current = current_annotations(None, annotations.c.segment_id.in_(ids))
    words = connection.execute(select(current.c.segment_id, current.c.kind)).all()
    coders = Counter(word.segment_id for word in words)
    settled = {word.segment_id for word in words if word.kind == "adjudication"}
    query = select(kept.segment_id, kept.coders, kept.reason, kept.sample).where(kept.segment_id.in_(ids))
    asked = {row.segment_id: row for row in connection.execute(query)}
    settled |= {row.segment_id for row in asked.values() if row.coders > 1 or row.reason == "asked again"}
    return {
        segment: segment in asked and asked[segment].sample
        for segment in closed
        if segment not in settled and coders[segment] < 2
    }


def _coded(study: str, column: Column[Any]) -> Select[Any]:
    """A column of the study's segments that have a code and a route."""
    return select(column).where(assignments.c.study == study, assignments.c.route.is_not(None))


def _open(now: datetime) -> ColumnElement[bool]:
    """Whether people are being asked: somebody's answer is lacking, and there is still time."""
    return and_(requests.c.lacks > 0, or_(requests.c.expires_at.is_(None), requests.c.expires_at > now))
