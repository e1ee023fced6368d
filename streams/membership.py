"""What a worker is in its consumer group: whether its partitions are still its own, and for how long that holds."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from streams.cluster import Cluster
from streams.faust_consumer import App
from streams.side_inputs import read_recall
from streams.stage import Stage

log = logging.getLogger(__name__)
_ANSWER_S = 20.0  # after so long without an answer the log says what is waited for
_CERTAIN = 0.5  # of a session, from when the broker was asked; what is sent within it arrives before another is asked
_LOOKED_BACK = 4.0  # sessions: one until a dead worker is missed, half of one for what it still sent, the rest to spare

Partition = tuple[str, int]


class Membership(Protocol):
    """A worker's place in its consumer group."""

    async def owns(self, offsets: Mapping[Partition, int]) -> float | None:
        """Until when partitions are this worker's, as the broker says; all before these offsets is finished.

        A worker that stood still for longer than its session does not know that others have gone on in its place.

        Returns:
            A moment of the monotonic clock; None where a partition is not its own any more.
        """
        ...

    async def recall(self, stage: Stage) -> None:
        """Let a stage read again what may have been written by those who had its partitions before."""
        ...


@dataclass(frozen=True)
class InGroup:
    """The worker's membership, as Faust's consumer has it."""

    app: App
    cluster: Cluster

    async def owns(self, offsets: Mapping[Partition, int]) -> float | None:
        """Ask the group's coordinator by committing the offsets: that begins the worker's session anew."""
        at_broker, began = self.cluster.names.at_broker, monotonic()
        positions = {(at_broker(t), p): offset for (t, p), offset in offsets.items()}
        answer = asyncio.ensure_future(self.app.consumer.owns(positions))
        try:
            while not (await asyncio.wait({answer}, timeout=_ANSWER_S))[0]:
                log.warning("the brokers do not say whether its partitions are still this worker's; waiting for them")
            return began + _CERTAIN * self.cluster.session_timeout_s if answer.result() else None
        finally:
            answer.cancel()

    async def recall(self, stage: Stage) -> None:
        """Read the topics that the stage names, as far as they go by now.

        However much others write: all since the worker before may have acknowledged for the last time.
        """
        newer_s = _LOOKED_BACK * self.cluster.session_timeout_s
        recalls = stage.recalls().items()
        await asyncio.gather(*(read_recall(self.cluster, name, recall, newer_s) for name, recall in recalls))
