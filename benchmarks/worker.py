"""One worker process of the transport benchmark: a role, or the plain Faust baseline, timed from inside.

Reads what stands on its topics, to the last record, and writes what it measured to a JSON file.
"""

import asyncio
import json
import logging
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import faust

from infra.roles.registry import find_role
from infra.roles.run import worker_settings
from infra.settings import Settings, load_settings
from models.backends.token_usage import TokenUsage
from models.errors import WorkerFault
from streams.runner import Progress
from streams.stage import Recall, Received, SideInputHandler, Stage, StageResult
from streams.topology import FEEDBACK, role
from streams.worker import run_stage

BASELINE_TOPIC = "baseline"
LOOK_S = 0.02
PATIENCE_S = 120.0  # without any progress


class Timed:
    """A stage that remembers when it was first given records."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.began: float | None = None
        self.cpu_began = 0.0

    def step(self, batch: Sequence[Received]) -> StageResult:
        if self.began is None:
            self.began, self.cpu_began = monotonic(), process_time()
        return self._stage.step(batch)

    def tick(self) -> StageResult:
        return self._stage.tick()

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        self._stage.revoked(partitions)

    def recalls(self) -> Mapping[str, Recall]:
        return self._stage.recalls()

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        return self._stage.side_inputs()

    def initial_inputs(self) -> Mapping[str, Recall]:
        return self._stage.initial_inputs()

    def side_inputs_loaded(self) -> None:
        self._stage.side_inputs_loaded()


async def drain(name: str, settings: Settings, expected: int) -> dict[str, Any]:
    """Run a role until it has acknowledged ``expected`` records."""
    wanted, stop = role(name), asyncio.Event()
    seen: list[Progress] = []
    timed: list[Timed] = []

    async def make() -> Stage:
        timed.append(Timed(await asyncio.to_thread(find_role(name).build_stage, settings, TokenUsage())))
        return timed[0]

    def note(progress: Progress) -> None:
        seen[:] = [progress]

    running = asyncio.create_task(run_stage(wanted, make, worker_settings(settings, wanted), note, stop))
    while not running.done():
        await asyncio.sleep(LOOK_S)
        if seen and seen[0].finished >= expected:
            break
        if seen and monotonic() - seen[0].last_progress > PATIENCE_S:
            break
    cpu_ended = process_time()
    stop.set()
    await running
    progress, stage = seen[0], timed[0]
    if progress.finished != expected:
        raise WorkerFault(f"{name} acknowledged {progress.finished} records; {expected} were expected")
    return {
        "messages": progress.finished,
        "written": progress.written,
        "dead_lettered": progress.dead_lettered,
        "seconds": progress.last_progress - (stage.began or 0.0),
        "cpu_s": cpu_ended - stage.cpu_began,
    }


async def baseline(server: str, expected: int, *, confirmed: bool) -> dict[str, Any]:
    """Plain Faust: read a record, send it on with acks=all, and only then take the next.

    Args:
        server: The broker.
        expected: How many records to move.
        confirmed: Whether each record's delivery is awaited, or only that the producer has taken it.
    """
    app = faust.App(
        f"plain-{'confirmed' if confirmed else 'handed-over'}",
        broker=f"kafka://{server}",
        producer_acks=-1,
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,  # at the end; without effect on the rate
        store="memory://",
        datadir=tempfile.gettempdir(),
        web_enabled=False,
        loghandlers=[],
    )
    times: list[float] = []
    cpu: list[float] = []
    done = asyncio.Event()

    @app.agent(app.topic(FEEDBACK.name, value_serializer="raw", internal=False))
    async def forward(stream: Any) -> None:
        out = app.topic(BASELINE_TOPIC, value_serializer="raw", internal=False)
        async for value in stream:
            if not times:
                times.append(monotonic())
                cpu.append(process_time())
            sent = await out.send(value=value)
            if confirmed:
                await sent
            times.append(monotonic())
            if len(times) > expected:
                await sent
                times.append(monotonic())
                cpu.append(process_time())
                done.set()
                return

    await app.start()
    try:
        await asyncio.wait_for(done.wait(), PATIENCE_S)
    finally:
        await app.stop()
    return {"messages": expected, "written": expected, "seconds": times[-1] - times[0], "cpu_s": cpu[1] - cpu[0]}


def main(arguments: Sequence[str]) -> None:
    """Arguments: role or ``plain`` or ``plain-unconfirmed``, records to expect, file for what was measured."""
    name, expected, out = arguments[0], int(arguments[1]), Path(arguments[2])
    logging.basicConfig(level=logging.WARNING)
    settings = load_settings()
    if name.startswith("plain"):
        work = baseline(settings.kafka_servers[0], expected, confirmed=name == "plain")
    else:
        work = drain(name, settings, expected)
    found = asyncio.run(work)
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
