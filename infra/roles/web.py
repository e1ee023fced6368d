"""The page as a process: HTTP, and what people decided on its way to the broker."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

import uvicorn
from fastapi import FastAPI

from infra.accounts.accounts import Accounts
from infra.brokers import started_by_stack
from infra.clock import SystemClock
from infra.factory.models import Models
from infra.roles.definition import RoleDefinition, Worker
from infra.roles.outbox_delivery import deliver
from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.outbox import Outbox
from infra.storage.store import Store
from infra.telemetry.metrics import Gauge
from infra.web.app import make_app
from infra.web.connections import BoundedConnection
from infra.web.pages.overview import stop_streams
from infra.web.site import Site
from models.errors import SettingError, UnavailableError, WorkerFault
from models.ports import Embedder, Embeddings, load
from models.routing import confidence
from streams.runner import Progress
from streams.worker import heartbeat_loop

log = logging.getLogger(__name__)
GRACE_S = 2
_LOADING_S = 30.0


class LazyEmbedder:
    """An embedder that loads in the background; who needs it before waits, the page itself does not."""

    def __init__(self, make: Callable[[], Embedder]) -> None:
        """Start loading."""
        self._make = make
        self._embedder: Embedder | None = None
        self._fault: str = ""
        self._done = Event()
        Thread(target=self._load, name="embedder", daemon=True).start()

    @property
    def version(self) -> str:
        """The model with its revision."""
        return self._ready().version

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._ready().dim

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed the texts, shape ``(len(texts), dim)``, rows of unit length.

        Raises:
            UnavailableError: If the model is still loading after half a minute, or cannot be loaded.
        """
        return self._ready().embed(texts)

    def _ready(self) -> Embedder:
        if not self._done.wait(_LOADING_S):
            raise UnavailableError("the model that compares texts is still loading; try again in a moment")
        if self._embedder is None:
            raise UnavailableError(f"the model that compares texts cannot be loaded: {self._fault}")
        return self._embedder

    def _load(self) -> None:
        try:
            embedder = self._make()
            load(embedder)
            self._embedder = embedder
        except Exception as error:
            self._fault = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            log.warning("no search by meaning: %s", self._fault)
        finally:
            self._done.set()


def open_site(settings: Settings, store: Store) -> Site:
    """The page's parts over a store."""
    clock = SystemClock()
    embedder = LazyEmbedder(lambda: Models.of(settings).embedder)
    Thread(target=confidence.load, name="statistics", daemon=True).start()  # the rules page would wait for seconds
    return Site(settings, store, Accounts(store.database, clock), Outbox(store.database), embedder, clock)


async def run(worker: Worker) -> None:
    """Serve the page, and deliver what people decide, until the worker is stopped.

    Raises:
        SettingError: If the port is taken, or the address is not this machine's.
        WorkerFault: If the page or the delivery ended by itself.
    """
    settings, options = worker.settings, worker.options
    listening = listen(settings.web_host, settings.web_port)
    site = await asyncio.to_thread(open_site, settings, worker.store)
    app = await asyncio.to_thread(make_app, site)
    server = _server(app)
    progress = Progress()
    await asyncio.to_thread(_say_address, settings, site, listening.getsockname()[1])
    delivery = deliver(options.cluster, worker.role, site.outbox, progress, options.tracer)
    tasks = {
        asyncio.create_task(server.serve(sockets=[listening]), name="the page"),
        asyncio.create_task(delivery, name="the delivery"),
        asyncio.create_task(heartbeat_loop(worker.heartbeat, progress), name="the heartbeat"),
    }
    stopping = asyncio.create_task(worker.stop.wait())
    try:
        ended, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if stopping not in ended:
            _explain(next(iter(ended)), progress)
    finally:
        stop_streams(app)
        await _end(server, {stopping, *tasks})
        listening.close()


def _explain(task: asyncio.Task[object], progress: Progress) -> None:
    """Say what ended that should not have."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        progress.failed(error)
    if isinstance(error, SettingError):
        raise error
    raise WorkerFault(f"web: {task.get_name()} ended: {error or 'its log says why'}") from error


async def _end(server: uvicorn.Server, tasks: set[asyncio.Task[object]]) -> None:
    server.should_exit = True
    page = {task for task in tasks if task.get_name() == "the page"}
    for task in tasks - page:
        task.cancel()
    await asyncio.wait(page, timeout=GRACE_S + 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Server(uvicorn.Server):
    """Uvicorn without handlers of signals: the role has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals as they are."""
        yield


def _server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return _Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        SettingError: If it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise SettingError(
            f"the page cannot listen on {host} port {port} ({error.strerror or error}); set QUALSTREAM_WEB_HOST to an "
            "address of this machine and QUALSTREAM_WEB_PORT to a free port"
        ) from None


def _say_address(settings: Settings, site: Site, port: int) -> None:
    """Log where the page is; the local stack, which started this process, says it by itself."""
    address = settings.page_address(port)
    log.info("the page is at %s", address)
    if not started_by_stack(settings):
        link = site.accounts.first_link(address)
        if link is not None:
            log.warning("nobody is admin yet; set the admin's password here (works once, for a day): %s", link)


def build_gauges(database: Database) -> tuple[Gauge, ...]:
    """How much of what people decided waits for the brokers."""
    says = "What people decided and the brokers have not confirmed."
    return (Gauge("qualstream_outbox_messages", says, Outbox(database).backlog),)


ROLE = RoleDefinition("web", run, build_gauges)
