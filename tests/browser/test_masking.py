"""Personal data, in Chromium: previewed as it will be, masked when it is taken in, seen again by a lead alone."""

from pathlib import Path
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from schemas import Segment
from tests.browser.conftest import House

STUDY = "calls"
TEXT = "Login hangs, call me on 0170 1234567 or write to zoe@x.org"
MASKED = "Login hangs, call me on [phone 1] or write to [mail 1]"


def test_a_lead_brings_texts_in_masked_and_looks_at_one_original(house: House, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(f'id,text\nm1,"{TEXT}"\nm2,slow since 03.04.2026\n')
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/{quote(STUDY)}/export")
    page.locator("#texts-file").set_input_files(file)
    page.get_by_label("Mask personal data").select_option("patterns")
    page.locator("#texts").get_by_role("button", name="Preview").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text(MASKED, timeout=60_000)  # a file is read in a process of its own
    expect(preview).to_contain_text("1 segment masked (1 mail, 1 phone)")
    preview.get_by_role("button", name="Take in 2 segments").click()
    page.wait_for_url("**/export?taken=*", timeout=60_000)
    expect(page.get_by_text("Personal data was masked in 1 segment")).to_be_visible()
    (segment,) = (each for each in house.store.history(Segment, STUDY) if each.own_id == "m1")
    assert segment.text == MASKED

    page.goto(f"{house.address}/s/{quote(STUDY)}/segments/{segment.id}")
    expect(page.locator("#masked")).to_contain_text("1 mail, 1 phone")
    page.get_by_role("button", name="Show the original").click()
    original = page.locator("#original")
    expect(original).to_contain_text(TEXT, timeout=30_000)
    assert Axe().run(page).response["violations"] == []
    page.reload()
    expect(page.get_by_role("heading", name="Segment", level=1)).to_be_visible()
    expect(original).to_have_count(0)

    page.get_by_role("button", name="Sign out").click()
    house.sign_in(page, "ana")
    page.goto(f"{house.address}/s/{quote(STUDY)}/segments/{segment.id}")
    expect(page.locator("#masked")).to_contain_text("1 mail, 1 phone")
    expect(page.get_by_role("button", name="Show the original")).to_have_count(0)


def test_rules_say_what_is_masked_by_keyboard(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/curated/rules")
    page.locator("#masking-off").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#masking-patterns")).to_be_checked()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The rules hold")).to_be_visible(timeout=30_000)
    expect(page.locator("#masking-patterns")).to_be_checked()
    page.locator("#masking-off").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#masking-off")).to_be_checked()
