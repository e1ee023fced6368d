"""A drill: a running system on three Kafka nodes, of which one part after the other is killed or paused."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from infra.factory.stores import build_store
from infra.local.stack import CODING, LocalStack
from infra.settings import load_settings
from infra.storage.store import Store
from infra.telemetry.invariant_check import Findings, check
from schemas import Assignment
from streams.cluster import Cluster, consumer_group, read_batches
from streams.topology import ASSIGNMENTS
from tests.brokers.kafka import Kafka, Node, running_kafka
from tests.integration.stack import FAKES, STUDY, segments, until

RATE = 25
_FED = 50  # segments that wait to be published, at least
_FLOWS = 10  # segments that are coded before the flow counts as flowing again
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Strike:
    """Something that was done to the system."""

    what: str
    at: float
    """Unix time."""


@dataclass
class Drill:
    """Feeds a stack and strikes at it."""

    kafka: Kafka
    stack: LocalStack
    store: Store
    strikes: list[Strike] = field(default_factory=list)
    _fed: int = 0

    def feed(self) -> None:
        """Take segments in, so many that the flow does not end."""
        counts = self.store.counts(STUDY)
        if counts.taken_in - counts.published < _FED:
            self._fed += 2 * _FED
            self.store.take_in(segments(self._fed)[-2 * _FED :])

    def wait(self, condition: Callable[[], bool]) -> None:
        """Feed the stack and look after it until a condition holds."""

        def fed() -> bool:
            self.feed()
            return condition()

        until(fed, self.stack, seconds=_PATIENCE_S, every=0.1)

    def flow(self) -> None:
        """Wait until segments are coded again."""
        least = self.store.counts(STUDY).routed + _FLOWS
        self.wait(lambda: self.store.counts(STUDY).routed >= least)

    def strike(self, what: str) -> None:
        """Note that something is done now."""
        self.strikes.append(Strike(what, time.time()))

    def kill_node(self, node: Node, leads: str) -> None:
        """Kill a broker; when segments flow without it, start it again and wait until the cluster counts it."""
        self.strike(f"broker that leads {leads}")
        node.kill()
        self.flow()
        self.strike("broker comes back")
        node.start()
        every = {each.number for each in self.kafka.nodes}
        self.wait(lambda: self.kafka.known_to(node) == every)
        self.flow()

    def kill_role(self, name: str) -> None:
        """Kill a role's process, which the stack starts again."""
        pid = self.stack.pids()[name]
        self.strike(name)
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.stack.pids().get(name, pid) != pid)
        self.flow()

    def pause_role(self, name: str, seconds: float) -> None:
        """Stop a role where it is, and let it go on after a time."""
        pid = self.stack.pids()[name]
        self.strike(f"{name} paused for {seconds:g} s")
        end = time.monotonic() + seconds
        os.kill(pid, signal.SIGSTOP)
        try:
            self.wait(lambda: time.monotonic() >= end)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.flow()

    def finish(self) -> Findings:
        """Wait until every segment that was taken in has its outcome, and count what must hold."""
        until(lambda: not self.store.open_segments(STUDY), self.stack, seconds=_PATIENCE_S, every=0.1)
        return check(self.stack.settings, self.store, None)

    def pauses(self) -> list[tuple[Strike, float]]:
        """How long no segment was coded after each strike, by the times that stand on the topic."""
        coded = asyncio.run(_coded_at(self.stack.cluster))
        ends = [*(one.at for one in self.strikes[1:]), float("inf")]
        return [(one, _longest(coded, one.at, end)) for one, end in zip(self.strikes, ends, strict=True)]


def _longest(times: Sequence[float], start: float, end: float) -> float:
    """The longest time without any of these moments that begins or ends between two others."""
    return max((later - earlier for earlier, later in pairwise(times) if later > start and earlier < end), default=0.0)


async def _coded_at(cluster: Cluster) -> list[float]:
    """When segments got their route, in order, by Unix time."""
    times = []
    async for batch in read_batches(cluster, ASSIGNMENTS.name):
        times += [one.timestamp / 1000 for one in batch if Assignment.from_bytes(one.value).route is not None]
    return sorted(times)


@contextmanager
def drill(folder: Path, **options: str) -> Iterator[Drill]:
    """Start three nodes and every role that codes, with fake models; segments come in at a steady rate."""
    with running_kafka(folder / "kafka", nodes=3) as kafka:
        fixed = {"data_dir": folder / "data", "profile": str(FAKES), "study": STUDY}
        settings = load_settings(**fixed, **kafka.options())
        settings.data_dir.mkdir()
        store = build_store(settings)
        stack = LocalStack(settings, store, CODING, options={"QUALSTREAM_INGEST_RATE": str(RATE), **options})
        try:
            stack.start()
            yield Drill(kafka, stack, store)
        finally:
            stack.stop()
            store.close()


def coordinator(drilled: Drill, role: str) -> Node:
    """The node that keeps a role's group."""
    return drilled.kafka.coordinator(drilled.stack.cluster.names.at_broker(consumer_group(role)))
