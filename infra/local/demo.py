"""The demo: 200 real reviews, replayed in the order of their time through the whole stack on this machine."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from rich.console import Console

from infra.accounts.accounts import Accounts
from infra.brokers import data_folder_lock
from infra.factory.stores import build_store
from infra.files.segments import Rejected, read_segments
from infra.local.live_view import View, summary
from infra.local.stack import LocalStack, free_port, stop_on_signals
from infra.profiles.loading import checked_profile
from infra.profiles.members import PACKAGED_DATA
from infra.settings import Settings, ensure_data_dir
from infra.storage.store import Store
from infra.weights.bringing import refuse_missing_weights
from models.errors import SettingError
from schemas import Segment
from streams.topology import ROLES

REVIEWS = "reviews.jsonl"
_LOOK_S = 0.25
_PROBE_S = 2.0


def demo_segments(study: str) -> list[Segment]:
    """The reviews that ship with the project."""
    rows = list(read_segments(PACKAGED_DATA / REVIEWS, study=study, fmt="jsonl"))
    return [row for row in rows if not isinstance(row, Rejected)]


def run_demo(settings: Settings, console: Console) -> bool:
    """Code the demo's reviews, live. A run that was broken off is finished; a finished one is started anew.

    Returns:
        Whether it ran to its end; ``False`` if it was stopped from outside.
    """
    ensure_data_dir(settings)
    refuse_missing_weights(checked_profile(settings), settings.weights_dir)
    with data_folder_lock(settings):
        store = build_store(settings)
        try:
            _take_in(store, settings.study, console)
            return run_until_done(settings, store, console)
        finally:
            store.close()


def _take_in(store: Store, study: str, console: Console) -> None:
    reviews = demo_segments(study)
    ours = {review.id for review in reviews}
    with closing(store.rows(study)) as rows:
        others = sum(row["id"] not in ours for row in rows)
    if others:
        raise SettingError(
            f"study '{study}' holds {others} segments that are not the demo's, and the demo starts its study anew; "
            "give it a study of its own with --study"
        )
    before = store.counts(study)
    if before.taken_in and not store.open_segments(study):
        store.reset(study)
        before = store.counts(study)
    store.take_in(reviews)
    if before.taken_in:
        done = before.taken_in - store.open_segments(study)
        console.print(
            f"An earlier run was broken off: {done} of {before.taken_in} have their code; going on with the rest."
        )


def run_until_done(settings: Settings, store: Store, console: Console) -> bool:
    """Run the local stack until every segment of the study has an outcome, and say what came of it."""
    study = settings.study
    stack = LocalStack(settings, store)
    view = View(store, study, console)
    total, open_before = store.counts(study).taken_in, store.open_segments(study)
    started = time.monotonic()
    with stop_on_signals() as stopped:
        try:
            with view.running():
                view.show("starting broker and workers", total - open_before, total)
                stack.start()
                finished, first_code_at = _follow(stack, store, view, total, lambda: bool(stopped))
        finally:
            stack.stop()
    if not finished:
        left = store.open_segments(study)
        console.print(f"\nStopped with {left} of {total} segments open. Nothing is lost: the same command goes on.")
        return False
    console.print(summary(store, study, open_before, first_code_at - started, time.monotonic() - first_code_at))
    return True


def _follow(stack: LocalStack, store: Store, view: View, total: int, stopped: Callable[[], bool]) -> tuple[bool, float]:
    """Look after the stack and paint until all is done; returns whether it is, and when the first code came."""
    study = stack.settings.study
    before = left = store.open_segments(study)
    first_code_at = time.monotonic()
    while not stopped():
        if left == before:
            first_code_at = time.monotonic()
        restarts = f" ({stack.restarts} restarts)" if stack.restarts else ""
        state = _starting(stack, store) if left == before else "coding"
        view.show(f"{state}{restarts}" if left else "done", total - left, total)
        if not left:
            return True, first_code_at
        stack.check()
        time.sleep(_LOOK_S)
        left = store.open_segments(study)
    return False, first_code_at


def _starting(stack: LocalStack, store: Store) -> str:
    """Who is not ready yet: a role says how it goes as soon as its models and stores are loaded."""
    running = set(stack.pids().values())
    ready = {worker.role for worker in store.workers() if worker.pid in running}
    waiting = [role for role in stack.roles if role not in ready]
    return f"starting: {', '.join(waiting)}" if waiting else "first batch under way"


def run_stack(settings: Settings, port: int, console: Console) -> None:
    """Run the local stack until SIGINT or SIGTERM; what is taken in meanwhile is coded."""
    ensure_data_dir(settings)
    refuse_missing_weights(checked_profile(settings), settings.weights_dir)
    with data_folder_lock(settings), stop_on_signals() as stopped:
        page = page_port(settings)
        store = build_store(settings)
        every = tuple(role.name for role in ROLES)
        stack = LocalStack(settings, store, every, port, {"QUALSTREAM_WEB_PORT": str(page)})
        try:
            stack.start()
            console.print(
                f"Running, with the broker at {','.join(stack.cluster.servers)}; logs in {stack.log_dir}; Ctrl-C stops."
            )
            _await_page(settings, page, stack, stopped)
            if not stopped:
                say_page(settings, store, page, console)
            console.print(f"From another terminal: qualstream ingest FILE --study {settings.study}; qualstream status")
            while not stopped:
                stack.check()
                time.sleep(_LOOK_S)
        finally:
            stack.stop()
            store.close()
    console.print("Stopped. What is open goes on at the next start.")


def _await_page(settings: Settings, port: int, stack: LocalStack, stopped: Sequence[int]) -> None:
    """Look after the stack until the page answers, so that its link works as soon as it is printed."""
    while not stopped and not _answers(settings.web_host, port):
        stack.check()
        time.sleep(_LOOK_S)


def _answers(host: str, port: int) -> bool:
    at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    connection = HTTPConnection(at, port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def page_port(settings: Settings) -> int:
    """The port that the page is to have; a link or a proxy that somebody keeps must not lead to another one.

    Raises:
        SettingError: If it is taken.
    """
    return free_port(settings.web_port, settings.web_host, "set QUALSTREAM_WEB_PORT to another one")


def say_page(settings: Settings, store: Store, port: int, console: Console) -> None:
    """Print the page's address and, while nobody can sign in as admin, the link that sets the first password."""
    address = settings.page_address(port)
    console.print(f"The page: {address}", soft_wrap=True, highlight=False)
    link = Accounts(store.database).first_link(address)
    if link is not None:
        console.print(
            f"Nobody is admin yet. Set the admin's password here (works once, for a day): {link}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
