"""How a running system is doing, and what stands on its topics."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TextIO

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from infra.brokers import build_cluster
from infra.settings import Settings
from infra.storage.store import Store, WorkerState
from infra.telemetry.addresses import metrics_addresses
from models.errors import InputError, SettingError, UnavailableError
from models.text.words import nearest
from schemas import DeadLetter
from streams.cluster import Cluster, consumer_group, group_lag, read_topic
from streams.publish import KafkaPublisher, Outgoing
from streams.topology import ROLES, TOPICS, Role

log = logging.getLogger(__name__)
_BROKER_S = 10.0


def report(settings: Settings, store: Store, only: str | None, as_json: bool, console: Console) -> bool:
    """Print a line a worker.

    Returns:
        Whether every role, or the one asked for, has a worker that was seen lately.
    """
    roles = [role for role in ROLES if only in (None, role.name)]
    if not roles:
        raise SettingError(f"there is no role '{only}'; known are {', '.join(role.name for role in ROLES)}")
    workers = store.workers()
    lags = asyncio.run(lags_of(settings, roles))
    rows = [_row(role, worker, lags.get(role.name)) for role in roles for worker in _of(role, workers)]
    served = metrics_addresses(settings)
    for row in rows:
        row["metrics"] = served.get((row["role"], row["instance"]))
    if as_json:
        for row in rows:
            console.print_json(json.dumps(row), indent=None)
    else:
        _print(rows, console)
    return all(any(row["role"] == role.name and row["alive"] for row in rows) for role in roles)


def _of(role: Role, workers: Sequence[WorkerState]) -> Sequence[WorkerState | None]:
    return [worker for worker in workers if worker.role == role.name] or [None]


def _row(role: Role, worker: WorkerState | None, lag: int | None) -> dict[str, Any]:
    if worker is None:
        return {"role": role.name, "instance": None, "alive": False, "lag": lag}
    seconds = max((worker.seen_at - worker.started_at).total_seconds(), 1e-9)
    return {
        "role": role.name,
        "instance": worker.instance,
        "pid": worker.pid,
        "alive": worker.alive(datetime.now(UTC)),
        "lag": lag,
        "read": worker.read,
        "written": worker.written,
        "rate": round(worker.read / seconds, 2),
        "dead_lettered": worker.dead_lettered,
        "errors": worker.errors,
        "last_error": worker.last_error,
        "last_commit_at": worker.last_commit_at.isoformat() if worker.last_commit_at else None,
    }


def _print(rows: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("role", "instance", "state", "lag", "read", "written", "per s", "dead", "errors", "last commit"):
        numbers = name in ("lag", "read", "written", "per s", "dead", "errors")
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        state = "running" if row["alive"] else "not seen"
        values = [row.get(key) for key in ("lag", "read", "written", "rate", "dead_lettered", "errors")]
        commit = (row.get("last_commit_at") or "-")[:19].replace("T", " ")
        cells = [row["role"], row["instance"] or "-", state, *("-" if v is None else str(v) for v in values), commit]
        table.add_row(*cells)
    console.print(table)
    for row in rows:
        if row.get("last_error"):
            console.print(
                f"{row['role']}: last error: {row['last_error']}", markup=False, highlight=False, soft_wrap=True
            )
        if row["metrics"]:
            console.print(f"{row['role']}: metrics at {row['metrics']}", markup=False, highlight=False, soft_wrap=True)


async def lags_of(settings: Settings, roles: Sequence[Role]) -> dict[str, int]:
    """Lag by role; empty where there are no brokers, and, with a line in the log, where they do not tell."""
    try:
        cluster = build_cluster(settings)
    except SettingError:
        return {}
    try:
        async with asyncio.timeout(_BROKER_S):
            return {role.name: await _lag(cluster, settings, role) for role in roles if role.reads}
    except (SettingError, KafkaError, OSError, TimeoutError) as error:
        log.warning("the lag is not known: %s", error or "the brokers do not answer")
        return {}


async def _lag(cluster: Cluster, settings: Settings, role: Role) -> int:
    members = settings.members if role.has_members else ()
    return sum((await group_lag(cluster, consumer_group(role.name, members), role.reads)).values())


async def print_topic(settings: Settings, name: str, follow: bool, limit: int | None, out: TextIO) -> None:
    """Write a topic's messages as JSON lines.

    Raises:
        InputError: If there is no such topic.
        UnavailableError: If the brokers do not answer.
    """
    known = [topic.name for topic in TOPICS]
    if name not in known:
        meant = nearest(name, known)
        raise InputError(f"there is no topic '{name}'; " + (f"the nearest is '{meant}'" if meant else ", ".join(known)))
    cluster = build_cluster(settings)
    try:
        await _write_topic(cluster, name, follow, limit, out)
    except BrokenPipeError:
        raise  # whoever reads us has seen enough
    except (KafkaError, OSError) as error:
        raise UnavailableError(
            f"the brokers at {','.join(cluster.servers)} do not answer ({error}); "
            "start them, or correct QUALSTREAM_KAFKA_URL"
        ) from error


async def _write_topic(cluster: Cluster, name: str, follow: bool, limit: int | None, out: TextIO) -> None:
    written = 0
    async with aclosing(read_topic(cluster, name, follow=follow)) as messages:
        async for partition, offset, key, value in messages:
            line = {"partition": partition, "offset": offset, "key": _text(key), "value": _value(value)}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
            written += 1
            if written == limit:
                return


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "backslashreplace")


def _value(raw: bytes | None) -> Any:
    try:
        return json.loads(raw or b"null")
    except ValueError:
        return _text(raw)


async def replay_letters(settings: Settings, letters: Sequence[DeadLetter]) -> None:
    """Put dead letters' messages back on the topics they were read from; returns when that is confirmed.

    Raises:
        InputError: If one was a tombstone: it has no message to put back.
    """
    for letter in letters:
        if letter.raw is None:
            raise InputError(f"dead letter {letter.id} was a tombstone; there is no message to put back")
        if letter.size is not None:
            raise InputError(
                f"of dead letter {letter.id} only the head is kept ({len(letter.raw):,} of {letter.size:,} bytes); "
                "send what it was about again, in parts"
            )
    publisher = KafkaPublisher(build_cluster(settings))
    await publisher.start()
    try:
        await publisher.send([Outgoing(each.topic, each.key or b"", each.raw or b"") for each in letters])
    finally:
        await publisher.stop()
