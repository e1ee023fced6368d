"""Ingest: publishes what was taken in."""

from infra.roles.definition import RoleDefinition, Worker
from streams.worker import run_ingest


async def run(worker: Worker) -> None:
    """Publish the read model's segments that were not published yet, until the worker is stopped."""
    await run_ingest(worker.store, worker.options, worker.settings.ingest_rate, worker.heartbeat, worker.stop)


ROLE = RoleDefinition("ingest", run)
