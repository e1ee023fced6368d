"""Acknowledge in offset order.

Faust commits past a message that is still in flight when later ones of its partition were acknowledged first
(faust-streaming issue 606). So acknowledgements are held back here until everything before them is finished.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

E = TypeVar("E")


class OrderedAcks(Generic[E]):
    """Per partition, the messages that were read and not yet acknowledged, in the order of their offsets."""

    def __init__(self) -> None:
        """Start with nothing in flight."""
        self._in_flight: dict[Hashable, deque[tuple[int, E]]] = {}
        self._finished: dict[Hashable, set[int]] = {}

    def __len__(self) -> int:
        """Number of messages in flight."""
        return sum(len(queue) for queue in self._in_flight.values())

    def read(self, partition: Hashable, offset: int, event: E) -> None:
        """A message was read. Messages of one partition are read in offset order."""
        self._in_flight.setdefault(partition, deque()).append((offset, event))

    def oldest(self, partition: Hashable) -> int | None:
        """The offset of the oldest message in flight: all before it may be acknowledged."""
        queue = self._in_flight.get(partition)
        return queue[0][0] if queue else None

    def finish(self, partition: Hashable, offset: int) -> list[E]:
        """A message's outcome was delivered; returns the events that may be acknowledged now, in order."""
        queue = self._in_flight.get(partition)
        if queue is None:
            return []  # revoked meanwhile: another worker reads it again
        finished = self._finished.setdefault(partition, set())
        finished.add(offset)
        ready = []
        while queue and queue[0][0] in finished:
            offset, event = queue.popleft()
            finished.discard(offset)
            ready.append(event)
        return ready

    def forget(self, partitions: Iterable[Hashable]) -> None:
        """Partitions were revoked: what is in flight there belongs to another worker."""
        for partition in partitions:
            self._in_flight.pop(partition, None)
            self._finished.pop(partition, None)
