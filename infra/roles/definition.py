"""What a role is to the process that runs it: how its work is started, and what numbers it can tell beside it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from infra.brokers import build_cluster
from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.store import Store
from infra.telemetry.metrics import Gauge
from models.backends.token_usage import TokenUsage
from schemas import Record
from streams.cluster import read_topic
from streams.stage import Stage, readable
from streams.topology import Role, Topic
from streams.worker import Heartbeat, WorkerSettings, prepared, run_stage

R = TypeVar("R", bound=Record)
BuildStage = Callable[[Settings, TokenUsage], Awaitable[Stage]]
"""Loads a stage's models and stores, and what its topics say by now; its models count what they write."""


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
        stage = partial(prepared, partial(build_stage, worker.settings, worker.usage), worker.heartbeat)
        await run_stage(worker.role, stage, worker.options, worker.heartbeat, worker.stop)

    return RoleDefinition(name, run, build_gauges, build_stage)


async def read_records(settings: Settings, topic: Topic, record: type[R], last: int | None = None) -> list[R]:
    """What stands on a topic by now; what cannot be read was set aside by the role that it was for.

    Args:
        settings: Where the brokers are.
        topic: Which topic.
        record: The record that its messages are.
        last: Only so many messages a partition, the newest.
    """
    values = [value async for _, _, _, value in read_topic(build_cluster(settings), topic.name, last=last)]
    return readable(values, record)
