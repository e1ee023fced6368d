"""One agent for every role: read a batch, take the stage's step, deliver, acknowledge in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import inf
from time import monotonic, time, time_ns
from typing import Any, Protocol, TypeVar

import faust
from faust.types import TP

from models.errors import UnavailableError
from schemas import DeadLetter
from streams.cluster import OWN_NAMES, Names, retry_with_backoff
from streams.membership import Membership, Partition
from streams.metrics import AGES_S, SECONDS, SIZES, Histogram
from streams.ordered_acks import OrderedAcks
from streams.publish import Outgoing, Publisher
from streams.stage import Received, Stage, StageResult
from streams.topology import DEAD_LETTERS, Topic
from streams.tracing import SegmentTracer, TracedBatch

log = logging.getLogger(__name__)
T = TypeVar("T")
TICK_S = 0.5
ENDS_PROCESSES = "the process that worked on it died, one time after the other; its log may say why"
_HANDING_OVER = 0.5  # of a session: so long a delivery is waited for before its partitions are given away
_UNASKED = 400  # messages that are sent, at most, before the broker is asked again: fewer than any stage recalls
_MOST_TOLD = 5  # dead letters of one batch that the log names


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
    """When something was acknowledged last, by the monotonic clock."""
    last_step: float = field(default_factory=monotonic)
    """When a batch, or a look at what falls due, was over last."""
    lags: dict[str, int] = field(default_factory=dict)  # by topic, where they were looked for
    sizes: Histogram = field(default_factory=lambda: Histogram(SIZES))  # messages a batch
    step_s: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    delivery_s: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    ages_s: Histogram = field(default_factory=lambda: Histogram(AGES_S))
    """Of each segment, when what was written of it is there."""

    def stepped(self, size: int, step_s: float, delivery_s: float) -> None:
        """Count a batch: its messages, and the seconds that its step and its delivery took."""
        self.sizes.add(size)
        self.step_s.add(step_s)
        self.delivery_s.add(delivery_s)

    def aged(self, traced: TracedBatch) -> None:
        """Count how long ago the segments were published that something was written about."""
        now_ms = time() * 1000
        for taken_ms in traced.taken_ms:
            self.ages_s.add(max(0.0, now_ms - taken_ms) / 1000)

    def delivered(self, messages: Sequence[Outgoing]) -> None:
        """Count messages that were confirmed."""
        letters = sum(message.topic == DEAD_LETTERS.name for message in messages)
        self.dead_lettered += letters
        self.written += len(messages) - letters

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


class DeathCount(Protocol):
    """Remembers over a process's death what it was at."""

    def careful(self, messages: Sequence[Received]) -> bool:
        """Whether messages are to be taken one by one, as a process died over some of them."""
        ...

    def hopeless(self, message: Received) -> bool:
        """Whether a message has ended so many processes that it is to be set aside."""
        ...

    def begin(self, messages: Sequence[Received]) -> None:
        """These are worked on from now on."""
        ...

    def end(self, messages: Sequence[Received]) -> None:
        """They have been worked on, and nothing died."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What a runner knows of its consumer group and its process."""

    membership: Membership | None = None
    """Without it every partition is this worker's for good."""
    deaths: DeathCount | None = None
    """What earlier processes died over; without it nobody counts."""
    ready: asyncio.Event | None = None
    """Set when the stage's side topics are loaded; batches that come before wait."""
    room: Callable[[], None] = lambda: None
    """Raises ``UnavailableError`` while there is too little room on the disk to work."""


ALONE = Surroundings()


class Runner:
    """Drives one stage. Used by one agent, so one batch is under way at a time."""

    def __init__(
        self,
        stage: Stage,
        publisher: Publisher,
        progress: Progress,
        tracer: SegmentTracer | None = None,
        names: Names = OWN_NAMES,
        around: Surroundings = ALONE,
    ) -> None:
        """Start with nothing in flight.

        Args:
            stage: What it drives.
            publisher: Delivers.
            progress: Where it is counted.
            tracer: Follows the segments, where anybody wants to know of them.
            names: What the brokers call the topics; the stage knows them by their own names.
            around: Its group and its process.
        """
        self.names = names
        self._stage = stage
        self._publisher = publisher
        self._progress = progress
        self._tracer = tracer
        self._membership = around.membership if stage.recalls() else None
        self._deaths, self._ready, self._room = around.deaths, around.ready, around.room
        self._recall_due = True
        self._acks: OrderedAcks[Any] = OrderedAcks()
        self._busy = asyncio.Lock()
        self._delivering = asyncio.Lock()
        self._revoked: set[Partition] = set()
        self._owned_until_s, self._unasked = 0.0, 0  # as the broker said last, and messages sent since then
        self._gone: dict[Partition, int] = {}  # to the number of the last assignment before it went

    async def batch(self, stream: Any, events: Sequence[Any]) -> None:
        """Take a batch of Faust events through the stage; what was read before its partition went is left out."""
        messages, now = [], time_ns()
        for event in events:
            m = event.message
            topic, headers, sent_ms = self.names.own(m.topic), m.headers or (), int((m.timestamp or 0) * 1000)
            if m.generation_id <= self._gone.get((topic, m.partition), -1):
                continue  # Faust hands over what it had gathered; all of it comes again
            messages.append(Received(topic, m.partition, m.offset, m.key, m.value, headers, sent_ms, now))
            self._acks.read((topic, m.partition), m.offset, event)
        self._progress.read += len(messages)
        self._progress.in_flight = len(self._acks)
        careful = self._deaths is not None and self._deaths.careful(messages)
        for part in ([message] for message in messages) if careful else filter(None, [messages]):
            await self._run(stream, partial(self._step, part), len(part))

    def _step(self, messages: Sequence[Received]) -> StageResult:
        """The stage's step, noted while it lasts; a message that ended one process after the other is set aside."""
        if self._deaths is None:
            return self._stage.step(messages)
        if len(messages) == 1 and self._deaths.hopeless(messages[0]):
            return StageResult(send=[self._stage.dead(messages[0], ENDS_PROCESSES)], done=list(messages))
        self._deaths.begin(messages)
        try:
            result = self._stage.step(messages)
        except UnavailableError:
            self._deaths.end(messages)  # that is no message's fault; anything else ends this process
            raise
        self._deaths.end(messages)
        return result

    async def tick(self, stream: Any) -> None:
        """Let the stage finish what has fallen due."""
        await self._run(stream, self._stage.tick)

    async def revoke(self, partitions: set[Partition], generation: int, wait_s: float) -> None:
        """Forget what is in flight on partitions that go to another worker.

        What is being delivered is confirmed first: the next worker reads what this one wrote, and then goes on.

        Args:
            partitions: That go.
            generation: Of the assignment that they were part of.
            wait_s: The longest that a delivery is waited for, in seconds.
        """
        try:
            await asyncio.wait_for(self._delivering.acquire(), wait_s)
        except TimeoutError:
            log.warning("partitions go to another worker while the brokers have not confirmed what was written of them")
        else:
            self._delivering.release()
        self._acks.forget(partitions)
        self._gone |= dict.fromkeys(partitions, generation)
        self._revoked |= partitions
        self._recall_due, self._owned_until_s = True, 0.0

    def assigned(self) -> None:
        """Partitions were given to this worker: what was read of others' writing until now may not be all."""
        self._recall_due = True

    async def _run(self, stream: Any, work: Callable[[], StageResult], size: int = 0) -> None:
        async with self._busy:
            await self._begin(size)
            began_ns, began = time_ns(), monotonic()
            result = await retry_with_backoff("waiting", lambda: self._attempt(work), UnavailableError)
            stepped = monotonic()
            async with self._delivering:
                traced = await self._deliver(result)
                self._progress.last_step = monotonic()
                if traced is None:
                    log.warning("partitions went to another worker meanwhile; it does what this batch was about")
                    return
                ready = [e for m in result.done for e in self._acks.finish((m.topic, m.partition), m.offset)]
                for event in ready:
                    await stream.ack(event)
            if size:
                self._progress.stepped(size, stepped - began, monotonic() - stepped)
            if self._tracer:
                self._progress.aged(traced)
                self._tracer.report(traced, began_ns, size)
            self._progress.acknowledged(len(ready), len(self._acks))

    async def _begin(self, size: int) -> None:
        """Let the stage know which partitions went, and before its first batch of others what was written of them."""
        if self._ready is not None:
            await self._ready.wait()
        if self._revoked:
            revoked, self._revoked = self._revoked, set()
            self._stage.revoked(revoked)
        if size and self._recall_due and self._membership is not None:
            self._recall_due = False
            await self._membership.recall(self._stage)

    async def _deliver(self, result: StageResult) -> TracedBatch | None:
        """Send a batch's messages, first what the others refer to; None where its partitions are another's by now."""
        until = await self._owned_until(result)
        if until is None:
            return None
        if result.settle is not None:
            await retry_with_backoff("waiting", partial(self._attempt, result.settle), UnavailableError)
        traced = self._tracer.pass_on(result.done, result.messages) if self._tracer else TracedBatch(result.messages)
        first = len(result.before)
        for part in (traced.send[:first], traced.send[first:]):
            left = part
            while left:
                if monotonic() >= until and (until := await self._owned_until(result)) is None:
                    return None  # it stood still meanwhile
                left = await self._publisher.send(left, until)
        self._progress.delivered(result.messages)
        _say_set_aside(result.messages)
        return traced

    async def _owned_until(self, result: StageResult) -> float | None:
        """Until when what a batch was about is this worker's to do, by the monotonic clock."""
        if self._membership is None or not result.messages:
            return inf
        self._unasked += len(result.messages)
        if monotonic() < self._owned_until_s and self._unasked <= _UNASKED:
            return self._owned_until_s
        oldest = {key: self._acks.oldest(key) for key in {(m.topic, m.partition) for m in result.done}}
        offsets = {key: offset for key, offset in oldest.items() if offset is not None}
        until = await self._membership.owns(offsets) if len(offsets) == len(oldest) else None
        self._owned_until_s, self._unasked = until or 0.0, len(result.messages)
        return until

    async def _attempt(self, work: Callable[[], T]) -> T:
        def in_thread() -> T:
            self._room()
            return work()

        try:
            return await asyncio.to_thread(in_thread)
        except UnavailableError as error:
            self._progress.failed(error)
            raise


def _say_set_aside(sent: Sequence[Outgoing]) -> None:
    """A line in the log a dead letter, without what it holds: its reason may quote a text."""
    letters = [message for message in sent if message.topic == DEAD_LETTERS.name]
    for message in letters[:_MOST_TOLD]:
        letter = DeadLetter.from_bytes(message.value)
        about = {"segment": str(letter.segment_id)} if letter.segment_id else {}
        place = f"{letter.topic}, partition {letter.partition}, offset {letter.offset}"
        log.warning("set aside what stood on %s: dead letter %s", place, letter.id, extra=about)
    if len(letters) > _MOST_TOLD:
        log.warning("set aside %d more of the same batch", len(letters) - _MOST_TOLD)


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
        *(runner.names.at_broker(each.name) for each in topics),
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

    _follow_assignment(app, runner)
    return agent


def _follow_assignment(app: faust.App, runner: Runner) -> None:
    """Let a runner know which partitions go and that others have come."""

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def _revoked(sender: Any, revoked: set[TP], **kwargs: Any) -> None:
        partitions = {(runner.names.own(tp.topic), tp.partition) for tp in revoked}
        wait_s = _HANDING_OVER * app.conf.broker_session_timeout
        await runner.revoke(partitions, app.consumer_generation_id, wait_s)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def _assigned(sender: Any, assigned: set[TP], **kwargs: Any) -> None:
        runner.assigned()
