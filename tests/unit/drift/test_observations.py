"""What the drift monitor sees of a study in the read model."""

import json
import random
from datetime import timedelta

import pytest
from click.testing import CliRunner

from infra.cli.measuring.drift import drift
from infra.drift.scan_study import report_study
from infra.settings import load_settings
from infra.storage.observations import changes, count_observations, judgements, observations, texts_of
from infra.storage.store import open_store
from models.drift.settings import DriftSettings
from models.fakes import HashEmbedder
from schemas import Annotation, ModelRelease
from schemas.ids import code_event_id, code_id
from tests.unit.storage.test_store import AT, assignment, decision, event, letter, minutes, segment

SETTINGS = DriftSettings(window=320, lateness=timedelta())


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


def said(of, annotator="ana", accepted=False, minute=1, **more):
    values = {"segment_id": of.id, "study": "app", "annotator": annotator, "accepted": accepted, "sample": True}
    values |= {"code_ids": [], "labels": ["x"], "decided_at": minutes(minute)}
    return Annotation(**(values | more))


def test_segments_come_in_the_order_in_which_they_were_said_with_what_became_of_them(store):
    late, early, open_, lost = segment(9), segment(2), segment(3), segment(4, source="shop")
    store.record([late, early, open_, lost, decision(early), letter(1, lost)])
    store.record(
        [assignment(late, new=True), assignment(early, "fast app", confidence=0.5, models={"b": "2", "a": "1"})]
    )
    first, dead, last = observations(store.database, "app")
    assert count_observations(store.database, "app") == 3
    assert (first.segment, first.at, first.code) == (early.id, minutes(2), "fast app")
    assert (first.confidence, first.agreement, first.similarity) == (0.5, 0.5, 0.8)
    assert (first.rewrote, first.models, first.accepted) == (False, "a 1, b 2", None)
    assert (dead.dead, dead.code, dead.source) == (True, "", "shop")
    assert (last.new, last.similarity) == (True, None)


def test_only_the_stretch_asked_for_comes(store):
    made = [segment(n) for n in range(6)]
    store.record([*made, *(assignment(one) for one in made)])
    found = observations(store.database, "app", minutes(2), minutes(4))
    assert [one.segment for one in found] == [made[2].id, made[3].id]


def test_a_code_goes_by_its_present_name_and_a_merged_one_by_its_own(store):
    one = segment(1)
    store.record([one, assignment(one), event("created", 0), event("renamed", 1, "slowness")])
    assert [each.code for each in observations(store.database, "app")] == ["slowness"]
    other = code_id("app", "speed")
    store.record([event("merged", 2, "slowness", into=[other])])
    assert [each.code for each in observations(store.database, "app")] == ["slowness"]


def test_peoples_first_words_on_segments_drawn_by_chance_stand_where_the_stream_was_when_they_came(store):
    twice, kept, chosen, later = segment(1), segment(2), segment(3), segment(9)
    store.record([twice, kept, chosen, *(assignment(one) for one in (twice, kept, chosen))])
    store.record([said(twice, minute=20), said(twice, accepted=True, minute=22), said(kept, accepted=True, minute=21)])
    store.record([said(chosen, sample=False)])
    assert list(judgements(store.database, "app")) == []  # nothing was coded since: they wait
    store.record([later, assignment(later, assigned_at=minutes(30))])
    found = list(judgements(store.database, "app"))
    assert [given for given, _ in found] == [minutes(20), minutes(21)]
    words = [word for _, word in found]
    assert [(word.segment, word.accepted, word.at) for word in words] == [
        (twice.id, False, later.timestamp),
        (kept.id, True, later.timestamp),
    ]
    assert all(word.judged and word.code == assignment(kept).label for word in words)
    assert [word.segment for _, word in judgements(store.database, "app", minutes(20))] == [kept.id]
    assert all(one.accepted is None for one in observations(store.database, "app"))


def test_a_further_person_agrees_or_not_with_the_codes_that_stood_when_they_coded(store):
    same, other, mended, alone, later = (segment(n) for n in (1, 2, 3, 4, 9))
    store.record([same, other, mended, alone, *(assignment(one) for one in (same, other, mended, alone))])
    store.record([said(same, minute=10), said(same, "bo", minute=11), said(same, "cy", minute=12, labels=["y"])])
    store.record([said(other, minute=13), said(other, "bo", minute=14, labels=["x", "y"])])
    store.record([said(mended, labels=["y"], minute=15), said(mended, minute=16), said(mended, "bo", minute=17)])
    store.record([said(alone, minute=18), said(alone, minute=19, labels=["y"])])  # a second thought is no second person
    store.record([said(other, "bo", minute=20), said(other, "cy", minute=21, kind="adjudication")])
    store.record([later, assignment(later, assigned_at=minutes(30))])
    words = [(given, word) for given, word in judgements(store.database, "app") if word.agreed is not None]
    expected = [(same, 11, True), (same, 12, False), (other, 14, False), (mended, 17, True)]
    assert [(word.segment, given, word.agreed) for given, word in words] == [
        (one.id, minutes(minute), agreed) for one, minute, agreed in expected
    ]
    assert all(word.judged and word.accepted is None and word.at == later.timestamp for _, word in words)
    fresh = judgements(store.database, "app", minutes(13))
    assert [word.segment for _, word in fresh if word.agreed is not None] == [other.id, mended.id]


def test_codes_that_were_merged_are_agreement_and_a_withdrawn_word_is_none(store):
    merged, back, later = segment(1), segment(2), segment(9)
    slow, speed = code_id("app", "slow app"), code_id("app", "speed")
    store.record([merged, back, assignment(merged), assignment(back), event("created", 0)])
    store.record(
        [
            event("created", 0, "speed", code_id=speed, id=code_event_id(speed, "created", "0")),
            event("merged", 1, into=[speed]),
        ]
    )
    store.record([said(merged, code_ids=[slow], labels=["slow app"], minute=10)])
    store.record([said(merged, "bo", code_ids=[speed], labels=["speed"], minute=11)])
    store.record([said(back, minute=12), said(back, withdrawn=True, minute=13), said(back, "bo", minute=14)])
    store.record([later, assignment(later, assigned_at=minutes(30))])
    words = [word for _, word in judgements(store.database, "app") if word.agreed is not None]
    assert [(word.segment, word.agreed) for word in words] == [(merged.id, True)]


def test_who_is_unsure_and_gives_no_code_neither_agrees_nor_is_agreed_with(store):
    one, later = segment(1), segment(9)
    store.record([one, assignment(one)])
    store.record([said(one, minute=10), said(one, "bo", labels=[], unsure=True, accepted=None, minute=11)])
    store.record([said(one, "cy", minute=12), later, assignment(later, assigned_at=minutes(30))])
    words = [word for _, word in judgements(store.database, "app") if word.agreed is not None]
    assert [(word.segment, word.agreed) for word in words] == [(one.id, True)]


def test_texts_have_directions_only_where_an_embedder_is_given(store):
    made = [segment(n) for n in range(50)]
    store.record([*made, *(assignment(one) for one in made)])
    assert all(one.vector is None for one in observations(store.database, "app"))
    assert all(one.vector is not None for one in observations(store.database, "app", embedder=HashEmbedder()))
    some = [one.vector is not None for one in observations(store.database, "app", embedder=HashEmbedder(), share=0.5)]
    assert 10 < sum(some) < 40
    assert texts_of(store.database, [made[3].id, code_id("app", "none")]) == {made[3].id: "text 3"}


def test_changes_on_purpose_stand_where_the_first_segment_after_them_was_said(store):
    made = [segment(n) for n in range(4)]
    lag = timedelta(days=30)  # coded a month after they were said
    done = [assignment(one, assigned_at=minutes(n) + lag) for n, one in enumerate(made)]
    store.record([*made, *done, event("created", 0), event("merged", 1, into=[code_id("app", "speed")])])
    released = {"model": "classifier/app", "uri": "file:x", "sha256": "0" * 64, "study": "app"}
    store.record([ModelRelease(version="2", released_at=minutes(1.5) + lag, **released)])
    store.record([ModelRelease(version="3", released_at=minutes(1.5) + lag, outcome="refused", **released)])
    store.record([said(made[0], minute=2.5, decided_at=minutes(2.5) + lag)])
    found = [(one.at, one.kind, one.what) for one in changes(store.database, "app")]
    assert found == [
        (minutes(0), "codebook", "merged 'slow app'"),
        (minutes(2), "model", "release 2 of classifier/app"),
        (minutes(3), "people", "ana began to code"),
    ]
    assert [one.kind for one in changes(store.database, "app", minutes(1), minutes(3))] == ["model"]


def planted(store, count=1_600):
    draw = random.Random(4)
    made = [segment(n) for n in range(count)]
    late = [draw.random() < (0.5 if n >= 800 else 0.1) for n in range(count)]
    labels = ["late" if one else draw.choice(("price", "food", "crew")) for one in late]
    store.record([*made, *(assignment(one, label) for one, label in zip(made, labels, strict=True))])


def test_a_study_is_watched_as_a_file_would_be(store):
    planted(store)
    found = report_study(store.database, "app", None, SETTINGS)
    assert found.segments == 1_600
    assert found.alerts[0].codes[0] == "late"
    assert report_study(store.database, "app", AT + timedelta(minutes=900), SETTINGS).alerts == []


def test_the_command_tells_alerts_of_a_study_and_writes_the_page(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(tmp_path))
    store = open_store(load_settings().store_url)
    planted(store)
    store.close()
    page = tmp_path / "drift.html"
    words = ["report", "--study", "app", "--json", "--since", "2026-03-01", "--html", str(page)]
    done = CliRunner().invoke(drift, words, catch_exceptions=False)
    assert json.loads(done.stdout.splitlines()[0])["codes"][0] == "late"
    assert "<blockquote>text " in page.read_text(encoding="utf-8")
    nothing = CliRunner().invoke(drift, ["report", "--study", "other"])
    assert "has no segments" in str(nothing.exception)
