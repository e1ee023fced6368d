"""One erasure over all that is kept: the read model, vectors, uploads, classifiers and topics; with a receipt."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from infra.accounts.audit import AuditLog
from infra.brokers import build_cluster, local_broker
from infra.clock import SystemClock
from infra.erasure import rows, topics
from infra.factory.models import Models
from infra.files.uploads import Uploads
from infra.settings import Settings
from infra.storage.store import Store
from infra.training.checkpoints import Checkpoints, taught_segments
from infra.vectors.embedding_cache import forget_texts
from infra.vectors.segment_index import SegmentIndex, place_of
from models.errors import InputError, SettingError, UnavailableError
from models.ports import Clock
from schemas import ModelRelease
from streams.publish import Outgoing, outgoing

UPLOADS, EMBEDDINGS = "imports", "embeddings"
"""Folders below the data folder."""


@dataclass
class Receipt:
    """What an erasure did, and what it could not do."""

    at: datetime
    what: str
    segments: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Rows of the read model by table."""
    deletions: Counter[str] = field(default_factory=Counter)
    """Messages without a value that were written, by topic."""
    uploads: int = 0
    embeddings: int = 0
    classifiers: list[str] = field(default_factory=list)
    """Versions that were deleted: they were taught what was erased, and do not serve."""
    left: list[str] = field(default_factory=list)
    """What stays, where, and until when."""

    def to_json(self) -> str:
        """The receipt as one JSON object."""
        counts = {"rows": dict(self.rows), "deletions": dict(self.deletions)}
        return json.dumps({**vars(self), **counts, "at": self.at.isoformat()}, ensure_ascii=False, indent=2)


class Eraser:
    """Erases over a data folder and the brokers that its settings name."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        """Take the parts; nothing is opened before something is erased."""
        self._settings, self._store, self._clock = settings, store, clock or SystemClock()

    def segments(self, ids: Collection[UUID], what: str) -> Receipt:
        """Erase segments.

        Args:
            ids: Which; those that are not known here are erased from the topics all the same.
            what: How they were chosen, as the receipt says it; no name of anybody.

        Raises:
            InputError: If there is none.
        """
        if not ids:
            raise InputError("no segment was found to erase; look for it with `qualstream export` or on the page")
        receipt = Receipt(self._clock.now(), what, segments=len(ids))
        known = rows.texts_of(self._store.database, ids)
        ids = rows.with_parts(self._store.database, ids)
        labels = rows.labels_of(self._store.database, ids)
        receipt.rows = rows.erase_segments(self._store.database, ids, receipt.at)
        self._files({study for study, _ in known.values()}, ids, [text for _, text in known.values()], receipt)
        quoted = rows.quoted_in_codebook(self._store.database, [text for _, text in known.values()])
        if quoted:
            receipt.left.append(f"these codes quote a text that was erased, edit them: {', '.join(quoted)}")
        noted = rows.quoted_in_notes(self._store.database, [text for _, text in known.values()])
        if noted:
            receipt.left.append(f"these quote a text that was erased; who wrote them deletes them: {', '.join(noted)}")
        self._topics([*topics.withdrawals(labels, receipt.at), *topics.deletions(ids)], receipt)
        return self._written_down(receipt, "erase segments")

    def person(self, name: str) -> Receipt:
        """Erase a coder: their labels, their account, and their name where what they did has to stay.

        Raises:
            InputError: If nothing by that name is kept.
        """
        receipt = Receipt(self._clock.now(), "a person")
        labels, rules = rows.labels_by(self._store.database, name), rows.rules_by(self._store.database, name)
        receipt.rows = rows.erase_person(self._store.database, name, receipt.at)
        if not receipt.rows:
            raise InputError("nothing is kept under that name; give it as `qualstream account list` spells it")
        self._topics([*topics.withdrawals(labels, receipt.at), *map(outgoing, rules)], receipt)
        receipt.left.append("entries of the audit log name them: it says who did what, and nothing is taken out of it")
        return self._written_down(receipt, "erase a person")

    def _written_down(self, receipt: Receipt, action: str) -> Receipt:
        segments = f"{receipt.segments} segment{'' if receipt.segments == 1 else 's'}"
        subject = f"{receipt.what}: {segments}, {receipt.rows.total()} rows"
        if self._store.database.dialect == "postgresql":
            receipt.left.append("PostgreSQL keeps deleted rows until it next vacuums; backups keep what they hold")
        AuditLog(self._store.database, self._clock).add_command(action, subject=subject)
        return receipt

    def _files(self, studies: Collection[str], ids: Collection[UUID], texts: Sequence[str], receipt: Receipt) -> None:
        folder = self._settings.data_dir
        uploads = Uploads(folder / UPLOADS)
        receipt.uploads = sum(uploads.forget_all(study) for study in studies)
        receipt.embeddings = forget_texts(folder / EMBEDDINGS, texts)
        for study in studies:
            _classifiers(folder, study, {str(id_) for id_ in ids}, self._store, receipt)
        try:
            embedder = Models.of(self._settings).embedder
            index = SegmentIndex(self._store.database, embedder, self._clock, place_of(self._settings))
            try:
                index.forget_erased()
            finally:
                index.close()
        except (SettingError, UnavailableError):
            receipt.left.append("vectors of the segments: the page that holds them takes them out within seconds")

    def _topics(self, messages: Sequence[Outgoing], receipt: Receipt) -> None:
        embedded = self._settings.kafka_url is None
        if embedded and local_broker(self._settings) is None:
            return  # no broker, so no topic: the next stack publishes what the read model has
        receipt.deletions = asyncio.run(topics.send(messages, build_cluster(self._settings)))
        receipt.left += topics.kept_by_brokers(embedded=embedded)


def _classifiers(data_dir: Path, study: str, ids: Collection[str], store: Store, receipt: Receipt) -> None:
    """Delete the versions that were taught what was erased; the one that serves stays until another takes its place."""
    checkpoints = Checkpoints(data_dir)
    serving = serving_versions(store, study)
    for folder in checkpoints.versions(study):
        if taught_segments(folder).isdisjoint(ids):
            continue
        if folder.name in serving:
            receipt.left.append(
                f"classifier {folder.name} of study '{study}' was taught what was erased and serves until a later "
                "one takes its place; it holds weights and the segments' ids, and no text"
            )
        else:
            checkpoints.remove([folder])
            receipt.classifiers.append(folder.name)


def serving_versions(store: Store, study: str) -> set[str]:
    """The version of a study's classifier that was released last, if there is one."""
    released = [release for release in store.history(ModelRelease, study) if release.outcome == "released"]
    return {released[-1].version} if released else set()
