"""The outbox on its way to the broker, in whichever process looks after it."""

from collections.abc import Sequence
from contextlib import suppress
from time import time_ns

from infra.storage.outbox import Outbox
from models.errors import QualstreamError
from streams.cluster import Cluster, consumer_group
from streams.preflight import prepare
from streams.publish import KafkaPublisher, Outgoing
from streams.runner import Progress
from streams.topology import Role
from streams.tracing import SegmentTracer, TracedBatch


class _Counting:
    """Delivers, and counts what was delivered."""

    def __init__(self, publisher: KafkaPublisher, progress: Progress, tracer: SegmentTracer | None) -> None:
        self._publisher = publisher
        self._progress = progress
        self._tracer = tracer

    async def send(self, messages: Sequence[Outgoing]) -> None:
        began_ns = time_ns()
        traced = self._tracer.begin(messages) if self._tracer else TracedBatch(messages)
        await self._publisher.send(traced.send)
        if self._tracer:
            self._tracer.report(traced, began_ns, len(messages))
        self._progress.written += len(messages)
        self._progress.acknowledged(len(messages), 0)


async def deliver(
    cluster: Cluster, role: Role, outbox: Outbox, progress: Progress, tracer: SegmentTracer | None = None
) -> None:
    """Bring what is in the outbox to the broker until cancelled; waits while it is away.

    Two processes that do so at once send the same messages twice, which says the same.

    Args:
        cluster: The brokers.
        role: Whose outbox it is.
        outbox: What waits to be sent.
        progress: Where it is counted.
        tracer: Follows the segments, where anybody wants to know of them.

    Raises:
        SettingError: If the brokers refuse what the role must do.
    """
    await prepare(cluster, role, consumer_group(role.name))
    publisher = KafkaPublisher(cluster)
    await publisher.start()
    try:
        await outbox.deliver(_Counting(publisher, progress, tracer).send)
    finally:
        with suppress(QualstreamError):
            await publisher.stop()
