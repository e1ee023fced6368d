"""One look at the store a second for everybody who watches the same thing, as server-sent events."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from models.errors import QualstreamError

log = logging.getLogger(__name__)
LOOK_S = 1.0
_REST = 4  # seconds of rest for each second that a look took: many rows make it slower, never the store busier
_ALIVE_S = 15.0
_LONGEST_S = 600.0  # of one stream: whoever comes back is asked again who they are
_RETRY = "retry: 2000\n\n"


class LiveFeed:
    """What is watched, looked at while somebody watches. Lives in one event loop."""

    def __init__(self, look: Callable[[], str], every_s: float = LOOK_S) -> None:
        """Take what to look at.

        Args:
            look: Returns what to send, as one line; runs in a thread.
            every_s: Seconds from look to look, at least.
        """
        self._look, self._every_s = look, every_s
        self._last: str | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.watchers = 0

    async def watch(self, longest_s: float = _LONGEST_S) -> AsyncGenerator[str, None]:
        """Events for one watcher, each time that something changed, until stopped or for ten minutes.

        A slow watcher misses what came between: an event says everything, and only the newest counts.
        """
        self.watchers += 1
        self._loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        ends = self._loop.time() + longest_s
        sent: str | None = None
        try:
            yield _RETRY
            while not self._stopped and self._loop.time() < ends:
                news = self._news
                if self._last is not None and self._last != sent:
                    sent = self._last
                    yield f"event: live\ndata: {sent}\n\n"
                    continue
                try:
                    await asyncio.wait_for(news.wait(), _ALIVE_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.watchers -= 1
            if not self.watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    def stop(self) -> None:
        """End every stream at once; any thread may say so."""
        self._stopped = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def _poll(self) -> None:
        clock = asyncio.get_running_loop()
        while True:
            started = clock.time()
            try:
                self._last = await asyncio.to_thread(self._look)
            except QualstreamError as error:  # the store is away: the page keeps what it shows
                log.warning("the overview could not be read: %s", error)
            except Exception:
                log.exception("the overview could not be read")
            else:
                news, self._news = self._news, asyncio.Event()
                news.set()
            took = clock.time() - started
            await asyncio.sleep(max(self._every_s - took, _REST * took))


class LiveFeeds:
    """The feeds of all studies that somebody watches."""

    def __init__(self) -> None:
        """Nobody watches yet."""
        self._feeds: dict[str, LiveFeed] = {}
        self._stopped = False

    async def watch(self, study: str, look: Callable[[], str]) -> AsyncGenerator[str, None]:
        """Events about a study for one watcher; see ``LiveFeed.watch``."""
        if self._stopped:
            return
        feed = self._feeds.setdefault(study, LiveFeed(look))
        try:
            async with aclosing(feed.watch()) as events:
                async for event in events:
                    yield event
        finally:
            if feed.watchers == 0 and self._feeds.get(study) is feed:
                del self._feeds[study]

    def stop(self) -> None:
        """End every stream at once, and begin no other: a server that stops waits for streams that are open."""
        self._stopped = True
        for feed in list(self._feeds.values()):
            feed.stop()
