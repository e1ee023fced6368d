"""The outbox on its way to the broker, in whichever process looks after it."""

from collections.abc import Sequence
from contextlib import suppress

from infra.people.outbox import Outbox
from models.errors import QualstreamError
from streams.agents import Progress
from streams.cluster import Cluster, create_topics
from streams.publish import KafkaPublisher, Outgoing


class _Counting:
    """Delivers, and counts what was delivered."""

    def __init__(self, publisher: KafkaPublisher, progress: Progress) -> None:
        self._publisher = publisher
        self._progress = progress

    async def send(self, messages: Sequence[Outgoing]) -> None:
        await self._publisher.send(messages)
        self._progress.written += len(messages)
        self._progress.acknowledged(len(messages), 0)


async def deliver(cluster: Cluster, outbox: Outbox, progress: Progress) -> None:
    """Bring what is in the outbox to the broker until cancelled; waits while it is away.

    Two processes that do so at once send the same messages twice, which says the same.
    """
    await create_topics(cluster)
    publisher = KafkaPublisher(cluster)
    await publisher.start()
    try:
        await outbox.deliver(_Counting(publisher, progress))
    finally:
        with suppress(QualstreamError):
            await publisher.stop()
