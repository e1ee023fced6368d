"""A stage is told what stands on its side topics before its first batch, once; then it is told the news."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from models.errors import SettingError, UnavailableError, WorkerFault
from models.fakes import HandClock
from streams.cluster import Cluster
from streams.publish import Outgoing
from streams.runner import Batches, Progress
from streams.stage import PlainStage, Recall, Received, SideInputHandler, StageResult
from streams.topology import ASSIGNMENTS, CODEBOOK, DECISIONS, LABELS, Topic, role
from streams.worker import WorkerSettings, run_stage
from tests.brokers.chosen import EMBEDDED, Brokers
from tests.integration.stack import publish

ENOUGH_S = 90
PAST = 2_500  # more than one fetch brings


class Listening(PlainStage):
    """Notes what it is told, in the order in which it is told, and how much that was before its first batch."""

    role = "refiner"

    def __init__(self, refusals: Sequence[Exception] = ()) -> None:
        self.clock = HandClock()
        self.heard: dict[str, list[bytes | None]] = {CODEBOOK.name: [], LABELS.name: [], ASSIGNMENTS.name: []}
        self.at_first_batch: list[dict[str, list[bytes | None]]] = []
        self.refusals, self.loads = list(refusals), 0
        self.stepped, self.told_news = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def _hear(self, topic: Topic, values: Sequence[bytes | None]) -> None:
        self.heard[topic.name] += values
        if b"news" in values:
            self._loop.call_soon_threadsafe(self.told_news.set)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        return {CODEBOOK.name: partial(self._hear, CODEBOOK)}

    def initial_inputs(self) -> Mapping[str, Recall]:
        return {
            LABELS.name: Recall(None, partial(self._hear, LABELS)),
            ASSIGNMENTS.name: Recall(2, partial(self._hear, ASSIGNMENTS)),
        }

    def side_inputs_loaded(self) -> None:
        self.loads += 1
        if self.refusals:
            raise self.refusals.pop(0)

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        self.at_first_batch.append({name: list(values) for name, values in self.heard.items()})
        self._loop.call_soon_threadsafe(self.stepped.set)


def numbered(topic: Topic, count: int, key: bytes | None = None) -> list[Outgoing]:
    return [Outgoing(topic.name, key or b"%d" % n, b"%d" % n) for n in range(count)]


@asynccontextmanager
async def brokers_with(folder: Path, brokers: Brokers, *sent: Outgoing) -> AsyncIterator[Cluster]:
    """Brokers with messages on their topics, and no role at work."""
    settings = load_settings(data_dir=folder, **brokers.options)
    store = build_store(settings)
    stack = LocalStack(settings, store, roles=())
    try:
        await asyncio.to_thread(stack.start)
        await asyncio.to_thread(publish, stack.cluster, list(sent))
        yield stack.cluster
    finally:
        stack.stop()
        store.close()


def run(cluster: Cluster, stage: Listening, beats: list[int], stop: asyncio.Event) -> asyncio.Task[None]:
    async def make_stage() -> Listening:
        return stage

    def beat(progress: Progress) -> None:
        beats.append(stage.loads)

    options = WorkerSettings(cluster, Batches(16, 0.1), HandClock())
    return asyncio.create_task(run_stage(role("refiner"), make_stage, options, beat, stop))


async def test_the_first_batch_sees_all_that_stood_on_side_topics_each_message_was_told_once_and_news_follow(
    tmp_path: Path, brokers: Brokers
) -> None:
    past, labels = numbered(CODEBOOK, PAST), numbered(LABELS, 3)
    assignments = numbered(ASSIGNMENTS, 5, b"one key, so one partition")
    sent = [*past, *labels, *assignments, *numbered(DECISIONS, 1)]
    async with brokers_with(tmp_path, brokers, *sent) as cluster:
        stage, beats, stop = Listening([UnavailableError("the index is away")]), [], asyncio.Event()
        worker = run(cluster, stage, beats, stop)
        await asyncio.wait_for(stage.stepped.wait(), ENOUGH_S)
        await asyncio.to_thread(publish, cluster, [Outgoing(CODEBOOK.name, b"1", b"news")])
        await asyncio.wait_for(stage.told_news.wait(), ENOUGH_S)
        stop.set()
        await worker
    seen = stage.at_first_batch[0]
    assert sorted(seen[CODEBOOK.name]) == sorted(message.value for message in past)
    assert sorted(seen[LABELS.name]) == [b"0", b"1", b"2"]
    assert seen[ASSIGNMENTS.name] == [b"3", b"4"]
    assert stage.loads == 2
    assert beats[0] == 0  # it says that it is there while it reads
    assert stage.heard == seen | {CODEBOOK.name: [*seen[CODEBOOK.name], b"news"]}


@pytest.mark.parametrize(("error", "raised"), [(SettingError("no index"), SettingError), (KeyError("x"), WorkerFault)])
async def test_a_stage_that_cannot_start_from_what_it_was_told_ends_the_worker(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    async with brokers_with(tmp_path, EMBEDDED, *numbered(DECISIONS, 1)) as cluster:
        stage = Listening([error])
        with pytest.raises(raised, match=str(error)):
            await asyncio.wait_for(run(cluster, stage, [], asyncio.Event()), ENOUGH_S)
    assert stage.at_first_batch == []


async def test_a_worker_that_is_stopped_while_it_reads_ends(tmp_path: Path) -> None:
    async with brokers_with(tmp_path, EMBEDDED, *numbered(DECISIONS, 1)) as cluster:
        stage, stop = Listening([UnavailableError("away")] * 99), asyncio.Event()
        worker = run(cluster, stage, [], stop)
        stop.set()
        await asyncio.wait_for(worker, ENOUGH_S)
    assert stage.at_first_batch == []
