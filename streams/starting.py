"""What a role sees to at the brokers before it starts: that it is let in, its topics are there, and it may use them."""

from functools import partial

from aiokafka.errors import KafkaError

from streams.cluster import Cluster, patiently
from streams.rights import check_rights
from streams.topics import check_topics, create_topics
from streams.topology import Role


async def prepare(cluster: Cluster, role: Role, group: str) -> None:
    """Return when a role can start; waits while the brokers are away or its topics are missing.

    Args:
        cluster: Where.
        role: What it reads and writes.
        group: Its consumer group.

    Raises:
        SettingError: If the brokers refuse it, a right is missing, or a topic's settings would lose data.
    """
    rights = partial(check_rights, cluster, role, group)
    what = f"brokers at {','.join(cluster.servers)}"
    await patiently(what, rights, KafkaError, OSError)
    if await create_topics(cluster, role.topics):
        await patiently(what, rights, KafkaError, OSError)  # of a topic that is missing they say nothing
    await check_topics(cluster, role.topics)
