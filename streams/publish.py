"""Delivery: a batch is published when every broker asked has confirmed it, however long that takes."""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from math import inf
from time import monotonic
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest

from models.errors import WorkerFault
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    Decision,
    DriftAlert,
    ModelRelease,
    Proposals,
    Record,
    StudyRules,
)
from streams.cluster import Cluster, retry_with_backoff
from streams.refusals import in_plain_words, raise_refusal
from streams.topology import (
    ALERTS,
    ASSIGNMENTS,
    CODEBOOK,
    DEAD_LETTERS,
    DECISIONS,
    LABELS,
    LARGEST_MESSAGE,
    PROPOSALS,
    RELEASES,
    REQUESTS,
    STUDIES,
    Topic,
)

log = logging.getLogger(__name__)


def _partition(key: bytes, every: Sequence[int], available: Sequence[int]) -> int:
    """The partition of a key, by CRC-32 as librdkafka chooses it; Kafka's own murmur2 is slow in Python."""
    return every[zlib.crc32(key) % len(every)]


Header = tuple[str, bytes]


class Outgoing(NamedTuple):
    """A message to be written; ``topic`` is the topic's own name. Without a value it is a deletion of its key."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[Header, ...] = ()


_KEYS: dict[type[Record], tuple[Topic, Callable[[Any], str]]] = {
    Proposals: (PROPOSALS, lambda proposals: str(proposals.segment.id)),
    Decision: (DECISIONS, lambda decision: decision.segment.study),
    Assignment: (ASSIGNMENTS, lambda assignment: str(assignment.segment_id)),
    CodeEvent: (CODEBOOK, lambda event: str(event.code_id)),
    AnnotationRequest: (REQUESTS, lambda request: str(request.segment_id)),
    Annotation: (LABELS, lambda annotation: f"{annotation.segment_id}:{annotation.annotator}"),
    StudyRules: (STUDIES, lambda rules: rules.study),
    DriftAlert: (ALERTS, lambda alert: alert.study),
    ModelRelease: (RELEASES, lambda release: f"{release.model}:{release.outcome}"),
}


def outgoing(record: Record) -> Outgoing:
    """A record as a message of its topic, with the key that the topology's table says; ``KeyError`` for other kinds."""
    place, key = _KEYS[type(record)]
    return Outgoing(place.name, key(record).encode(), record.to_bytes())


class RefusedTimeError(KafkaError):  # type: ignore[misc]  # aiokafka is not typed here
    """The brokers refuse messages for their time; that passes when the clocks agree again."""

    def __init__(self, topic: str) -> None:
        """Say which clock to look at."""
        super().__init__(
            f"the brokers do not take the time of records for '{topic}': this machine's clock says "
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; set it right, or that of the brokers (an hour ahead is too much "
            "unless message.timestamp.after.max.ms is set)"
        )

    def __str__(self) -> str:
        return str(self.args[0])


class TooLateError(KafkaError):  # type: ignore[misc]  # aiokafka is not typed here
    """A batch came to the socket when it was not to be sent any more; aiokafka does not try it again."""

    def __str__(self) -> str:
        return "not sent: its worker may have lost its partitions while it stood still"


class Publisher(Protocol):
    """Delivers messages."""

    async def send(self, messages: Sequence[Outgoing], until: float = inf) -> Sequence[Outgoing]:
        """Return when all of them have been confirmed.

        Args:
            messages: In order.
            until: A moment of the monotonic clock; from then on nothing more is sent.

        Returns:
            What was not confirmed by then: none of it goes out later.
        """
        ...


class KafkaPublisher:
    """A producer with acks=all. Waits with back-off while the brokers are away; never drops a message."""

    def __init__(
        self, cluster: Cluster, *, linger_ms: int = 2, set_aside: Callable[[Outgoing], Outgoing] | None = None
    ) -> None:
        """Prepare; ``start`` connects.

        Args:
            cluster: The brokers.
            linger_ms: How long a message waits for others to travel with.
            set_aside: What is sent in place of a message that the brokers refuse for its size; without it that ends
                the worker.
        """
        self._cluster = cluster
        self._set_aside = set_aside
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._until = inf

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
            producer.client.send = self._in_time(producer.client.send)
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

    def _in_time(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The client's way to the socket, closed to records from a moment on.

        A process may stand still anywhere: before that moment when it handed records over, long after it when aiokafka
        writes them, or writes them again.
        """

        async def in_time(node: int, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest) and monotonic() >= self._until:
                raise TooLateError
            return await send(node, request, **options)

        return in_time

    async def send(self, messages: Sequence[Outgoing], until: float = inf) -> Sequence[Outgoing]:
        """Deliver the messages in order of their keys; those that failed are sent again.

        The limit of the last call holds for all.

        Raises:
            SettingError: If the brokers refuse one for good.
        """
        left = list(messages)
        self._until = until

        async def attempt() -> None:
            nonlocal left
            while left:
                with in_plain_words(self._cluster):
                    left, error = await self._attempt(left)
                    if error is not None and monotonic() >= until:
                        return
                    if error is not None:
                        raise error

        if left:
            await retry_with_backoff("delivery", attempt, KafkaError)
        return left

    async def _attempt(self, messages: Sequence[Outgoing]) -> tuple[list[Outgoing], Exception | None]:
        """Send messages at once; returns what is to be sent yet, and why where that is to be waited with."""
        again: list[Outgoing] = []
        first: Exception | None = None
        deliveries = [await self._hand_over(message) for message in messages]
        for message, delivery in zip(messages, deliveries, strict=True):
            try:
                if isinstance(delivery, Exception):
                    raise delivery
                await delivery  # most are done when the first is: they went in the same batch
            except MessageSizeTooLargeError as error:
                again.append(self._in_place_of(message, error))
            except InvalidTimestampError:
                again.append(message)
                first = first or RefusedTimeError(message.topic)
            except Exception as error:
                again.append(message)
                first = first or error
        return again, first

    def _in_place_of(self, message: Outgoing, error: Exception) -> Outgoing:
        if self._set_aside is None or message.topic == DEAD_LETTERS.name:
            raise WorkerFault(f"a message for '{message.topic}' is larger than the brokers take: {error}") from error
        log.warning("a record for '%s' is larger than the brokers take; it is set aside", message.topic)
        return self._set_aside(message)

    async def _hand_over(self, message: Outgoing) -> asyncio.Future[object] | Exception:
        if self._producer is None:
            raise WorkerFault("the publisher has not been started")
        at_broker = self._cluster.names.at_broker(message.topic)
        try:
            delivery: asyncio.Future[object] = await self._producer.send(
                at_broker, message.value, key=message.key, headers=[*message.headers]
            )
        except MessageSizeTooLargeError as error:
            too_large: Exception = error
            return too_large
        return delivery
