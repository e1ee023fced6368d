"""Ingest: publishes what was taken in, and publishes again what got lost on the way."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aiokafka.errors import KafkaError

from infra.brokers import publish_history
from infra.roles.definition import RoleDefinition, Worker
from infra.storage.derived.lost_codes import lost_creations
from infra.storage.store import Store
from models.errors import SettingError, UnavailableError
from streams.cluster import Cluster, consumer_group, group_lag, in_time
from streams.topology import ROLES, Role
from streams.worker import Intake, run_ingest

log = logging.getLogger(__name__)
_SWEEP_S = 600.0  # a look at every segment and at the lag of every role
_AT_LEAST = timedelta(minutes=5)
"""So long after it was published a segment may be lost, where no role has anything to read any more."""
_AT_MOST = timedelta(days=1)
"""So long after it was published a segment without an outcome is lost, whatever the roles have to read."""
_LONGEST_S = 300.0
_LAG_S = 2.0  # between two looks at what roles have yet to read, while that is too much
_STAGES = tuple(role for role in ROLES if role.reads and not role.for_people)


async def run(worker: Worker) -> None:
    """Publish the read model's segments that were not published yet, until the worker is stopped."""
    cluster, most = worker.options.cluster, worker.settings.ingest_lag
    intake: Intake = worker.store
    if most is not None:
        intake = BoundedIntake(worker.store, most, lambda: asyncio.run(_longest_lag(cluster)))
    sweeping = asyncio.create_task(_sweep(worker.store, cluster))
    try:
        await run_ingest(intake, worker.options, worker.settings.ingest_rate, worker.heartbeat, worker.stop)
    finally:
        sweeping.cancel()


class BoundedIntake:
    """What was taken in, as long as no role has too much to read: the rest waits in the read model, not in brokers."""

    def __init__(self, intake: Intake, most: int, lag: Callable[[], int]) -> None:
        """Take what is to be published.

        Args:
            intake: The read model.
            most: Messages that a role has yet to read from which on nothing is published.
            lag: Asks how many there are, of the role that has most.
        """
        self._intake, self._most, self._lag = intake, most, lag
        self._room, self._look_at = 0, 0.0

    def unpublished(self, limit: int) -> Sequence[tuple[UUID, str, bytes]]:
        """The oldest segments that have not been published; none while a role has too much to read."""
        if self._room <= 0:
            if time.monotonic() < self._look_at:
                return []
            self._look_at = time.monotonic() + _LAG_S
            self._room = self._most - self._lag()
        return self._intake.unpublished(min(limit, self._room)) if self._room > 0 else []

    def mark_published(self, ids: Sequence[UUID]) -> None:
        """They have been confirmed by the brokers."""
        self._room -= len(ids)
        self._intake.mark_published(ids)


async def _longest_lag(cluster: Cluster) -> int:
    """How much the role has yet to read that has most; 0 where that may not be asked, or no broker answers."""
    try:
        return max(await _lags(cluster, _STAGES))
    except (SettingError, KafkaError, OSError) as error:
        log.warning("cannot ask how much roles have yet to read, so segments are published without a limit: %s", error)
        return 0


async def _lags(cluster: Cluster, roles: Iterable[Role]) -> list[int]:
    """How many messages each role has yet to read."""
    lags = await asyncio.gather(*(group_lag(cluster, consumer_group(role.name), role.reads) for role in roles))
    return [sum(lag.values()) for lag in lags]


async def _sweep(store: Store, cluster: Cluster) -> None:
    """Look every so often for what the brokers lost: segments, what came of them, and the codes that they have."""
    while True:
        await asyncio.sleep(_SWEEP_S)
        try:
            await recover_lost(store, cluster, datetime.now(UTC))
        except (KafkaError, OSError, UnavailableError) as error:
            log.warning("cannot look for what is lost: %s", error)


async def recover_lost(store: Store, cluster: Cluster, now: datetime) -> int:
    """Have lost segments published again, and lost codes created again; two processes may do so at once.

    Returns:
        How many segments there were; each is found by one process.
    """
    before = now - (_AT_LEAST if await _idle(cluster) else _AT_MOST)
    created = await in_time(lambda: lost_creations(store.database, before), _LONGEST_S)
    if created:
        log.warning("%d codes have segments, but no creation; they are created again", len(created))
        try:
            await publish_history(created, cluster)
        except SettingError as error:  # a right that publishing segments does not need
            log.warning("they cannot be: %s", error)
    opened = await in_time(lambda: store.reopen(published_before=before), _LONGEST_S)
    if opened:
        log.warning("%d segments have no outcome and nothing is under way of them; they are published again", opened)
    return opened


async def _idle(cluster: Cluster) -> bool:
    """Whether every role of the stream has finished all that stands on its topics; not where that may not be asked."""
    try:
        return not any(await _lags(cluster, [role for role in ROLES if role.reads]))
    except SettingError:  # a right that publishing does not need
        return False


ROLE = RoleDefinition("ingest", run)
