"""A model's releases as the read model has them, and what its labels were when each was taught."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from infra.storage.database import Database
from infra.storage.store import Store
from infra.storage.tables import releases
from models.annotation.human_decision import LatestAnnotations
from models.classifier.training_set import TrainingExample, TrainingSet, training_set
from models.codebook.codebook import Codebook
from schemas import Annotation, ModelRelease

MOST = 2_000
"""Releases that are looked at: the newest."""


def history(database: Database, model: str, limit: int = MOST) -> list[ModelRelease]:
    """Everything that was released or refused under a model's name, the newest first.

    Raises:
        UnavailableError: If the database does not answer.
    """
    query = select(releases.c.record).where(releases.c.model == model)
    newest = query.order_by(releases.c.released_at.desc(), releases.c.version.desc()).limit(limit)
    with database.reading() as connection:
        return [ModelRelease.from_bytes(raw) for raw in connection.scalars(newest)]


def count(database: Database, model: str) -> int:
    """How many releases and refusals there are of a model."""
    query = select(func.count()).select_from(releases).where(releases.c.model == model)
    with database.reading() as connection:
        return connection.execute(query).scalar_one()


def labels_of(store: Store, study: str, *, least_examples: int = 4) -> TrainingSet:
    """A study's labels as its trainer counts them now.

    Args:
        store: The read model.
        study: Whose labels.
        least_examples: How often a code must be among what is taught.

    Raises:
        UnavailableError: If the database does not answer.
    """
    latest = LatestAnnotations(store.history(Annotation, study))
    return training_set(latest, Codebook(store.code_events(study)), least_examples=least_examples)


@dataclass(frozen=True)
class CoderTotal:
    """Somebody who labelled."""

    name: str
    segments: int


def people_of(rows: Sequence[TrainingExample], until: datetime | None = None) -> Sequence[CoderTotal]:
    """Whose labels these are, who labelled most first.

    Args:
        rows: TrainingExample segments; one that several people labelled counts for each of them.
        until: Only those given by then; ``None``: all.
    """
    counts = Counter(coder for row in rows if until is None or row.at <= until for coder in row.coders)
    return [CoderTotal(name, n) for name, n in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]
