"""A topic at the brokers beside the one that we would create: what differs is said, what would lose data is refused."""

import pytest

from streams.cluster import Cluster, Names
from streams.topics import TopicState, compare
from streams.topology import CODEBOOK, DECISIONS, FEEDBACK, LABELS, STUDIES, TOPICS, Topic

CLUSTER = Cluster(("broker:9092",), partitions=4, replication=3, names=Names("team-a."))


def state(topic: Topic, partitions: int = 4, replicas: int = 3, **other: str) -> TopicState:
    """The topic as it was created, but for these settings, written with _ for each dot."""
    changed = {name.replace("_", "."): value for name, value in other.items()}
    return TopicState(partitions, replicas, topic.config(replicas) | changed)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_as_we_create_it_does_not_differ(topic: Topic) -> None:
    assert compare(topic, CLUSTER, state(topic)) == []


@pytest.mark.parametrize(
    ("topic", "other", "harm"),
    [
        (CODEBOOK, {"retention_ms": "604800000"}, "what must stay for ever would be deleted"),
        (LABELS, {"retention_bytes": "1073741824"}, "what must stay for ever would be deleted"),
        (LABELS, {"cleanup_policy": "compact"}, "earlier messages with the same key would be lost"),
        (CODEBOOK, {"cleanup_policy": "compact,delete"}, "earlier messages with the same key would be lost"),
        (DECISIONS, {"cleanup_policy": "compact"}, "earlier messages with the same key would be lost"),
        (STUDIES, {"cleanup_policy": "delete"}, "what was said last about a key would be lost in time"),
        (FEEDBACK, {"max_message_bytes": "1048588"}, "the largest records could not be written"),
        (FEEDBACK, {"min_insync_replicas": "4"}, "nothing could be written"),
        (FEEDBACK, {"min_insync_replicas": "1"}, ""),
        (FEEDBACK, {"max_message_bytes": "10000000"}, ""),
        (FEEDBACK, {"retention_ms": "3600000"}, ""),
        (STUDIES, {"cleanup_policy": "delete", "retention_ms": "-1"}, ""),
    ],
)
def test_a_setting_that_differs_is_one_line_and_harms_only_where_data_would_be_lost(
    topic: Topic, other: dict[str, str], harm: str
) -> None:
    (found,) = compare(topic, CLUSTER, state(topic, **other))
    setting = next(iter(other)).replace("_", ".")
    assert found.harm == harm
    assert str(found).startswith(f"topic team-a.{topic.name} has {setting} {next(iter(other.values()))}, expected ")
    assert (
        "kafka-configs.sh --bootstrap-server broker:9092 --alter --entity-type topics "
        f"--entity-name team-a.{topic.name} --add-config {setting}={topic.config(3)[setting]}"
    ) in str(found)


def test_other_counts_are_said_with_the_setting_that_would_fit() -> None:
    partitions, replicas = compare(FEEDBACK, CLUSTER, state(FEEDBACK, partitions=8, replicas=1))
    assert str(partitions).startswith(
        "topic team-a.feedback has partitions 8, expected 4; set QUALSTREAM_KAFKA_PARTITIONS=8"
    )
    assert str(replicas).startswith(
        "topic team-a.feedback has replicas 1, expected 3; set QUALSTREAM_KAFKA_REPLICATION=1"
    )
    assert (partitions.harm, replicas.harm) == ("", "")


def test_a_missing_topic_differs_and_settings_that_the_brokers_do_not_tell_do_not() -> None:
    (missing,) = compare(FEEDBACK, CLUSTER, TopicState(0, 0, {}))
    assert str(missing) == "topic team-a.feedback has partitions 0, expected 4; start a role, or create it"
    assert compare(FEEDBACK, CLUSTER, TopicState(4, 3, {})) == []
