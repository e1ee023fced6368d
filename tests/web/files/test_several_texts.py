"""Several files brought in at once: each a document of its own, and what one is refused for loses no other."""

import re
from io import BytesIO

import pytest
from docx import Document

from infra.files import sandbox
from tests.web.site import STUDY, visit

FIRST = "I: How was it?\nPetra: We waited three hours.\nI: And then?\nPetra: Nobody came.\n"
SECOND = "Interviewer: Why did you leave?\nBen: The pay was low.\nInterviewer: What else?\nBen: The nights.\n"
CUES = """WEBVTT

00:00:01.000 --> 00:00:03.000
<v Anna>What helped?

00:00:04.000 --> 00:00:08.000
<v Zoe>My sister.
"""


def word(text: str) -> bytes:
    document, whole = Document(), BytesIO()
    for line in text.splitlines():
        document.add_paragraph(line)
    document.save(whole)
    return whole.getvalue()


def send(client, files, path=f"/s/{STUDY}/texts", **form):
    sent = [("file", (name, body.encode() if isinstance(body, str) else body)) for name, body in files.items()]
    return client.post(path, data=form, files=sent, follow_redirects=False)


def confirm(client, page):
    return client.post(re.search(r'action="(/s/[^"]+/texts/[0-9a-f-]+)"', page.text)[1], follow_redirects=False)


def kept(site, study=STUDY):
    return {(row["source"], row["text"]) for row in site.store.rows(study)}


INTERVIEWS = {"first.docx": word(FIRST), "second.txt": SECOND, "third.vtt": CUES}


def test_each_file_is_shown_as_it_is_read_and_all_are_taken_in_as_documents_of_their_own(site):
    client = visit(site, "lead")
    page = send(client, INTERVIEWS, interviewer="I, Interviewer, Anna")
    assert "Preview of 3 files" in page.text
    for words in (
        "4 turns of &#39;I&#39; (2), &#39;Petra&#39; (2)",
        "&#39;Interviewer&#39; asks",
        "Interviewer: I, Interviewer, Anna",
    ):
        assert words in page.text
    assert kept(site) == set()
    assert confirm(client, page).headers["location"].endswith("?taken=5&changed=0")
    assert kept(site) == {
        ("first.docx", "We waited three hours."),
        ("first.docx", "Nobody came."),
        ("second.txt", "The pay was low."),
        ("second.txt", "The nights."),
        ("third.vtt", "My sister."),
    }


def test_a_study_of_interviews_begins_with_several_files(site):
    client = visit(site, "lead", study="")
    page = send(client, INTERVIEWS, "/studies/new", name="nights", unit="sentence")
    assert re.search(r'id="kind-interviews" name="kind" value="interviews" checked', page.text)
    assert "Interviews are cut into sentences" in page.text
    action = re.search(r'action="(/s/nights/texts/[0-9a-f-]+)"', page.text)[1]
    client.post(action, data={"kind": "interviews"})
    assert {source for source, _ in kept(site, "nights")} == set(INTERVIEWS)


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("talk.mp3", b"\xff\xfb\x90", "have it transcribed first"),
        ("broken.docx", b"PK\x03\x04 no more", "not a Word document"),
        ("empty.txt", b"", "empty"),
        ("figures.csv", b"a,b\n1,2\n", "no column of text among"),
        ("first.docx", b"I: Why?\nB: So.\n", "another file of this name is among them"),
        ("copy.docx", INTERVIEWS["first.docx"], "it is the same as &#39;first.docx&#39;"),
        ("bomb.json", b'{"text": ' + b"[" * 3_000_000, "bomb.json"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_the_others_are_taken_in(site, name, body, why):
    client = visit(site, "lead")
    sent = [("file", each) for each in [*INTERVIEWS.items(), (name, body)]]
    page = client.post(f"/s/{STUDY}/texts", files=sent)
    assert "1 file is not taken in; the others are" in page.text
    assert why in page.text
    confirm(client, page)
    assert {source for source, _ in kept(site)} == set(INTERVIEWS)


def test_where_no_file_can_be_read_each_says_why_and_nothing_is_kept(site):
    answer = send(visit(site, "lead"), {"a.mp3": b"x", "b.csv": "a,b\n1,2\n"})
    assert answer.status_code == 422
    assert "one of the 2 files can be read" in answer.text
    assert "have it transcribed first" in answer.text
    assert "no column of text among" in answer.text
    assert [path for path in (site.settings.data_dir / "imports").rglob("*") if path.is_file()] == []


def test_columns_that_are_named_hold_for_all_tables_and_no_document(site):
    tables = {f"{month}.csv": f"key,note,comment\n1,x,{month} was loud\n" for month in ("may", "june")}
    client = visit(site, "lead")
    page = send(client, tables | {"talk.txt": FIRST}, text_column="comment", id_column="key")
    assert "the columns that were named are for tables" in page.text
    confirm(client, page)
    assert ("may.csv", "may was loud") in kept(site)
    assert ("june.csv", "june was loud") in kept(site)
    assert ("talk.txt", "Nobody came.") in kept(site)


def test_an_interviewer_who_does_not_speak_in_a_file_is_said(site):
    page = send(visit(site, "lead"), {"first.docx": INTERVIEWS["first.docx"], "third.vtt": CUES}, interviewer="Anna")
    assert "none of &#39;Anna&#39; speaks in it: all turns are taken" in page.text


def test_rows_and_cells_are_bounded_for_all_files_together(site, monkeypatch):
    monkeypatch.setattr(sandbox, "ROWS", 30)
    tables = {f"{n}.csv": "text\n" + "".join(f"text {n} {row}\n" for row in range(12)) for n in "abc"}
    client = visit(site, "lead")
    page = send(client, tables)
    assert "1 file is not taken in" in page.text
    assert "c.csv: more than" in page.text
    assert "beside the 26 rows of the files before it" in page.text
    confirm(client, page)
    assert {source for source, _ in kept(site)} == {"a.csv", "b.csv"}


def test_more_files_than_are_read_at_once_are_refused(site, monkeypatch):
    monkeypatch.setattr(sandbox, "FILES", 2)
    answer = send(visit(site, "lead"), INTERVIEWS)
    assert (answer.status_code, "at most 2 are read" in answer.text) == (422, True)


def test_a_program_gets_figures_of_each_file(site):
    figures = send(visit(site, "lead"), INTERVIEWS | {"a.mp3": b"x"}, at_once="true").json()
    assert (figures["read"], figures["new"]) == (6, 6)
    assert [(each["file"], each["read"]) for each in figures["files"]] == [
        ("first.docx", 2),
        ("second.txt", 2),
        ("third.vtt", 2),
    ]
    assert [each["file"] for each in figures["refused"]] == ["a.mp3"]
    assert len(kept(site)) == 6


def test_what_is_shown_of_every_file_is_masked(site):
    mails = {f"{n}.csv": f"text\nwrite to zoe{n}@x.org\n" for n in "ab"}
    page = send(visit(site, "lead"), mails, masking="patterns")
    assert "zoe" not in page.text
    assert "2 segments masked (2 mail)" in page.text
