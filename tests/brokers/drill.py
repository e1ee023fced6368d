"""A drill: a running system, on three Kafka nodes or on the embedded broker, of which parts are killed or paused."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from infra.factory.stores import build_store
from infra.local.processes import spawn
from infra.local.stack import CODING, LocalStack
from infra.settings import load_settings
from infra.storage.store import Store
from infra.telemetry.invariant_check import Findings, check
from schemas import Assignment
from streams.cluster import Cluster, consumer_group, read_batches
from streams.topology import ASSIGNMENTS
from tests.brokers.kafka import Kafka, Node, running_kafka
from tests.integration.stack import FAKES, STUDY, environment, segments

RATE = 25
_FED = 50  # segments that wait to be published, at least
_FLOWS = 10  # segments that are coded before the flow counts as flowing again
_PATIENCE_S = 300.0
_LOOK_S = 0.1


@dataclass
class Strike:
    """Something that was done to the system."""

    what: str
    at: float
    """Unix time."""
    moved_s: float | None = None
    """Of a killed broker, after how many seconds the others led in its place; the system cannot go on before."""


@dataclass
class Beside:
    """A process that is started again whenever it ends."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = spawn(self.command, log, self.environment)

    def check(self) -> None:
        """Start it again where it ended."""
        if self.pid is None:
            self.start()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Drill:
    """Feeds a stack and strikes at it."""

    stack: LocalStack
    store: Store
    kafka: Kafka | None = None
    """The nodes; none where the broker is the embedded one."""
    studies: Sequence[str] = (STUDY,)
    beside: dict[str, Beside] = field(default_factory=dict)
    """Processes that the drill itself starts, and starts again."""
    strikes: list[Strike] = field(default_factory=list)
    began: float = 0.0
    """When the roles were started, by the monotonic clock."""
    _fed: int = 0

    def start_beside(self, name: str, command: Sequence[str], options: Mapping[str, str] | None = None) -> None:
        """Start one more process on the stack's brokers and data folder, with further settings."""
        brokers = self.kafka.options() if self.kafka else {}
        known = environment(self.stack.settings.data_dir, **brokers, session_timeout_s="6", **(options or {}))
        self.beside[name] = Beside(command, self.stack.log_dir / f"{name}.log", known)
        self.beside[name].start()

    def pid(self, name: str) -> int | None:
        """The process of a name while it runs."""
        one = self.beside.get(name)
        return one.pid if one else self.stack.pids().get(name)

    def feed(self) -> None:
        """Take segments in, so many that the flow does not end."""
        counts = self.store.counts()
        if counts.taken_in - counts.published < _FED:
            self._fed += _FED
            for study in self.studies:
                self.store.take_in(segments(self._fed, study)[-_FED:])

    def wait(self, condition: Callable[[], bool], *, feeding: bool = True) -> None:
        """Look after every process until a condition holds, and feed them meanwhile."""
        end = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "it did not come about in time"
            if feeding:
                self.feed()
            self.stack.check()
            for one in self.beside.values():
                one.check()
            time.sleep(_LOOK_S)

    @property
    def nodes(self) -> Kafka:
        """The Kafka nodes; fails where the broker is the embedded one."""
        assert self.kafka is not None, "this drill runs on the embedded broker"
        return self.kafka

    def flow(self) -> None:
        """Wait until segments are coded again."""
        least = self.store.counts().routed + _FLOWS
        self.wait(lambda: self.store.counts().routed >= least)

    def calm(self, seconds: float, *, feeding: bool = True) -> None:
        """Let segments flow for a time without a strike."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end, feeding=feeding)

    def strike(self, what: str) -> Strike:
        """Note that something is done now."""
        self.strikes.append(Strike(what, time.time()))
        return self.strikes[-1]

    def kill_node(self, node: Node, leads: str) -> None:
        """Kill a broker; when segments flow without it, start it again and wait until the cluster counts it."""
        kafka = self.nodes
        strike = self.strike(f"broker that leads {leads}")
        node.kill()
        self.wait(lambda: kafka.moved_from(node))
        strike.moved_s = time.time() - strike.at
        self.flow()
        self.strike("broker comes back")
        node.start()
        every = {each.number for each in kafka.nodes}
        self.wait(lambda: kafka.known_to(node) == every)
        self.flow()

    def kill_role(self, name: str) -> None:
        """Kill a role's process, which the stack starts again."""
        pid = self._running(name)
        self.strike(name)
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.pid(name) not in (None, pid))
        self.flow()

    def pause_role(self, name: str, seconds: float) -> None:
        """Stop a role where it is, and let it go on after a time."""
        pid = self._running(name)
        self.strike(f"{name} paused for {seconds:g} s")
        os.kill(pid, signal.SIGSTOP)
        try:
            self.calm(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.flow()

    def _running(self, name: str) -> int:
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        return pid

    def finish(self) -> Findings:
        """Wait until every segment that was taken in has its outcome, and count what must hold."""
        self.wait(lambda: not self.store.open_segments(), feeding=False)
        return check(self.stack.settings, self.store, None)

    def pauses(self) -> list[tuple[Strike, float]]:
        """How long no segment was coded after each strike, by the times that stand on the topic."""
        coded = asyncio.run(_coded_at(self.stack.cluster))
        ends = [*(one.at for one in self.strikes[1:]), float("inf")]
        return [(one, _longest(coded, one.at, end)) for one, end in zip(self.strikes, ends, strict=True)]


def _longest(times: Sequence[float], start: float, end: float) -> float:
    """The longest time without any of these moments from one to another; what goes on after that is another's."""
    gaps = ((earlier, min(later, end)) for earlier, later in pairwise(times) if later > start and earlier < end)
    return max((later - earlier for earlier, later in gaps), default=0.0)


async def _coded_at(cluster: Cluster) -> list[float]:
    """When segments got their route, in order, by Unix time."""
    times = []
    async for batch in read_batches(cluster, ASSIGNMENTS.name):
        times += [one.timestamp / 1000 for one in batch if Assignment.from_bytes(one.value).route is not None]
    return sorted(times)


@contextmanager
def drill(folder: Path, roles: Sequence[str] = CODING, studies: Sequence[str] = (STUDY,)) -> Iterator[Drill]:
    """Start three nodes and roles with fake models; segments of the studies come in at a steady rate."""
    with running_kafka(folder / "kafka", nodes=3) as kafka, flowing(folder / "data", kafka, roles, studies) as drilled:
        yield drilled


@contextmanager
def flowing(
    data: Path,
    kafka: Kafka | None = None,
    roles: Sequence[str] = CODING,
    studies: Sequence[str] = (STUDY,),
    options: Mapping[str, str] | None = None,
) -> Iterator[Drill]:
    """Start roles on these nodes, or on the embedded broker.

    Args:
        data: Their data folder, which is not there yet.
        kafka: Running nodes.
        roles: Which.
        studies: Segments come in for these in turn.
        options: What the roles' environment has beside the drill's.
    """
    fixed = {"data_dir": data, "profile": str(FAKES), "study": STUDY}
    settings = load_settings(**fixed, **(kafka.options() if kafka else {}))
    settings.data_dir.mkdir(parents=True)
    store = build_store(settings)
    chosen = {"QUALSTREAM_INGEST_RATE": str(RATE), **(options or {})}
    forks = "LD_PRELOAD" not in chosen  # which is read when a program is loaded, not when it is forked
    stack = LocalStack(settings, store, roles, options=chosen, forks=forks)
    drilled = Drill(stack, store, kafka, studies)
    drilled.feed()
    try:
        drilled.began = time.monotonic()
        stack.start()
        yield drilled
    finally:
        for one in drilled.beside.values():
            one.stop()
        stack.stop()
        store.close()


def coordinator(drilled: Drill, role: str) -> Node:
    """The node that keeps a role's group."""
    return drilled.nodes.coordinator(drilled.stack.cluster.names.at_broker(consumer_group(role)))
