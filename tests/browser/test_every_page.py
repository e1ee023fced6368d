"""Every page that there is: no fault that axe finds, in light and dark; light to load; nothing moves while it loads."""

import gzip
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, StorageState

from infra.accounts.accounts import EVERYWHERE
from infra.annotation.disputes import disagreements
from infra.annotation.rating.rating_draw import draw_quotes
from infra.annotation.rating.rating_studies import RatingStudy, start_rating
from tests.browser import sample
from tests.browser.conftest import PASSWORD, House, NewContext
from tests.web.routes import ENDLESS, NEEDED

HEAVIEST = 60 * 1024  # bytes of a page with all that it loads, compressed as they are sent
MOST_SHIFT = 0.05  # cumulative layout shift
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WATCH = """
  window.shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
"""


NARROW = {"width": 390, "height": 2_400}  # so high that the bar at the foot of the queue covers no target
GERMAN = ("", "drift", "queue", "codebook", "segments", "agreement", "rules", "ratings")
"""Pages of a study that are looked at with German's longer words, on a phone."""
ROUTES = [route for route in NEEDED if route.startswith("GET ") and route not in ENDLESS]


@pytest.fixture(scope="module")
def session(house: House, chromium: Browser) -> StorageState:
    """Somebody who may see everything, signed in once."""
    account = house.accounts.create("looks at it")
    house.accounts.set_password(account, PASSWORD)
    house.accounts.grant(account, EVERYWHERE, "admin")
    context = chromium.new_context()
    house.sign_in(context.new_page(), "looks at it")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="module")
def places(house: House) -> dict[str, str]:
    """What stands in an address: a study, a segment that people coded differently, a code, a document."""
    (disputed, *_), _ = disagreements(house.store.database, sample.STUDY, 1)
    code = next(event.code_id for event in house.store.code_events(sample.STUDY) if event.level == "code")
    return {
        "{study}": quote(sample.STUDY),
        "{segment}": str(disputed.segment_id),
        "{code}": str(code),
        "{rating}": str(rating_of(house)),
    }


def rating_of(house: House) -> UUID:
    """A rating study that has begun."""
    rating = RatingStudy(
        uuid4(), sample.STUDY, ("moderator", "refiner", "people"), 3, 2, 1, "lea", datetime.now(UTC)
    )  # fmt: skip
    start_rating(house.store.database, rating, draw_quotes(house.store.database, rating, blind=False))
    return rating.id


def weight(answer: Response) -> int:
    """What is sent where it is compressed on its way, in bytes."""
    return len(gzip.compress(answer.body(), 6)) if answer.ok else 0


def faults(page: Page, rules: dict[str, Any], scheme: str) -> list[str]:
    """What axe finds, each with the first elements that have it."""
    violations = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": rules}).response["violations"]
    return [f"{scheme} {each['id']}: {node['html'][:160]}" for each in violations for node in each["nodes"][:2]]


@pytest.mark.parametrize("route", ROUTES)
def test_a_page_is_without_faults_light_and_at_rest(
    house: House, new_context: NewContext, session: StorageState, places: dict[str, str], route: str
) -> None:
    address = house.address + route.removeprefix("GET ")
    for name, value in places.items():
        address = address.replace(name, value)
    if address.endswith("/documents"):
        address += "?source=" + quote(sample.segments()[0].source)
    context = new_context(storage_state=session, reduced_motion="reduce")  # colours change at once
    context.add_init_script(WATCH)
    got = context.request.get(address, max_redirects=0, timeout=200_000)  # the first explanation loads a model
    if not got.ok or not got.text().startswith("<!doctype"):
        assert got.status < 500  # a file, a part of a page, or one that wants more in its address
        return
    page, sizes = context.new_page(), dict[str, int]()
    page.on("response", lambda answer: sizes.update({answer.url: weight(answer)} if "events" not in answer.url else {}))
    page.goto(address)
    seen = faults(page, {"type": "tag", "values": TAGS}, "light")
    page.emulate_media(color_scheme="dark")
    seen += faults(page, {"type": "rule", "values": ["color-contrast"]}, "dark")
    assert seen == []
    assert sum(sizes.values()) <= HEAVIEST, sizes
    assert page.evaluate("window.shift") <= MOST_SHIFT


@pytest.mark.parametrize("page_name", GERMAN)
def test_a_page_in_german_is_without_faults_and_as_narrow_as_a_phone(
    house: House, new_context: NewContext, session: StorageState, page_name: str
) -> None:
    context = new_context(storage_state=session, reduced_motion="reduce", locale="de-DE", viewport=NARROW)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(f"{house.address}/s/{quote(sample.STUDY)}/{page_name}")
    assert page.locator("html").get_attribute("lang") == "de"
    assert faults(page, {"type": "tag", "values": TAGS}, "german") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.evaluate("window.shift") <= MOST_SHIFT
