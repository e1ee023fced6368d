"""The brokers of the settings or of the local stack, and what is published to them or kept for later."""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from infra.factory.stores import build_store
from infra.settings import Settings, ensure_data_dir
from infra.storage.store import Store
from models.errors import SettingError
from schemas import Annotation, CodeEvent, ModelRelease, Record, StudyRules
from streams.cluster import Cluster, Names
from streams.publish import KafkaPublisher, outgoing
from streams.topics import create_topics
from streams.topology import CODEBOOK, LABELS

if TYPE_CHECKING:
    from infra.storage.store import Store
    from schemas import Record
    from streams.cluster import Cluster


def build_cluster(settings: Settings) -> Cluster:
    """The brokers: those of the settings, or the local stack's on this data folder.

    Raises:
        SettingError: If neither is there.
    """
    server = None if settings.kafka_url else local_broker(settings)
    if not settings.kafka_url and server is None:
        raise SettingError(
            f"no broker: QUALSTREAM_KAFKA_URL is not set and no local stack runs on '{settings.data_dir}'; "
            "start one with `qualstream up`, or set QUALSTREAM_KAFKA_URL=host:port"
        )
    return cluster_at(settings, [server] if server else settings.kafka_servers)


def broker_file(settings: Settings) -> Path:
    """Where a running local stack says how its broker is reached."""
    return settings.data_dir / "broker.json"


def local_broker(settings: Settings) -> str | None:
    """``host:port`` of the local stack's broker, if one runs on this data folder."""
    try:
        found = json.loads(broker_file(settings).read_text(encoding="utf-8"))
        os.kill(int(found["pid"]), 0)
        return str(found["server"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cluster_at(settings: Settings, servers: Sequence[str]) -> Cluster:
    """The brokers at these addresses, with everything else as the settings have it."""
    return Cluster(
        servers=tuple(servers),
        security=settings.kafka_security,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value() if settings.kafka_password else None,
        ca_file=settings.kafka_ca_file,
        cert_file=settings.kafka_cert_file,
        key_file=settings.kafka_key_file,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        session_timeout_s=settings.session_timeout_s,
        names=Names(settings.kafka_prefix),
    )


def _lock_file(settings: Settings) -> Path:
    return settings.data_dir / "lock"


def started_by_stack(settings: Settings) -> bool:
    """Whether the process that started this one is the local stack that holds the data folder."""
    try:
        return int(_lock_file(settings).read_text(encoding="ascii")) == os.getppid()
    except (OSError, ValueError):
        return False


@contextmanager
def data_folder_lock(settings: Settings) -> Iterator[None]:
    """Hold the data folder: one local stack at a time.

    Raises:
        SettingError: If another process holds it.
    """
    path = _lock_file(settings)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise SettingError(
                f"data folder '{settings.data_dir}' is in use by process {file.read().strip() or 'unknown'}; "
                "stop it, or set QUALSTREAM_DATA_DIR to another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


HISTORY: tuple[type[Record], ...] = (CodeEvent, Annotation, StudyRules, ModelRelease)
"""What must never be lost: a fresh broker gets all of it."""


async def publish_history(records: Iterable[Record], cluster: Cluster) -> None:
    """Publish records of the history, each on its topic, a thousand at a time."""
    publisher = KafkaPublisher(cluster)
    await publisher.start()
    try:
        left = iter(records)
        while some := list(islice(left, 1_000)):
            await publisher.send([outgoing(record) for record in some])
    finally:
        await publisher.stop()


def publish_or_keep(settings: Settings, records: "Sequence[Record]") -> str:
    """Publish history where there are brokers; else keep it in the store, whose history the next start publishes.

    A local stack's broker forgets everything when it ends, so what it gets is in the store before.

    Returns:
        What was done, in words.

    Raises:
        SettingError: If a local stack is just starting or stopping.
    """
    pass

    ensure_data_dir(settings)
    published = bool(settings.kafka_url) or local_broker(settings) is not None
    if not settings.kafka_url:
        with nullcontext() if published else data_folder_lock(settings):
            _keep(build_store(settings), records)
    if not published:
        return "kept; the next `qualstream up` publishes it"
    asyncio.run(_publish(records, build_cluster(settings)))
    return "published"


def _keep(store: "Store", records: "Sequence[Record]") -> None:
    try:
        store.record(records)
    finally:
        store.close()


async def _publish(records: "Sequence[Record]", cluster: "Cluster") -> None:

    await create_topics(cluster, [CODEBOOK, LABELS])  # a broker would make a missing one with a single partition
    await publish_history(records, cluster)
