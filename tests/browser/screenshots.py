"""Draw the pages for docs/images, light and dark, over a study as it looks after a week: ``make screenshots``."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from infra.accounts.accounts import EVERYWHERE, Accounts
from infra.clock import SystemClock
from infra.factory.stores import build_store
from infra.local.stack import free_port
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from infra.storage.store import Store, WorkerState
from infra.web.app import make_app
from infra.web.site import Site
from models.backends.sentence.embedder import SentenceEmbedder
from models.fakes import HashEmbedder
from streams.topology import ROLES
from tests.browser import sample, sample_classifier
from tests.browser.chromium import ARGUMENTS, chromium_path

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
PROFILE = Path(__file__).parent.parent / "data" / "fakes.toml"
PASSWORD = "seven grey herons"
BASE = f"/s/{quote(sample.STUDY)}"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The page over the sample study, on a port of this host; yields its address."""
    settings = load_settings(data_dir=folder, profile=str(PROFILE), study=sample.STUDY)
    store = build_store(settings)
    texts = sample.segments()
    store.take_in(texts)
    store.mark_published([one.id for one in texts])
    told = list(sample.records(texts))
    store.record([*told, *sample_classifier.records(told)])
    store.record([sample_classifier.serving(folder, texts, SentenceEmbedder())])
    _beat(store)
    accounts = Accounts(store.database)
    for name, role in zip((*sample.PEOPLE, "Chiara Rossi"), ("admin", "annotator", "viewer"), strict=True):
        account = accounts.create(name)
        accounts.grant(account, EVERYWHERE if role == "admin" else sample.STUDY, role)
        accounts.set_password(account, PASSWORD)
    port = free_port()
    site = Site(settings, store, accounts, Outbox(store.database), HashEmbedder(), SystemClock())
    server = uvicorn.Server(uvicorn.Config(make_app(site), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        store.close()


def _beat(store: Store) -> None:
    """Say that every role is at work, for as long as the drawing takes."""
    now = datetime.now(UTC) + timedelta(hours=1)
    for n, role in enumerate(ROLES):
        store.heartbeat(WorkerState(role.name, "desk", 4000 + n, "desk", now - timedelta(days=14), now, 200, 200))


def _pages(home: str, page: Page) -> Iterator[str]:
    """Go from page to page; yields the name of each as it stands."""
    yield from _visit(page, home + "/", "studies")
    yield from _visit(page, f"{home}{BASE}/", "overview")
    yield from _visit(page, f"{home}{BASE}/queue", "queue")
    yield from _visit(page, f"{home}{BASE}/codebook", "codebook")
    page.get_by_role("main").get_by_role("link", name="price and limits").first.click()
    page.wait_for_load_state("networkidle")
    yield "code"
    yield from _visit(page, f"{home}{BASE}/segments?q=images&by=meaning", "segments")
    page.get_by_role("main").get_by_role("table").get_by_role("link").first.click()
    page.wait_for_load_state("networkidle")
    yield "segment"
    page.get_by_role("link", name="Why?").first.click()
    page.get_by_role("heading", name="Why “").wait_for()
    page.get_by_role("heading", name="Classifier", exact=True).evaluate("heading => heading.scrollIntoView()")
    yield "why"
    yield from _visit(page, f"{home}{BASE}/agreement", "agreement")
    page.get_by_role("table", name="Segments that people coded differently").get_by_role("link").first.click()
    page.wait_for_load_state("networkidle")
    yield "disagreement"
    for name in ("classifier", "drift", "rules", "export"):
        yield from _visit(page, f"{home}{BASE}/{name}", name)
    yield from _visit(page, home + "/people", "people")
    yield from _visit(page, home + "/account", "account")
    yield from _visit(page, home + "/nowhere", "error")


def _visit(page: Page, address: str, name: str) -> Iterator[str]:
    page.goto(address)
    page.wait_for_timeout(800)  # charts and what loads after the page
    yield name


def _sign_in(page: Page, home: str) -> None:
    page.goto(home + "/signin")
    page.get_by_label("Name").fill(sample.PEOPLE[0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(home + "/")


def draw(browser: Browser, home: str, folder: Path, *, whole: bool = False) -> None:
    """Draw every page in both schemes, and the queue and the overview on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=DESK, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Vienna")
        page.goto(home + "/signin")
        page.screenshot(path=folder / f"signin-{scheme}.png")
        _sign_in(page, home)
        for name in _pages(home, page):
            page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=whole)
        page.close()
    page = browser.new_page(viewport=PHONE, locale="en-GB", timezone_id="Europe/Vienna", has_touch=True, is_mobile=True)
    _sign_in(page, home)
    for name in _pages(home, page):
        if whole or name == "queue":
            page.screenshot(path=folder / f"{name}-phone.png", full_page=whole)
    page.close()


def main(folder: Path, *, whole: bool) -> None:
    """Serve the sample study and draw it."""
    with TemporaryDirectory() as data, served(Path(data)) as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        draw(browser, home, folder, whole=whole)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES, whole="--whole" in sys.argv)
