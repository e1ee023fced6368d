"""Where a topic ends: what the embedded broker answers leaves out the last batch, whatever it holds."""

import asyncio
from pathlib import Path

from infra.local.stack import LocalStack
from streams.cluster import group_lag, read_batches
from streams.publish import Outgoing
from streams.topology import PROPOSALS
from tests.brokers.chosen import Brokers
from tests.integration.stack import messages, publish, running


async def _tail(stack: LocalStack, newer_s: float) -> list[bytes | None]:
    """The last ten messages and what was written within so many seconds."""
    batches = [batch async for batch in read_batches(stack.cluster, PROPOSALS.name, last=10, newer_s=newer_s)]
    return [message.value for batch in batches for message in batch]


def test_the_last_batch_of_a_topic_is_read_and_counts_as_lag(tmp_path: Path, brokers: Brokers) -> None:
    sent = [Outgoing(PROPOSALS.name, b"one key, so one partition", b"%d" % n) for n in range(3_000)]
    with running(tmp_path / "data", roles=(), brokers=brokers) as (stack, _):
        publish(stack.cluster, sent)
        assert messages(stack.cluster, PROPOSALS.name) == [m.value for m in sent]
        asyncio.run(_tails_are_right(stack, sent))


async def _tails_are_right(stack: LocalStack, sent: list[Outgoing]) -> None:
    assert await _tail(stack, newer_s=0) == await _tail(stack, newer_s=1e-3) == [m.value for m in sent[-10:]]
    assert await _tail(stack, newer_s=3_600) == [m.value for m in sent]
    assert sum((await group_lag(stack.cluster, "nobody", [PROPOSALS])).values()) == len(sent)
