"""What a researcher does beyond the queue, in Chromium: any segment coded by keyboard, a list coded through."""

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from infra.storage.tables import annotations
from tests.browser import sample
from tests.browser.conftest import House, NewContext

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


def test_ticked_codes_are_merged_by_keyboard_and_the_act_is_undone(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}{BASE}/codebook")
    page.wait_for_load_state()
    before = page.get_by_role("main").get_by_role("row").count()
    for key in ("j", "x", "j", "X"):
        page.keyboard.press(key)
    expect(page.get_by_role("status").filter(has_text="2 ticked")).to_be_visible()
    page.keyboard.press("g")
    expect(page.get_by_role("button", name="Merge")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 change of the codebook")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("row")).to_have_count(before - 1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 change of the codebook")).to_be_visible()
    page.goto(f"{house.address}{BASE}/codebook")
    expect(page.get_by_role("main").get_by_role("row")).to_have_count(before)


def test_the_size_of_the_codebook_follows_the_threshold(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}{BASE}/codebook/similar")
    said = page.get_by_role("status").filter(has_text="codes become")
    while not said.is_visible():  # the labels are embedded beside the first requests
        page.reload()
    expect(said).to_contain_text("At 0.75")
    page.get_by_label("Similarity from").focus()
    page.keyboard.press("Home")
    expect(said).to_contain_text("At 0.40")


def test_a_part_is_marked_by_keyboard_and_another_over_it_with_the_mouse(house: House, page: Page) -> None:
    house.sign_in(page, "ben")
    page.goto(f"{house.address}{BASE}/documents?source=chatgpt-android-reviews")
    page.wait_for_load_state()
    words = page.locator(".words").first
    text = words.inner_text().split()
    for key in ("j", "e", "ArrowRight", "Shift+ArrowRight", "c"):
        page.keyboard.press(key)
    expect(page.get_by_text("Marked: ")).to_contain_text(" ".join(text[1:3]))
    page.get_by_label("Code c", exact=True).fill("images")  # one question, so that none is on its way when it is saved
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(words.locator("mark")).to_have_text(" ".join(text[1:3]))
    page.wait_for_load_state()
    words.locator("mark").dblclick(position={"x": 4, "y": 8})  # on its first word, and not between two
    page.get_by_label("Code c", exact=True).fill("a new part")
    expect(page.get_by_role("option", name="New code")).to_be_visible()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(words.locator("mark[data-depth='2']")).to_have_count(1)
    file = page.request.get(f"{house.address}{BASE}/spans.csv").text()
    assert file.splitlines()[1].split(",")[2] == str(len(text[0]) + 1)
    for _ in range(2):
        page.get_by_role("button", name="Remove").first.click()
        page.wait_for_url("**removed=1**")
        page.goto(f"{house.address}{BASE}/documents?source=chatgpt-android-reviews")
    expect(words.locator("mark")).to_have_count(0)


def test_a_drawing_is_saved_as_a_picture(house: House, page: Page) -> None:
    house.sign_in(page, "vic")
    page.goto(f"{house.address}{BASE}/analysis")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save code frequencies as PNG").click()
    assert download.value.suggested_filename == "code frequencies.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


_COLOURS = """async (bytes) => {
  const picture = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const { data } = pen.getImageData(0, picture.height - 60, picture.width, 60);
  const seen = new Set();
  for (let n = 0; n < data.length; n += 4) seen.add(data.slice(n, n + 4).join());
  return [...seen];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_saved_picture_has_the_names_of_its_colours_on_the_pages_ground(
    house: House, new_context: NewContext, scheme: str
) -> None:
    page = new_context(color_scheme=scheme).new_page()
    house.sign_in(page, "vic")
    page.goto(f"{house.address}{BASE}/drift")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save shares of the codes over time as SVG").click()
    drawn = Path(download.value.path()).read_text(encoding="utf-8")
    assert ">general praise</text>" in drawn
    assert f'fill="{"#ffffff" if scheme == "light" else "#1d2125"}"' in drawn
    page.goto(f"{house.address}{BASE}/?by=day")
    page.locator("#chart-codes canvas").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save codes over time as PNG").click()
    seen = page.evaluate(_COLOURS, list(Path(download.value.path()).read_bytes()))
    ground, first, second = "255,255,255" if scheme == "light" else "29,33,37", "47,127,184", "217,130,43"
    assert {f"{colour},255" for colour in (ground, first, second)} <= set(seen)
    assert all(colour.endswith(",255") for colour in seen)


@pytest.mark.parametrize("name", ["segments", "codebook"])
def test_a_column_of_ticks_is_as_wide_as_a_tick_and_what_is_ticked_stands_in_sight(
    house: House, new_context: NewContext, name: str
) -> None:
    for width in (390, 1280):
        page = new_context(viewport={"width": width, "height": 800}).new_page()
        house.sign_in(page, "lea")
        page.goto(f"{house.address}{BASE}/{name}")
        tick = page.locator("td:has(> [type=checkbox])").first
        assert tick.bounding_box()["width"] < 60
        assert tick.locator("+ *").bounding_box()["x"] < 100 or width > 390
