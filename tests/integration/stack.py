"""A running stack for tests: a real broker over TCP, one process a role, fake models."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiokafka.errors import KafkaError

from infra.brokers import data_folder_lock
from infra.factory.stores import build_store
from infra.local.processes import spawn
from infra.local.stack import CODING, LocalStack, broker_command
from infra.settings import load_settings
from infra.storage.store import Store
from schemas import Segment
from schemas.ids import segment_id
from streams.cluster import Cluster, consumer_group, group_lag, read_topic, retry_with_backoff
from streams.publish import KafkaPublisher, Outgoing
from streams.side_inputs import follow_side_inputs
from streams.stage import Stage
from streams.topics import create_topics
from streams.topology import FEEDBACK, ROLES
from tests.brokers.chosen import EMBEDDED, QUICK, Brokers
from tests.brokers.kafka import Node, running_kafka

T = TypeVar("T")
FAKES = Path(__file__).parent.parent / "data" / "fakes.toml"
STUDY = "reviews"
_WORDS = [
    "fast",
    "slow",
    "app",
    "crash",
    "login",
    "payment",
    "screen",
    "button",
    "helpful",
    "answers",
    "price",
    "message",
    "limit",
    "voice",
    "photo",
    "error",
    "nice",
    "great",
    "love",
    "hate",
    "study",
    "exam",
    "teacher",
    "homework",
    "battery",
    "update",
    "account",
    "picture",
    "friend",
    "doctor",
    "music",
    "translate",
]


def segments(count: int, study: str = STUDY) -> list[Segment]:
    """Segments with texts of six different words each, the same in every run."""
    draw = random.Random(7)
    return [
        Segment(id=segment_id(study, "test", str(n)), study=study, text=" ".join(draw.sample(_WORDS, 6)), source="test")
        for n in range(count)
    ]


ALL_ROLES = CODING


@contextmanager
def running(
    folder: Path,
    store: Store | None = None,
    roles: Sequence[str] = ALL_ROLES,
    profile: Path = FAKES,
    brokers: Brokers = EMBEDDED,
    **options: str,
) -> Iterator[tuple[LocalStack, Store]]:
    """Start a stack with fake models, or another profile's, on a folder; everything is stopped at the end."""
    fixed = {"data_dir": folder, "profile": str(profile), "study": STUDY, "session_timeout_s": 6.0}
    settings = load_settings(**fixed, **brokers.options)
    folder.mkdir(exist_ok=True)
    store = store or build_store(settings)
    stack = LocalStack(settings, store, roles, options={f"QUALSTREAM_{k.upper()}": v for k, v in options.items()})
    with data_folder_lock(settings):
        try:
            stack.start()
            yield stack, store
        finally:
            stack.stop()


def environment(folder: Path, **options: str) -> dict[str, str]:
    """What a process of ours is started with: fake models, a data folder, other settings as options."""
    mine = {"data_dir": str(folder), "profile": str(FAKES), "study": STUDY, "web_port": "0"} | options
    others = {name: value for name, value in os.environ.items() if not name.startswith("QUALSTREAM_")}
    return others | {f"QUALSTREAM_{name.upper()}": value for name, value in mine.items()} | {"PYTHONUNBUFFERED": "1"}


@dataclass
class Started:
    """A process that a test started, and what it has said so far."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Its standard error, and its standard output."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@contextmanager
def started(command: Sequence[str], log: Path, env: dict[str, str]) -> Iterator[Started]:
    """Run a command until the block ends; a process that was stopped by a signal is ended too."""
    with log.open("ab") as file:
        process = spawn(command, file, env)
    try:
        yield Started(process, log)
    finally:
        process.kill()
        process.wait()


@contextmanager
def broker(port: int, log: Path) -> Iterator[Started]:
    """Run the embedded broker alone."""
    with started(broker_command(port), log, dict(os.environ)) as running_broker:
        until(lambda: _answers(port), seconds=20)
        yield running_broker


@contextmanager
def alone(brokers: Brokers, port: int, folder: Path) -> Iterator[Started | Node]:
    """Run one more broker of a kind on a port, empty and without a prefix; it can be sent signals."""
    if brokers.embedded:
        with broker(port, folder / "broker.log") as embedded:
            yield embedded
    else:
        with running_kafka(folder / "kafka", settings=QUICK, port=port) as kafka:
            yield kafka.nodes[0]


def reach(cluster: Cluster) -> dict[str, str]:
    """The settings of a process that is to use a running stack's brokers."""
    return {"kafka_url": ",".join(cluster.servers), "kafka_prefix": cluster.names.prefix}


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def worker(role: str, folder: Path, **options: str) -> Iterator[Started]:
    """Run one role in a process of its own."""
    folder.mkdir(exist_ok=True)
    log = folder / f"{role}-{options.get('members', 'all')}.log"
    with started([sys.executable, "-m", "infra.cli", "up", "--role", role], log, environment(folder, **options)) as it:
        yield it


def until(
    condition: Callable[[], bool], stack: LocalStack | None = None, seconds: float = 90, every: float = 0.05
) -> None:
    """Look after the stack until a condition holds; fails the test after a time.

    ``every`` so many seconds it looks again: what costs a look at whole topics should be looked at seldom.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        if stack is not None:
            stack.check()
        time.sleep(every)


def kill(pid: int) -> None:
    """End a process at once, as the machine would."""
    os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()[0] != "Z"
        )
    except OSError:
        return False


def create(cluster: Cluster) -> None:
    """Create the topics on a fresh broker."""
    asyncio.run(create_topics(cluster))


def feedback(wanted: Sequence[Segment]) -> list[Outgoing]:
    """Segments as messages, as ingest would publish them."""
    return [Outgoing(FEEDBACK.name, str(one.id).encode(), one.to_bytes()) for one in wanted]


def lag(cluster: Cluster, role: str) -> int:
    """Messages that a role has not acknowledged."""
    reads = next(one.reads for one in ROLES if one.name == role)
    return sum(_asked(lambda: group_lag(cluster, consumer_group(role), reads)).values())


def _asked(question: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
    """What the brokers answer; a broker that comes back may name no leader yet, so they are asked again."""

    async def ask() -> T:
        async with asyncio.timeout(seconds):
            return await retry_with_backoff("asking the brokers", question, KafkaError)

    return asyncio.run(ask())


def publish(cluster: Cluster, messages: list[Outgoing]) -> None:
    """Put messages on topics as any other producer would."""

    async def send() -> None:
        publisher = KafkaPublisher(cluster)
        await publisher.start()
        try:
            await publisher.send(messages)
        finally:
            await publisher.stop()

    asyncio.run(send())


async def load(cluster: Cluster, stage: Stage) -> None:
    """Hand over to a stage what stands on its side topics, as a worker does before its first batch."""
    loaded = asyncio.Event()
    following = asyncio.create_task(follow_side_inputs(cluster, stage, loaded))
    try:
        await asyncio.wait_for(loaded.wait(), 90)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def messages(cluster: Cluster, topic: str) -> list[bytes]:
    """Every value on a topic, in the order of offsets within a partition."""

    async def read() -> list[bytes]:
        return [value async for _, _, _, value in read_topic(cluster, topic) if value is not None]

    return _asked(read)
