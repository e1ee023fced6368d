"""Delivery: a batch is published when every broker asked has confirmed it, however long that takes."""

import asyncio
import logging
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from models.errors import WorkerFault
from schemas import Annotation, AnnotationRequest, CodeEvent, DriftAlert, ModelRelease, Record, StudyRules
from streams.cluster import Cluster, retry_with_backoff
from streams.refusals import in_plain_words, raise_refusal
from streams.topology import ALERTS, CODEBOOK, LABELS, LARGEST_MESSAGE, RELEASES, REQUESTS, STUDIES

log = logging.getLogger(__name__)


def _partition(key: bytes, every: Sequence[int], available: Sequence[int]) -> int:
    """The partition of a key, by CRC-32 as librdkafka chooses it; Kafka's own murmur2 is slow in Python."""
    return every[zlib.crc32(key) % len(every)]


Header = tuple[str, bytes]


class Outgoing(NamedTuple):
    """A message to be written; ``topic`` is the topic's own name."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[Header, ...] = ()


def outgoing(record: Record) -> Outgoing:
    """A record as a message of its topic, with the key that the topology's table says.

    Raises:
        TypeError: If it is of a kind that only roles write.
    """
    match record:
        case CodeEvent():
            return Outgoing(CODEBOOK.name, str(record.code_id).encode(), record.to_bytes())
        case Annotation():
            return Outgoing(LABELS.name, f"{record.segment_id}:{record.annotator}".encode(), record.to_bytes())
        case AnnotationRequest():
            return Outgoing(REQUESTS.name, str(record.segment_id).encode(), record.to_bytes())
        case StudyRules():
            return Outgoing(STUDIES.name, record.study.encode(), record.to_bytes())
        case DriftAlert():
            return Outgoing(ALERTS.name, record.study.encode(), record.to_bytes())
        case ModelRelease():
            return Outgoing(RELEASES.name, f"{record.model}:{record.outcome}".encode(), record.to_bytes())
    raise TypeError(f"a {type(record).__name__} is written by roles only")


class Publisher(Protocol):
    """Delivers messages."""

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Return when all of them have been confirmed."""
        ...


class KafkaPublisher:
    """A producer with acks=all. Waits with back-off while the brokers are away; never drops a message."""

    def __init__(self, cluster: Cluster, *, linger_ms: int = 2) -> None:
        """Prepare; ``start`` connects."""
        self._cluster = cluster
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; waits while the brokers are away.

        Raises:
            SettingError: If they refuse us for good.
        """

        async def attempt() -> AIOKafkaProducer:
            producer = AIOKafkaProducer(
                **self._cluster.client_options(),
                acks="all",
                linger_ms=self._linger_ms,
                partitioner=_partition,
                max_batch_size=256 * 1024,
                max_request_size=LARGEST_MESSAGE,
                request_timeout_ms=20_000,
            )
            try:
                await producer.start()
            except KafkaConnectionError:
                await producer.stop()
                await raise_refusal(self._cluster)
                raise
            except BaseException:
                await producer.stop()
                raise
            return producer

        self._producer = await retry_with_backoff("producer", attempt, KafkaError, OSError)

    async def stop(self) -> None:
        """Send what is under way and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Deliver the messages in order of their keys; those that failed are sent again.

        Raises:
            SettingError: If the brokers refuse one for good.
        """
        left = list(messages)

        async def attempt() -> None:
            nonlocal left
            again, errors = [], []
            with in_plain_words(self._cluster):
                for message, delivery in zip(left, await self._hand_over(left), strict=True):
                    try:
                        await delivery  # most are done when the first is: they went in the same batch
                    except Exception as error:
                        again.append(message)
                        errors.append(error)
                left = again
                if errors:
                    raise errors[0]

        if left:
            await retry_with_backoff("delivery", attempt, KafkaError)

    async def _hand_over(self, messages: Sequence[Outgoing]) -> list[asyncio.Future[object]]:
        if self._producer is None:
            raise WorkerFault("the publisher has not been started")
        at_broker = self._cluster.names.at_broker
        try:
            return [
                await self._producer.send(at_broker(m.topic), m.value, key=m.key, headers=[*m.headers])
                for m in messages
            ]
        except MessageSizeTooLargeError as error:
            raise WorkerFault(f"a message is larger than {LARGEST_MESSAGE} bytes: {error}") from error
