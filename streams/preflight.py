"""What a role sees to at the brokers before it starts: that it is let in, its topics are there, and it may use them.

Its rights are asked for (KIP-430: authorized operations): without that, a worker would join its group, be refused at
the first message, and idle.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from models.errors import SettingError
from streams.cluster import Cluster, answering, connected, retry_with_backoff
from streams.refusals import acl
from streams.topics import check_topics, create_topics
from streams.topology import Role

READ, WRITE = 3, 4
OPERATIONS = {READ: "Read", WRITE: "Write"}
_UNKNOWN = -(2**31)  # a broker that does not say what is allowed
_NAME = String("utf-8")


class _RightsResponse(Response):  # type: ignore[misc]  # aiokafka is not typed here
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME))),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _NAME),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _RightsRequest_v8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _RightsResponse
    SCHEMA = Schema(
        ("topics", Array(_NAME)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicRights(Request[_RightsRequest_v8]):  # type: ignore[misc]
    """The metadata of topics with what we may do; aiokafka 0.14 speaks version 5, which does not say."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._topics, False, False, True)


class _GroupRightsRequest_v3(DescribeGroupsRequest_v3):  # type: ignore[misc]
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # aiokafka 0.14 has version 2 here, which leaves the rights out


class _GroupRights(Request[_GroupRightsRequest_v3]):  # type: ignore[misc]
    """A group with what we may do."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([self._group], True)


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
    await retry_with_backoff(what, rights, KafkaError, OSError)
    if await create_topics(cluster, role.topics):
        await retry_with_backoff(what, rights, KafkaError, OSError)  # of a topic that is missing they say nothing
    await check_topics(cluster, role.topics)


async def check_rights(cluster: Cluster, role: Role, group: str) -> None:
    """See that a role may read, write and join what it must.

    Args:
        cluster: Where; of a topic that is missing the brokers do not say what is allowed.
        role: What it reads and writes.
        group: Its consumer group; joined only where the role reads anything in one.

    Raises:
        SettingError: If a right is missing; one line with the rights and how they are added.
        KafkaError: If the brokers are away.
    """
    async with connected(cluster) as client:
        lacking = await _lacking_on_topics(client, cluster, role)
        if role.reads:
            lacking += await _lacking_on_group(client, cluster.names.at_broker(group))
    if lacking:
        first, *rest = (f"{operation} {on.removeprefix('--')}" for operation, on in lacking)
        others = f", and lacks {', '.join(rest)}" if rest else ""
        mend = acl(cluster, *lacking[0]) + ("; the others likewise" if rest else "")
        raise SettingError(f"{role.name}: {cluster.principal} may not {first}{others}; {mend}")


async def _lacking_on_topics(client: AIOKafkaClient, cluster: Cluster, role: Role) -> list[tuple[str, str]]:
    at_broker = cluster.names.at_broker
    reads = dict.fromkeys([*role.reads, *role.side_inputs, *role.recalls])
    needed = [(at_broker(each.name), READ) for each in reads]
    needed += [(at_broker(each.name), WRITE) for each in role.writes]
    request = _TopicRights([at_broker(each.name) for each in role.topics])
    async for node in answering(client, cluster):
        try:
            answer = (await client.send(node, request)).to_object()
        except NotImplementedError:
            return []  # a broker that does not say
        allowed = {topic["topic"]: _operations(topic) for topic in answer["topics"]}
        return [(OPERATIONS[op], f"--topic {name}") for name, op in needed if not _allows(allowed[name], op)]
    return []


async def _lacking_on_group(client: AIOKafkaClient, group: str) -> list[tuple[str, str]]:
    lacking = [(OPERATIONS[READ], f"--group {group}")]
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        (answer,) = (await client.send(node, _GroupRights(group))).to_object()["groups"]
    except NotImplementedError:
        return []  # aiokafka raises it where the broker does not know this request: then it does not say
    except GroupAuthorizationFailedError:
        return lacking
    return [] if _allows(answer["authorized_operations"], READ) else lacking


def _operations(topic: Mapping[str, int]) -> int:
    """What we may do with a topic; not known of one that is missing."""
    if topic["error_code"] == TopicAuthorizationFailedError.errno:
        return 0
    return _UNKNOWN if topic["error_code"] else topic["authorized_operations"]


def _allows(operations: int, operation: int) -> bool:
    """Whether a set of operations, as brokers write it, has this one; a broker that does not say allows all."""
    return operations == _UNKNOWN or bool(operations >> operation & 1)
