"""The brokers of the settings or of the local stack, and what is published to them or kept for later."""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from infra.factory.stores import build_store
from infra.settings import Settings, ensure_data_dir
from models.errors import SettingError
from schemas import Annotation, CodeEvent, ModelRelease, Record, StudyRules
from streams.cluster import Cluster, Names
from streams.publish import KafkaPublisher, outgoing
from streams.topics import create_topics
from streams.topology import CODEBOOK, LABELS


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
        broker = json.loads(broker_file(settings).read_text(encoding="utf-8"))
        os.kill(int(broker["pid"]), 0)
        return str(broker["server"])
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
    """Whether this process was started, or forked by one that was started, by the stack that holds the data folder."""
    try:
        holder = int(_lock_file(settings).read_text(encoding="ascii"))
        return holder in {os.getppid(), _parent(os.getppid())}
    except (OSError, ValueError):
        return False


def _parent(pid: int) -> int:
    """The process that started a process; raises ``OSError`` where it has ended."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return int(status.rpartition(")")[2].split()[1])  # the name before it may hold anything


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
        while batch := list(islice(left, 1_000)):
            await publisher.send([outgoing(record) for record in batch])
    finally:
        await publisher.stop()


@dataclass(frozen=True)
class History:
    """Where records that must never be lost are written: the brokers, or the store until there are some."""

    settings: Settings
    cluster: Cluster | None
    """``None`` where no broker is set and no local stack runs."""

    def write(self, records: Sequence[Record]) -> str:
        """Publish the records where there are brokers; else keep them for the next start, which publishes them.

        A local stack's broker forgets everything when it ends, so what it gets is in the store before.

        Returns:
            What was done, in words.
        """
        if not self.settings.kafka_url:
            with closing(build_store(self.settings)) as store:
                store.record(records)
        if self.cluster is None:
            return "kept; the next `qualstream up` publishes it"
        asyncio.run(_publish(records, self.cluster))
        return "published"


@contextmanager
def open_history(settings: Settings, *, read_only: bool = False) -> Iterator[History]:
    """The history of the settings; where there are no brokers, no local stack starts while the block runs.

    Args:
        settings: Brokers and data folder.
        read_only: Whether nothing will be written, and a local stack may start meanwhile.

    Yields:
        The history.

    Raises:
        SettingError: If a local stack is just starting or stopping.
    """
    ensure_data_dir(settings)
    there = bool(settings.kafka_url) or local_broker(settings) is not None
    with nullcontext() if there or read_only else data_folder_lock(settings):
        yield History(settings, build_cluster(settings) if there else None)


def publish_or_keep(settings: Settings, records: Sequence[Record]) -> str:
    """Write records of the history; see ``History.write``.

    Returns:
        What was done, in words.

    Raises:
        SettingError: If a local stack is just starting or stopping.
    """
    with open_history(settings) as history:
        return history.write(records)


async def _publish(records: Sequence[Record], cluster: Cluster) -> None:
    await create_topics(cluster, [CODEBOOK, LABELS])  # a broker would make a missing one with a single partition
    await publish_history(records, cluster)
