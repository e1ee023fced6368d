"""The topics at the brokers: create those that are missing, compare their settings, delete them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from models.errors import SettingError
from streams.cluster import Cluster, partitions_of, retry_with_backoff
from streams.refusals import in_plain_words
from streams.topology import TOPICS, Topic

log = logging.getLogger(__name__)
_LOOK_S = 0.1
PARTITIONS, REPLICAS = "partitions", "replicas"


@dataclass(frozen=True)
class TopicState:
    """A topic as the brokers have it.

    Attributes:
        partitions: How many; 0 where the topic is missing.
        replicas: How many brokers keep each partition.
        config: Its settings, those that the broker tells of.
    """

    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class TopicDifference:
    """A setting that a topic has otherwise than we create it; ``harm`` says what would be lost, if anything would."""

    topic: str
    setting: str
    current: str
    expected: str
    harm: str
    mend: str

    def __str__(self) -> str:
        """One line: what was found, what is expected, what to do."""
        harm = f", so {self.harm}" if self.harm else ""
        return f"topic {self.topic} has {self.setting} {self.current}, expected {self.expected}{harm}; {self.mend}"


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**cluster.client_options(), request_timeout_ms=10_000)
    try:
        with in_plain_words(cluster):
            await client.start()
            yield client
    finally:
        await client.close()


async def create_topics(cluster: Cluster, topics: Iterable[Topic] = TOPICS) -> bool:
    """Create the topics that are missing, with their partitions and settings; returns when they can be used.

    Waits while the brokers are away. Where we may not create topics, it waits until somebody else has.

    Returns:
        Whether any was missing.

    Raises:
        SettingError: If the brokers refuse us, or the topics, for good.
    """
    topics, created = list(topics), set[str]()

    async def attempt() -> None:
        missing = await _missing(cluster, topics)
        if missing:
            await _create(cluster, missing)
            created.update(each.name for each in missing)

    await _retry(cluster, attempt)
    if created:
        await wait_for_topics(cluster, topics)
    return bool(created)


async def delete_topics(cluster: Cluster, topics: Iterable[Topic] = TOPICS) -> None:
    """Delete topics with all that is in them; returns when no broker names them any more.

    Raises:
        SettingError: If the brokers refuse it for good.
    """
    topics = list(topics)

    async def attempt() -> None:
        while there := await _there(cluster, topics):
            await _delete(cluster, there)
            await asyncio.sleep(_LOOK_S)  # the controller's word reaches the other brokers a moment later

    await _retry(cluster, attempt)


async def wait_for_topics(cluster: Cluster, topics: Iterable[Topic]) -> None:
    """Return when every partition of the topics has a leader; the log says once what is waited for."""
    topics, logged = list(topics), set[str]()

    async def attempt() -> None:
        while missing := await _missing(cluster, topics):
            names = {cluster.names.at_broker(each.name) for each in missing}
            if names - logged:
                log.info("waiting for the topics %s", ", ".join(sorted(names)))
                logged.update(names)
            await asyncio.sleep(_LOOK_S)

    await _retry(cluster, attempt)


async def check_topics(cluster: Cluster, topics: Iterable[Topic]) -> None:
    """Say in the log what differs at the brokers from how we create topics, a line a difference.

    Raises:
        SettingError: If data would be lost so.
    """
    differing: list[TopicDifference] = []

    async def attempt() -> None:
        differing[:] = await differences(cluster, topics)

    await _retry(cluster, attempt)
    for each in differing:
        if not each.harm:
            log.warning("%s", each)
    harmful = [str(each) for each in differing if each.harm]
    if harmful:
        raise SettingError(" | ".join(harmful))


async def differences(cluster: Cluster, topics: Iterable[Topic]) -> list[TopicDifference]:
    """What differs at the brokers from how we create topics; a missing topic differs in its partitions."""
    topics = list(topics)
    states = await states_of(cluster, topics)
    return [difference for each in topics for difference in compare(each, cluster, states[each.name])]


async def states_of(cluster: Cluster, topics: Sequence[Topic]) -> dict[str, TopicState]:
    """The topics as the brokers have them, by their own names; without the right to see settings, without these.

    Raises:
        SettingError: If the brokers refuse us for good.
        KafkaError: If they are away.
    """
    known = await partitions_of(cluster, [each.name for each in topics])
    there = [name for name, partitions in known.items() if partitions]
    states = {each.name: TopicState(0, 0, {}) for each in topics}
    if there:
        async with _admin(cluster) as admin:
            names = [cluster.names.at_broker(name) for name in there]
            configs = await _configs(admin, names)
            for topic in await admin.describe_topics(names):
                partitions = topic["partitions"]
                replicas = min((len(each["replicas"]) for each in partitions), default=0)
                state = TopicState(len(partitions), replicas, configs.get(topic["topic"], {}))
                states[cluster.names.own(topic["topic"])] = state
    return states


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]  # the embedded broker takes no filter
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(asked):
        for topic in answer.to_object()["resources"]:
            if topic["error_code"] == TopicAuthorizationFailedError.errno:
                log.warning(
                    "the settings of topic %s cannot be checked: the right DescribeConfigs is missing",
                    topic["resource_name"],
                )
            configs[topic["resource_name"]] = {
                entry["config_names"]: entry["config_value"] for entry in topic["config_entries"]
            }
    return configs


def compare(topic: Topic, cluster: Cluster, state: TopicState) -> list[TopicDifference]:
    """What a topic has otherwise than we create it, and what would be lost so."""
    name = cluster.names.at_broker(topic.name)
    if not state.partitions:
        return [TopicDifference(name, PARTITIONS, "0", str(cluster.partitions), "", "start a role, or create it")]
    differing = [
        TopicDifference(name, setting, str(have), str(want), "", f"set {variable}={have}, or create the topic anew")
        for setting, have, want, variable in (
            (PARTITIONS, state.partitions, cluster.partitions, "QUALSTREAM_KAFKA_PARTITIONS"),
            (REPLICAS, state.replicas, cluster.replication, "QUALSTREAM_KAFKA_REPLICATION"),
        )
        if have != want
    ]
    for setting, want in topic.config(state.replicas).items():
        have = state.config.get(setting, want)  # where the broker does not say, it cannot be compared
        if have != want:
            harm, mend = _harm(topic, setting, state), _alter(cluster, name, setting, want)
            differing.append(TopicDifference(name, setting, have, want, harm, mend))
    return differing


def _alter(cluster: Cluster, name: str, setting: str, want: str) -> str:
    return (
        f"set it: kafka-configs.sh --bootstrap-server {cluster.servers[0]} --alter --entity-type topics "
        f"--entity-name {name} --add-config {setting}={want}"
    )


def _harm(topic: Topic, setting: str, state: TopicState) -> str:
    """What would be lost with this setting as it is; empty where nothing would."""
    policies = state.config["cleanup.policy"].split(",") if "cleanup.policy" in state.config else []
    value = state.config[setting]
    if setting == "cleanup.policy":
        if "compact" in policies and topic.cleanup != "compact":
            return "earlier messages with the same key would be lost"
        if topic.cleanup == "compact" and state.config.get("retention.ms") != "-1":
            return "what was said last about a key would be lost in time"
    if setting in ("retention.ms", "retention.bytes") and topic.cleanup == "never":
        return "what must stay for ever would be deleted"
    if setting == "max.message.bytes" and int(value) < int(topic.config(1)[setting]):
        return "the largest records could not be written"
    if setting == "min.insync.replicas" and int(value) > state.replicas:
        return "nothing could be written"
    return ""


async def _partitions(cluster: Cluster, topics: Sequence[Topic]) -> dict[str, list[int]] | None:
    """The partitions of each topic, none of a missing one; ``None`` where one is there and not ready yet."""
    try:
        return await partitions_of(cluster, [each.name for each in topics])
    except LeaderNotAvailableError:
        return None


async def _missing(cluster: Cluster, topics: Sequence[Topic]) -> list[Topic]:
    """The topics that are not there, or not ready yet."""
    partitions = await _partitions(cluster, topics)
    return [each for each in topics if partitions is None or not partitions[each.name]]


async def _there(cluster: Cluster, topics: Sequence[Topic]) -> list[Topic]:
    """The topics that a broker still names, ready or not."""
    partitions = await _partitions(cluster, topics)
    return [each for each in topics if partitions is None or partitions[each.name]]


async def _delete(cluster: Cluster, topics: Sequence[Topic]) -> None:
    names = [cluster.names.at_broker(each.name) for each in topics]
    async with _admin(cluster) as admin:
        for topic in (await admin.delete_topics(names)).to_object()["topic_error_codes"]:
            error = for_code(topic["error_code"])
            if topic["error_code"] and error is not UnknownTopicOrPartitionError:  # deleted, and still named elsewhere
                raise error(f"{topic['topic']}: not deleted")


async def _create(cluster: Cluster, topics: Sequence[Topic]) -> None:
    at_broker, replicas = cluster.names.at_broker, cluster.replication
    new = [
        NewTopic(at_broker(each.name), cluster.partitions, replicas, topic_configs=each.config(replicas))
        for each in topics
    ]
    async with _admin(cluster) as admin:
        for topic in (await admin.create_topics(new)).to_object()["topic_errors"]:
            error = for_code(topic["error_code"])
            if error is TopicAlreadyExistsError:
                log.debug("%s was created by another worker", topic["topic"])
            elif error is TopicAuthorizationFailedError:
                log.warning(
                    "topic %s is missing and %s may not create it; create it as `qualstream topics` prints it, or add "
                    "the right Create",
                    topic["topic"],
                    cluster.principal,
                )
            elif topic["error_code"]:
                raise error(f"{topic['topic']}: {topic.get('error_message') or 'not created'}")


async def _retry(cluster: Cluster, attempt: Callable[[], Awaitable[None]]) -> None:
    await retry_with_backoff(f"brokers at {','.join(cluster.servers)}", attempt, KafkaError, OSError)
