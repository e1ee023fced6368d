"""Files out and in: exports, and labels of one study taken to another and back."""

import csv
import io
import json
import re
from html import unescape

import pyarrow.parquet as pq
import pytest

from infra.annotation.import_labels import Importing, plan
from infra.files.export import LABEL_COLUMNS
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import read_labels
from models.errors import InputError
from schemas import Annotation, CodeEvent
from schemas.ids import code_id
from tests.structure import ROOT
from tests.unit.storage.test_store import minutes
from tests.web.site import HOSTILE, STUDY, fill, visit

OTHER = "shop"


def said(segment, who, *labels, at=1.0, **more):
    ids = [code_id(segment.study, label) for label in labels]
    given = {"segment_id": segment.id, "study": segment.study, "annotator": who, "code_ids": ids}
    return Annotation.model_validate({**given, "labels": list(labels), "decided_at": minutes(at), **more})


def upload(client, body, name="labels.csv", study=STUDY, **form):
    body = body.encode() if isinstance(body, str) else body
    return client.post(f"/s/{study}/import", data=form, files={"file": (name, body)})


def confirmed(client, page, study=STUDY):
    action = re.search(rf'action="(/s/{study}/import/[0-9a-f-]+)"', page.text)[1]
    return client.post(action)


def labels(client, study=STUDY, fmt="jsonl", **more):
    return client.get(f"/s/{study}/export/labels", params={"fmt": fmt, **more}).content


def planned(site, body, study=STUDY, name="l.csv", teach=False, coder=""):
    sheet = read_labels(io.BytesIO(body.encode()), name, coder)
    return plan(site.store.database, sheet, Importing(study, "lea", site.clock.now(), teach))


# Out


def test_segments_are_exported_with_who_coded_them_and_what_counts(site):
    one, two, three = fill(site, 3)
    site.write([said(one, "ana", "x", "y"), said(one, "ben", "y", "x"), said(two, "ana", "x"), said(two, "ben", "y")])
    site.write([said(three, "lea", "z", kind="adjudication"), said(three, "ana", "x")])
    lines = visit(site, "viewer").get(f"/s/{STUDY}/export/segments", params={"fmt": "jsonl"}).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["decided_by"] for row in rows] == ["people", "undecided", "adjudication"]
    assert [row["final_codes"] for row in rows] == [["x", "y"], [], ["z"]]
    assert rows[1]["human_codes"] == ["x", "y"]
    assert rows[1]["annotators"] == ["ana", "ben"]
    assert rows[0]["code"] == "slow checkout"
    assert [row["disputed"] for row in rows] == [False, True, False]
    assert {row["disputed_rule"] for row in rows} == {"majority"}
    asked = {"fmt": "jsonl", "disputed": "model", "human": "undecided"}
    (row,) = [
        json.loads(line)
        for line in visit(site, "viewer").get(f"/s/{STUDY}/export/segments", params=asked).text.splitlines()
    ]
    assert (row["final_codes"], row["decided_by"], row["disputed_rule"]) == (["app crashes"], "model", "model")


def test_a_filtered_list_is_exported_as_it_is_shown(site):
    segments = fill(site, 10)
    site.write([said(segments[3], "ana", "z")])
    client = visit(site, "viewer")
    for asked, kept in (
        ({"a.stars": "2"}, segments[1::5]),
        ({"source": "mail", "a.version": "2.0"}, segments[3::6]),
        ({"code": str(code_id(STUDY, "slow checkout"))}, segments[::7]),
        ({"human": "decided"}, segments[3:4]),
    ):
        shown = client.get(f"/s/{STUDY}/segments", params=asked).text
        lines = client.get(f"/s/{STUDY}/export/segments", params={"fmt": "jsonl", **asked}).text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == [str(one.id) for one in kept]
        assert all(f"segments/{one.id}" in shown for one in kept)
    assert client.get(f"/s/{STUDY}/export/segments", params={"code": "none"}).status_code == 422


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet", "md", "qdc"])
def test_the_codebook_is_exported_with_the_final_numbers(site, fmt):
    segments = fill(site, 7)
    site.write([said(segments[0], "ana", "app crashes")])
    answer = visit(site, "viewer").get(f"/s/{STUDY}/export/codebook", params={"fmt": fmt})
    assert f'filename="reviews-codebook.{fmt}"' in answer.headers["content-disposition"]
    if fmt == "md":
        assert "### app crashes\n\n2 segments." in answer.text
        assert "### slow checkout\n\n0 segments." in answer.text
    assert b"app crashes" in answer.content
    assert visit(site, "viewer").get(f"/s/{STUDY}/export/codebook", params={"fmt": "xls"}).status_code == 422


def test_labels_are_exported_as_last_words_or_as_everything_said(site):
    (one,) = fill(site, 1)
    site.write([said(one, "ana", "x"), said(one, "ana", "y", at=2, memo="m", unsure=True), said(one, "ben", "z")])
    site.write([said(one, "ben", at=3, withdrawn=True)])
    client = visit(site, "viewer")
    (last,) = [json.loads(line) for line in labels(client).splitlines()]
    assert tuple(last) == tuple(LABEL_COLUMNS)
    assert (last["annotator"], last["codes"], last["memo"], last["unsure"]) == ("ana", ["y"], "m", True)
    assert last["decided_at"] == minutes(2).isoformat()
    assert len(labels(client, history=True).splitlines()) == 4


def test_every_format_is_sent_as_a_file(site):
    segments = fill(site, 5)
    site.write([said(one, "ana", "a; b", "c") for one in segments])
    client = visit(site, "viewer")
    for what in ("segments", "labels"):
        for fmt in ("csv", "jsonl", "parquet"):
            answer = client.get(f"/s/{STUDY}/export/{what}", params={"fmt": fmt})
            assert answer.status_code == 200
            assert f'filename="reviews-{what}.{fmt}"' in answer.headers["content-disposition"]
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 5
    (row, *_) = csv.DictReader(io.StringIO(labels(client, fmt="csv").decode(), newline=""))
    assert json.loads(row["codes"]) == ["a; b", "c"]
    assert client.get(f"/s/{STUDY}/export/segments", params={"fmt": "xls"}).status_code == 422
    assert client.get(f"/s/{STUDY}/export/people").status_code == 404


# In


@pytest.mark.parametrize("fmt", ["csv", "jsonl"])
def test_labels_go_to_another_study_and_back_unchanged(site, fmt):
    segments, others = fill(site, 12), fill(site, 12, study=OTHER)
    hostile = [*(text.replace("\0", "") for text in HOSTILE), "'=already quoted", "'plain", "a | b", "[1]"]
    site.write(
        [
            said(
                one,
                f"ana {n}",
                "=SUM(A1)",
                "@x; y",
                "kind support",
                at=n,
                memo=hostile[-n],
                unsure=n % 2 == 0,
                seconds=n,
            )
            for n, one in enumerate(segments)
        ]
    )
    site.write([said(segments[0], "ben", "-1 star", at=50), said(segments[0], "ben", at=60, withdrawn=True)])
    lead = visit(site, "lead")
    site.accounts.grant(site.accounts.named("ana").id, OTHER, "lead")
    file = labels(lead, fmt=fmt, history=True)
    page = upload(lead, file, f"labels.{fmt}", OTHER)
    assert confirmed(lead, page, OTHER).status_code == 200
    there = [json.loads(line) for line in labels(lead, OTHER, history=True).splitlines()]
    here = [json.loads(line) for line in labels(lead, history=True).splitlines()]
    kept = ("text", "annotator", "kind", "codes", "memo", "unsure", "withdrawn", "current", "blind", "decided_at")
    assert [{name: row[name] for name in kept} for row in there] == [{name: row[name] for name in kept} for row in here]
    assert {row["segment_id"] for row in there} == {str(one.id) for one in others}
    again = upload(lead, file, f"labels.{fmt}", OTHER)
    assert "Nothing is to be imported" in again.text
    assert "14 are there already" in unescape(again.text)


def test_nothing_is_written_before_somebody_says_so_and_once_they_do_it_is_on_its_way(site):
    segments = fill(site, 3)
    lead = visit(site, "lead")
    page = upload(
        lead, f"text,codes\n{json.dumps(segments[0].text, ensure_ascii=False)},Slow Checkout; brand new\n", coder="ana"
    )
    assert "New codes: 1" in page.text
    assert "Codes of the file that the study has already: 1" in page.text
    assert "columns: codes 'codes', text 'text'; no column of time of coding" in unescape(page.text)
    assert list(site.store.history(Annotation)) == []
    assert site.outbox.backlog() == 0
    assert "1 label imported" in confirmed(lead, page).text
    (kept,) = site.store.history(Annotation)
    assert (kept.labels, kept.annotator, kept.accepted) == (["slow checkout", "brand new"], "ana", True)
    assert (kept.shown, kept.confidence, kept.sample) == ("slow checkout", 0.35, False)
    assert [one.label for one in site.store.history(CodeEvent) if one.author == "ana"] == ["brand new"]
    assert site.outbox.backlog() == 2
    assert confirmed(lead, page).status_code == 422


def test_rejected_and_unmatched_rows_are_shown_with_their_lines(site):
    segments = fill(site, 2)
    rows = [
        "id,text,codes,coder,time",
        f"{segments[0].id},,x,ana,2026-01-01",
        f"9,{json.dumps(segments[1].text, ensure_ascii=False)},y,ana,2026-01-01",
        "8,no such text,z,ana,2026-01-01",
        "7,,z,ana,2026-01-01",
        f"{segments[0].id},,,ana,2026-01-01",
        f"{segments[0].id},,x,,2026-01-01",
        f"{segments[0].id},,x,ana,soon",
        f"{segments[0].id},,x,ana,2099-01-01",
        f"{segments[0].id},,{'x' * 200},ana,2026-01-01",
        "too,few",
    ]
    found = planned(site, "\n".join(rows))
    assert [one.segment_id for one in found.annotations] == [segments[0].id, segments[1].id]
    assert [(one.line, one.taught) for one in found.unmatched] == [(4, False), (5, False)]
    assert [one.line for one in found.rejected] == [7, 8, 9, 10]
    assert found.uncoded == 1  # a row that says nothing needs no coder
    taught = planned(site, "\n".join(rows), teach=True)
    assert [one.text for one in taught.annotations][2:] == ["no such text"]
    page = upload(visit(site, "lead"), "\n".join(rows))
    assert "still to come" in page.text
    assert "no such text" in page.text


def test_equal_texts_go_to_one_segment_each_and_rows_of_one_id_together(site):
    one, two = (each.model_copy(update={"text": "same"}) for each in fill(site, 2, study="twins"))
    site.store.reset("twins")
    site.store.record([one, two])
    rows = "text,codes,coder,at\nsame,a,ana,2026-01-01\nsame,b,ana,2026-01-01\nsame,c,ben,2026-01-01\n"
    found = planned(site, rows, "twins")
    assert [(each.annotator, each.labels, each.segment_id) for each in found.annotations] == [
        ("ana", ["a"], one.id),
        ("ana", ["b"], two.id),
        ("ben", ["c"], one.id),
    ]
    rows = "id,text,codes,coder,at\n1,same,a,ana,2026-01-01\n1,same,b,ana,2026-01-01\n"
    assert [each.labels for each in planned(site, rows, "twins").annotations] == [["a", "b"]]


def test_labels_without_a_time_are_not_imported_twice(site):
    (one,) = fill(site, 1)
    rows = f"segment_id,codes\n{one.id},x\n"
    first = planned(site, rows, coder="ana")
    first.write(site.write)
    again = planned(site, rows, coder="ana")
    assert (len(again.annotations), again.already, again.events) == (0, 1, [])
    assert len(planned(site, rows.replace(",x", ",y"), coder="ana").annotations) == 1


def test_a_label_means_the_code_that_it_was_merged_into(site):
    (one, *_) = fill(site, 7)
    gone, kept = code_id(STUDY, "app crashes"), code_id(STUDY, "login fails")
    given = {"id": code_id(STUDY, "m"), "code_id": gone, "study": STUDY, "kind": "merged", "label": "app crashes"}
    site.write([CodeEvent.model_validate({**given, "author": "lea", "at": site.clock.now(), "into": [kept]})])
    found = planned(site, f"segment_id,codes\n{one.id},App Crashes\n", coder="ana")
    assert (found.annotations[0].labels, found.new, found.known) == (["login fails"], [], ["login fails"])


@pytest.mark.parametrize(
    ("name", "body", "wrong"),
    [
        ("l.csv", b"", "empty"),
        ("l.csv", b"text,other\nx,y\n", "no column with codes among text, other"),
        ("l.csv", b"codes,other\nx,y\n", "neither a column with text nor one with ids"),
        ("l.txt", b"just words\n", "plain lines"),
        ("l.xlsx", b"PK\x03\x04", "not an XLSX workbook"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(name, body, wrong):
    with pytest.raises(InputError, match=wrong):
        read_labels(io.BytesIO(body), name)


def test_columns_with_unusual_names_can_be_named():
    sheet = read_labels(
        io.BytesIO(b"quote it,my codes\nx,a\n"), "l.csv", "ana", SheetColumns("quote it", "", "my codes")
    )
    assert [(row.text, row.codes, row.annotator) for row in sheet.rows] == [("x", ("a",), "ana")]


def test_a_project_of_another_program_comes_in_and_goes_out_on_the_page(site):
    fill(site, 1)
    lead = visit(site, "lead")
    file = (ROOT / "tests" / "data" / "qualcoder_project.qdpx").read_bytes()
    page = upload(lead, file, "waiting.qdpx", teach_unmatched="true")
    assert "codebook: 6 codes under 3 themes: 9 created" in unescape(page.text)
    assert confirmed(lead, page).status_code == 200
    coded = [json.loads(line) for line in labels(lead).splitlines()]
    assert len(coded) == 7
    assert {row["annotator"] for row in coded} == {"anna", "ben"}
    assert "memos on codes and documents: 1 new" in page.text
    notes = list(csv.DictReader(io.StringIO(lead.get(f"/s/{STUDY}/export/memos").text)))
    assert [(row["document"], row["author"], row["memo"]) for row in notes] == [
        ("Interview 1.txt", "anna", "first visit"),
    ]
    assert visit(site, "viewer", name="ben").get(f"/s/{STUDY}/export/project").status_code == 403
    answer = lead.get(f"/s/{STUDY}/export/project")
    assert 'filename="reviews.qdpx"' in answer.headers["content-disposition"]
    again = upload(lead, answer.content, "again.qdpx", teach_unmatched="true")
    assert "Nothing is to be imported" in again.text


def test_a_codebook_of_another_program_comes_in_on_the_page(site):
    fill(site, 1)
    lead = visit(site, "lead")
    page = upload(lead, (ROOT / "tests" / "data" / "qualcoder_codebook.qdc").read_bytes(), "book.qdc")
    assert "Import 8 changes of the codebook" in page.text
    confirmed(lead, page)
    assert "Waiting time" in {event.label for event in site.store.code_events(STUDY)}


def test_importing_is_for_leads_and_their_study_alone(site):
    fill(site, 1)
    viewer = visit(site, "annotator", name="ben")
    assert "Import labels" not in viewer.get(f"/s/{STUDY}/export").text
    assert upload(viewer, "text,codes\nx,y\n").status_code == 403
    lead = visit(site, "lead")
    page = upload(lead, "text,codes,coder\nx,y,z\n", teach_unmatched="true")
    site.accounts.grant(site.accounts.named("ana").id, OTHER, "lead")
    token = re.search(r"/import/([0-9a-f-]{36})", page.text)[1]
    assert lead.post(f"/s/{OTHER}/import/{token}").status_code == 422


def test_hostile_text_stays_text(site):
    fill(site, 1)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["text", "codes", "coder"])
    writer.writerows([text, json.dumps([text[:100]]), text[:80] or "x"] for text in HOSTILE)
    page = upload(visit(site, "lead"), out.getvalue(), name=f"{HOSTILE[2]}.csv", teach_unmatched="true")
    assert page.status_code == 200
    inside = page.text.split('<main id="main"', 1)[1].split("</main>")[0]
    assert not re.search(r"<(script|img|iframe|svg|style|base|meta|body|math)\b", inside, re.IGNORECASE)
