"""The monitor's work: look at what was coded since the last look, study by study, and say what changed.

It reads the read model in the order of the segments' own time, as ``qualstream drift report`` does, and only up to
where nothing is still being coded: so its alerts are those of a scan of the same rows, whenever and however often it
was started. Where it is, its alerts and the messages about them are written in one transaction.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from infra.clock import SystemClock
from infra.drift.alert_rules import apply_rules
from infra.drift.notifications import build_hooks, notify
from infra.drift.scan_study import with_study_novelty
from infra.factory.models import Models
from infra.roles.definition import RoleDefinition, Worker
from infra.roles.outbox_delivery import deliver
from infra.storage.database import Database
from infra.storage.observations import changes, judgements, observations
from infra.storage.outbox import Outbox
from infra.storage.projections import insert
from infra.storage.store import has_outcome
from infra.storage.tables import drift_states, segments
from models.drift.monitor import FORMAT, Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.errors import SettingError, UnavailableError, WorkerFault
from models.ports import Clock, Embedder
from streams.cluster import in_time
from streams.runner import Progress
from streams.worker import heartbeat_loop

log = logging.getLogger(__name__)
_AT_ONCE = 5_000  # segments between two writes
_LONGEST_LOOK_S = 3600.0
_EMBEDDED = 0.5  # of the texts: two hundred of a window tell as much as all
_HEARD = "heard"  # beside the monitor's state: up to when people's words were heard
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class TimeRange:
    """Segments from ``since`` on and before ``until``, in their own time."""

    since: datetime
    until: datetime


class StudyWatcher:
    """Watches every study of a read model."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        settings: DriftSettings,
        embedder: Embedder | None = None,
    ) -> None:
        """Take the stores.

        Args:
            database: The read model.
            outbox: Where alerts go.
            clock: Dates the looks.
            settings: How every study is watched.
            embedder: For the meaning of texts; without one it is not watched.
        """
        self._database, self._outbox, self._clock = database, outbox, clock
        self._lateness = settings.lateness
        self._settings = replace(settings, lateness=timedelta())  # what is read here is in order
        self._embedder = embedder

    def test(self) -> int:
        """Test what every study has had coded since the last time.

        Returns:
            Alerts that were raised.
        """
        with self._database.reading() as connection:
            studies = connection.execute(select(segments.c.study).distinct()).scalars().all()
        return sum(self._test_study(study) for study in sorted(studies))

    def _test_study(self, study: str) -> int:
        raised = 0
        while (time_range := self._next(study)) is not None:
            raised += self._test(study, time_range)
        return raised

    def _test(self, study: str, time_range: TimeRange) -> int:
        monitor, decided = self._monitor(study)
        for change in changes(self._database, study, time_range.since, time_range.until):
            monitor.note(change)
        decided, judged = self._judgements(study, time_range, decided)
        coded = observations(
            self._database, study, time_range.since, time_range.until, embedder=self._embedder, share=_EMBEDDED
        )
        alerts = monitor.extend(heapq.merge(coded, judged, key=lambda each: each.at))
        alerts = with_study_novelty(self._database, study, alerts, self._embedder)
        alerts = [alert.model_copy(update={"raised_at": self._clock.now()}) for alert in alerts]
        heard_at = None if decided is None else decided.isoformat()
        keep = self._state_writer(study, time_range.until, {**monitor.state(), _HEARD: heard_at})
        if alerts:
            self._outbox.keep(alerts, keep)
        else:
            with self._database.writing() as connection:
                keep(connection)
        for alert in alerts:
            log.warning("drift in study %s: %s since %s (%s)", study, alert.kind, alert.at.isoformat(), alert.cause)
        return len(alerts)

    def _judgements(
        self, study: str, time_range: TimeRange, since: datetime | None
    ) -> tuple[datetime | None, list[Observed]]:
        """What people said of codes by the end of a stretch and was not heard yet, and when the last of it was said."""
        fresh: list[Observed] = []
        for decided_at, judgement in judgements(self._database, study, since):
            if judgement.at >= time_range.until:
                break
            fresh.append(replace(judgement, at=max(judgement.at, time_range.since)))
            since = decided_at
        return since, fresh

    def _monitor(self, study: str) -> tuple[Monitor, datetime | None]:
        """The monitor as it was left, and up to when people's words were heard."""
        with self._database.reading() as connection:
            state = connection.execute(select(drift_states.c.state).where(drift_states.c.study == study)).scalar()
        if not state or state["format"] != FORMAT:
            return Monitor(study, self._settings), None
        decided = state.get(_HEARD)
        return Monitor.restore(state), None if decided is None else datetime.fromisoformat(decided)

    def _next(self, study: str) -> TimeRange | None:
        """What is to be looked at next: coded, in order, and old enough that nothing earlier is likely to come."""
        mine = segments.c.study == study
        with self._database.reading() as connection:
            since = connection.execute(select(drift_states.c.since).where(drift_states.c.study == study)).scalar()
            new = select(func.min(segments.c.order_at), func.max(segments.c.order_at)).where(mine)
            first, last = connection.execute(new if since is None else new.where(segments.c.order_at >= since)).one()
            if first is None:
                return None
            until = min(last, self._clock.now()) - self._lateness + _MOMENT
            open_ = select(func.min(segments.c.order_at)).where(mine, ~has_outcome())
            waits_for = connection.execute(
                open_ if since is None else open_.where(segments.c.order_at >= since)
            ).scalar()
            until = until if waits_for is None else min(until, waits_for)
            if until <= first:
                return None
            ahead = select(segments.c.order_at).where(mine, segments.c.order_at >= first, segments.c.order_at < until)
            cut = connection.execute(ahead.order_by(segments.c.order_at).offset(_AT_ONCE).limit(1)).scalar()
        return TimeRange(first, until if cut is None else max(cut, first + _MOMENT))

    def _state_writer(self, study: str, since: datetime, state: dict[str, Any]) -> Callable[[Connection], None]:
        row = {"study": study, "since": since, "state": state, "at": self._clock.now()}
        statement = insert(drift_states, self._database.dialect).values(row)
        new = {name: statement.excluded[name] for name in ("since", "state", "at")}

        def keep(connection: Connection) -> None:
            connection.execute(statement.on_conflict_do_update(index_elements=["study"], set_=new))

        return keep


async def run(worker: Worker) -> None:
    """Look every so often, deliver alerts and notify the hooks, until the worker is stopped.

    Raises:
        WorkerFault: If the delivery, or anything else of it, ended by itself.
    """
    clock, database, settings = SystemClock(), worker.store.database, worker.settings
    outbox, channels, progress = Outbox(database), build_hooks(settings, clock), Progress()
    watcher = StudyWatcher(database, outbox, clock, DriftSettings(), Models.of(settings).embedder)

    def look() -> None:
        progress.read += watcher.test()
        apply_rules(database, outbox, clock)
        notify(database, channels, clock)

    tasks = {
        asyncio.create_task(deliver(worker.options.cluster, worker.role, outbox, progress, worker.options.tracer)),
        asyncio.create_task(heartbeat_loop(worker.heartbeat, progress)),
        asyncio.create_task(_again_and_again(look, settings.monitor_every_s, progress)),
    }
    stopping = asyncio.create_task(worker.stop.wait())
    try:
        ended, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {stopping}:
            if isinstance(error := task.exception(), SettingError):
                raise error
            raise WorkerFault(f"monitor: {task.exception()}") from task.exception()
    finally:
        for task in {stopping, *tasks}:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again_and_again(look: Callable[[], None], every_s: float, progress: Progress) -> None:
    while True:
        try:
            await in_time(look, _LONGEST_LOOK_S)
        except UnavailableError as error:
            progress.failed(error)
            log.warning("looked in vain: %s", error)
        await asyncio.sleep(every_s)


ROLE = RoleDefinition("monitor", run)
