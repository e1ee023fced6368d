"""A worker that waits to take another's place is well, and one whose stores are away is not."""

import asyncio
import os

import pytest
from rich.console import Console

from infra.settings import load_settings
from infra.storage.store import open_store
from infra.telemetry.heartbeat import build_heartbeat
from infra.telemetry.status import report
from infra.training.checkpoints import Checkpoints
from models.errors import SpareError, UnavailableError
from streams.topology import role
from streams.worker import prepared


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("QUALSTREAM_KAFKA_URL", "127.0.0.1:1")
    return load_settings()


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


async def soon(event):
    await asyncio.wait_for(event.wait(), 10)


async def test_the_health_of_a_spare_trainer_is_good_while_it_waits_and_while_it_loads(settings, store):
    checkpoints, held, said = Checkpoints(settings.data_dir), [], asyncio.Event()
    held.append(checkpoints.hold())  # another trainer
    tell, loop = build_heartbeat(settings, role("trainer"), store), asyncio.get_running_loop()

    def heard(progress):
        tell(progress)
        loop.call_soon_threadsafe(said.set)

    async def make_stage():
        lock = checkpoints.hold()
        said.clear()
        await soon(said)  # it loads, and goes on saying so
        return lock

    def healthy():
        return asyncio.to_thread(report, settings, store, "trainer", True, Console(quiet=True))

    assert not await healthy()
    spare = asyncio.create_task(prepared(make_stage, heard))
    await soon(said)
    assert await healthy()
    os.close(held.pop())
    os.close(await spare)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_worker_whose_stores_are_away_does_not_say_that_it_is_there():
    said, attempts = [], []

    async def make_stage():
        attempts.append(1)
        if len(attempts) == 1:
            raise UnavailableError("away")
        return "a stage"

    assert await prepared(make_stage, said.append) == "a stage"
    assert said == []


async def test_a_spare_that_is_stopped_says_no_more():
    waits, said = asyncio.Event(), []

    async def make_stage():
        waits.set()
        raise SpareError("another trainer works here")

    spare = asyncio.create_task(prepared(make_stage, said.append))
    await soon(waits)
    spare.cancel()
    await asyncio.gather(spare, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
