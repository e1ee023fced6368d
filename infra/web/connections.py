"""Connections to the page: bounded in number, and closed where the other end does not keep pace.

Whoever opens connections and sends half a request keeps nobody else out: a request has to be whole in some seconds, and
where there are too many connections the one that has been waiting longest makes room for the next.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 512
"""Connections at once: well under the 1,024 files that a process may usually open."""
HEAD_S = 10.0
"""How long a request's head may take, and a connection may be idle before its first one."""
STALLED_S = 60.0
"""How long the other end may take nothing of an answer."""


class BoundedConnection(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self.since = self.loop.time()

    @property
    def waits(self) -> bool:
        """Whether no request is being answered: the other end has sent none yet, or not a whole head."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; where there are too many connections, another one ends."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > MOST:
            waiting = [each for each in self.connections if isinstance(each, BoundedConnection) and each.waits]
            min(waiting, key=lambda each: each.since).abort()  # this one itself where all others are being answered

    def data_received(self, data: bytes) -> None:
        """Take what came; a whole head is answered, and waits no more."""
        super().data_received(data)
        if not self.waits:
            _cancel(self._deadline)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.waits:
            self._await_head()

    def pause_writing(self) -> None:
        """The other end takes nothing for now."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALLED_S, self.abort)

    def resume_writing(self) -> None:
        """The other end takes more."""
        super().resume_writing()
        _cancel(self._stall)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        _cancel(self._deadline)
        _cancel(self._stall)
        super().connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once."""
        self.connections.discard(self)  # at once: several may come before the loop says that it is lost
        self.transport.abort()

    def _await_head(self) -> None:
        self.since = self.loop.time()
        _cancel(self._deadline)
        self._deadline = self.loop.call_later(HEAD_S, self.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
