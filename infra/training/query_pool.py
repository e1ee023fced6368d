"""What the classifier wants to be taught next: segments without labels, chosen by the study's strategy."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import and_, exists, func, select

from infra.storage.database import Database
from infra.storage.tables import annotations, assignments, requests, segments
from infra.training.classifier_factory import TaughtClassifier
from models.classifier.query import choose
from models.classifier.training_set import TrainingSet
from models.ports import Embeddings
from schemas import AnnotationRequest, Assignment, StudyRules
from schemas.annotation import RequestReason

REASON: RequestReason = "query strategy"
_FIRST, _LAST = 0.9, 0.5
"""Priorities: after what was drawn by chance, before what the router is unsure of."""
_AT_ONCE, _LET_IN_S = 32, 0.001


@dataclass(frozen=True)
class Unlabelled:
    """A coded segment that nobody has labelled."""

    assignment: Assignment
    text: str
    request: AnnotationRequest | None = None
    """What people were asked about it already."""


@dataclass(frozen=True)
class Pool:
    """What can be asked about."""

    rows: tuple[Unlabelled, ...]
    waiting: int = 0
    """Segments that were asked about so before, and that nobody has labelled yet."""


OpenPool = Callable[[str, int], Pool]
"""The newest unlabelled segments of a study, so many at most."""


def read_pool(database: Database, study: str, limit: int) -> Pool:
    """The newest coded segments of a study without a label.

    Those that wait for people because they were drawn by chance, or because a strategy chose them, are left out.

    Raises:
        UnavailableError: If the database does not answer.
    """
    labelled = exists().where(annotations.c.segment_id == assignments.c.segment_id)
    asked = and_(requests.c.segment_id == assignments.c.segment_id, requests.c.lacks > 0)
    query = (
        select(assignments.c.record, segments.c.text, requests.c.record.label("request"))
        .join_from(assignments, segments, segments.c.id == assignments.c.segment_id)
        .join(requests, asked, isouter=True)
        .where(assignments.c.study == study, assignments.c.route.is_not(None), ~labelled)
        .where(func.coalesce(requests.c.reason, "") != REASON, func.coalesce(requests.c.sample, False).is_(False))
        .order_by(assignments.c.assigned_at.desc(), assignments.c.segment_id)
        .limit(limit)
    )
    count = select(func.count()).select_from(requests)
    count = count.where(requests.c.study == study, requests.c.reason == REASON, requests.c.lacks > 0)
    with database.reading() as connection:
        rows = [
            Unlabelled(
                Assignment.from_bytes(row.record),
                row.text,
                AnnotationRequest.from_bytes(row.request) if row.request else None,
            )
            for row in connection.execute(query)
        ]
        return Pool(tuple(rows), connection.execute(count).scalar_one())


def ask(
    classifier: TaughtClassifier, data: TrainingSet, pool: Pool, rules: StudyRules, now: datetime
) -> list[AnnotationRequest]:
    """Ask about the segments that teach the classifier most, so many that the study's number of them is open.

    Args:
        classifier: What serves, or is about to.
        data: What is labelled.
        pool: What can be asked about.
        rules: Strategy and number.
        now: The time of the requests.
    """
    number = min(rules.ask_segments - pool.waiting, len(pool.rows))
    if number <= 0:
        return []
    texts = [row.text for row in pool.rows]
    known = data.rows
    embeddings = _embedded(classifier, texts)
    chosen = choose(
        rules.strategy,
        classifier.probabilities(texts),
        embeddings,
        (_embedded(classifier, [row.text for row in known]), data.matrix(known, classifier.codes)),
        number,
        np.random.default_rng(int(data.digest[:8], 16)),
    )
    return [_request(pool.rows[at], rules, n / number, now) for n, at in enumerate(chosen.tolist())]


def _embedded(classifier: TaughtClassifier, texts: Sequence[str]) -> Embeddings:
    """Embed some at a time: the stream waits for the same body, and a thousand texts take long."""
    parts = []
    for start in range(0, len(texts), _AT_ONCE):
        parts.append(classifier.body.embed(texts[start : start + _AT_ONCE]))
        time.sleep(_LET_IN_S)
    return np.concatenate(parts) if parts else classifier.body.embed([])


def _request(row: Unlabelled, rules: StudyRules, place: float, now: datetime) -> AnnotationRequest:
    before = row.request
    return AnnotationRequest.for_assignment(
        row.assignment,
        REASON,
        now,
        days=rules.expire_days,
        blind=before.blind if before else rules.blind,
        coders=before.coders if before else 1,
        priority=_FIRST - (_FIRST - _LAST) * place,
        why=f"chosen by {rules.strategy}: its codes would teach the classifier most",
    )
