"""Errors of the Kafka client by what they ask for: patience, or somebody who mends a setting."""

import pytest
from aiokafka import errors

from models.errors import SettingError
from streams.cluster import Cluster
from streams.refusals import in_plain_words, words_of

CLUSTER = Cluster(
    ("one:9092", "two:9092"), security="sasl_ssl", sasl_mechanism="SCRAM-SHA-512", username="app", replication=3
)


@pytest.mark.parametrize(
    "error",
    [
        errors.KafkaConnectionError("away"),
        errors.NodeNotReadyError("away"),
        errors.RequestTimedOutError(),
        errors.LeaderNotAvailableError("feedback"),
        errors.NotEnoughReplicasError(),
        errors.GroupCoordinatorNotAvailableError(),
        errors.RebalanceInProgressError(),
        errors.KafkaStorageError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_passes_is_left_as_it_is_and_waited_for(error: errors.KafkaError) -> None:
    assert words_of(error, CLUSTER) is None
    with pytest.raises(type(error)), in_plain_words(CLUSTER):
        raise error


@pytest.mark.parametrize(
    ("error", "found", "mend"),
    [
        (
            errors.SaslAuthenticationFailed("bad credentials"),
            "the brokers at one:9092,two:9092 refuse user 'app' and the password (SCRAM-SHA-512)",
            "correct QUALSTREAM_KAFKA_USERNAME and QUALSTREAM_KAFKA_PASSWORD",
        ),
        (
            errors.UnsupportedSaslMechanismError(),
            "do not take the SASL mechanism SCRAM-SHA-512",
            "set QUALSTREAM_KAFKA_SASL_MECHANISM to one that they take",
        ),
        (
            errors.TopicAuthorizationFailedError("feedback"),
            "User:app has no right on a topic (feedback)",
            "kafka-acls.sh --bootstrap-server one:9092 --add --allow-principal User:app",
        ),
        (
            errors.GroupAuthorizationFailedError("qualstream-coders"),
            "User:app has no right on a consumer group (qualstream-coders)",
            "--operation Read --group NAME",
        ),
        (
            errors.InvalidReplicationFactorError("1 broker"),
            "QUALSTREAM_KAFKA_REPLICATION is 3 but the brokers at one:9092,two:9092 are fewer (1 broker)",
            "start more brokers, or set it lower",
        ),
        (
            errors.PolicyViolationError("names end in -v1"),
            "a policy of the brokers refuses a topic (names end in -v1)",
            "create the topic as the policy wants it",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_does_not_pass_is_one_line_with_what_was_found_and_the_mend(
    error: errors.KafkaError, found: str, mend: str
) -> None:
    with pytest.raises(SettingError) as ending, in_plain_words(CLUSTER):
        raise error
    words = str(ending.value)
    assert found in words
    assert mend in words
    assert "\n" not in words
