"""Erasing a segment, an author or a person, and forgetting a study: nothing of it stays, and nothing comes back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from infra.accounts.audit import AuditFilter
from infra.erasure.erase import Eraser
from infra.erasure.reset import reset
from infra.erasure.rows import GONE, segments_of_author
from infra.erasure.topics import deletions, withdrawals
from infra.files.uploads import Uploads
from infra.storage.tables import metadata
from infra.vectors.embedding_cache import CachedEmbedder
from infra.vectors.segment_index import SegmentIndex, place_of
from models.errors import InputError
from models.fakes import HandClock, HashEmbedder
from schemas import Annotation, CodeEvent, DeadLetter, ModelRelease, Segment
from schemas.ids import code_event_id, code_id, segment_id
from streams.topology import LABELS, topic
from tests.web.site import LABELS as CODES
from tests.web.site import STUDY, coded, fill, make_site, visit

SECRET = "Zoe Zebra of Elm Street says that the lift is broken"
AT = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = "correct horse battery"


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, clock=HandClock())
    fill(made, 12)
    made.store.record(kept_of(zoe()))
    yield made
    made.store.close()


def zoe(key: str = "zoe", **metadata) -> Segment:
    metadata = metadata or {"Author": "Zoe Zebra"}
    identity = segment_id(STUDY, "mail", key)
    return Segment(id=identity, study=STUDY, text=SECRET, source="mail", timestamp=AT, metadata=metadata)


def said(segment: Segment, annotator: str = "ben", at: datetime = AT) -> Annotation:
    codes = {code_id(STUDY, CODES[0]): CODES[0]}
    return Annotation.about(segment, annotator, codes, at, memo=f"so says {segment.text}")


def kept_of(segment: Segment) -> list:
    letter = DeadLetter(
        id=uuid4(), reason="no", role="coders", topic="feedback", partition=0, offset=1, raw=segment.to_bytes(), at=AT
    )
    return [*coded(segment, CODES[0], at=AT, new=False, confidence=0.3), said(segment), letter]


def holding(folder: Path, *words: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(word.encode() in path.read_bytes() for word in words)]


def rows_about(site, segment: UUID) -> dict[str, int]:
    counts = {}
    with site.store.database.reading() as connection:
        for table in metadata.sorted_tables:
            column = "segment_id" if "segment_id" in table.c else "id" if table.name == "segments" else None
            if column and table.name != "erasures":
                query = select(func.count()).select_from(table).where(table.c[column] == segment)
                counts[table.name] = connection.execute(query).scalar_one()
    return {name: count for name, count in counts.items() if count}


def test_nothing_of_an_erased_segment_stays_in_any_file(site, tmp_path):
    site.write([said(zoe(), "carl")])
    lea = visit(site, "lead", name="lea")
    sheet = {"file": ("a.csv", f"text,code\n{SECRET},slow\n".encode())}
    form = {"coder": "lea", "teach_unmatched": "true"}
    assert lea.post(f"/s/{STUDY}/import", data=form, files=sheet).status_code == 200
    CachedEmbedder(HashEmbedder(), tmp_path / "embeddings").embed([SECRET, "something else"])
    assert holding(tmp_path, SECRET)
    receipt = Eraser(site.settings, site.store, site.clock).segments([zoe().id], "segments by id")
    assert holding(tmp_path, SECRET) == []
    assert rows_about(site, zoe().id) == {}
    assert (receipt.uploads, receipt.embeddings, receipt.segments) == (1, 1, 1)
    assert receipt.rows["annotations"] == 2
    assert receipt.rows["dead_letters"] == receipt.rows["outbox"] == 1
    assert json.loads(receipt.to_json())["rows"] == dict(receipt.rows)
    assert str(zoe().id) not in lea.get(f"/s/{STUDY}/segments").text


def test_what_was_erased_does_not_come_back_by_the_topics_nor_by_its_file(site):
    Eraser(site.settings, site.store, site.clock).segments([zoe().id], "segments by id")
    site.store.record(kept_of(zoe())[:-1])
    assert site.store.take_in([zoe(), zoe("another")]) == 1
    assert rows_about(site, zoe().id) == {}
    assert rows_about(site, zoe("another").id) == {"segments": 1}


def test_vectors_go_with_their_segments_whether_the_page_holds_them_or_not(site):
    index = SegmentIndex(site.store.database, HashEmbedder(), site.clock, place_of(site.settings))
    while index.step():
        pass
    assert zoe().id in dict(index.nearest(STUDY, SECRET, 20))
    receipt = Eraser(site.settings, site.store, site.clock).segments([zoe().id], "segments by id")
    assert any("vectors" in line for line in receipt.left)
    index.step()
    assert zoe().id not in dict(index.nearest(STUDY, SECRET, 20))
    assert len(index.nearest(STUDY, SECRET, 20)) == 12
    index.close()
    other = fill(site, 12)[3]
    receipt = Eraser(site.settings, site.store, site.clock).segments([other.id], "segments by id")
    assert not any("vectors" in line for line in receipt.left)


@pytest.mark.parametrize(
    "metadata", [{"author": "zoe zebra "}, {"E-Mail": 1, "user": "ZOE ZEBRA"}, {"name": "Zoe Zebra"}]
)
def test_an_author_is_told_by_the_metadata_whatever_its_case(site, metadata):
    site.store.take_in([zoe("also", **metadata), zoe("not", author="Zoe Zebrano")])
    found = segments_of_author(site.store.database, STUDY, "Zoe Zebra", None)
    assert found == {zoe().id, zoe("also", **metadata).id}
    assert segments_of_author(site.store.database, STUDY, "Zoe Zebra", "shoe") == set()
    assert segments_of_author(site.store.database, "elsewhere", "Zoe Zebra", None) == set()


def test_a_classifier_that_was_taught_it_goes_unless_it_serves(site, tmp_path):
    versions = {"20260101T000000Z-1": zoe(), "20260102T000000Z-2": zoe("other"), "20260103T000000Z-3": zoe()}
    tuned = "20260101T000000Z-4"  # its head was taught after the label went, its body before
    for version, segment in versions.items():
        folder = tmp_path / "classifiers" / STUDY / version
        folder.mkdir(parents=True)
        (folder / "out_of_fold.json").write_text(json.dumps({str(segment.id): {}}))
    (tmp_path / "classifiers" / STUDY / tuned).mkdir()
    (tmp_path / "classifiers" / STUDY / tuned / "out_of_fold.json").write_text(json.dumps({str(zoe("other").id): {}}))
    (tmp_path / "classifiers" / STUDY / tuned / "tuned_on.json").write_text(json.dumps([str(zoe().id)]))
    serves = ModelRelease(
        model=f"classifier/{STUDY}", version="20260103T000000Z-3", study=STUDY, uri="data:x", sha256="0" * 64,
        released_at=AT,
    )  # fmt: skip
    site.store.record([serves])
    receipt = Eraser(site.settings, site.store, site.clock).segments([zoe().id], "segments by id")
    assert sorted(receipt.classifiers) == ["20260101T000000Z-1", tuned]
    assert any("20260103T000000Z-3" in line for line in receipt.left)
    there = {path.name for path in (tmp_path / "classifiers" / STUDY).iterdir()}
    assert there == {"20260102T000000Z-2", "20260103T000000Z-3"}


def test_a_person_is_erased_with_their_labels_their_account_and_their_name(site, tmp_path):
    ben = site.accounts.create("Benedikt")
    site.accounts.set_password(ben, GOOD)
    site.accounts.grant(ben, STUDY, "annotator")
    site.accounts.sign_in("Benedikt", GOOD, "10.0.0.1", "a laptop")
    label = said(zoe(), "Benedikt", site.clock.now())
    renamed = CodeEvent(
        id=code_event_id(code_id(STUDY, CODES[0]), "renamed", "1"),
        code_id=code_id(STUDY, CODES[0]),
        study=STUDY,
        kind="renamed",
        label="quick checkout",
        author="Benedikt",
        at=AT,
    )
    site.store.record([label, renamed])
    receipt = Eraser(site.settings, site.store, site.clock).person("Benedikt")
    assert holding(tmp_path, "Benedikt") == []
    assert receipt.rows["annotations"] == receipt.rows["accounts"] == receipt.rows["code_events"] == 1
    assert site.accounts.verify("Benedikt", GOOD) is None
    assert [event.author for event in site.store.code_events(STUDY) if event.kind == "renamed"] == [GONE]
    site.store.record([label])
    assert "annotations" in rows_about(site, zoe().id)
    assert holding(tmp_path, "Benedikt") == []
    site.clock.advance(60)
    site.store.record([said(zoe(), "Benedikt", site.clock.now())])
    assert holding(tmp_path, "Benedikt") != []
    with pytest.raises(InputError, match="nothing is kept"):
        Eraser(site.settings, site.store, site.clock).person("nobody at all")


def test_what_a_person_asked_and_set_stays_under_another_name(site, tmp_path):
    site.clock.advance(365 * 24 * 3600)  # past the time of what was asked before
    lead = visit(site, "lead", name="Benedikta")
    again = {"reason": "hard to say"}
    assert lead.post(f"/s/{STUDY}/segments/{zoe().id}/again", data=again).status_code == 200
    lead.post(f"/s/{STUDY}/codebook/similar/threshold", data={"threshold": "0.8"})
    lead.post(f"/s/{STUDY}/drift/rules", data={"code": str(code_id(STUDY, CODES[0])), "percent": "5", "hours": "2"})
    site.outbox.sent(site.outbox.waiting())
    receipt = Eraser(site.settings, site.store, site.clock).person("Benedikta")
    assert [receipt.rows[name] for name in ("requests", "study_rules", "alert_rules")] == [1, 1, 1]
    with site.store.database.reading() as connection:
        everything = [str(row) for table in metadata.sorted_tables if table.name != "audit_log"
                      for row in connection.execute(select(table))]  # fmt: skip
    assert not any("Benedikta" in row for row in everything)


def test_deletions_have_the_keys_of_what_is_erased_and_labels_are_taken_back_first():
    sent = [*withdrawals([(zoe().id, STUDY, "ben")], AT), *deletions([zoe().id])]
    assert [(message.topic, message.value is None) for message in sent[:2]] == [
        (LABELS.name, False),
        (LABELS.name, True),
    ]
    back = Annotation.from_bytes(sent[0].value)
    assert (back.withdrawn, back.text, back.memo, sent[0].key) == (True, None, "", f"{zoe().id}:ben".encode())
    assert {message.key for message in sent[2:]} == {str(zoe().id).encode()}
    assert all(topic(message.topic).key for message in sent)


def test_an_erasure_is_in_the_audit_log_without_a_name(site):
    Eraser(site.settings, site.store, site.clock).segments([zoe().id], "segments of an author")
    (entry,) = site.audit.newest(AuditFilter(action="erase segments"), 5)
    assert (entry.by, entry.subject.startswith("segments of an author: 1 segment,")) == ("command", True)


def test_a_reset_study_leaves_nothing_of_it_and_everything_of_the_others(site, tmp_path):
    other = fill(site, 5, study="other study")
    uploads = Uploads(tmp_path / "imports")
    (uploads._of(STUDY) / f"{uuid4()}.sheet").write_text(SECRET)
    (uploads._of("other study") / f"{uuid4()}.sheet").write_text("kept")
    CachedEmbedder(HashEmbedder(), tmp_path / "embeddings").embed([SECRET, other[0].text])
    for name in (STUDY, "other study"):
        folder = tmp_path / "classifiers" / {STUDY: STUDY}.get(name, "other-study-x") / "20260101T000000Z-00000000"
        folder.mkdir(parents=True)
        (folder / "head.json").write_text(SECRET if name == STUDY else "kept")
        run = tmp_path / "mlruns" / name / "run"
        run.mkdir(parents=True)
        (run.parent / "meta.yaml").write_text(f"experiment_id: '1'\nname: {name}\n")
        (run / "report.json").write_text(SECRET if name == STUDY else "kept")
    assert reset(site.settings, site.store, STUDY) == []
    assert holding(tmp_path, SECRET) == []
    assert site.store.counts(STUDY).taken_in == 0
    assert site.store.counts("other study").taken_in == 5
    assert len(holding(tmp_path, "kept")) >= 3


def test_a_reset_of_everything_ends_every_session_and_token_and_keeps_accounts(site, tmp_path):
    account = site.accounts.create("ana")
    token = site.accounts.keys.make_token(account, "nightly")
    ada = visit(site, "admin", study="", name="ada")
    reset(site.settings, site.store, None)
    assert site.accounts.by_token(token) is None
    assert ada.get("/account", follow_redirects=False).status_code == 303
    assert {each.name for each in site.accounts.all()} == {"ana", "ada"}
    assert holding(tmp_path, SECRET) == []
