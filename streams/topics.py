"""The topics at the brokers: create those that are missing, and wait until they can be used."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, LeaderNotAvailableError, TopicAlreadyExistsError, for_code

from streams.cluster import Cluster, partitions_of, patiently
from streams.topology import TOPICS, Topic

log = logging.getLogger(__name__)
_LOOK_S = 0.1


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**cluster.client_options(), request_timeout_ms=10_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def create_topics(cluster: Cluster, topics: Iterable[Topic] = TOPICS) -> None:
    """Create the topics that are missing, with their partitions; returns when they can be used.

    Waits while the brokers are away.
    """
    topics = list(topics)

    async def attempt() -> None:
        missing = await _missing(cluster, topics)
        if missing:
            await _create(cluster, missing)

    await patiently(f"brokers at {','.join(cluster.servers)}", attempt, KafkaError, OSError)
    await wait_for_topics(cluster, topics)


async def wait_for_topics(cluster: Cluster, topics: Iterable[Topic]) -> None:
    """Return when every partition of the topics has a leader; the log says once what is waited for."""
    topics, said = list(topics), set[str]()

    async def attempt() -> None:
        while missing := await _missing(cluster, topics):
            names = {each.name for each in missing}
            if names - said:
                log.info("waiting for the topics %s", ", ".join(sorted(names)))
                said.update(names)
            await asyncio.sleep(_LOOK_S)

    await patiently(f"brokers at {','.join(cluster.servers)}", attempt, KafkaError, OSError)


async def _missing(cluster: Cluster, topics: Sequence[Topic]) -> list[Topic]:
    """The topics that are not there, or not ready yet."""
    try:
        found = await partitions_of(cluster, [each.name for each in topics])
    except LeaderNotAvailableError:
        return list(topics)
    return [each for each in topics if not found[each.name]]


async def _create(cluster: Cluster, topics: Sequence[Topic]) -> None:
    new = [
        NewTopic(cluster.names.at_broker(each.name), cluster.partitions, cluster.replication, topic_configs=each.config)
        for each in topics
    ]
    async with _admin(cluster) as admin:
        answer = (await admin.create_topics(new)).to_object()
    for topic in answer["topic_errors"]:
        error = for_code(topic["error_code"])
        if error is TopicAlreadyExistsError:
            log.debug("%s was created by another worker", topic["topic"])
        elif topic["error_code"]:
            raise error(f"{topic['topic']}: {topic.get('error_message') or 'not created'}")
