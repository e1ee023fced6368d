"""Run one role in this process, as the demo, a container and a cluster do."""

import asyncio
import logging
import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.stores import build_store
from infra.local.free_space import FreeSpace
from infra.roles.deaths import DeathFile
from infra.roles.definition import Worker
from infra.roles.registry import find_role
from infra.roles.seats import member, seat
from infra.settings import Settings
from infra.telemetry import logs
from infra.telemetry.heartbeat import build_heartbeat
from infra.telemetry.observe import worker_telemetry
from models.backends.token_usage import TokenUsage
from models.errors import SettingError, UnavailableError
from streams.cluster import consumer_group, retry_with_backoff
from streams.runner import Batches
from streams.topology import ROLES, Role, role
from streams.worker import WorkerSettings

log = logging.getLogger(__name__)
GRACE_S = 5.0


def run_role(name: str, settings: Settings) -> None:
    """Run a role until SIGINT or SIGTERM.

    Raises:
        SettingError: If there is no such role, or what it needs is not as it must be.
        WorkerFault: If anything unexpected happened; the next start reads again what was not acknowledged.
    """
    if name not in {each.name for each in ROLES}:
        raise SettingError(f"there is no role '{name}'; known are {', '.join(each.name for each in ROLES)}")
    logs.speak_as(name)
    end = CertainEnd(name)
    try:
        asyncio.run(_until_stopped(name, settings, end))
    finally:
        end.cancel()


class CertainEnd:
    """Ends the process a while after its worker ended, whatever its threads are still at."""

    def __init__(self, name: str, grace_s: float = 2 * GRACE_S) -> None:
        """Wait for ``begin``."""
        self._timer = threading.Timer(grace_s, _end_process, [name])
        self._timer.daemon = True

    def begin(self) -> None:
        """The worker ends now; may be called again."""
        if self._timer.ident is None:
            self._timer.start()

    def cancel(self) -> None:
        """It has ended by itself."""
        self._timer.cancel()


def _end_process(name: str) -> None:
    log.critical("%s has ended, but a call of its does not return; its process is ended", name)
    logging.shutdown()
    os._exit(1)


async def _until_stopped(name: str, settings: Settings, end: CertainEnd) -> None:
    """Run the role; a worker that still waits for a broker or a store when it is stopped is cut short."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    working = asyncio.create_task(_run(name, settings, stop, end))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    end.begin()
    if not working.done():
        await asyncio.wait({working}, timeout=GRACE_S)
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def _run(name: str, settings: Settings, stop: asyncio.Event, end: CertainEnd) -> None:
    row, definition = role(name), find_role(name)
    options = worker_settings(settings, row)
    store = await retry_with_backoff("database", partial(asyncio.to_thread, build_store, settings), UnavailableError)
    try:
        group = consumer_group(name, options.members)
        with seat(settings, group) as place:
            settings = settings.model_copy(update={"instance": place.instance(settings.instance)})
            gauges, usage = definition.build_gauges(store.database), TokenUsage()
            with worker_telemetry(settings, row, usage, gauges) as telemetry:
                heartbeat = telemetry.with_progress(build_heartbeat(settings, row, store))
                seat_of = partial(member, settings, group)
                deaths = DeathFile(settings.beat_folder / f"{group}-{place.number}.deaths")
                options = replace(options, tracer=telemetry.tracer, seat=seat_of, ending=end.begin, deaths=deaths)
                await definition.run(Worker(row, settings, store, options, heartbeat, stop, usage))
    finally:
        store.close()
    log.info("%s stopped", name)


def worker_settings(settings: Settings, role: Role) -> WorkerSettings:
    """How a role's worker runs: the role's own batches unless the settings say otherwise."""
    return WorkerSettings(
        cluster=build_cluster(settings),
        batches=Batches(
            role.batch if settings.batch_size is None else settings.batch_size,
            role.wait_s if settings.batch_wait_s is None else settings.batch_wait_s,
        ),
        clock=SystemClock(),
        members=settings.members if role.has_members else (),
        watchdog_s=settings.watchdog_s,
        room=FreeSpace(settings.data_dir).check,
    )
