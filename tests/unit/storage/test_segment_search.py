"""Searching a real store: by words, by every filter, page by page; and what a segment is coded as in the end."""

import pytest

from infra.storage.outcomes import Assigned, outcomes
from infra.storage.segment_search import Filters, among, choices, count, find
from infra.storage.store import open_store
from infra.storage.trace import trace
from schemas import Annotation, AnnotationRequest, CodeEvent
from schemas.ids import code_event_id, code_id
from tests.unit.storage.test_store import AT, assignment, decision, letter, minutes, segment


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


def said(of, who, *labels, at=1.0, **more):
    ids = [code_id(of.study, label) for label in labels]
    given = {"segment_id": of.id, "study": of.study, "annotator": who, "code_ids": ids, "labels": list(labels)}
    return Annotation.model_validate({**given, "decided_at": minutes(at), **more})


def made(label, kind="created", at=0.0, **more):
    code = code_id("app", label)
    given = {"id": code_event_id(code, kind, str(at)), "code_id": code, "study": "app", "kind": kind, "label": label}
    return CodeEvent.model_validate({**given, "author": "lea", "at": minutes(at), **more})


def texts(store, **filters):
    return [one.text for one in find(store.database, "app", Filters(**filters)).matches]


def test_every_word_must_occur_whatever_its_case(store):
    store.record([segment(1, text="The Checkout is SLOW"), segment(2, text="slow app"), segment(3, text="checkout")])
    assert texts(store, words="slow checkout") == ["The Checkout is SLOW"]
    assert texts(store, words="sLoW") == ["slow app", "The Checkout is SLOW"]


@pytest.mark.parametrize("word", ["größe", "GRÖSSE", "Größe", "öl"])
def test_letters_beyond_ascii_are_folded_too(store, word):
    store.record([segment(1, text="Die GRÖSSE passt, Größe und Öl, größe")])
    assert len(texts(store, words=word)) == 1


@pytest.mark.parametrize(("word", "found"), [("100%", ["100% sure"]), ("a_b", ["a_b"]), ("c\\d", ["c\\d"])])
def test_signs_of_patterns_stand_for_themselves(store, word, found):
    store.record([segment(n, text=text) for n, text in enumerate(["100% sure", "1000 sure", "a_b", "axb", "c\\d"])])
    assert texts(store, words=word) == found


def test_pages_hold_every_segment_once_newest_first_also_where_times_are_equal(store):
    store.record([segment(n, timestamp=minutes(n // 4)) for n in range(23)])
    seen, after = [], None
    while True:
        page = find(store.database, "app", Filters(), after=after, limit=5)
        seen += [one.id for one in page.matches]
        after = page.after
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 23
    assert seen[0] in {segment(n).id for n in (20, 21, 22)}


def test_filters_narrow_by_time_source_confidence_and_route(store):
    store.record([segment(n, source=f"s{n}") for n in range(4)])
    store.record([assignment(segment(n), confidence=n / 4, route="people" if n < 2 else "accepted") for n in range(3)])
    assert texts(store, since=minutes(1), until=minutes(3)) == ["text 2", "text 1"]
    assert texts(store, source="s3") == ["text 3"]
    assert texts(store, low=0.25, high=0.3) == ["text 1"]
    assert texts(store, route="people") == ["text 1", "text 0"]
    assert texts(store, route="none") == ["text 3"]
    assert count(store.database, "app", Filters(route="people")) == 2
    assert count(store.database, "app", Filters(), most=2) == 3
    assert choices(store.database, "app").sources == ["s0", "s1", "s2", "s3"]


def test_who_coded_what_is_found_by_last_words_that_stand(store):
    store.record([segment(n) for n in range(3)])
    store.record([said(segment(0), "ana", "x"), said(segment(1), "ben", "x"), said(segment(2), "ana", "x")])
    store.record([said(segment(2), "ana", at=2, withdrawn=True)])
    assert texts(store, annotator="ana") == ["text 0"]
    assert texts(store, human="yes") == ["text 1", "text 0"]
    assert texts(store, human="no") == ["text 2"]
    assert choices(store.database, "app").annotators == ["ana", "ben"]


def test_a_code_finds_what_has_it_in_the_end_merged_ones_included(store):
    store.record([made("slow"), made("sluggish"), made("crash")])
    store.record([segment(n) for n in range(4)])
    store.record([assignment(segment(n), label) for n, label in enumerate(("slow", "sluggish", "slow", "crash"))])
    store.record([said(segment(2), "ana", "crash"), said(segment(3), "ana", "slow"), said(segment(3), "ben", "crash")])
    wanted = code_id("app", "slow")
    assert texts(store, code=wanted) == ["text 0"]
    assert texts(store, human="undecided") == ["text 3"]  # where people do not agree, neither code is final
    store.record([made("sluggish", "merged", 5.0, into=[wanted])])
    assert texts(store, code=wanted) == ["text 1", "text 0"]
    store.record([said(segment(3), "lea", "crash", kind="adjudication", at=9.0)])
    assert texts(store, code=wanted) == ["text 1", "text 0"]


def test_segments_found_by_meaning_keep_their_order_and_are_narrowed(store):
    store.record([segment(n, source=f"s{n % 2}") for n in range(4)])
    near = [(segment(n).id, 1 - n / 10) for n in (3, 1, 2)]
    found = among(store.database, "app", Filters(source="s1"), near)
    assert [(one.text, one.similarity) for one in found] == [("text 3", 0.7), ("text 1", 0.9)]


def test_a_study_never_finds_anothers_segments(store):
    store.record([segment(1), segment(1, "shop")])
    assert texts(store) == ["text 1"]
    assert trace(store.database, "shop", segment(1).id) is None


def test_an_outcome_names_codes_as_they_are_now(store):
    one = segment(1)
    store.record([made("slow"), made("sluggish"), one, assignment(one, "slow"), said(one, "ana", "sluggish")])
    store.record([made("sluggish", "merged", 3.0, into=[code_id("app", "slow")])])
    with store.database.reading() as connection:
        found = outcomes(connection, {one.id: Assigned(code_id("app", "slow"), "slow")})[one.id]
    assert ([code.label for code in found.codes], found.by) == (["slow"], "people")


def test_a_trace_tells_everything_that_is_known(store):
    one = segment(1)
    ask = AnnotationRequest(
        segment_id=one.id,
        study="app",
        code_id=code_id("app", "slow"),
        label="slow",
        confidence=0.2,
        reason="audit",
        requested_at=AT,
    )
    store.record([made("slow"), one, decision(one, "slow"), assignment(one, "slow", confidence=0.2), ask])
    store.record([letter(1, one), said(one, "ana", "slow", memo="why"), said(one, "ana", "quick", at=2)])
    store.record([made("slow", "renamed", 4.0)])
    found = trace(store.database, "app", one.id)
    assert found is not None
    assert (found.segment, found.decision, found.request, found.open_slots) == (one, decision(one, "slow"), ask, 0)
    assert [(each.annotation.labels, each.counts) for each in found.people] == [(["slow"], False), (["quick"], True)]
    assert [each.event.kind for each in found.changes] == ["created", "renamed"]
    assert [each.letter.reason for each in found.letters] == ["not UTF-8"]
    assert [code.label for code in found.outcome.codes] == ["quick"]
