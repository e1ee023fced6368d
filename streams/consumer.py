"""Faust's consumer, made cheaper a message: half of what Faust costs goes into watching what seldom happens."""

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver


class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust is not typed here
    """Hands messages on without racing each against a rebalance where it cannot have to wait.

    For every message, Faust 0.15 makes four tasks: one puts it into the stream's queue, the others end it should a
    rebalance begin or the worker stop meanwhile. With room in the queue nothing is waited for, and the four tasks,
    40 of 80 microseconds a message, are for nothing.
    """

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """Wait for the first of them; Faust's ``_drain_messages`` is the only one that comes with two."""
        if len(coros) != 2 or not self._has_room():
            return await super().wait_first(*coros, timeout=timeout)
        hand_on, rebalance_begins = coros
        rebalance_begins.close()
        return await hand_on

    def _has_room(self) -> bool:
        """Whether Faust's conductor can hand a message on at once."""
        return self.app.flow_control.is_active() and not any(channel.queue.full() for channel in self.app.topics)


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with that consumer."""

    Consumer = Consumer


class App(faust.App):  # type: ignore[misc]
    """A Faust application with that transport."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
