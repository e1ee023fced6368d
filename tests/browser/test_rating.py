"""Rating codes in Chromium: begun by a lead, rated by keyboard alone, ended, and read by the lead."""

from urllib.parse import quote

from playwright.sync_api import Page, expect

from infra.annotation.rating.rating_studies import given_ratings, items_of, list_ratings
from tests.browser import sample
from tests.browser.conftest import House, NewContext, Watch
from tests.browser.test_every_page import TAGS, faults

RATINGS = f"/s/{quote(sample.STUDY)}/ratings"
AXE = {"type": "tag", "values": TAGS}


def begin(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}{RATINGS}")
    page.get_by_label("Quotes", exact=True).fill("2")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("link", name="Rate", exact=True).first).to_be_visible()


def test_codes_are_rated_by_keyboard_alone_and_the_lead_reads_what_came(
    house: House, page: Page, new_context: NewContext
) -> None:
    begin(house, page)
    rating, *_ = list_ratings(house.store.database, sample.STUDY)
    rater = new_context(reduced_motion="reduce").new_page()
    house.sign_in(rater, "ana")
    rater.goto(f"{house.address}{RATINGS}/{rating.id}")
    for number in (1, 2):
        codes = rater.locator("[data-code]")
        expect(rater.get_by_role("heading", name="of 2")).to_be_visible()
        for key in "435y" * codes.count():
            rater.keyboard.press(key)
        expect(rater.locator("fieldset input:checked")).to_have_count(4 * codes.count())
        assert faults(rater, AXE, f"quote {number}") == []
        rater.keyboard.press("Enter")
        expect(rater.locator("fieldset input:checked")).to_have_count(0)
        rater.wait_for_load_state()  # its script is there, too
    expect(rater.get_by_role("heading", name="Nothing is left to rate")).to_be_visible()
    given = given_ratings(house.store.database, rating)
    assert len(given) == len(items_of(house.store.database, rating))
    assert {tuple(each.marks.values()) for each in given} == {(4.0, 3.0, 5.0, 1.0)}
    page.goto(f"{house.address}{RATINGS}/{rating.id}/results")
    expect(page.get_by_role("heading", name="Whose codes got what")).to_have_count(0)
    page.get_by_role("button", name="End the rating").click()
    page.get_by_role("button", name="Go on").click(no_wait_after=True)
    heading = page.get_by_role("heading", name="Whose codes got what")
    expect(heading).to_be_visible(timeout=120_000)  # the first page with statistics takes long on a busy machine
    assert faults(page, AXE, "results") == []


def test_a_code_that_is_half_rated_is_asked_about_and_may_be_cleared(house: House, page: Page, watch: Watch) -> None:
    watch.expect("status of 422")
    begin(house, page)
    rating, *_ = list_ratings(house.store.database, sample.STUDY)
    page.goto(f"{house.address}{RATINGS}/{rating.id}")
    code = page.locator("[data-code]").first
    code.get_by_role("group", name="Clarity").get_by_label("3").check()
    page.get_by_role("button", name="Save and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("has some answers and not all")
    expect(code.get_by_role("group", name="Clarity").get_by_label("3")).to_be_checked()
    code.get_by_role("button", name="Clear this code").click()
    page.get_by_role("button", name="Save and go on").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert given_ratings(house.store.database, rating) == []
