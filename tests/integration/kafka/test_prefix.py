"""On a shared Kafka, topics and groups carry a prefix; records, read model and commands know them without it."""

import asyncio
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from schemas import DeadLetter
from streams.cluster import Cluster, group_lag, partitions_of
from streams.publish import Outgoing
from streams.topics import create_topics
from streams.topology import DEAD_LETTERS, FEEDBACK, PROPOSALS, TOPICS
from tests.integration.stack import FAKES, STUDY, feedback, lag, messages, publish, segments, until

PREFIX = "team-a."


def test_a_whole_stack_runs_behind_a_prefix(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, profile=str(FAKES), study=STUDY, kafka_prefix=PREFIX)
    store = build_store(settings)
    stack = LocalStack(settings, store)
    try:
        stack.start()
        store.take_in(segments(20))
        publish(stack.cluster, [Outgoing(FEEDBACK.name, b"x", b"{not a record")])
        until(lambda: store.open_segments(STUDY) == 0, stack)
        until(lambda: lag(stack.cluster, "recorder") == 0, stack)
        (letter,) = messages(stack.cluster, DEAD_LETTERS.name)
        assert DeadLetter.from_bytes(letter).topic == FEEDBACK.name
        assert asyncio.run(topics_at(stack.cluster)) == {PREFIX + topic.name for topic in TOPICS}
    finally:
        stack.stop()
        store.close()


async def topics_at(cluster: Cluster) -> set[str]:
    """What the brokers call the topics that they have."""
    admin = AIOKafkaAdminClient(**cluster.client_options())
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_two_prefixes_on_one_broker_do_not_see_each_other(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, kafka_prefix=PREFIX)
    store = build_store(settings)
    stack = LocalStack(settings, store, roles=())
    try:
        await asyncio.to_thread(stack.start)
        other = Cluster(stack.cluster.servers)
        assert await partitions_of(other, [FEEDBACK.name]) == {FEEDBACK.name: []}
        await create_topics(other)
        await asyncio.to_thread(publish, other, feedback(segments(7)))
        assert len(await asyncio.to_thread(messages, other, FEEDBACK.name)) == 7
        assert await asyncio.to_thread(messages, stack.cluster, FEEDBACK.name) == []
        assert sum((await group_lag(other, "nobody", [FEEDBACK, PROPOSALS])).values()) == 7
        assert sum((await group_lag(stack.cluster, "nobody", [FEEDBACK, PROPOSALS])).values()) == 0
    finally:
        stack.stop()
        store.close()
