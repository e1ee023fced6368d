"""Forgetting a study, or everything, wherever it is kept."""

import asyncio
import shutil
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, select

from infra.accounts.audit import AuditLog
from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.erasure import topics
from infra.erasure.erase import EMBEDDINGS, UPLOADS
from infra.erasure.rows import erase_letters, labels_of
from infra.factory.models import Models
from infra.factory.stores import forget_codes
from infra.files.uploads import Uploads
from infra.settings import Settings
from infra.storage.store import Store
from infra.storage.tables import annotations, segments, sessions, tokens
from infra.training.checkpoints import Checkpoints
from infra.training.tracking import forget_experiments
from infra.vectors.embedding_cache import forget_texts
from infra.vectors.segment_index import SegmentIndex, place_of
from schemas import ModelRelease
from streams.publish import Outgoing
from streams.topics import delete_topics
from streams.topology import RELEASES, STUDIES


def reset(settings: Settings, store: Store, study: str | None) -> list[str]:
    """Forget one study, or everything but accounts with their roles and the audit log.

    Args:
        settings: The data folder and the brokers; no process may use the folder.
        store: The read model.
        study: Which; ``None``: all, and every session and API token ends.

    Returns:
        What stays at the brokers, and until when; empty where nothing does.
    """
    left = _topics(settings, store, study)
    texts = _texts(store, study)
    _letters(store, study)
    store.reset(study)
    forget_codes(settings, study)
    if not _files(settings, study, texts):
        left.append("MLflow's server keeps its experiments; delete them on its page")
    _vectors(settings, store, study)
    if study is None:
        with store.database.writing() as connection:
            connection.execute(delete(sessions))
            connection.execute(delete(tokens))
    AuditLog(store.database, SystemClock()).add_command(
        "reset", scope=study, subject="everything" if study is None else ""
    )
    return left


def _letters(store: Store, study: str | None) -> None:
    """Dead letters of which nobody could tell the study, but for a segment of it that they name."""
    if study is not None:
        with store.database.erasing() as connection:
            ids = connection.execute(select(segments.c.id).where(segments.c.study == study)).scalars()
            erase_letters(connection, {str(id_).encode() for id_ in ids})


def _texts(store: Store, study: str | None) -> list[str]:
    """A study's texts; of everything none is asked for, since all embeddings go."""
    if study is None:
        return []
    with store.database.reading() as connection:
        return list(connection.execute(select(segments.c.text).where(segments.c.study == study)).scalars())


def _files(settings: Settings, study: str | None, texts: list[str]) -> bool:
    folder, checkpoints = settings.data_dir, Checkpoints(settings.data_dir)
    if study is None:
        for name in (UPLOADS, EMBEDDINGS, checkpoints.root.name):
            shutil.rmtree(folder / name, ignore_errors=True)
    else:
        Uploads(folder / UPLOADS).forget_all(study)
        forget_texts(folder / EMBEDDINGS, texts)
        checkpoints.remove([*checkpoints.versions(study), checkpoints.study_folder(study)])
    return forget_experiments(settings.tracking_url, study)


def _vectors(settings: Settings, store: Store, study: str | None) -> None:
    """Begin the index of segments anew; the page fills it with what is left."""
    place = place_of(settings)
    if place.url.startswith("file:"):
        shutil.rmtree(Path(place.url.removeprefix("file:")), ignore_errors=True)
        return
    index = SegmentIndex(store.database, Models.of(settings).embedder, SystemClock(), place)
    try:
        index.rebuild()
    finally:
        index.close()


def _topics(settings: Settings, store: Store, study: str | None) -> list[str]:
    """Delete what the brokers have: everything with its topics, a study by deletions under its keys."""
    if settings.kafka_url is None:
        return []  # the embedded broker keeps nothing when it ends
    cluster = build_cluster(settings)
    if study is None:
        asyncio.run(delete_topics(cluster))
        return []
    asyncio.run(topics.send(_deletions(store, study), cluster))
    return topics.kept_by_brokers(embedded=False)


def _deletions(store: Store, study: str) -> list[Outgoing]:
    with store.database.reading() as connection:
        ids: set[UUID] = set(connection.execute(select(segments.c.id).where(segments.c.study == study)).scalars())
        coded = select(annotations.c.segment_id).where(annotations.c.study == study)
        ids |= set(connection.execute(coded).scalars())
    keys = {f"{release.model}:{release.outcome}" for release in store.history(ModelRelease, study)}
    return [
        *topics.withdrawals(labels_of(store.database, ids), SystemClock().now()),
        *topics.deletions(ids),
        *(Outgoing(RELEASES.name, key.encode(), None) for key in sorted(keys)),
        Outgoing(STUDIES.name, study.encode(), None),
    ]
