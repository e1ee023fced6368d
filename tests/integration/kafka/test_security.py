"""Apache Kafka with SASL_SSL and rights: what it refuses is one line with the mend, and a role ends with it."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import SettingError
from streams.cluster import Cluster, consumer_group, partitions_of
from streams.preflight import prepare
from streams.topics import create_topics, delete_topics
from streams.topology import FEEDBACK, role
from tests.brokers.certificates import certificates
from tests.brokers.kafka import Kafka, running_kafka
from tests.integration.stack import feedback, publish, segments, until, worker

PASSWORDS = {"admin": "a-password", "app": "another", "stranger": "a-third"}
CODERS = role("coders")


@pytest.fixture(scope="module")
def kafka(kafka_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with running_kafka(tmp_path_factory.mktemp("kafka"), users=PASSWORDS) as running:
        asyncio.run(create_topics(running.cluster()))
        yield running


def refusal(cluster: Cluster) -> str:
    """What a coders' worker ends with."""
    with pytest.raises(SettingError) as ending:
        asyncio.run(prepare(cluster, CODERS, consumer_group("coders")))
    message = str(ending.value)
    assert "\n" not in message
    return message


def test_a_wrong_password_is_said_to_be_wrong(kafka: Kafka) -> None:
    message = refusal(replace(kafka.cluster("app"), password="not-it"))
    assert f"the brokers at {kafka.nodes[0].server} refuse user 'app' and the password (SCRAM-SHA-512)" in message
    assert "correct QUALSTREAM_KAFKA_USERNAME and QUALSTREAM_KAFKA_PASSWORD" in message
    assert "not-it" not in message


def test_a_mechanism_that_the_brokers_do_not_take_is_named(kafka: Kafka) -> None:
    message = refusal(replace(kafka.cluster("app"), sasl_mechanism="PLAIN"))
    assert "do not take the SASL mechanism PLAIN" in message
    assert "set QUALSTREAM_KAFKA_SASL_MECHANISM" in message


def test_a_certificate_of_an_unknown_authority_is_said_to_be_untrusted(kafka: Kafka) -> None:
    message = refusal(replace(kafka.cluster("app"), ca_file=None))
    assert "is not trusted (self-signed certificate in certificate chain)" in message
    assert "set QUALSTREAM_KAFKA_CA_FILE to a PEM file with the authority that signed it" in message


def test_a_certificate_for_another_host_is_said_to_be_so(tmp_path: Path) -> None:
    authority = certificates(tmp_path, names="DNS:elsewhere").authority
    message = asyncio.run(refusal_of_another_name(tmp_path, authority))
    assert "certificate is for another name than 127.0.0.1:" in message
    assert "set QUALSTREAM_KAFKA_URL to a name that it is for" in message


async def refusal_of_another_name(folder: Path, authority: Path) -> str:
    """What is said of a server with a certificate for another name than it is asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(SettingError) as ending:
            await partitions_of(Cluster((address,), security="ssl", ca_file=authority), [FEEDBACK.name])
    return str(ending.value)


def test_tls_with_brokers_that_speak_none_is_said_to_be_wrong(tmp_path: Path) -> None:
    async def ask() -> str:
        server = await asyncio.start_server(answer_in_the_clear, "127.0.0.1", 0)
        async with server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(SettingError) as ending:
                await partitions_of(Cluster((address,), security="ssl"), [FEEDBACK.name])
        return str(ending.value)

    message = asyncio.run(ask())
    assert "no TLS with the brokers at 127.0.0.1:" in message
    assert "set QUALSTREAM_KAFKA_SECURITY to plaintext or sasl_plaintext if they speak none" in message


async def answer_in_the_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"\x00\x00\x00\x00 this is no TLS")
    writer.close()


def test_a_user_without_rights_is_told_each_that_the_role_needs_and_how_it_is_added(kafka: Kafka) -> None:
    message = refusal(kafka.cluster("stranger"))
    assert message.startswith("coders: User:stranger may not Read topic feedback, and lacks ")
    for right in ("Read topic codebook", "Write topic proposals", "Read group qualstream-coders"):
        assert right in message
    server = kafka.nodes[0].server
    assert (
        f"add it: kafka-acls.sh --bootstrap-server {server} --add --allow-principal User:stranger "
        "--operation Read --topic feedback; the others likewise"
    ) in message


def test_a_right_that_is_missing_when_a_message_is_sent_is_said_and_the_message_not_tried_for_ever(
    kafka: Kafka,
) -> None:
    with pytest.raises(SettingError, match=r"User:stranger has no right on a topic \(feedback\); add it: kafka-acls"):
        publish(kafka.cluster("stranger"), feedback(segments(1)))


@pytest.mark.parametrize("seconds", ["2", "3600"])
def test_a_session_that_the_brokers_do_not_allow_ends_the_role_with_the_range(
    kafka: Kafka, tmp_path: Path, seconds: str
) -> None:
    with worker("coders", tmp_path, **kafka.options("admin"), session_timeout_s=seconds) as ending:
        assert ending.process.wait(timeout=60) == 2
    assert f"error: QUALSTREAM_SESSION_TIMEOUT_S is {seconds} but the brokers" in ending.said
    assert "Traceback" not in ending.said


def test_topics_that_a_user_may_not_delete_are_said_to_stay(kafka: Kafka) -> None:
    kafka.allow("app", "--operation", "Describe", "--topic", FEEDBACK.name)
    with pytest.raises(SettingError, match=r"User:app has no right on a topic \(feedback: not deleted\); add it: "):
        asyncio.run(delete_topics(kafka.cluster("app"), [FEEDBACK]))
    assert asyncio.run(partitions_of(kafka.cluster(), [FEEDBACK.name]))[FEEDBACK.name]


@pytest.mark.slow
def test_a_role_ends_for_want_of_one_right_and_starts_when_it_is_added_and_ends_when_one_is_taken_away(
    kafka: Kafka, tmp_path: Path
) -> None:
    reads = [f"--topic={each.name}" for each in (*CODERS.reads, *CODERS.side_inputs, *CODERS.recalls)]
    kafka.allow("app", "--operation", "Read", *reads, "--group", "qualstream-coders")
    kafka.allow("app", "--operation", "Write", "--topic", "proposals")
    options = kafka.options("app")
    with worker("coders", tmp_path, **options) as ending:
        assert ending.process.wait(timeout=60) == 2
    assert "error: coders: User:app may not Write topic dead-letters; add it: kafka-acls.sh" in ending.said
    assert "Traceback" not in ending.said
    kafka.allow("app", "--operation", "Write", "--topic", "dead-letters")
    with worker("coders", tmp_path, **options) as coders:
        until(lambda: "streams.faust_consumer" in coders.said)
        assert "settings of topic feedback cannot be checked: the right DescribeConfigs is missing" in coders.said
        assert coders.runs
        kafka.take_away("app", "--operation", "Read", "--group", "qualstream-coders")
        assert coders.process.wait(timeout=60) == 2
    assert "error: User:app has no right on a consumer group (qualstream-coders); add it: kafka-acls.sh" in coders.said
