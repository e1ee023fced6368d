"""Delivery: a batch is published when every broker asked has confirmed it, however long that takes.

A key's partition is that of its CRC-32, as with librdkafka: Kafka's own murmur2 is slow in Python.
"""

import asyncio
import logging
import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import WorkerFault
from streams.cluster import Cluster, patiently

log = logging.getLogger(__name__)
LARGEST_MESSAGE = 5 * 1024 * 1024
_OVERHEAD = 1024  # more than Kafka adds to a message
Delivery = asyncio.Future[object]


class Outgoing(NamedTuple):
    """A message to be written."""

    topic: str
    key: bytes
    value: bytes


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
        """Connect; waits while the brokers are away."""

        async def attempt() -> AIOKafkaProducer:
            producer = AIOKafkaProducer(
                **self._cluster.client_options(),
                acks="all",
                linger_ms=self._linger_ms,
                max_batch_size=256 * 1024,
                max_request_size=LARGEST_MESSAGE,
                request_timeout_ms=20_000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            return producer

        self._producer = await patiently("producer", attempt, KafkaError, OSError)

    async def stop(self) -> None:
        """Send what is under way and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Deliver the messages in order of their keys; those that failed are sent again.

        Raises:
            WorkerFault: If a message is too large for any broker, or the publisher has not been started.
        """
        left = list(messages)
        if any(len(m.key) + len(m.value) + _OVERHEAD > LARGEST_MESSAGE for m in left):
            raise WorkerFault(f"a message is larger than {LARGEST_MESSAGE} bytes")

        async def attempt() -> None:
            nonlocal left
            sent = await self._hand_over(left)
            results = await asyncio.gather(*(delivery for delivery, _ in sent), return_exceptions=True)
            failed = [(part, r) for (_, part), r in zip(sent, results, strict=True) if isinstance(r, BaseException)]
            left = [message for part, _ in failed for message in part]
            if failed:
                raise failed[0][1]

        if left:
            await patiently("delivery", attempt, KafkaError)

    async def _hand_over(self, messages: Sequence[Outgoing]) -> list[tuple[Delivery, list[Outgoing]]]:
        """Give the messages to the producer in whole batches: one by one they cost three times as much."""
        if self._producer is None:
            raise WorkerFault("the publisher has not been started")
        topics = dict.fromkeys(message.topic for message in messages)
        partitions = {topic: sorted(await self._producer.partitions_for(topic)) for topic in topics}
        going: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for message in messages:
            every = partitions[message.topic]
            going[message.topic, every[zlib.crc32(message.key) % len(every)]].append(message)
        sent = []
        for (topic, partition), rest in going.items():
            while rest:
                batch = self._producer.create_batch()
                fits = (batch.append(timestamp=None, key=m.key, value=m.value) is not None for m in rest)
                count = sum(takewhile(bool, fits))
                part, rest = rest[:count], rest[count:]
                sent.append((await self._producer.send_batch(batch, topic, partition=partition), part))
        return sent
