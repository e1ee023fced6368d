"""What a role is to the process that runs it: how its work is started, and what numbers it can tell beside it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.store import Store
from infra.telemetry.metrics import Gauge
from models.backends.token_usage import TokenUsage
from streams.stage import Stage
from streams.topology import Role
from streams.worker import Heartbeat, WorkerSettings, prepared, run_stage

BuildStage = Callable[[Settings, TokenUsage], Stage]
"""Loads a stage's models, which count what they write, and stores; what its topics say it is told later."""


@dataclass(frozen=True)
class Worker:
    """One process of a role.

    Attributes:
        role: What it reads and writes.
        settings: The installation's.
        store: The read model, open.
        options: How it runs.
        heartbeat: Takes how it goes.
        stop: Is set to end it.
        usage: Counts what its language models write.
    """

    role: Role
    settings: Settings
    store: Store
    options: WorkerSettings
    heartbeat: Heartbeat
    stop: asyncio.Event
    usage: TokenUsage


Run = Callable[[Worker], Awaitable[None]]
"""Works until the worker's ``stop`` is set."""
BuildGauges = Callable[[Database], tuple[Gauge, ...]]


def no_gauges(_database: Database) -> tuple[Gauge, ...]:
    """The gauges of a role that tells of its progress only."""
    return ()


@dataclass(frozen=True)
class RoleDefinition:
    """A row of the topology as a process.

    Attributes:
        name: The role's name in the topology.
        run: Its work.
        build_gauges: The numbers of the read model that this role alone tells.
        build_stage: What it does with a batch, where it is a stage of the stream.
    """

    name: str
    run: Run
    build_gauges: BuildGauges = no_gauges
    build_stage: BuildStage | None = None


def stage_role(name: str, build_stage: BuildStage, build_gauges: BuildGauges = no_gauges) -> RoleDefinition:
    """The role of a stage, which reads topics in batches."""

    async def run(worker: Worker) -> None:
        def build() -> Stage:
            worker.options.room()
            return build_stage(worker.settings, worker.usage)

        make_stage = partial(prepared, partial(asyncio.to_thread, build), worker.heartbeat)
        await run_stage(worker.role, make_stage, worker.options, worker.heartbeat, worker.stop)

    return RoleDefinition(name, run, build_gauges, build_stage)
