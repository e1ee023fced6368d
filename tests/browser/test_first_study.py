"""From a file to one's own coded interview and reviews, on the page alone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from infra.accounts.accounts import EVERYWHERE
from tests.browser.conftest import PASSWORD, House
from tests.browser.test_every_page import TAGS, faults

INTERVIEW = """Interviewer: What is hardest about nights?
Petra: The loneliness. Nobody talks to you, and you decide alone.
Interviewer: And the days?
Petra: I never sleep more than four hours.
Petra: My sister helps me with the kids.
"""
CUES = """WEBVTT

00:00:01.000 --> 00:00:03.000
<v Dr. Weber>What would help?

00:00:04.000 --> 00:00:08.000
<v Aylin>A third person. It is that simple.

00:00:09.000 --> 00:00:10.000
<v Dr. Weber>And until then?

00:00:11.000 --> 00:00:14.000
<v Aylin>We help each other.
"""
DROP = """([form, files]) => {
  const dropped = new DataTransfer();
  for (const [name, text] of files) dropped.items.add(new File([text], name));
  form.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""
REVIEWS = "id,text,stars\n1,The app crashes at start,1\n2,Too dear for what it does,2\n3,Support was kind,5\n"


@pytest.fixture(scope="module")
def beginner(house: House) -> str:
    """Somebody who may begin studies."""
    account = house.accounts.create("petra")
    house.accounts.set_password(account, PASSWORD)
    house.accounts.grant(account, EVERYWHERE, "lead")
    return "petra"


def begin(house: House, page: Page, name: str, file: Path) -> None:
    page.goto(f"{house.address}/studies/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("group", name="What does this study hold?")).to_be_visible(timeout=60_000)


def test_an_interview_is_brought_in_read_in_its_order_and_coded_without_a_terminal(
    house: House, page: Page, beginner: str, tmp_path: Path
) -> None:
    file = tmp_path / "nights.txt"
    file.write_text(INTERVIEW)
    house.sign_in(page, beginner)
    begin(house, page, "first interviews", file)
    expect(page.get_by_label("Interviews or other documents")).to_be_checked()
    page.get_by_role("button", name="Take in 3 segments").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    house.until(lambda: house.store.counts("first interviews").people == 3)
    page.get_by_role("link", name="Queue", exact=True).click()
    for words in ("The loneliness", "I never sleep", "My sister"):
        expect(page.locator("#segment")).to_contain_text(words)
        page.get_by_role("button", name="Skip until tomorrow").click()
    page.get_by_role("link", name="Documents", exact=True).click()
    page.get_by_role("link", name="nights.txt").click()
    expect(page.get_by_text("I never sleep more than four hours.")).to_be_visible()


def test_reviews_are_brought_in_and_coded_by_models_and_narrowed_on_the_overview(
    house: House, page: Page, beginner: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(REVIEWS)
    house.sign_in(page, beginner)
    begin(house, page, "first reviews", file)
    expect(page.get_by_label("Reviews, survey answers")).to_be_checked()
    page.get_by_role("button", name="Take in 3 segments").click()
    house.until(lambda: house.store.counts("first reviews").routed == 3)
    page.reload()
    expect(page.get_by_text("No segment says when it was said")).to_be_visible()
    page.get_by_text("Part of the study").click()
    page.get_by_label("Attribute").select_option("stars")
    page.get_by_label("is", exact=True).fill("5")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Part of the study: 1 segment")).to_be_visible()


def test_several_interviews_are_dropped_on_the_form_and_a_file_that_cannot_be_read_loses_no_other(
    house: House, page: Page, beginner: str, tmp_path: Path
) -> None:
    chosen = tmp_path / "petra.txt"
    chosen.write_text(INTERVIEW)
    house.sign_in(page, beginner)
    page.goto(f"{house.address}/studies/new")
    page.get_by_label("Name").fill("three interviews")
    page.get_by_label("Files").set_input_files(chosen)
    form = page.locator("form", has=page.get_by_label("Files")).element_handle()
    page.evaluate(DROP, [form, [["aylin.vtt", CUES], ["talk.mp3", "no text"]]])
    expect(page.get_by_text("3 files: petra.txt, aylin.vtt, talk.mp3")).to_be_visible()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Preview of 3 files")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("alert")).to_contain_text("talk.mp3: a format that is not read")
    expect(page.get_by_role("row", name="aylin.vtt")).to_contain_text("'Dr. Weber' asks")
    assert faults(page, {"type": "tag", "values": TAGS}, "several files") == []
    page.get_by_role("button", name="Take in 5 segments").click()
    page.get_by_role("main").get_by_role("link", name="Documents").click()
    for name in ("petra.txt", "aylin.vtt"):
        expect(page.get_by_role("main").get_by_role("link", name=name)).to_be_visible()
