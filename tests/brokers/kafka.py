"""Apache Kafka on this machine for tests: one node or three in KRaft mode, on free ports of 127.0.0.1.

``make kafka`` brings the jars. Data and certificates stand in a folder of the test; nodes end with their parent.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.local.processes import spawn
from infra.local.stack import free_port
from streams.cluster import Cluster
from tests.brokers.certificates import PASSWORD, Certificates, certificates

JARS = Path(sys.prefix) / "share" / "kafka"
VERSION = "4.4.0"
ADMIN = "admin"
_OLDEST_JAVA = 17
_START_S = 60.0
_HEAP = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dlog4j2.level=WARN")
SCRAM = "SCRAM-SHA-512"


class KafkaMissingError(Exception):
    """Apache Kafka cannot run here; the message says what it lacks.

    Attributes:
        obtainable: Whether Java and Maven are there, so that ``make kafka`` can bring the rest.
    """

    def __init__(self, message: str, *, obtainable: bool) -> None:
        super().__init__(message)
        self.obtainable = obtainable


def require_kafka() -> None:
    """Look for Java and for the jars.

    Raises:
        KafkaMissingError: If one is not there.
    """
    java = shutil.which("java")
    if java is None or _java_version(java) < _OLDEST_JAVA:
        lacking = (
            f"Apache Kafka needs Java {_OLDEST_JAVA} or newer; on Debian: apt-get install default-jre-headless maven"
        )
        raise KafkaMissingError(lacking, obtainable=False)
    if not (JARS / f"kafka_2.13-{VERSION}.jar").is_file():
        maven = shutil.which("mvn") is not None
        raise KafkaMissingError(f"Apache Kafka {VERSION} is not in {JARS}; run `make kafka`", obtainable=maven)


def _java_version(java: str) -> int:
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = printed.partition('"')[2].partition('"')[0]
    return int(version.split(".")[0]) if version[:1].isdigit() else 0


@dataclass
class Node:
    """A broker that is a controller too."""

    number: int
    port: int
    controller_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        """``host:port`` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def voter(self) -> str:
        """How the quorum names it."""
        return f"{self.number}@127.0.0.1:{self.controller_port}"

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "node.log").read_text(encoding="utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        """Whether its process was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def listens(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self) -> None:
        """Start its process; it does not wait until the node answers."""
        with (self.folder / "node.log").open("ab") as log:
            self.process = spawn(_java("kafka.Kafka", str(self.folder / "node.properties")), log, os.environ)

    @property
    def pid(self) -> int:
        """Its process id; fails where it does not run."""
        assert self.process is not None, f"node {self.number} does not run"
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send its process a signal: SIGSTOP, SIGCONT and so on."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a machine that loses power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop it where it is until the block ends; its connections stay open."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


def _java(main: str, *arguments: str) -> list[str]:
    return ["java", *_HEAP, "-cp", f"{JARS}/*", main, *arguments]


@dataclass
class Kafka:
    """Nodes that form one cluster.

    Attributes:
        nodes: The nodes, numbered from 1.
        secure: The certificates where clients speak SASL_SSL with SCRAM-SHA-512, else ``None``.
        users: Passwords by user where it is secure; ``admin`` has every right, the others none until ``allow``.
        settings: Settings of the nodes beside ours, as in ``server.properties``.
    """

    folder: Path
    nodes: Sequence[Node]
    secure: Certificates | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 4

    def cluster(self, user: str = ADMIN) -> Cluster:
        """The cluster as clients see it; a secure one as this user."""
        servers = tuple(node.server for node in self.nodes)
        plain = Cluster(servers, partitions=self.partitions, replication=len(self.nodes))
        if self.secure is None:
            return plain
        return replace(
            plain,
            security="sasl_ssl",
            sasl_mechanism=SCRAM,
            username=user,
            password=self.users[user],
            ca_file=self.secure.authority,
        )

    def options(self, user: str = ADMIN) -> dict[str, str]:
        """The product's settings for this cluster, without their prefix ``QUALSTREAM_``, in small letters."""
        cluster = self.cluster(user)
        options = {
            "kafka_url": ",".join(cluster.servers),
            "kafka_replication": str(cluster.replication),
            "kafka_partitions": str(cluster.partitions),
        }
        if self.secure is None:
            return options
        return options | {
            "kafka_security": cluster.security,
            "kafka_sasl_mechanism": SCRAM,
            "kafka_username": user,
            "kafka_password": self.users[user],
            "kafka_ca_file": str(self.secure.authority),
        }

    def start(self) -> None:
        """Format the nodes, start them and wait until they answer."""
        self._format()
        for node in self.nodes:
            node.start()
        self.wait()
        self.coordinator("first")  # so that no test waits for the topic that keeps the offsets

    def stop(self) -> None:
        """End every node at once; their data are not needed any more."""
        for node in self.nodes:
            node.kill()

    def restart(self, node: Node, seconds: float = _START_S) -> None:
        """Start a node that was killed, and wait until the cluster counts it again."""
        node.start()
        self.wait(seconds)

    def wait(self, seconds: float = _START_S) -> None:
        """Wait until every node that runs answers and knows the others.

        Raises:
            TimeoutError: If one does not in time, or ended; the message ends with the node's last lines.
        """
        running = [node for node in self.nodes if node.process is not None]
        end = time.monotonic() + seconds
        for node in running:
            while self.known_to(node) != {each.number for each in running}:
                if not node.runs or time.monotonic() > end:
                    raise TimeoutError(f"Kafka node {node.number} does not answer; its log ends: {node.log[-2000:]}")
                time.sleep(0.1)

    def known_to(self, node: Node) -> set[int]:
        """The numbers of the nodes that this node holds for alive; none where it does not answer."""
        if not node.listens:
            return set()
        return asyncio.run(_brokers(replace(self.cluster(), servers=(node.server,))))

    def leader(self, topic: str, partition: int = 0) -> Node:
        """The node that leads a topic's partition."""
        return self._node(asyncio.run(_leader(self._asked(), topic, partition)))

    def coordinator(self, group: str) -> Node:
        """The node that keeps a consumer group's members and offsets."""
        return self._node(asyncio.run(_coordinator(self._asked(), group)))

    def moved_from(self, node: Node) -> bool:
        """Whether the others name it as the leader of no partition any more, those of the groups' offsets included."""
        leaders = asyncio.run(_leaders(self._asked()))
        return leaders is not None and node.number not in leaders

    def _node(self, number: int) -> Node:
        return next(node for node in self.nodes if node.number == number)

    def _asked(self) -> Cluster:
        return replace(self.cluster(), servers=tuple(node.server for node in self.nodes if node.runs))

    def delete_topics(self, prefix: str) -> None:
        """Delete the topics whose names begin so, and with them what they hold."""
        asyncio.run(_delete_topics(self.cluster(), prefix))

    def allow(self, user: str, *what: str) -> None:
        """Give a user a right, in the words of ``kafka-acls``: ``--operation Read --topic feedback``."""
        self._acls("--add", "--allow-principal", f"User:{user}", *what)

    def take_away(self, user: str, *what: str) -> None:
        """Take a right that ``allow`` gave away again, in the same words."""
        self._acls("--remove", "--force", "--allow-principal", f"User:{user}", *what)

    def _acls(self, *arguments: str) -> None:
        command = _java("org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.nodes[0].server)
        config = self.folder / "admin.properties"
        config.write_text(_lines(self._client_properties()), encoding="utf-8")
        _run([*command, "--command-config", str(config), *arguments])

    def _client_properties(self) -> dict[str, str]:
        assert self.secure is not None, "rights exist on a secure cluster only"
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": SCRAM,
            "sasl.jaas.config": self._sign_in(),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.secure.authority),
        }

    def _sign_in(self) -> str:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        return f'{module} required username="{ADMIN}" password="{self.users[ADMIN]}";'

    def _format(self) -> None:
        identity = str(uuid4())
        formatting = []
        for node in self.nodes:
            node.folder.mkdir(parents=True, exist_ok=True)
            properties = node.folder / "node.properties"
            properties.write_text(_lines(self._properties(node)), encoding="utf-8")
            users = [f"{SCRAM}=[name={user},password={password}]" for user, password in self.users.items()]
            scram = [word for user in users for word in ("--add-scram", user)]
            command = _java("kafka.tools.StorageTool", "format", "-t", identity, "-c", str(properties), *scram)
            formatting.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        for process in formatting:
            _ended_well(process.args, process.communicate()[0].decode(errors="replace"), process.returncode)

    def _properties(self, node: Node) -> dict[str, str]:
        protocol = "PLAINTEXT" if self.secure is None else "SASL_SSL"
        copies = str(min(3, len(self.nodes)))
        enough = str(min(2, len(self.nodes)))
        plain = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": ",".join(each.voter for each in self.nodes),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://{node.server},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"CLIENT://{node.server}",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": f"CLIENT:{protocol},CONTROLLER:PLAINTEXT",
            "log.dirs": str(node.folder / "data"),
            "auto.create.topics.enable": "false",
            "min.insync.replicas": enough,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "6",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": enough,
            "transaction.state.log.num.partitions": "6",
        }
        return plain | self._security(self.secure) | dict(self.settings)

    def _security(self, secure: Certificates | None) -> dict[str, str]:
        if secure is None:
            return {}
        return {
            "sasl.enabled.mechanisms": SCRAM,
            "sasl.mechanism.inter.broker.protocol": SCRAM,
            "listener.name.client.scram-sha-512.sasl.jaas.config": self._sign_in(),
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(secure.key_store),
            "ssl.keystore.password": PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(secure.authority),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{ADMIN};User:ANONYMOUS",  # the controllers' listener knows no names
        }


@contextmanager
def running_kafka(
    folder: Path,
    nodes: int = 1,
    *,
    users: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    partitions: int = 4,
    port: int = 0,
) -> Iterator[Kafka]:
    """Run Apache Kafka until the block ends.

    Args:
        folder: Where its data, logs and certificates go.
        nodes: How many nodes; topics are copied to each.
        users: Passwords by user; where given, clients must speak SASL_SSL, and all but ``admin`` need rights.
        settings: Settings of the nodes beside ours.
        partitions: Partitions that ``Cluster`` asks for.
        port: The first node's port; 0 is any free one.

    Raises:
        KafkaMissingError: If Java or the jars are not there.
    """
    require_kafka()
    ports = [port or free_port(), *(free_port() for _ in range(nodes - 1))]
    members = [Node(n, ports[n - 1], free_port(), folder / f"node-{n}") for n in range(1, nodes + 1)]
    secure = certificates(folder / "certificates") if users is not None else None
    known = {} if users is None else {ADMIN: "admin-password", **users}
    kafka = Kafka(folder, members, secure, known, settings or {}, partitions)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


def _lines(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _ended_well(command, done.stdout + done.stderr, done.returncode)


def _ended_well(command: object, printed: str, status: int) -> None:
    assert status == 0, f"{command} ended with {status}: {printed[-2000:]}"


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**cluster.client_options(), request_timeout_ms=5_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def _brokers(cluster: Cluster) -> set[int]:
    try:
        async with _admin(cluster) as client:
            return {broker["node_id"] for broker in (await client.describe_cluster())["brokers"]}
    except (KafkaError, OSError):
        return set()


async def _delete_topics(cluster: Cluster, prefix: str) -> None:
    async with _admin(cluster) as client:
        await client.delete_topics([name for name in await client.list_topics() if name.startswith(prefix)])


async def _leader(cluster: Cluster, topic: str, partition: int) -> int:
    async with _admin(cluster) as client:

        async def ask() -> int:
            (described,) = await client.describe_topics([topic])
            return next(each["leader"] for each in described["partitions"] if each["partition"] == partition)

        return await _answer(ask)


async def _leaders(cluster: Cluster) -> set[int] | None:
    """The nodes that lead a partition of any topic; none where the brokers do not say, as while one of them goes."""
    try:
        async with _admin(cluster) as client:
            described = await client.describe_topics(await client.list_topics())
    except (KafkaError, OSError):
        return None
    return {partition["leader"] for topic in described for partition in topic["partitions"]}


async def _coordinator(cluster: Cluster, group: str) -> int:
    async with _admin(cluster) as client:  # the first question ever makes the topic that keeps the offsets
        return await _answer(lambda: client.find_coordinator(group))


async def _answer(ask: Callable[[], Awaitable[int]]) -> int:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                return await ask()
            except (KafkaError, OSError):
                await asyncio.sleep(0.1)
