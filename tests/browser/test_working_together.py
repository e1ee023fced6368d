"""What people do together, in Chromium: memos, comments, codes dragged onto each other, a threshold for the models."""

from playwright.sync_api import Locator, Page, expect

from tests.browser import sample
from tests.browser.conftest import House, NewContext
from tests.browser.test_research import BASE
from tests.browser.test_scenarios import all_said, coded_as, said_text

CODEBOOK = f"{BASE}/codebook"


def memos(page: Page) -> Locator:
    return page.get_by_role("region", name="Memos")


def test_a_memo_on_a_document_is_written_changed_and_deleted(house: House, page: Page) -> None:
    house.sign_in(page, "ben")
    page.goto(f"{house.address}{BASE}/documents?source={sample.segments()[0].source}")
    page.wait_for_load_state()
    memos(page).get_by_text("Write a memo").click()
    memos(page).get_by_label("Memo", exact=True).last.fill("a lively crowd\nfrom everywhere")
    memos(page).get_by_role("button", name="Save memo").click()
    expect(memos(page).locator(".written")).to_have_text("a lively crowd from everywhere")
    memos(page).get_by_text("Edit").click()
    memos(page).get_by_label("Memo", exact=True).first.fill("a crowd of students")
    memos(page).get_by_role("button", name="Save", exact=True).click()
    expect(memos(page)).to_contain_text("changed")
    expect(memos(page).locator(".written")).to_have_text("a crowd of students")
    memos(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Go on").click()
    expect(memos(page)).to_contain_text("None yet")


def test_two_coders_settle_a_question_about_a_segment_and_the_lead_sees_it_open_until_then(
    house: House, new_context: NewContext
) -> None:
    ana, ben, lea = (new_context().new_page() for _ in range(3))
    for page, name in ((ana, "ana"), (ben, "ben"), (lea, "lea")):
        house.sign_in(page, name)
    ana.goto(f"{house.address}{BASE}/segments?route=accepted")
    ana.get_by_role("main").get_by_role("table").get_by_role("link").first.click()
    ana.wait_for_load_state()
    comments = ana.get_by_role("region", name="Comments")
    comments.get_by_text("Write a comment").click()
    comments.get_by_label("Comment").fill("praise or a wish?")
    ana.keyboard.press("Control+Enter")  # keys of the coding panel are not heard while something is written
    expect(comments.get_by_label("Comment")).to_have_value("praise or a wish?")
    comments.get_by_role("button", name="Send").click()
    expect(comments.get_by_text("praise or a wish?").first).to_be_visible()

    lea.goto(f"{house.address}{BASE}/")
    lea.get_by_role("link", name="open comment").click()
    expect(lea.get_by_role("article")).to_contain_text("praise or a wish?")

    ben.goto(ana.url)
    answers = ben.get_by_role("region", name="Comments")
    answers.get_by_text("Answer").first.click()
    answers.get_by_label("Answer").fill("a wish, I think")
    answers.get_by_role("button", name="Send").first.click()
    expect(answers.get_by_text("a wish, I think").first).to_be_visible()

    lea.reload()
    expect(lea.get_by_role("article")).to_contain_text("a wish, I think")
    lea.get_by_role("button", name="Mark as settled").click()
    expect(lea.get_by_role("heading", name="Nothing is open")).to_be_visible()
    lea.get_by_role("link", name="All", exact=True).click()
    expect(lea.get_by_role("article")).to_contain_text("settled by lea")
    ana.reload()
    comments.get_by_role("button", name="Delete").click()
    ana.get_by_role("button", name="Go on").click()
    expect(comments).to_contain_text("(deleted)")


def row(page: Page, label: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("checkbox", name=f"Tick: {label}", exact=True))


def codes(page: Page) -> int:
    return page.get_by_role("checkbox", name="Tick: ").count()


def test_a_code_is_dragged_onto_another_and_one_click_takes_the_merge_back(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(f"{house.address}{CODEBOOK}")
    page.wait_for_load_state()
    before = codes(page)
    row(page, "voice").drag_to(row(page, "images"))
    expect(page.get_by_role("dialog")).to_contain_text("Merge “voice” into “images”?")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").filter(has_text="0 ticked")).to_be_visible()
    row(page, "voice").drag_to(row(page, "images"))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("1 change of the codebook")).to_be_visible()
    expect(row(page, "voice")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 change of the codebook")).to_be_visible()
    page.goto(f"{house.address}{CODEBOOK}")
    expect(page.get_by_role("checkbox", name="Tick: ")).to_have_count(before)


def test_a_code_is_dragged_onto_a_theme_s_heading_and_stands_under_it(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.set_viewport_size({"width": 1280, "height": 2400})  # both are in sight: nothing scrolls while it is dragged
    page.goto(f"{house.address}{CODEBOOK}")
    page.wait_for_load_state()
    theme = page.locator("section").filter(has=page.get_by_role("heading", name="Access"))
    expect(theme.get_by_role("link", name="company")).to_have_count(0)
    row(page, "company").drag_to(page.get_by_role("heading", name="Access"))
    expect(page.get_by_text("1 change of the codebook")).to_be_visible()
    expect(theme.get_by_role("link", name="company")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    page.goto(f"{house.address}{CODEBOOK}")
    expect(theme.get_by_role("link", name="company")).to_have_count(0)


def test_new_rules_are_applied_to_what_is_coded_already_and_a_coder_gets_it(house: House, page: Page) -> None:
    house.store.take_in([said_text("before", f"{word} is broken") for word in ("lift", "door", "lamp")])
    house.until(lambda: house.store.counts("before").accepted == 3)
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/before/rules")
    page.get_by_label("Never:").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Apply them to what is coded already").click()
    expect(page.get_by_text("Of 3 coded segments 3 would be asked about.")).to_be_visible()
    page.get_by_role("button", name="Ask people about 3 segments").click()
    expect(page.get_by_role("status").filter(has_text="People are asked about 3 segments.")).to_be_visible()
    expect(page.get_by_text("Of 3 coded segments 0 would be asked about.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    house.sign_in(page, "ana")
    page.goto(f"{house.address}/s/before/queue")
    first = page.locator("#segment").inner_text()
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator("#segment")).not_to_have_text(first)
    house.until(lambda: len(all_said(house, "before")) == 1)


def test_a_threshold_that_a_lead_sets_holds_for_segments_to_come(house: House, page: Page) -> None:
    def code_of_next(number: int) -> str | None:
        text = f"search field v{number}"
        house.store.take_in([said_text("reuse", text)])
        house.until(lambda: coded_as(house, "reuse", text) is not None)
        return coded_as(house, "reuse", text)

    assert [code_of_next(1), code_of_next(2)] == ["search field v1"] * 2  # near enough, as the profile has it
    house.sign_in(page, "lea")
    page.goto(f"{house.address}/s/reuse/codebook/similar?threshold=0.99")
    page.get_by_role("button", name="Use 0.99 for segments to come").click()
    expect(page.get_by_role("status").filter(has_text="from a similarity of 0.99")).to_be_visible()
    later = (code_of_next(number) for number in range(3, 30))
    assert next((code for code in later if code != "search field v1"), None) is not None  # the refiner has heard of it
    page.get_by_role("button", name="Back to the default").click()
    expect(page.get_by_text("the default").first).to_be_visible()
