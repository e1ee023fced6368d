"""What brokers refuse, in words that whoever runs the system can act on.

An error of the Kafka client is either one that passes, which is waited for, or one of these, which does not: it ends
what was tried, with the mend.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from aiokafka import errors
from aiokafka.conn import create_conn

from models.errors import SettingError

if TYPE_CHECKING:
    from streams.cluster import Cluster

_WRONG_NAME = (62, 64)  # OpenSSL's codes for a certificate that is not for this host name, or this IP address
_WORDS = {
    errors.SaslAuthenticationFailed: "{found}; correct QUALSTREAM_KAFKA_USERNAME and QUALSTREAM_KAFKA_PASSWORD",
    errors.AuthenticationFailedError: "{found}; correct QUALSTREAM_KAFKA_USERNAME and QUALSTREAM_KAFKA_PASSWORD",
    errors.UnsupportedSaslMechanismError: "the brokers at {servers} do not take the SASL mechanism {mechanism}; "
    "set QUALSTREAM_KAFKA_SASL_MECHANISM to one that they take",
    errors.IllegalSaslStateError: "the brokers at {servers} do not expect a user name on this port; "
    "set QUALSTREAM_KAFKA_SECURITY without sasl_, or QUALSTREAM_KAFKA_URL to the port that does",
    errors.TopicAuthorizationFailedError: "{principal} has no right on a topic{detail}; {topic_mend}",
    errors.GroupAuthorizationFailedError: "{principal} has no right on a consumer group{detail}; {group_mend}",
    errors.ClusterAuthorizationFailedError: "{principal} has no right on the cluster{detail}; let whoever runs the "
    "brokers add it; `qualstream topics` shows which rights each role needs",
    errors.InvalidReplicationFactorError: "QUALSTREAM_KAFKA_REPLICATION is {replication} but the brokers at {servers} "
    "are fewer{detail}; start more brokers, or set it lower",
    errors.InvalidSessionTimeoutError: "QUALSTREAM_SESSION_TIMEOUT_S is {session:g} but the brokers at {servers} allow "
    "another range, of 6 to 1800 unless they were set otherwise (group.min.session.timeout.ms and group.max...); "
    "set it within theirs",
    errors.InconsistentGroupProtocolError: "a consumer of another kind is in our consumer group{detail}; "
    "end it, or set QUALSTREAM_KAFKA_PREFIX so that ours has another name",
    errors.InvalidGroupIdError: "the brokers refuse a consumer group's name{detail}; "
    "set QUALSTREAM_KAFKA_PREFIX to fewer letters, digits and . _ -",
    errors.UnsupportedVersionError: "the brokers at {servers} do not know what is asked of them{detail}; "
    "they are older than what docs/kafka.md names as tried",
    errors.InvalidPartitionsError: "QUALSTREAM_KAFKA_PARTITIONS is {partitions} but the brokers refuse that{detail}; "
    "set it to what they allow",
    errors.InvalidTopicError: "the brokers refuse a topic's name{detail}; "
    "set QUALSTREAM_KAFKA_PREFIX to fewer letters, digits and . _ -",
    errors.InvalidConfigurationError: "the brokers refuse a topic's settings{detail}; "
    "create the topic with settings that they take: `qualstream topics` prints ours",
    errors.MessageSizeTooLargeError: "a topic takes no records as large as ours{detail}; set its max.message.bytes as "
    "`qualstream topics` prints it",
    errors.PolicyViolationError: "a policy of the brokers refuses a topic{detail}; "
    "create the topic as the policy wants it: `qualstream topics` prints ours",
}


@contextmanager
def in_plain_words(cluster: "Cluster") -> Iterator[None]:
    """Turn what the brokers refuse for good into a ``SettingError``; what passes goes on as it is."""
    try:
        yield
    except (errors.KafkaError, ssl.SSLError) as error:
        refusal = words_of(error, cluster)
        if refusal is not None:
            raise SettingError(refusal) from error
        raise


def words_of(error: Exception, cluster: "Cluster") -> str | None:
    """One line on an error that does not pass: what was found, what was expected, what to do; ``None`` if it may."""
    servers = ",".join(cluster.servers)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error, servers)
    if isinstance(error, ssl.SSLError):
        return (
            f"no TLS with the brokers at {servers} ({error.reason}); set QUALSTREAM_KAFKA_SECURITY to plaintext or "
            "sasl_plaintext if they speak none, or correct QUALSTREAM_KAFKA_CERT_FILE and _KEY_FILE"
        )
    words = _WORDS.get(type(error))
    return words and words.format(
        found=f"the brokers at {servers} refuse user '{cluster.username}' and the password ({cluster.sasl_mechanism})",
        servers=servers,
        mechanism=cluster.sasl_mechanism,
        principal=cluster.principal,
        replication=cluster.replication,
        partitions=cluster.partitions,
        session=cluster.session_timeout_s,
        detail=_detail(error),
        topic_mend=acl(cluster, "OPERATION", "--topic NAME"),
        group_mend=acl(cluster, "Read", "--group NAME"),
    )


def acl(cluster: "Cluster", operation: str, on: str) -> str:
    """How whoever runs the brokers adds a right."""
    return (
        f"add it: kafka-acls.sh --bootstrap-server {cluster.servers[0]} --add "
        f"--allow-principal {cluster.principal} --operation {operation} {on}"
    )


def _of_certificate(error: ssl.SSLCertVerificationError, servers: str) -> str:
    if error.verify_code in _WRONG_NAME:
        return (
            f"the brokers' certificate is for another name than {servers} ({error.verify_message}); set "
            "QUALSTREAM_KAFKA_URL to a name that it is for"
        )
    return (
        f"the certificate of the brokers at {servers} is not trusted ({error.verify_message}); set "
        "QUALSTREAM_KAFKA_CA_FILE to a PEM file with the authority that signed it"
    )


def _detail(error: Exception) -> str:
    message = " ".join(" ".join(str(arg) for arg in error.args).split())
    return f" ({message})" if message else ""


async def raise_refusal(cluster: "Cluster", *others: str) -> None:
    """Raise what keeps us out, if it is more than that the brokers are away.

    Where no broker lets it in, the client says only that it cannot connect; so the brokers are asked one by one.

    Args:
        cluster: Where.
        others: Brokers, as ``host:port``, that those of the cluster name for themselves.

    Raises:
        SettingError: If a broker refuses us for good.
    """
    for server in [*cluster.servers, *others]:
        host, _, port = server.rpartition(":")
        options = {name: value for name, value in cluster.client_options().items() if name != "bootstrap_servers"}
        with suppress(errors.KafkaError, OSError, TimeoutError), in_plain_words(cluster):
            (await create_conn(host.strip("[]"), int(port), request_timeout_ms=5_000, **options)).close()
