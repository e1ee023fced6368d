"""One agent for every role: read a batch, take the stage's step, deliver, acknowledge in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import faust
from faust.types import TP

from models.errors import UnavailableError
from streams.acknowledge import OrderedAcks
from streams.cluster import patiently
from streams.publish import Publisher
from streams.stages import Received, Result, Stage
from streams.topology import DEAD_LETTERS, Topic

log = logging.getLogger(__name__)
TICK_S = 0.5


@dataclass
class Progress:
    """What a worker has done so far; read by heartbeats and the watchdog."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: int = 0
    finished: int = 0  # acknowledged
    written: int = 0
    dead_lettered: int = 0
    errors: int = 0
    last_error: str = ""
    in_flight: int = 0
    last_commit_at: datetime | None = None
    last_progress: float = field(default_factory=monotonic)

    def delivered(self, result: Result) -> None:
        """Count a batch whose messages were confirmed."""
        letters = sum(message.topic == DEAD_LETTERS.name for message in result.send)
        self.dead_lettered += letters
        self.written += len(result.send) - letters

    def failed(self, error: Exception) -> None:
        """Count something that went wrong, whether it is tried again or ends the worker."""
        self.errors += 1
        self.last_error = " ".join(f"{type(error).__name__}: {error}".split())[:300]

    def acknowledged(self, count: int, left: int) -> None:
        """Count messages that were acknowledged."""
        self.in_flight = left
        self.finished += count
        if count:
            self.last_commit_at = datetime.now(UTC)
            self.last_progress = monotonic()


@dataclass
class Batches:
    """How much a role reads at once: at most ``size`` messages, or what came in ``wait_s`` seconds."""

    size: int
    wait_s: float


class Runner:
    """Drives one stage. Used by one agent, so one batch is under way at a time."""

    def __init__(self, stage: Stage, publisher: Publisher, progress: Progress) -> None:
        """Start with nothing in flight."""
        self._stage = stage
        self._publisher = publisher
        self._progress = progress
        self._acks: OrderedAcks[Any] = OrderedAcks()
        self._busy = asyncio.Lock()
        self._revoked: set[tuple[str, int]] = set()

    async def batch(self, stream: Any, events: Sequence[Any]) -> None:
        """Take a batch of Faust events through the stage."""
        messages = []
        for event in events:
            m = event.message
            messages.append(Received(m.topic, m.partition, m.offset, m.key, m.value))
            self._acks.read((m.topic, m.partition), m.offset, event)
        self._progress.read += len(messages)
        await self._run(stream, lambda: self._stage.step(messages))

    async def tick(self, stream: Any) -> None:
        """Let the stage finish what has fallen due."""
        await self._run(stream, self._stage.tick)

    def revoke(self, partitions: set[tuple[str, int]]) -> None:
        """Forget what is in flight on partitions that go to another worker."""
        self._acks.forget(partitions)
        self._revoked |= partitions

    async def _run(self, stream: Any, work: Callable[[], Result]) -> None:
        async with self._busy:
            if self._revoked:
                revoked, self._revoked = self._revoked, set()
                self._stage.revoked(revoked)
            result = await patiently("waiting", lambda: self._attempt(work), UnavailableError)
            await self._publisher.send(result.send)
            self._progress.delivered(result)
            ready = [e for m in result.done for e in self._acks.finish((m.topic, m.partition), m.offset)]
            for event in ready:
                await stream.ack(event)
            self._progress.acknowledged(len(ready), len(self._acks))

    async def _attempt(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.to_thread(work)
        except UnavailableError as error:
            self._progress.failed(error)
            raise


def register(
    app: faust.App, topics: Sequence[Topic], runner: Runner, batches: Batches, fail: Callable[[Exception], None]
) -> Any:
    """Make the agent that drives a runner.

    Args:
        app: The worker's Faust application.
        topics: What it reads, as raw bytes.
        runner: Drives the stage.
        batches: How much to read at once.
        fail: Called with anything unexpected; it ends the worker before the batch is acknowledged.

    Returns:
        The Faust agent.
    """
    source = app.topic(
        *(each.name for each in topics),
        key_serializer="raw",
        value_serializer="raw",
        internal=False,
        allow_empty=True,
    )

    @app.agent(source, name=f"{app.conf.id}", concurrency=1)  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:  # noack_take is missing from StreamT
        ticking = asyncio.create_task(_tick(stream))
        try:
            async for events in _batches(stream):
                await runner.batch(stream, events)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("unexpected; stopping before anything of this batch is acknowledged")
            fail(error)
        finally:
            ticking.cancel()

    def _batches(stream: Any) -> AsyncIterator[Sequence[Any]]:
        events: AsyncIterator[Sequence[Any]] = stream.noack_take(batches.size, within=batches.wait_s)
        return events

    async def _tick(stream: Any) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await runner.tick(stream)
            except Exception as error:
                log.exception("unexpected; stopping")
                fail(error)
                return

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def _revoked(sender: Any, revoked: set[TP], **kwargs: Any) -> None:
        runner.revoke({(tp.topic, tp.partition) for tp in revoked})

    return agent
