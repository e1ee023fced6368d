"""Chromium over a running stack: every test gets a context of its own, and what it must not do fails it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from infra.accounts.accounts import AccountRole, Accounts
from infra.factory.stores import build_store
from infra.local.stack import LocalStack, free_port
from infra.masking.keys import write_key
from infra.settings import load_settings
from infra.storage.store import Store
from schemas import StudyRules
from tests.browser import sample, sample_classifier
from tests.browser.chromium import ARGUMENTS, chromium_path
from tests.integration.stack import ALL_ROLES, FAKES, STUDY, running, until

HOME = "127.0.0.1"
PASSWORD = "seven grey herons"
PEOPLE: dict[str, AccountRole] = {"lea": "lead", "ana": "annotator", "ben": "annotator", "vic": "viewer"}
STUDIES: dict[str, dict[str, Any]] = {
    STUDY: {"threshold": 1.0, "audit_share": 0.0},  # to people, with the system's code in view
    "curated": {"threshold": 0.0, "audit_share": 0.0},
    "pairs": {"mode": "promise", "double_share": 1.0},  # without labels there is no promise: everything goes to people
    "reuse": {"threshold": 0.0, "audit_share": 0.0},
    "before": {"threshold": 0.0, "audit_share": 0.0},  # all is accepted until a lead has other rules
    "live": {"threshold": 0.0, "audit_share": 0.0},
    "hostile": {},
    "nothing yet": {},
    "calls": {},
    sample.STUDY: {},
}

NewContext = Callable[..., BrowserContext]


@dataclass(frozen=True)
class House:
    """A running stack with the page, as its tests see it."""

    address: str
    store: Store
    accounts: Accounts
    stack: LocalStack
    link: str
    """Sets the first admin's password, once."""

    def sign_in(self, page: Page, name: str) -> None:
        """Sign in by the form; lands on the studies."""
        page.goto(f"{self.address}/signin")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the stack has come to something."""
        until(condition, self.stack, seconds=40)


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Every role in a process of its own with fake models, the embedded broker, the page over TCP."""
    if chromium_path() is None:
        pytest.skip("there is no Chromium; install it with `apt-get install chromium`, or run `make browser` as root")
    folder = tmp_path_factory.mktemp("house")
    store = build_store(load_settings(data_dir=folder, profile=str(FAKES), study=STUDY))
    accounts = Accounts(store.database)
    address = f"http://{HOME}:{free_port()}"
    link = accounts.first_link(address)
    assert link is not None
    for name, role in PEOPLE.items():
        account = accounts.create(name)
        accounts.set_password(account, PASSWORD)
        for study in STUDIES:
            accounts.grant(account, study, role)
    texts = sample.segments()
    told = list(sample.records(texts))
    store.record([*texts, *told, *sample_classifier.records(told), sample_classifier.serving(folder, texts)])
    store.mark_published([one.id for one in texts])
    early = datetime(2026, 1, 1, tzinfo=UTC)
    store.record([StudyRules(study=study, author="lea", at=early, **rules) for study, rules in STUDIES.items()])
    key = tmp_path_factory.mktemp("key") / "masking.key"
    write_key(key)
    options = {"web_port": address.rpartition(":")[2], "masking_key_file": str(key)}
    with running(folder, store, (*ALL_ROLES, "web"), **options) as (stack, _):
        until(lambda: _answers(address), stack)
        yield House(address, store, accounts, stack, link)
    store.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/signin").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def chromium(house: House) -> Iterator[Browser]:
    """One browser, started after the stack: Playwright keeps an event loop in this thread, others end before it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()


class Watch:
    """What pages did that none may do: errors on the console, requests to another host."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.expected: list[str] = []

    def over(self, context: BrowserContext) -> None:
        """Watch every page of a context, and refuse what would leave this host."""
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        context.route(lambda address: not at_home(address), lambda route: route.abort())

    def expect(self, words: str) -> None:
        """A test provokes an error whose message holds these words."""
        self.expected.append(words)

    def _request(self, request: Request) -> None:
        if not at_home(request.url):
            self.faults.append(f"a request left this host: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.type} on the console: {message.text} ({message.location.get('url')})")

    def check(self) -> None:
        """Fail on whatever was seen and not expected."""
        unexpected = [fault for fault in self.faults if not any(words in fault for words in self.expected)]
        assert not unexpected, "\n".join(unexpected)


def at_home(address: str) -> bool:
    """Whether an address stays on this host (data: and blob: load nothing)."""
    parts = urlsplit(address)
    return parts.scheme in {"data", "blob", "about"} or parts.hostname == HOME


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for errors on the console and requests to other hosts."""
    it = Watch()
    yield it
    it.check()


@pytest.fixture
def new_context(chromium: Browser, watch: Watch) -> Iterator[NewContext]:
    """Make contexts: each is somebody else's browser."""
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | options)
        context.set_default_timeout(10_000)
        context.set_default_navigation_timeout(30_000)  # on a busy machine the first page with statistics takes long
        watch.over(context)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page in a context of its own."""
    return new_context().new_page()
