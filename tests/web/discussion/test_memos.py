"""Memos on codes and documents: written, changed and deleted by their authors alone, in files, and erased."""

import csv
import io
import json
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from infra.accounts.audit import AuditFilter
from infra.annotation.memos import study_memos
from infra.cli.export import export
from infra.erasure.erase import Eraser
from models.errors import InputError
from schemas import AnnotationRequest
from tests.web.site import HOSTILE, LABELS, STUDY, code, fill, visit

DOCUMENT = f"/s/{STUDY}/documents?source=mail"
CODE = f"/s/{STUDY}/codebook/codes/{code(LABELS[0])}"


def memo(client, text="waits are said to be long", *, document="", on_code="", cause=None):
    form = {"cause": str(cause or uuid4()), "text": text, "document": document, "code": on_code}
    return client.post(f"/s/{STUDY}/memos", data=form, follow_redirects=False)


def kept(site):
    return study_memos(site.store.database, STUDY)


def test_a_memo_on_a_code_and_one_on_a_document_are_shown_there_with_who_and_when(site):
    fill(site, 6)
    ana = visit(site, "annotator")
    assert memo(ana, "what is slow is not said", on_code=str(code(LABELS[0]))).headers["location"] == f"{CODE}#memos"
    assert memo(ana, "an angry writer\nthroughout", document="mail").headers["location"] == f"{DOCUMENT}#memos"
    for address, text in ((CODE, "what is slow is not said"), (DOCUMENT, "an angry writer\nthroughout")):
        page = visit(site, "viewer", name="vic").get(address).text
        assert text in page
        assert "<strong>ana</strong>" in page
    assert "what is slow" not in ana.get(DOCUMENT).text
    assert [one.at.tzinfo is not None for one in kept(site)] == [True, True]


def test_a_form_that_is_sent_twice_is_one_memo(site):
    fill(site, 3)
    ana, cause = visit(site, "annotator"), uuid4()
    for _ in range(2):
        assert memo(ana, document="mail", cause=cause).status_code == 303
    assert len(kept(site)) == 1


def test_only_who_wrote_a_memo_changes_or_deletes_it(site):
    fill(site, 3)
    ana, lea = visit(site, "annotator"), visit(site, "lead", name="lea")
    memo(ana, document="mail")
    (one,) = kept(site)
    for path, form in ((f"{one.id}", {"text": "other"}), (f"{one.id}/remove", {})):
        assert lea.post(f"/s/{STUDY}/memos/{path}", data=form).status_code == 404
    assert "Edit" not in lea.get(DOCUMENT).text.partition('id="memos"')[2].partition("</section>")[0]
    assert ana.post(f"/s/{STUDY}/memos/{one.id}", data={"text": "better words"}).status_code == 200
    (changed,) = kept(site)
    assert (changed.text, changed.at, changed.changed_at is not None) == ("better words", one.at, True)
    assert ana.post(f"/s/{STUDY}/memos/{one.id}/remove").status_code == 200
    assert kept(site) == []


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"text": "  "}, "The memo is empty"),
        ({"text": "x" * 4001}, "at most 4000"),
        ({"text": "x", "document": "nowhere.txt"}, "no document &#39;nowhere.txt&#39;"),
        ({"text": "x", "document": ""}, "about a code or a document"),
        ({"text": "x", "on_code": str(uuid4())}, "about one of the two"),
        ({"text": "x", "document": "", "on_code": str(uuid4())}, "has no code"),
    ],
)
def test_what_is_no_memo_is_refused_in_words(site, form, why):
    fill(site, 3)
    answer = memo(visit(site, "annotator"), **{"document": "mail", **form})
    assert (answer.status_code, why in answer.text) == (422, True)
    assert kept(site) == []


def test_memos_of_a_merged_code_are_read_at_the_code_that_it_became(site):
    fill(site, 7)
    lea = visit(site, "lead", name="lea")
    memo(lea, "moved with it", on_code=str(code(LABELS[0])))
    form = {"cause": str(uuid4()), "code": [str(code(label)) for label in LABELS[:2]], "action": "merge"}
    lea.post(f"/s/{STUDY}/codebook/bulk", data=form | {"into": str(code(LABELS[1]))})
    page = lea.get(f"/s/{STUDY}/codebook/codes/{code(LABELS[1])}").text
    assert "moved with it" in page
    assert "merged into this one" in page


def test_writing_a_memo_is_in_the_audit_log_without_its_words(site):
    fill(site, 3)
    memo(visit(site, "annotator"), "something of mine", document="mail")
    (one,) = kept(site)
    (entry,) = site.audit.newest(AuditFilter(action="POST /s/{study}/memos"), 5)
    assert (entry.actor, entry.subject, entry.status) == ("ana", f"memo {one.id}", 303)


def test_hostile_memos_stay_text(site):
    fill(site, 3)
    ana = visit(site, "annotator")
    for text in HOSTILE:
        memo(ana, text, document="mail")
    page = ana.get(DOCUMENT).text
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in page.replace("&gt;", "")


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
def test_memos_are_a_file_and_others_memos_on_what_is_read_blind_are_not_in_it(site, fmt):
    written = fill(site, 6, people=0)
    ana = visit(site, "annotator")
    memo(ana, "=1+1", on_code=str(code(LABELS[0])))
    memo(visit(site, "lead", name="lea"), "of lea", document="mail")
    answer = ana.get(f"/s/{STUDY}/export/memos", params={"fmt": fmt})
    assert f'filename="reviews-memos.{fmt}"' in answer.headers["content-disposition"]
    assert [(row["author"], row["about"], row["code"], row["document"]) for row in rows(answer.content, fmt)] == [
        ("ana", "code", LABELS[0], None),
        ("lea", "document", None, "mail"),
    ]
    request = AnnotationRequest(
        segment_id=written[1].id, study=STUDY, code_id=code(LABELS[1]), label=LABELS[1], confidence=0.3,
        reason="audit", blind=True, requested_at=site.clock.now(),
    )  # fmt: skip
    site.store.record([request])
    blind = ana.get(f"/s/{STUDY}/export/memos", params={"fmt": fmt})
    assert [row["author"] for row in rows(blind.content, fmt)] == ["ana"]
    assert "of lea" not in ana.get(DOCUMENT).text
    assert ana.get(f"/s/{STUDY}/export/memos", params={"fmt": "xls"}).status_code == 422


def test_memos_and_comments_are_exported_by_command(site, tmp_path):
    fill(site, 3)
    memo(visit(site, "annotator"), document="mail")
    for flag, count in (("--memos", 1), ("--comments", 0)):
        out = tmp_path / f"{flag}.jsonl"
        options = [flag, "--study", STUDY, "--format", "jsonl", "--out", str(out)]
        environment = {"QUALSTREAM_DATA_DIR": str(site.settings.data_dir)}
        done = CliRunner(env=environment).invoke(export, options, catch_exceptions=False)
        assert (done.exit_code, len(out.read_text().splitlines())) == (0, count)
    with pytest.raises(InputError, match="leave the other options out"):
        CliRunner(env=environment).invoke(export, ["--memos", "--labels", "--study", STUDY], catch_exceptions=False)


def rows(content, fmt):
    if fmt == "parquet":
        return pq.read_table(io.BytesIO(content)).to_pylist()
    lines = content.decode()
    if fmt == "jsonl":
        return [json.loads(line) for line in lines.splitlines()]
    read = csv.DictReader(io.StringIO(lines, newline=""))
    return [{name: value or None for name, value in row.items()} for row in read]


def test_an_erased_person_s_memos_go_and_so_do_those_on_a_document_that_is_gone(site):
    written = fill(site, 6)
    ana, ben = visit(site, "annotator"), visit(site, "annotator", name="ben")
    memo(ana, document="mail")
    memo(ben, "of ben", document="mail")
    memo(ben, "of ben on the code", on_code=str(code(LABELS[0])))
    eraser = Eraser(site.settings, site.store, site.clock)
    assert eraser.person("ana").rows["memos"] == 1
    assert {one.author for one in kept(site)} == {"ben"}
    mail = [one.id for one in written if one.source == "mail"]
    assert eraser.segments(mail, "a document").rows["memos"] == 1
    assert [one.document for one in kept(site)] == [None]
    site.store.reset(STUDY)
    assert kept(site) == []


def test_who_quotes_an_erased_text_in_a_memo_is_named(site):
    written = fill(site, 6)
    memo(visit(site, "annotator"), f"see: {written[1].text}", document="mail")
    receipt = Eraser(site.settings, site.store, site.clock).segments([written[1].id], "segments by id")
    assert any("memo by ana" in line for line in receipt.left)
