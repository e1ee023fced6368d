"""What a researcher does beyond the queue, in Chromium: any segment coded by keyboard, a list coded through."""

from urllib.parse import quote

from playwright.sync_api import Page, expect
from sqlalchemy import select

from infra.storage.tables import annotations
from tests.browser import sample
from tests.browser.conftest import House

BASE = f"/s/{quote(sample.STUDY)}"


def coded_by(house: House, name: str) -> list[tuple[list[str], str]]:
    query = select(annotations.c.labels, annotations.c.memo).where(annotations.c.annotator == name)
    with house.store.database.reading() as connection:
        rows = connection.execute(query.where(annotations.c.study == sample.STUDY).order_by(annotations.c.decided_at))
        return [(row.labels, row.memo) for row in rows]


def test_any_segment_is_coded_by_keyboard_and_the_next_of_the_list_follows(house: House, page: Page) -> None:
    house.sign_in(page, "ben")
    page.goto(f"{house.address}{BASE}/segments?q=app&route=accepted")
    page.get_by_role("link", name="Code these").click()
    page.wait_for_load_state()  # keys are heard when the page's scripts have run
    first = page.locator("#segment").inner_text()
    page.keyboard.press("a")
    page.keyboard.press("/")
    expect(page.get_by_label("Another code")).to_be_focused()
    page.keyboard.type("image")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.keyboard.type("both at once")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#segment")).not_to_have_text(first)
    ((labels, memo),) = coded_by(house, "ben")
    assert (len(labels), memo) == (2, "both at once")
    page.get_by_role("link", name="Stop").click()
    page.get_by_role("link", name=first[:40]).first.click()
    expect(page.get_by_role("heading", name="Your coding")).to_be_visible()
    expect(page.get_by_label("Memo")).to_have_value("both at once")
    expect(page.get_by_text("decided by people")).to_be_visible()


def test_ticked_segments_are_coded_at_once(house: House, page: Page) -> None:
    house.sign_in(page, "ana")
    page.goto(f"{house.address}{BASE}/segments")
    for box in page.get_by_label("Tick: ").all()[:3]:
        box.check()
    page.get_by_label("Code for the ticked segments").select_option(index=1)
    page.get_by_role("button", name="Code ticked").click()
    expect(page.get_by_role("status").filter(has_text="3 segments coded")).to_be_visible()
    assert len(coded_by(house, "ana")) == 3
