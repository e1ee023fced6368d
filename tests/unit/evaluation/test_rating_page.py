"""The page on which a rater rates codes: in a browser, from a file, to a file that the report reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from infra.experiments.rating_page import rating_page
from infra.experiments.rating_sheets import read_sheet, write_study
from models.evaluation.rating_study import SCALES, STANDS, RatedItem, in_order_for
from tests.browser.chromium import ARGUMENTS, chromium_path

HOSTILE = "</script><img src=x onerror=alert(1)> {{ 7 * 7 }}"
ITEMS = [
    RatedItem(f"a{n}{m}", f"quote {n} {HOSTILE}", f"code {m} {HOSTILE}", ("theirs",), (("ours", "human", "both")[m],))
    for n in range(2)
    for m in range(3)
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """The first rater's page, opened as a file."""
    if chromium_path() is None:
        pytest.skip("there is no Chromium; install it with `apt-get install chromium`, or run `make browser` as root")
    write_study(tmp_path, ITEMS, 1, 1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        opened = browser.new_page()
        opened.goto((tmp_path / "rater-1.html").as_uri())
        yield opened
        browser.close()


def rate(page: Page, item: str, mark: str, stands: str) -> None:
    code = page.locator(f"[data-item={item}]")
    for scale in SCALES:
        code.get_by_role("group", name=scale.capitalize()).get_by_label(mark, exact=True).check()
    code.get_by_role("group", name="Would you let it stand?").get_by_label(stands, exact=True).check()


def test_what_is_rated_in_a_browser_comes_back_as_a_sheet(page: Page, tmp_path: Path) -> None:
    rate(page, "a00", "4", "yes")
    rate(page, "a12", "2", "no")
    expect(page.get_by_role("status")).to_have_text("2 of 6 codes rated")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("2 of 6 codes rated")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "rater-1.csv"
    download.value.save_as(tmp_path / "back.csv")
    assert read_sheet(tmp_path / "back.csv", ITEMS) == {
        "a00": {**dict.fromkeys(SCALES, 4.0), STANDS: 1.0},
        "a12": {**dict.fromkeys(SCALES, 2.0), STANDS: 0.0},
    }


def test_a_code_that_is_half_rated_is_asked_about_and_may_be_cleared(page: Page) -> None:
    code = page.locator("[data-item=a01]")
    code.get_by_role("group", name="Clarity").get_by_label("3").check()
    page.get_by_role("button", name="Save as a file").click()
    expect(page.get_by_role("status")).to_contain_text("1 code has some answers missing")
    expect(code.get_by_role("group", name="Conciseness").get_by_label("1")).to_be_focused()
    code.get_by_role("button", name="Clear this code").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "rater-1.csv"


def test_texts_stand_as_they_are_and_nothing_tells_whose_a_code_is(page: Page) -> None:
    expect(page.get_by_text(f"quote 0 {HOSTILE}")).to_have_count(1)
    expect(page.get_by_role("heading", level=3)).to_have_count(6)
    assert not any(name in page.content() for name in ("ours", "theirs", "human", "both"))


def test_raters_have_pages_in_an_order_of_their_own() -> None:
    first, second = (rating_page("rater", in_order_for(n, ITEMS, 1)) for n in (1, 3))
    assert first != second
    assert len(first) == len(second)
