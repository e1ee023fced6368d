"""Where a topic ends: what the embedded broker answers leaves out the last batch, whatever it holds."""

import asyncio
from pathlib import Path

from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from streams.cluster import group_lag, read_batches
from streams.publish import Outgoing
from streams.topology import PROPOSALS
from tests.brokers.chosen import Brokers
from tests.integration.stack import messages, publish


async def _tail(stack: LocalStack, newer_s: float) -> list[bytes | None]:
    """The last ten messages and what was written within so many seconds."""
    batches = [batch async for batch in read_batches(stack.cluster, PROPOSALS.name, last=10, newer_s=newer_s)]
    return [message.value for batch in batches for message in batch]


async def test_the_last_batch_of_a_topic_is_read_and_counts_as_lag(tmp_path: Path, brokers: Brokers) -> None:
    settings = load_settings(data_dir=tmp_path, **brokers.options)
    store = build_store(settings)
    stack = LocalStack(settings, store, roles=())
    try:
        await asyncio.to_thread(stack.start)
        sent = [Outgoing(PROPOSALS.name, b"one key, so one partition", b"%d" % n) for n in range(3_000)]
        await asyncio.to_thread(publish, stack.cluster, sent)
        assert await asyncio.to_thread(messages, stack.cluster, PROPOSALS.name) == [m.value for m in sent]
        assert await _tail(stack, newer_s=0) == await _tail(stack, newer_s=1e-3) == [m.value for m in sent[-10:]]
        assert await _tail(stack, newer_s=3_600) == [m.value for m in sent]
        assert sum((await group_lag(stack.cluster, "nobody", [PROPOSALS])).values()) == len(sent)
    finally:
        stack.stop()
        store.close()
