"""Topics on Apache Kafka: waited for, read, measured and compared by what the brokers say of each."""

import asyncio
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from models.errors import SettingError
from streams.cluster import Cluster, Names, consumer_group, group_lag, partitions_of
from streams.preflight import prepare
from streams.publish import KafkaPublisher
from streams.topics import create_topics, delete_topics, wait_for_topics
from streams.topology import CODEBOOK, FEEDBACK, PROPOSALS, TOPICS, role
from tests.brokers.kafka import Kafka
from tests.integration.stack import environment, feedback, messages, publish, segments, until


def behind(kafka_node: Kafka, prefix: str) -> Cluster:
    """The cluster with topics and groups of the test's own."""
    return replace(kafka_node.cluster(), names=Names(prefix))


def command(kafka_node: Kafka, cluster: Cluster, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run our command line on the cluster."""
    env = environment(folder, **kafka_node.options(), kafka_prefix=cluster.names.prefix)
    line = [sys.executable, "-m", "infra.cli", *words]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_on_a_topic_is_read_and_counts_as_lag(kafka_node: Kafka, tmp_path: Path) -> None:
    cluster = behind(kafka_node, "read.")
    asyncio.run(create_topics(cluster))
    publish(cluster, feedback(segments(300)))
    assert len(messages(cluster, FEEDBACK.name)) == 300
    assert sum(asyncio.run(group_lag(cluster, "nobody", [FEEDBACK, PROPOSALS])).values()) == 300
    printed = command(kafka_node, cluster, tmp_path, "tail", "feedback")
    assert printed.returncode == 0
    assert len(printed.stdout.splitlines()) == 300


def test_a_missing_topic_is_not_made_by_asking_for_it(kafka_node: Kafka) -> None:
    cluster = behind(kafka_node, "asked.")
    assert messages(cluster, FEEDBACK.name) == []
    assert asyncio.run(partitions_of(cluster, [FEEDBACK.name])) == {FEEDBACK.name: []}


def test_deleted_topics_are_named_by_no_broker_and_deleting_them_again_is_no_fault(kafka_node: Kafka) -> None:
    cluster = behind(kafka_node, "deleted.")
    asyncio.run(create_topics(cluster))
    for _ in range(2):
        asyncio.run(delete_topics(cluster))
        assert not any(asyncio.run(partitions_of(cluster, [topic.name for topic in TOPICS])).values())


async def test_a_topic_is_waited_for_and_said_once_to_be_missing(
    kafka_node: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = behind(kafka_node, "waited.")
    caplog.set_level(logging.INFO, "streams.topics")
    waiting = asyncio.create_task(wait_for_topics(cluster, [FEEDBACK, CODEBOOK]))
    async with asyncio.timeout(30):
        await asyncio.to_thread(until, lambda: "waiting for the topics" in caplog.text)
        await make(cluster, FEEDBACK.name)  # by somebody else, who says nothing in our log
        await make(cluster, CODEBOOK.name)
        await waiting
    waits = [record.getMessage() for record in caplog.records if record.getMessage().startswith("waiting")]
    assert waits[0] == "waiting for the topics waited.codebook, waited.feedback"
    assert len(waits) == 1


async def make(cluster: Cluster, name: str, **config: str) -> None:
    """Create a topic as somebody else would, with these settings, written with _ for each dot."""
    admin = AIOKafkaAdminClient(**cluster.client_options())
    await admin.start()
    settings = {key.replace("_", "."): value for key, value in config.items()}
    try:
        await admin.create_topics([NewTopic(cluster.names.at_broker(name), 2, 1, topic_configs=settings)])
    finally:
        await admin.close()


def test_a_role_does_not_start_where_a_topic_s_settings_would_lose_data(kafka_node: Kafka, tmp_path: Path) -> None:
    cluster = behind(kafka_node, "other.")
    asyncio.run(make(cluster, CODEBOOK.name, max_message_bytes="5308416", retention_ms="604800000"))
    with pytest.raises(
        SettingError, match=r"has retention\.ms 604800000, expected -1, so what must stay for ever would"
    ):
        asyncio.run(prepare(cluster, role("refiner"), consumer_group("refiner")))
    checked = command(kafka_node, cluster, tmp_path, "topics", "--check")
    assert checked.returncode == 1
    assert "topic other.codebook has partitions 2, expected 4; set QUALSTREAM_KAFKA_PARTITIONS=2" in checked.stdout
    assert "--entity-name other.codebook --add-config retention.ms=-1" in checked.stdout


def test_topics_that_the_roles_made_are_as_they_are_expected(kafka_node: Kafka, tmp_path: Path) -> None:
    cluster = behind(kafka_node, "ours.")
    asyncio.run(create_topics(cluster))
    checked = command(kafka_node, cluster, tmp_path, "topics", "--check")
    assert (checked.returncode, checked.stdout.strip()) == (0, "11 topics, each as it is expected")


def test_too_few_brokers_for_the_replication_end_a_role_with_the_mend(kafka_node: Kafka) -> None:
    cluster = replace(behind(kafka_node, "copies."), replication=3)
    with pytest.raises(SettingError, match=r"QUALSTREAM_KAFKA_REPLICATION is 3 but the brokers at .* are fewer"):
        asyncio.run(prepare(cluster, role("router"), consumer_group("router")))


async def test_records_whose_time_the_brokers_refuse_wait_until_they_take_it(
    kafka_node: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = behind(kafka_node, "clock.")
    await make(cluster, FEEDBACK.name, message_timestamp_before_max_ms="1")
    publisher = KafkaPublisher(cluster, linger_ms=500)  # so long that every record is older than that
    await publisher.start()
    sending = asyncio.create_task(publisher.send(feedback(segments(3))))
    refused = f"the brokers do not take the time of records for '{FEEDBACK.name}': this machine's clock"
    await asyncio.to_thread(until, lambda: refused in caplog.text)
    assert not sending.done()
    await _set(cluster, FEEDBACK.name, message_timestamp_before_max_ms="3600000")
    await sending
    await publisher.stop()
    assert len(await asyncio.to_thread(messages, cluster, FEEDBACK.name)) == 3


async def test_what_comes_to_the_socket_too_late_is_not_sent_then_or_later(kafka_node: Kafka) -> None:
    cluster = behind(kafka_node, "late.")
    await make(cluster, FEEDBACK.name)
    publisher = KafkaPublisher(cluster, linger_ms=500)
    await publisher.start()
    mail = feedback(segments(3))
    late = await publisher.send(mail, until=monotonic() + 0.05)
    assert late == mail
    assert await asyncio.to_thread(messages, cluster, FEEDBACK.name) == []
    assert await publisher.send(late, until=monotonic() + 60) == []
    await publisher.stop()
    assert len(await asyncio.to_thread(messages, cluster, FEEDBACK.name)) == 3


async def _set(cluster: Cluster, name: str, **config: str) -> None:
    """Change a topic's settings as somebody else would, written as for ``make``."""
    admin = AIOKafkaAdminClient(**cluster.client_options())
    await admin.start()
    settings = {key.replace("_", "."): value for key, value in config.items()}
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, cluster.names.at_broker(name), settings)])
    finally:
        await admin.close()
