"""What a worker reads beside its batches, outside its consumer group: topics whole, their last messages, their news."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from aiokafka.errors import KafkaError

from models.errors import UnavailableError
from streams.cluster import Cluster, read_batches, retry_with_backoff
from streams.stage import Recall, SideInputHandler, Stage

log = logging.getLogger(__name__)


async def follow_side_inputs(cluster: Cluster, stage: Stage, loaded: asyncio.Event) -> None:
    """Hand over what stands on a stage's side topics, set ``loaded``, and go on with what comes later.

    Raises:
        ExceptionGroup: Of what a topic or the stage raised and trying again does not mend.
    """
    followed, initial = stage.side_inputs(), stage.initial_inputs()
    if topics := [*followed, *initial]:
        log.info("reading %d side topics: %s", len(topics), ", ".join(topics))
    async with asyncio.TaskGroup() as tasks:
        readings = [tasks.create_task(read_recall(cluster, *each)) for each in initial.items()]
        caught_up = [asyncio.Event() for _ in followed]
        for (name, handler), event in zip(followed.items(), caught_up, strict=True):
            tasks.create_task(_follow(cluster, name, handler, event))
        await asyncio.gather(*readings, *(event.wait() for event in caught_up))
        await _in_thread("side topics", stage.side_inputs_loaded)
        loaded.set()


async def read_recall(cluster: Cluster, name: str, recall: Recall, newer_s: float = 0.0) -> None:
    """Hand a topic's last messages over, and what else was written within a time, as far as it goes by now."""

    async def attempt() -> None:
        async for batch in read_batches(cluster, name, last=recall.last, newer_s=newer_s):
            await _in_thread(name, partial(recall.handler, [message.value for message in batch]))

    await retry_with_backoff(f"reading {name}", attempt, KafkaError, OSError)


async def _follow(cluster: Cluster, name: str, handler: SideInputHandler, caught_up: asyncio.Event) -> None:
    """Hand every message of a topic over, and those that come later as they come."""

    async def attempt() -> None:
        async for batch in read_batches(cluster, name, follow=True):
            if batch:
                await _in_thread(name, partial(handler, [message.value for message in batch]))
            else:
                caught_up.set()

    await retry_with_backoff(f"listening to {name}", attempt, KafkaError, OSError)


async def _in_thread(what: str, work: Callable[[], None]) -> None:
    await retry_with_backoff(what, partial(asyncio.to_thread, work), UnavailableError)
