"""Who coded what, as it stands, over a real SQLite file."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from infra.annotation.agreement import readings, study_agreement
from infra.annotation.disputes import disagreements
from infra.storage.annotations import SYSTEM, codings, current_annotations
from infra.storage.store import open_store
from schemas import Annotation, Assignment, CodeEvent, Decision, Proposal
from schemas.ids import code_event_id, code_id
from tests.unit.builders import segment

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = "reviews"


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


def minutes(n):
    return AT + timedelta(minutes=n)


def code(label, minute=0, kind="created", **more):
    identity = code_id(STUDY, label)
    given = {"id": code_event_id(identity, kind, str(minute)), "code_id": identity, "study": STUDY, "author": "ana"}
    return CodeEvent(**{**given, "kind": kind, "label": label, "at": minutes(minute), **more})


def said(who, key, *labels, minute=1, **more):
    given = {"segment_id": segment(key=key).id, "study": STUDY, "annotator": who, "decided_at": minutes(minute)}
    ids = [code_id(STUDY, label) for label in labels]
    return Annotation(**{"code_ids": ids, "labels": labels, **given, **more})


def decided(key, *proposals):
    return Decision(
        segment=segment(key=key),
        proposals=proposals,
        label="slow",
        verdict="picked",
        why="w",
        agreement=0.5,
        moderator="m@1",
    )


def proposed(member, label, fault=None):
    return Proposal(member=member, model=f"{member}@1", label=label, fault=fault, latency_s=0)


def assigned(key, label):
    return Assignment(
        segment_id=segment(key=key).id,
        study=STUDY,
        code_id=code_id(STUDY, label),
        label=label,
        proposed=label,
        new=False,
        similarity=0.9,
        why="w",
        verdict="picked",
        assigned_at=AT,
    )


def merged(label, into):
    return code(label, 5, "merged", into=[code_id(STUDY, into)])


def given(found):
    return {(one.coder, one.labels) for one in found}


def test_a_persons_last_word_counts(store):
    store.record([said("ana", "1", "slow"), said("ana", "1", "fast", minute=3), said("ana", "1", "dear", minute=2)])
    (one,) = codings(store.database, STUDY)
    assert (one.coder, one.labels, one.at, one.by_model) == ("ana", ("fast",), minutes(3), False)


def test_what_is_withdrawn_leaves_the_segment_as_if_nothing_had_been_said(store):
    store.record([said("ana", "1", "slow"), said("ana", "1", "fast", minute=2, withdrawn=True), said("ben", "1", "x")])
    assert given(codings(store.database, STUDY)) == {("ben", ("x",))}
    with store.database.reading() as connection:
        assert connection.execute(select(current_annotations(STUDY).c.annotator)).scalars().all() == ["ben"]


def test_who_settles_a_segment_is_still_known_to_have_coded_it(store):
    store.record([said("ana", "1", "slow"), said("ana", "1", "fast", minute=2, kind="adjudication")])
    found = codings(store.database, STUDY)
    assert [(one.kind, one.labels) for one in found] == [("coding", ("slow",)), ("adjudication", ("fast",))]
    with store.database.reading() as connection:
        last = connection.execute(select(current_annotations(STUDY).c.kind)).scalars().all()
    assert last == ["adjudication"]


def test_a_merged_code_counts_as_what_it_became_and_once(store):
    store.record([code("slow"), code("sluggish"), said("ana", "1", "sluggish", "slow"), said("ben", "1", "slow")])
    store.record([merged("sluggish", "slow")])
    assert given(codings(store.database, STUDY)) == {("ana", ("slow",)), ("ben", ("slow",))}


def test_a_code_that_was_retired_or_that_nobody_knows_stands_for_itself(store):
    store.record([code("slow"), code("slow", 5, "retired"), said("ana", "1", "slow", "unheard of")])
    (one,) = codings(store.database, STUDY)
    assert one.labels == ("slow", "unheard of")
    assert one.code_ids == (code_id(STUDY, "slow"), code_id(STUDY, "unheard of"))


def test_a_renamed_code_goes_by_its_new_label(store):
    renamed = code("slow", 5, "renamed").model_copy(update={"label": "waits too long"})
    store.record([code("slow"), renamed, said("ana", "1", "slow")])
    assert given(codings(store.database, STUDY)) == {("ana", ("waits too long",))}


def test_labels_without_ids_are_the_codes_of_that_name(store):
    store.record([code("slow"), said("ana", "1", "SLOW ", code_ids=[])])
    (one,) = codings(store.database, STUDY)
    assert (one.code_ids, one.labels) == ((code_id(STUDY, "slow"),), ("slow",))


def test_models_code_what_people_read_by_the_codes_of_their_words(store):
    proposals = [proposed("a", "Slow"), proposed("b", "own words"), proposed("c", "bad", "too long"), proposed("d", "")]
    store.record([code("slow"), said("ana", "1", "slow"), said("ana", "2", "slow")])
    store.record([decided("1", *proposals), assigned("1", "slow"), assigned("unread", "slow")])
    found = codings(store.database, STUDY)
    assert given(found) == {("ana", ("slow",)), (SYSTEM, ("slow",)), ("a", ("slow",)), ("b", ("own words",))}
    assert {one.coder for one in found if one.by_model} == {SYSTEM, "a", "b"}
    assert given(codings(store.database, STUDY, include_models=False)) == {("ana", ("slow",))}


def test_one_segment_is_told_with_its_models_though_nobody_read_it(store):
    store.record([assigned("unread", "slow"), said("ana", "1", "slow")])
    assert given(codings(store.database, STUDY, segment=segment(key="unread").id)) == {(SYSTEM, ("slow",))}


def test_a_member_that_goes_by_a_persons_name_is_told_apart(store):
    store.record([said("ana", "1", "slow"), decided("1", proposed("ana", "slow"))])
    assert {one.coder for one in codings(store.database, STUDY)} == {"ana", "ana (model)"}


def test_other_studies_are_not_looked_at(store):
    store.record([said("ana", "1", "slow"), said("ben", "1", "slow", study="other")])
    assert given(codings(store.database, STUDY)) == {("ana", ("slow",))}


def test_being_unsure_without_a_code_is_no_coding_and_finding_that_none_fits_is_one(store):
    store.record([said("ana", "1", unsure=True), said("ben", "1"), said("cem", "1", "slow", unsure=True)])
    found = readings(codings(store.database, STUDY))
    assert {(one.coder, len(one.codes)) for one in found} == {("ben", 0), ("cem", 1)}


def test_the_figures_follow_the_codings(store):
    store.record(
        [said("ana", "1", "slow"), said("ben", "1", "dear"), said("ana", "2", "dear"), said("ben", "2", "dear")]
    )
    before = study_agreement(store.database, STUDY, with_models=False)
    assert (before.figures.units, before.figures.percent.value, before.double.share) == (2, 0.5, 1)
    assert study_agreement(store.database, STUDY, with_models=False) is before
    store.record([said("ben", "1", "slow", minute=9)])
    assert study_agreement(store.database, STUDY, with_models=False).figures.percent.value == 1


def test_codings_made_with_the_systems_code_in_view_are_counted(store):
    store.record([said("ana", "1", "slow", blind=True), said("ben", "1", "slow"), said("cem", "1", unsure=True)])
    found = study_agreement(store.database, STUDY, with_models=False)
    assert (found.codings, found.in_view, found.unsure) == (3, 2, 1)


def test_what_people_agree_on_or_what_is_settled_is_no_disagreement(store):
    store.take_in([segment(f"text {n}", str(n)) for n in range(4)])
    for n, theirs in enumerate(("slow", "dear", "dear", "dear")):
        store.record([said("ana", str(n), "slow"), said("ben", str(n), theirs, memo=f"why {n}")])
    store.record([said("lead", "1", "slow", minute=3, kind="adjudication"), assigned("0", "other")])
    found, count = disagreements(store.database, STUDY, 1)
    assert (len(found), count) == (1, 2)
    assert (found[0].text, found[0].distance) in {("text 2", 1.0), ("text 3", 1.0)}
    assert {one.memo for one in found[0].codings} & {"why 2", "why 3"}
    store.record([said("lead", "1", "slow", minute=4, kind="adjudication", withdrawn=True)])
    assert disagreements(store.database, STUDY, 9)[1] == 3


def test_codes_that_were_merged_are_no_disagreement_any_more(store):
    store.record([code("slow"), code("sluggish"), said("ana", "1", "sluggish"), said("ben", "1", "slow")])
    assert disagreements(store.database, STUDY, 9)[1] == 1
    store.record([merged("sluggish", "slow")])
    assert disagreements(store.database, STUDY, 9)[1] == 0
