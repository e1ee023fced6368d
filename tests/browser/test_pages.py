"""How the pages look and bear load: names, contrast, width, keyboard, and a stream of 200 segments a second."""

import random
import threading
import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from infra.accounts.accounts import EVERYWHERE
from schemas import Assignment, Record, Segment
from schemas.ids import code_id, segment_id
from tests.browser import sample
from tests.browser.conftest import PASSWORD, House, NewContext, Watch
from tests.browser.looks import faults, tab_stops
from tests.web.site import HOSTILE

PAGES = (
    "",
    "queue",
    "codebook",
    "codebook/new",
    "codebook/history",
    "segments",
    "coding",
    "analysis",
    "analysis/groups",
    "documents",
    "agreement",
    "classifier",
    "drift",
    "rules",
    "export",
)
VIEWS = (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360))


def coded(n: int, study: str, text: str = "", label: str = "") -> list[Record]:
    """A segment with its code, as the stream would bring it."""
    text, label = text or f"opinion number {n} about a screen", label or f"opinion {n % 12}"
    segment = Segment(id=segment_id(study, "load", str(n)), study=study, text=text, source="load")
    given = Assignment(
        segment_id=segment.id,
        study=study,
        code_id=code_id(study, label),
        label=label,
        proposed=label,
        new=False,
        similarity=0.9,
        why="near enough",
        verdict="consensus",
        confidence=0.9,
        route="accepted",
        assigned_at=datetime.now(UTC),
    )
    return [segment, given]


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
def test_pages_have_names_contrast_and_width(house: House, new_context: NewContext, scheme: str, width: int) -> None:
    page = new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
    found = {}
    page.goto(f"{house.address}/signin")
    found["signin"] = faults(page)
    house.sign_in(page, "lea")
    for study in (sample.STUDY, "nothing yet"):
        for path in PAGES:
            page.goto(f"{house.address}/s/{study}/{path}")
            found[f"{study}/{path}"] = faults(page)
    for path in ("/", "/account"):
        page.goto(house.address + path)
        found[path] = faults(page)
    page = new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
    runs_it = f"runs it {scheme} {width}"
    account = house.accounts.create(runs_it)
    house.accounts.set_password(account, PASSWORD)
    house.accounts.grant(account, EVERYWHERE, "admin")
    house.accounts.keys.make_token(account, "nightly")
    house.sign_in(page, runs_it)
    for path in ("/people", "/audit", "/account"):
        page.goto(house.address + path)
        found[path] = faults(page)
    assert {path: what for path, what in found.items() if what} == {}


def test_the_tab_key_reaches_what_a_page_is_for(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    for path, wanted in (
        ("codebook", "New code"),
        ("segments", "Search"),
        ("export", "Export labels"),
        ("codebook/new", "Create the code"),
    ):
        page.goto(f"{house.address}/s/app%20reviews/{path}")
        stops = tab_stops(page)
        assert stops[0] == "Skip to the content"
        assert wanted in stops, f"{path}: {stops}"


def test_on_a_phone_the_navigation_is_scrolled_to_where_one_is(house: House, new_context: NewContext) -> None:
    page = new_context(viewport={"width": 360, "height": 700}).new_page()
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/app%20reviews/drift")
    expect(page.get_by_role("navigation").get_by_role("link", name="Drift")).to_be_in_viewport(ratio=1)


def test_keys_are_explained_and_the_dialog_closes(house: House, page: Page) -> None:
    house.sign_in(page, "ana")
    page.goto(f"{house.address}/s/app%20reviews/queue")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("decide and go on")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_viewer_sees_no_queue_and_is_told_why(house: House, page: Page, watch: Watch) -> None:
    watch.expect("403")
    house.sign_in(page, "vic")
    page.goto(f"{house.address}/s/app%20reviews/")
    expect(page.get_by_role("navigation", name="Study app reviews").get_by_role("link", name="Queue")).to_have_count(0)
    page.goto(f"{house.address}/s/app%20reviews/queue")
    expect(page.get_by_role("main")).to_contain_text("Role 'annotator' is needed here")


def test_text_that_would_run_stays_text(house: House, page: Page) -> None:
    for n, text in enumerate(HOSTILE):
        house.store.record(coded(n, "hostile", text, text[:80]))
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    house.sign_in(page, "lea")
    for path in ("", "segments", "codebook", f"segments/{segment_id('hostile', 'load', '0')}"):
        page.goto(f"{house.address}/s/hostile/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_timeout(300)  # handlers of errors and loads would have run by then
    expect(page.get_by_role("main")).to_contain_text("<script>alert(1)</script>")
    assert asked == []


def test_who_leads_a_study_chooses_where_codes_come_from_and_that_people_code_everything(
    house: House, page: Page
) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/nothing%20yet/rules")
    expect(page.get_by_role("radio", name="From the texts (inductive)")).to_be_checked()
    page.get_by_role("radio", name="From the codebook only (deductive)").check()
    page.get_by_role("radio", name="Never: people code everything").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The rules hold for the next segments")).to_be_visible()
    expect(page.get_by_role("radio", name="From the codebook only (deductive)")).to_be_checked()
    expect(page.get_by_role("radio", name="Never: people code everything")).to_be_checked()
    expect(page.get_by_text("The codebook has no codes yet, so every segment goes to people.")).to_be_visible()
    page.goto(f"{house.address}/s/nothing%20yet/queue")
    expect(page.get_by_text("Every segment comes here as soon as the models have read it.")).to_be_visible()


def test_what_cannot_be_undone_is_asked_for_first(house: House, page: Page) -> None:
    house.sign_in(page, "vic")
    page.goto(f"{house.address}/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Sign out of every browser")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.get_by_role("button", name="Sign out everywhere").click()
    dialog.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_what_asks_first_asks_although_the_other_scripts_are_not_there_yet(
    house: House, page: Page, watch: Watch
) -> None:
    watch.expect("net::ERR_FAILED")
    house.sign_in(page, "ana")
    for late in ("app", "htmx.min"):
        page.route(f"**/static/{late}.js", lambda route: route.abort())
    page.goto(house.address + "/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("dialog")).to_contain_text("Sign out of every browser")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(house.address + "/account")


def test_times_are_shown_in_the_readers_own_zone(house: House, new_context: NewContext) -> None:
    page = new_context(timezone_id="Asia/Tokyo").new_page()
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/app%20reviews/rules")
    expect(page.get_by_text("Set by Ana")).to_contain_text("9 Nov 2026, 17:00")  # 08:00 UTC


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_day_that_a_file_says_is_that_day_wherever_it_is_read(
    house: House, new_context: NewContext, zone: str
) -> None:
    times = {"day": datetime(2026, 11, 3, tzinfo=UTC), "time": datetime(2026, 11, 3, 23, 30, tzinfo=UTC)}
    made = [
        Segment(id=segment_id("calls", "f", k), study="calls", text=k, source="f", timestamp=at)
        for k, at in times.items()
    ]
    house.store.take_in(made)
    page = new_context(timezone_id=zone).new_page()
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/calls/segments?since=2026-11-03&until=2026-11-03")
    expect(page.locator("time[data-kept]")).to_have_text(["3 Nov 2026, 23:30 UTC", "3 Nov 2026"])


def test_the_legend_of_codes_over_time_has_figures_without_a_mouse(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/app%20reviews/")
    legend = page.locator("#chart-codes .u-legend")
    expect(legend).to_contain_text("Time")
    expect(legend).not_to_contain_text("--")


def test_the_overview_keeps_up_with_two_hundred_segments_a_second(house: House, page: Page) -> None:
    seconds, rate, step = 10, 200, 0.2
    house.store.record([record for n in range(100) for record in coded(n, "live")])
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/live/")
    expect(page.get_by_text("Live.")).to_be_visible()
    page.evaluate(
        "() => { let last = performance.now(); window.longest = 0; const beat = (now) => {"
        "window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(beat); };"
        "requestAnimationFrame(beat); }"
    )

    def feed() -> None:
        began, n, each = time.monotonic(), 100, int(rate * step)
        while n < 100 + seconds * rate:
            house.store.record([record for k in range(n, n + each) for record in coded(k, "live")])
            n += each
            threading.Event().wait(max(0.0, began + (n - 100) / rate - time.monotonic()))

    feeding = threading.Thread(target=feed)
    began = time.monotonic()
    feeding.start()
    clicks = []
    while feeding.is_alive():  # the page answers a click all the while
        asked = time.monotonic()
        page.get_by_role("button", name="Pause").click()
        clicks.append(time.monotonic() - asked)
        page.wait_for_timeout(500 + random.Random(len(clicks)).randrange(200))
    took = time.monotonic() - began
    if page.get_by_role("button", name="Pause").get_attribute("aria-pressed") == "true":
        page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-count=coded]")).to_have_text("2,100", timeout=15_000)
    elements = page.evaluate("document.querySelectorAll('*').length")
    longest = page.evaluate("window.longest")
    print(
        f"{seconds * rate} segments in {took:.1f} s: longest gap between frames {longest:.0f} ms, slowest click "
        f"{max(clicks) * 1000:.0f} ms, {elements} elements"
    )
    assert elements < 1500
