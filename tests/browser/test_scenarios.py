"""What people do on the page, in Chromium, over a running stack with fake models."""

import csv
import io
import re
import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, expect
from sqlalchemy import Table, func, select

from infra.storage.tables import annotations, assignments, requests
from schemas import Segment
from schemas.ids import segment_id
from tests.browser import sample
from tests.browser.conftest import PASSWORD, House, NewContext
from tests.integration.stack import STUDY


def test_the_one_time_link_sets_the_admins_password_and_works_once(house: House, page: Page) -> None:
    page.goto(house.link)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password and sign in").click()
    expect(page.get_by_role("heading", name="Studies", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    house.sign_in(page, "admin")
    page.get_by_role("button", name="Sign out").click()
    answer = page.request.get(house.link)
    assert answer.status == 404
    assert "does not work any more" in answer.text()


def test_ten_segments_are_labelled_with_two_key_presses_each(house: House, page: Page) -> None:
    # Labels that share two words of three: near to each other, so that the system is not sure of any but the first.
    house.store.take_in([said_text(STUDY, f"login screen v{n}") for n in range(16)])
    house.until(lambda: count(house, requests, STUDY) >= 12)
    took: list[float] = []
    page.on("requestfinished", lambda r: took.append(waited(r.timing)) if r.url.endswith("/decide") else None)
    house.sign_in(page, "ana")
    page.goto(address(house, STUDY, "queue"))
    read = []
    for _ in range(10):
        read.append(page.locator("#segment").inner_text())
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        expect(page.locator("#segment")).not_to_have_text(read[-1])
    said = all_said(house, STUDY)
    assert len(set(read)) == len(said) == 10
    assert all(one.annotator == "ana" and one.accepted and one.seconds is not None for one in said)
    print(f"a decision took the page {statistics.median(took):.0f} ms (median), {max(took):.0f} ms at most")


def test_a_decision_is_taken_back_with_one_key(house: House, page: Page) -> None:
    house.store.take_in([said_text(STUDY, f"login screen b{n}") for n in range(8)])
    house.until(lambda: waiting(house, STUDY) >= 2)
    house.sign_in(page, "ben")
    page.goto(address(house, STUDY, "queue"))
    text = page.locator("#segment").inner_text()
    page.keyboard.press("n")
    page.keyboard.type("a slip of the pen")
    page.keyboard.press("Enter")
    expect(page.locator("#segment")).not_to_have_text(text)
    expect(page.get_by_text("Your last decision")).to_contain_text("a slip of the pen")
    page.keyboard.press("z")
    expect(page.locator("#segment")).to_have_text(text)
    mine = [one for one in all_said(house, STUDY) if one.annotator == "ben"]
    assert [one.withdrawn for one in sorted(mine, key=lambda one: one.decided_at)] == [False, True]


def test_the_next_matching_segment_takes_the_merged_code_until_the_merge_is_undone(house: House, page: Page) -> None:
    first, second, third = (f"login screen freezes {when}" for when in ("daily", "weekly", "rarely"))
    house.store.take_in([said_text("curated", first)])
    house.until(lambda: coded_as(house, "curated", first) == "login screen freezes")
    house.sign_in(page, "lea")

    page.goto(address(house, "curated", "codebook"))
    page.get_by_role("link", name="New code").click()
    page.get_by_label("Label").fill("cannot get in")
    page.get_by_label("Definition").fill("People cannot reach what is theirs.")
    page.get_by_label("Reason").fill("seen in the interviews")
    page.get_by_role("button", name="Create the code").click()
    expect(page.get_by_role("heading", name="cannot get in", level=1)).to_be_visible()

    page.get_by_role("link", name="Codebook", exact=True).first.click()
    page.get_by_role("main").get_by_role("link", name="login screen freezes").click()
    page.get_by_role("link", name="Merge into another code").click()
    page.get_by_label("cannot get in").check()
    page.get_by_label("Reason").fill("one of many ways")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Merged")).to_be_visible()
    merged, began = page.url.partition("?")[0], time.monotonic()

    house.store.take_in([said_text("curated", second)])
    house.until(lambda: coded_as(house, "curated", second) is not None)
    assert coded_as(house, "curated", second) == "cannot get in"
    print(f"the next segment had the merged code {time.monotonic() - began:.1f} s after it was taken in")
    page.goto(address(house, "curated", f"segments/{said_text('curated', second).id}"))
    expect(page.get_by_role("main").get_by_role("link", name="cannot get in").first).to_be_visible()

    page.goto(merged)
    page.get_by_role("button", name=re.compile("Undo: .*merged", re.IGNORECASE)).click()
    expect(page.get_by_role("status").filter(has_text="Taken back")).to_be_visible()
    expect(page.get_by_role("table").last).to_contain_text("one of many ways")
    house.store.take_in([said_text("curated", third)])
    house.until(lambda: coded_as(house, "curated", third) is not None)
    assert coded_as(house, "curated", third) == "login screen freezes"


def test_two_people_code_blind_a_lead_adjudicates_and_the_export_says_who_and_when(
    house: House, new_context: NewContext, tmp_path: Path
) -> None:
    answers = {
        "the bus was late again today": ("waiting", "waiting"),
        "nobody told us about the strike": ("no news", "no news"),
        "crowded wagons every single morning": ("crowds", "waiting"),
    }
    house.store.take_in([said_text("pairs", text) for text in answers])
    house.until(lambda: count(house, requests, "pairs") == len(answers))
    for n, person in enumerate(("ana", "ben")):
        page = new_context().new_page()
        house.sign_in(page, person)
        code_blind(page, address(house, "pairs", "queue"), {text: both[n] for text, both in answers.items()})

    lead = new_context(accept_downloads=True).new_page()
    house.sign_in(lead, "lea")
    lead.goto(address(house, "pairs", "agreement"))
    table = lead.get_by_role("table", name="Segments that people coded differently")
    expect(table.get_by_role("link")).to_have_count(1)
    table.get_by_role("link", name="crowded wagons every single morning").click()
    expect(lead.get_by_role("main")).to_contain_text("ana: crowds")
    expect(lead.get_by_role("main")).to_contain_text("ben: waiting")
    lead.get_by_role("checkbox", name="crowds").check()
    lead.get_by_label("Why").fill("the crowd is what it is about")
    lead.get_by_role("button", name="Settle", exact=True).click()
    expect(lead.get_by_text("lea settled it")).to_be_visible()
    lead.goto(address(house, "pairs", "agreement"))
    expect(lead.get_by_text("settled", exact=False).first).to_be_visible()

    lead.goto(address(house, "pairs", "export"))
    with lead.expect_download() as download:
        lead.get_by_role("button", name="Export labels").click()
    download.value.save_as(tmp_path / "labels.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "labels.csv").read_text(encoding="utf-8-sig"))))
    assert sorted(row["annotator"] for row in rows) == ["ana"] * 3 + ["ben"] * 3 + ["lea"]
    assert all(datetime.fromisoformat(row["decided_at"]).tzinfo for row in rows)


def code_blind(page: Page, queue: str, answers: dict[str, str]) -> None:
    """Give each segment its code; what the system says is not there before."""
    page.goto(queue)
    for _ in answers:
        expect(page.get_by_text("read blind")).to_be_visible()
        expect(page.get_by_role("group", name="The system's code")).to_have_count(0)
        text = page.locator("#segment").inner_text()
        page.keyboard.press("n")
        page.keyboard.type(answers[text])
        page.keyboard.press("Enter")
        expect(page.get_by_text("Your code is kept")).to_contain_text(answers[text])
        page.keyboard.press("Enter")
        expect(page.get_by_text("Your code is kept")).to_have_count(0)
    expect(page.get_by_role("heading", name="Nothing is waiting for you")).to_be_visible()


def test_a_lead_looks_at_the_classifier_asks_why_and_goes_back(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(address(house, sample.STUDY, "segments?q=images"))
    page.get_by_role("main").get_by_role("table").get_by_role("link").first.click()
    page.get_by_role("link", name="Why?").first.click()
    expect(page.get_by_role("heading", name="Why “")).to_be_visible(timeout=60_000)  # the classifier is loaded first
    expect(page.get_by_role("main")).to_contain_text("Of everything that the words add or take away")
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table", name="Words and what they add")).to_be_visible()
    page.get_by_role("link", name="Classifier").click()
    history = page.get_by_role("table", name="Every release and refusal")
    serves = history.get_by_role("row").filter(has_text="serves")
    expect(serves).to_contain_text("85")
    expect(page.locator("[data-curve] canvas")).to_be_visible()
    for labels in ("66", "85"):  # back, and forward again
        history.get_by_role("row").filter(has_text=labels).get_by_role("button", name="Go back to it").click()
        page.get_by_role("dialog").get_by_role("button", name="Go on").click()
        expect(page.get_by_text("The coders take it over")).to_be_visible()
        expect(serves).to_have_count(1)
        expect(serves).to_contain_text(labels)
        expect(serves).to_contain_text("lea: back to it from")


def test_a_lead_sees_what_changed_and_sees_to_it(house: House, page: Page) -> None:
    house.sign_in(page, "lea")
    page.goto(address(house, sample.STUDY, "drift"))
    alert = page.get_by_role("article").filter(has_text="price and limits")
    expect(alert).to_contain_text("what people say changed")
    expect(page.get_by_role("img", name="Shares of the codes over time")).to_be_visible()
    expect(page.get_by_role("img", name="Texts in two dimensions, before and after")).to_be_visible(timeout=30_000)
    alert.get_by_label("Note").fill("the new prices")
    alert.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("No change waits for anybody")).to_be_visible()
    expect(alert).to_contain_text("Acknowledged by lea")
    expect(alert).to_contain_text("the new prices")
    alert.get_by_role("button", name="Open again").click()
    expect(alert.get_by_role("button", name="Acknowledge")).to_be_visible()


def address(house: House, study: str, path: str) -> str:
    """Where a page of a study is."""
    return f"{house.address}/s/{quote(study)}/{path}"


def said_text(study: str, text: str) -> Segment:
    """A segment of this text."""
    return Segment(id=segment_id(study, "test", text), study=study, text=text, source="test")


def coded_as(house: House, study: str, text: str) -> str | None:
    """The code of the segment with this text, once it is routed."""
    query = select(assignments.c.label).where(
        assignments.c.segment_id == said_text(study, text).id, assignments.c.route.is_not(None)
    )
    with house.store.database.reading() as connection:
        return connection.execute(query).scalar_one_or_none()


def waiting(house: House, study: str) -> int:
    """Segments that people are asked about and nobody has coded."""
    query = select(func.count()).select_from(requests).where(requests.c.study == study, requests.c.lacks > 0)
    with house.store.database.reading() as connection:
        return connection.execute(query).scalar_one()


def count(house: House, table: Table, study: str) -> int:
    """Rows of a study."""
    with house.store.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table).where(table.c.study == study)).scalar_one()


def all_said(house: House, study: str) -> list[Any]:
    """What people said, every word of it."""
    with house.store.database.reading() as connection:
        return list(connection.execute(select(annotations).where(annotations.c.study == study)))


def waited(timing: Any) -> float:
    """Milliseconds from the request to the first byte of its answer."""
    return float(timing["responseStart"] - timing["requestStart"])
