"""What was fetched and not acknowledged is read again, on a partition of which nothing is acknowledged too."""

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.cluster import Cluster
from streams.faust_consumer import seek_to_acknowledged
from streams.publish import Outgoing
from streams.topology import DECISIONS
from tests.brokers.chosen import Brokers
from tests.integration.stack import publish, running


def test_a_partition_is_read_again_from_its_start_until_something_is_acknowledged(
    tmp_path: Path, brokers: Brokers
) -> None:
    sent = [Outgoing(DECISIONS.name, b"one key, so one partition", b"%d" % n) for n in range(50)]
    with running(tmp_path / "data", roles=(), brokers=brokers) as (stack, _):
        publish(stack.cluster, sent)
        read = asyncio.run(_read_again_and_again(stack.cluster))
    values = [message.value for message in sent]
    assert read == [values, values, values[20:]]


async def _read_again_and_again(cluster: Cluster) -> list[list[bytes | None]]:
    """What is read at first, again with nothing acknowledged, and again with twenty."""
    options = cluster.client_options() | {"group_id": cluster.names.at_broker("reads again")}
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.subscribe([cluster.names.at_broker(DECISIONS.name)])
        first = await _read(consumer, 50)
        assert set((await seek_to_acknowledged(consumer)).values()) <= {None, 0}
        again = await _read(consumer, 50)
        (partition,) = [each for each in consumer.assignment() if await consumer.position(each) == 50]
        await consumer.commit({partition: 20})
        assert (await seek_to_acknowledged(consumer))[TopicPartition(*partition)] == 20
        return [first, again, await _read(consumer, 30)]
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, count: int) -> list[bytes | None]:
    """The next messages, so many or more."""
    values: list[bytes | None] = []
    async with asyncio.timeout(60):
        while len(values) < count:
            fetched = await consumer.getmany(timeout_ms=200)
            values += [message.value for messages in fetched.values() for message in messages]
    return values
