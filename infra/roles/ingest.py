"""Ingest: publishes what was taken in, and publishes again what got lost on the way."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from aiokafka.errors import KafkaError

from infra.brokers import publish_history
from infra.roles.definition import RoleDefinition, Worker
from infra.storage.derived.lost_codes import lost_creations
from infra.storage.store import Store
from models.errors import SettingError, UnavailableError
from streams.cluster import Cluster, consumer_group, group_lag, in_time
from streams.topology import ROLES
from streams.worker import run_ingest

log = logging.getLogger(__name__)
_SWEEP_S = 600.0  # a look at every segment and at the lag of every role
_AT_LEAST = timedelta(minutes=5)
"""So long after it was published a segment may be lost, where no role has anything to read any more."""
_AT_MOST = timedelta(days=1)
"""So long after it was published a segment without an outcome is lost, whatever the roles have to read."""
_LONGEST_S = 300.0


async def run(worker: Worker) -> None:
    """Publish the read model's segments that were not published yet, until the worker is stopped."""
    sweeping = asyncio.create_task(_sweep(worker.store, worker.options.cluster))
    try:
        await run_ingest(worker.store, worker.options, worker.settings.ingest_rate, worker.heartbeat, worker.stop)
    finally:
        sweeping.cancel()


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
    stages = [role for role in ROLES if role.reads]
    try:
        lags = await asyncio.gather(*(group_lag(cluster, consumer_group(role.name), role.reads) for role in stages))
    except SettingError:  # a right that publishing does not need
        return False
    return not any(any(lag.values()) for lag in lags)


ROLE = RoleDefinition("ingest", run)
