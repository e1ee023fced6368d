"""A worker's life: wait for the brokers, run one role, say how it goes, stop cleanly or with an error."""

import asyncio
import gc
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from time import monotonic, time_ns
from typing import Any, Protocol
from uuid import UUID

import faust
from aiokafka.errors import KafkaError

from models.errors import SettingError, SpareError, UnavailableError, WorkerFault
from models.ports import Clock
from streams.cluster import Cluster, consumer_group, group_lag, in_time, retry_with_backoff
from streams.faust_consumer import POLLS, App, Tables
from streams.membership import InGroup
from streams.preflight import prepare
from streams.publish import KafkaPublisher, Outgoing
from streams.refusals import in_plain_words
from streams.runner import Batches, DeathCount, Progress, Runner, Surroundings, register
from streams.side_inputs import follow_side_inputs
from streams.stage import Stage, refused
from streams.topology import FEEDBACK, Role, role
from streams.tracing import SegmentTracer, TracedBatch

log = logging.getLogger(__name__)
_HEARTBEAT_S = 1.0
_REQUEST_S = 90.0  # Faust's own
_LAG_S = 15.0  # how often somebody who follows the worker hears of its lag
Heartbeat = Callable[[Progress], None]


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker runs its role."""

    cluster: Cluster
    batches: Batches
    clock: Clock
    members: tuple[str, ...] = ()  # coders only: which members live here, where not all do
    watchdog_s: float = 300.0
    tracer: SegmentTracer | None = None  # where somebody follows the worker
    seat: Callable[[], AbstractContextManager[str | None]] = nullcontext
    """Holds the worker's name in its group while it is a member: the same after a restart, and nobody else's."""
    deaths: DeathCount | None = None
    """What earlier processes of this worker died over."""
    room: Callable[[], None] = lambda: None
    """Raises ``UnavailableError`` while there is too little room on the disk to work."""
    ending: Callable[[], None] = lambda: None
    """Called when the worker ends by itself: a call that never returns must not keep its process alive."""


class Intake(Protocol):
    """What was taken in and is to be published; infra's SQL store is one."""

    def unpublished(self, limit: int) -> Sequence[tuple[UUID, str, bytes]]:
        """The oldest segments that have not been published: id, study, record."""
        ...

    def mark_published(self, ids: Sequence[UUID]) -> None:
        """They have been confirmed by the brokers."""
        ...


def make_app(role: Role, settings: WorkerSettings, instance: str | None = None) -> App:
    """The Faust application of one role; its id is the consumer group, ``instance`` its name in it."""
    cluster, poll = settings.cluster, max(64, settings.batches.size)
    return App(
        cluster.names.at_broker(consumer_group(role.name, settings.members)),
        broker=[f"kafka://{server}" for server in cluster.servers],
        broker_credentials=_credentials(cluster),
        broker_session_timeout=cluster.session_timeout_s,
        broker_request_timeout=max(_REQUEST_S, cluster.session_timeout_s),  # Faust wants no shorter one
        broker_heartbeat_interval=cluster.session_timeout_s / 4,
        broker_commit_interval=0.5,
        broker_commit_livelock_soft_timeout=settings.watchdog_s,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        consumer_max_fetch_size=4 * 1024 * 1024,
        broker_max_poll_records=poll,
        stream_buffer_maxsize=POLLS * poll,
        cython_optimizations=True,
        stream_wait_empty=False,
        topic_partitions=cluster.partitions,
        topic_replication_factor=cluster.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        TableManager=Tables,
        datadir=tempfile.gettempdir(),  # nothing is kept there: no tables
        web_enabled=False,
        loghandlers=[],
    )


def _credentials(cluster: Cluster) -> faust.SASLCredentials | faust.SSLCredentials | None:
    context = cluster.ssl_context()
    if "sasl" in cluster.security:
        return faust.SASLCredentials(
            username=cluster.username,
            password=cluster.password,
            mechanism=cluster.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None


async def run_stage(
    role: Role,
    make_stage: Callable[[], Awaitable[Stage]],
    settings: WorkerSettings,
    heartbeat: Heartbeat,
    stop: asyncio.Event,
) -> None:
    """Run a role that reads topics, until ``stop`` is set.

    Args:
        role: What it reads and writes.
        make_stage: Loads models and stores; called once the topics are there. What these say the stage hears before
            its first batch.
        settings: How.
        heartbeat: Called every second, in a thread, with what was done so far.
        stop: Ends the worker; what is under way is read again at the next start.

    Raises:
        SettingError: If the brokers refuse what the role must do.
        WorkerFault: If anything unexpected happened, or the watchdog saw no progress in spite of lag.
    """
    await prepare(settings.cluster, role, consumer_group(role.name, settings.members))
    stage = await make_stage()
    with settings.seat() as instance:  # not before: who waits as a spare takes the seat of the one that it replaces
        await _drive(role, stage, make_app(role, settings, instance), settings, heartbeat, stop)


async def _drive(
    role: Role, stage: Stage, app: App, settings: WorkerSettings, heartbeat: Heartbeat, stop: asyncio.Event
) -> None:
    publisher = build_publisher(role.name, settings)
    await publisher.start()
    progress = Progress()
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(error: Exception) -> None:
        if not failed.done():
            progress.failed(error)
            failed.set_exception(error)

    app.on_crash = fail
    names, loaded = settings.cluster.names, asyncio.Event()
    around = Surroundings(InGroup(app, settings.cluster), settings.deaths, loaded, settings.room)
    runner = Runner(stage, publisher, progress, settings.tracer, names, around)
    register(app, role.reads, runner, settings.batches, fail)
    following = partial(follow_side_inputs, settings.cluster, stage, loaded)
    consuming = partial(_consume, app, loaded, partial(_watch, role, settings, progress, fail))
    try:
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(heartbeat_loop(heartbeat, progress)),
                tasks.create_task(_or_fail(following, fail)),
                tasks.create_task(_or_fail(consuming, fail)),
                tasks.create_task(_or_fail(partial(_stay_in_group, app, settings.cluster), fail)),
            ]
            await _first_of(stop, failed)
            settings.ending()
            for other in others:
                other.cancel()
    finally:
        await publisher.stop()
        await _send_heartbeat(heartbeat, progress)
    if failed.done() and (error := failed.exception()) is not None:
        if isinstance(error, SettingError):
            raise error
        raise WorkerFault(f"{role.name}: {type(error).__name__}: {error}") from error


def build_publisher(name: str, settings: WorkerSettings) -> KafkaPublisher:
    """The publisher of a role, which sets aside what the brokers refuse for its size."""
    return KafkaPublisher(settings.cluster, set_aside=partial(refused, role=name, clock=settings.clock))


async def _or_fail(work: Callable[[], Awaitable[None]], fail: Callable[[Exception], None]) -> None:
    """Work, and hand over what it raises."""
    try:
        await work()
    except* Exception as group:
        for error in group.exceptions:
            fail(error)


async def _consume(app: faust.App, loaded: asyncio.Event, watch: Callable[[], Awaitable[None]]) -> None:
    """Work on batches, watched, until it is cancelled; the group is joined while the stage's side topics are loaded."""
    try:
        await retry_with_backoff("brokers", app.start, KafkaError, OSError)
        await loaded.wait()
        tune_gc()
        await watch()
    finally:
        await app.stop()


async def _stay_in_group(app: App, cluster: Cluster) -> None:
    """Return never; what passes is said in the log, and the client joins the group again.

    Raises:
        SettingError: If the brokers refuse this worker for good.
        KafkaError: If they do for another reason: another process may have taken its name, or the group is full.
    """
    while True:
        await asyncio.sleep(_HEARTBEAT_S)
        with in_plain_words(cluster):
            try:
                await app.consumer.check_group()
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("the consumer group: %s; joining it again", error)


async def prepared(make_stage: Callable[[], Awaitable[Stage]], heartbeat: Heartbeat) -> Stage:
    """Make a stage, however long its stores are away.

    A worker says how it goes when its stage is there; only a spare, which may wait for days, says so while it waits,
    and while it loads to take another's place: who watches it must not end it then.
    """
    heartbeats: list[asyncio.Task[None]] = []

    async def attempt() -> Stage:
        try:
            return await make_stage()
        except SpareError:
            if not heartbeats:
                heartbeats.append(asyncio.create_task(heartbeat_loop(heartbeat, Progress())))
            raise

    try:
        return await retry_with_backoff("stores", attempt, UnavailableError)
    finally:
        for task in heartbeats:
            task.cancel()
        await asyncio.gather(*heartbeats, return_exceptions=True)


async def run_ingest(
    intake: Intake, settings: WorkerSettings, rate: float | None, heartbeat: Heartbeat, stop: asyncio.Event
) -> None:
    """Publish what was taken in, at most ``rate`` segments a second, until ``stop`` is set.

    A segment is marked as published only after the brokers have confirmed it.
    """
    await prepare(settings.cluster, role("ingest"), consumer_group("ingest"))
    publisher = build_publisher("ingest", settings)
    await publisher.start()
    progress = Progress()
    heartbeats = asyncio.create_task(heartbeat_loop(heartbeat, progress))
    size, wait_s = settings.batches.size, settings.batches.wait_s
    if rate is not None:
        size = max(1, min(size, int(rate * wait_s)))  # a few at a time, not a second's worth at once
    try:
        while not stop.is_set():
            began = monotonic()
            read = partial(in_time, partial(intake.unpublished, size), settings.watchdog_s)
            rows = await retry_with_backoff("store", read, UnavailableError)
            if rows:
                ids = [identity for identity, _, _ in rows]
                now, messages = time_ns(), [Outgoing(FEEDBACK.name, str(i).encode(), record) for i, _, record in rows]
                traced = settings.tracer.begin(messages) if settings.tracer else TracedBatch(messages)
                await publisher.send(traced.send)
                mark = partial(in_time, partial(intake.mark_published, ids), settings.watchdog_s)
                await retry_with_backoff("store", mark, UnavailableError)
                if settings.tracer:
                    settings.tracer.report(traced, now, len(rows))
                progress.read += len(rows)
                progress.written += len(rows)
                progress.acknowledged(len(rows), 0)
            due_s = wait_s if not rows else (len(rows) / rate if rate else 0.0)
            await _pause(stop, due_s - (monotonic() - began))
    finally:
        heartbeats.cancel()
        await publisher.stop()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return


async def _first_of(stop: asyncio.Event, failed: asyncio.Future[None]) -> None:
    stopping = asyncio.create_task(stop.wait())
    either: set[asyncio.Future[Any]] = {stopping, failed}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def heartbeat_loop(heartbeat: Heartbeat, progress: Progress) -> None:
    """Say every second how a worker goes; where it cannot be said, it is said later."""
    while True:
        await _send_heartbeat(heartbeat, progress)
        await asyncio.sleep(_HEARTBEAT_S)


async def _send_heartbeat(heartbeat: Heartbeat, progress: Progress) -> None:
    try:
        await asyncio.to_thread(heartbeat, progress)
    except UnavailableError as error:
        log.warning("cannot say how it goes: %s", error)


async def _watch(role: Role, settings: WorkerSettings, progress: Progress, fail: Callable[[Exception], None]) -> None:
    """End a worker that gets nowhere for the watchdog's time."""
    group = consumer_group(role.name, settings.members)
    idle_at = monotonic()
    pause = settings.watchdog_s / 10 if settings.tracer is None else min(settings.watchdog_s / 10, _LAG_S)
    while True:
        await asyncio.sleep(pause)
        try:
            progress.lags = _by_topic(await group_lag(settings.cluster, group, role.reads))
        except (KafkaError, OSError):
            progress.lags = {}  # the brokers are away: that is not the worker's fault
        except SettingError as error:
            fail(error)
            return
        lag, now = sum(progress.lags.values()), monotonic()
        if rests(lag, progress, now, settings.watchdog_s):
            idle_at = now
        stuck_s = now - max(idle_at, progress.last_progress)
        if stuck_s > settings.watchdog_s:
            fail(WorkerFault(f"no message acknowledged for {stuck_s:.0f} s with a lag of {lag}"))
            return


def rests(lag: int, progress: Progress, now: float, watchdog_s: float) -> bool:
    """Whether nothing waits for a worker but what it holds on purpose, and looks after.

    Args:
        lag: Messages that it has not acknowledged.
        progress: What it has done.
        now: By the monotonic clock.
        watchdog_s: Within so long it must have looked after what it holds.
    """
    return lag <= progress.in_flight and now - progress.last_step < watchdog_s


def _by_topic(lags: Mapping[tuple[str, int], int]) -> dict[str, int]:
    topics: dict[str, int] = {}
    for (name, _), lag in lags.items():
        topics[name] = topics.get(name, 0) + lag
    return topics


def tune_gc() -> None:
    """Have garbage looked for less often: a batch is thousands of objects, none of them garbage while it is worked on.

    With Python's defaults a refiner spent two fifths of its time looking.
    """
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(20_000, 10, 10)
