"""Faust, mended where it costs most: tasks that watch what cannot happen, long pauses, and a slow way back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import faust
import faust.tables.manager
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers import aiokafka as driver

POLLS = 4  # a stream's queue has room for so many, so that one more always fits where half of it is free
_LOOK_S = 0.005
_FETCH_WAIT_MS = 100


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is not typed here
    """Where aiokafka's consumer runs.

    While a partition's messages are worked on, aiokafka asks for the others', and asks for no more before the broker
    has answered. Where the others are empty that takes Faust's 1.5 seconds: as long as all of a busy partition stands.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer

    async def seek_to_committed(self) -> Any:
        """Go back to what is acknowledged on each partition."""
        return await self.call_thread(seek_to_acknowledged, self._ensure_consumer())

    async def check_coordinator(self) -> None:
        """Raise what aiokafka's part in the group ended with; to be called in this thread."""
        if self._consumer is not None and self._consumer._coordinator is not None:
            self._consumer._coordinator.check_errors()

    async def on_thread_stop(self) -> None:
        """Leave the group, so that others take over at once.

        A worker with a name of its own would not: it may come back. Only one that is killed should.
        """
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()


async def seek_to_acknowledged(consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int | None]:
    """Have each partition read again from what is acknowledged, or from its start where nothing is yet.

    aiokafka leaves a partition alone of which nothing is acknowledged. What was fetched of it before Faust let messages
    through, and so was thrown away, would never be read: the next acknowledgement would be beyond it.

    Returns:
        What is acknowledged, by partition; ``None`` where nothing is.
    """
    acknowledged: Mapping[TopicPartition, int | None] = await consumer.seek_to_committed()
    if fresh := [partition for partition, offset in acknowledged.items() if not offset]:
        await consumer.seek_to_beginning(*fresh)
    return acknowledged


class _Listener(driver.ConsumerRebalanceListener):  # type: ignore[misc]
    """Numbers assignments itself: a broker that was emptied begins to count generations anew.

    What was read before a rebalance is told by that number from what is read after it.
    """

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        app = self._thread.app
        app.consumer_generation_id += 1
        await self._thread.on_partitions_assigned(driver.ensure_TPset(assigned), app.consumer_generation_id)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Fetches when there is room, and hands messages on without waiting.

    For every message, Faust 0.15 makes four tasks: one puts it into the stream's queue, the others end it should a
    rebalance begin or the worker stop meanwhile. Where there is room nothing is waited for, and the four tasks, half
    of what Faust costs a message, are for nothing.
    """

    RebalanceListener = _Listener

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """Wait for the first of them; Faust's ``_drain_messages`` is the only one that comes with two."""
        if len(coros) != 2 or not self.app.flow_control.is_active() or self._filled() >= 1:
            return await super().wait_first(*coros, timeout=timeout)
        hand_on, rebalance_begins = coros
        rebalance_begins.close()
        return await hand_on

    async def owns(self, offsets: Mapping[tuple[str, int], int]) -> bool:
        """Whether the broker takes these offsets from this consumer: it does not where another has the partitions."""
        positions = {faust.types.TP(*partition): offset for partition, offset in offsets.items()}
        if not positions.keys() <= self.assignment():
            return False
        committed = await self._commit(positions)  # Faust leaves out what is not assigned
        return bool(committed) and positions.keys() <= self.assignment()

    async def check_group(self) -> None:
        """Raise why aiokafka has stopped to take part in the group; it waits until somebody asks, and Faust never does.

        Raises:
            KafkaError: What the group's coordinator answered.
        """
        if self._thread is not None and self._thread._consumer is not None:
            await self._thread.call_thread(self._thread.check_coordinator)

    async def _wait_next_records(self, timeout: float) -> Any:
        """Fetch when half of the queue is free.

        Left to itself, Faust fills the queue, pauses the partition, and may not look at it again for a second.
        """
        while self._filled() > 0.5 and not self.should_stop:
            await self.sleep(_LOOK_S)
        return await super()._wait_next_records(timeout)

    def _filled(self) -> float:
        """How full the fullest queue is, 0 to 1."""
        return max((channel.queue.qsize() / channel.queue.maxsize for channel in self.app.topics), default=0.0)


class Tables(faust.tables.manager.TableManager):  # type: ignore[misc]
    """Starts at once: Faust waits a second for tables to be declared, and there are none."""

    async def on_start(self) -> None:
        """Let the consumer subscribe."""
        await self._update_channels()
        await self.recovery.start()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with that consumer."""

    Consumer = Consumer


class App(faust.App):  # type: ignore[misc]
    """A Faust application with that transport."""

    on_crash: Callable[[Exception], None] | None = None
    """Hears why the application ended by itself: nothing of it runs any more, and Faust only logs it."""

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        if self.on_crash is not None and isinstance(reason, Exception):
            self.on_crash(reason)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
