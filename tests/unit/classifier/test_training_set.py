"""What people's labels come to as something to teach: last words, in today's codes."""

from datetime import timedelta
from uuid import uuid4

import numpy as np

from models.annotation.human_decision import LatestAnnotations
from models.classifier.training_set import TrainingSet, training_set
from models.codebook.codebook import Codebook
from models.fakes import HandClock
from schemas import Annotation, CodeEvent
from schemas.ids import code_id
from tests.unit.builders import segment

STUDY = "reviews"
START = HandClock().now()


def said(key, *labels, by="ana", minute=0, **values):
    given = {"text": f"text {key}", "annotator": by, "decided_at": START + timedelta(minutes=minute)}
    return Annotation(
        segment_id=segment(key=key).id,
        study=STUDY,
        code_ids=[code_id(STUDY, label) for label in labels],
        labels=list(labels),
        **(given | values),
    )


def event(kind, label, *into, minute=0):
    return CodeEvent(
        id=uuid4(),
        code_id=code_id(STUDY, label),
        study=STUDY,
        kind=kind,
        label=label,
        author="lea",
        at=START + timedelta(minutes=minute),
        into=[code_id(STUDY, one) for one in into],
    )


def opened(*labels):
    return [event("created", label) for label in labels]


def labels_of(*annotations, events=(), **settings):
    return training_set(LatestAnnotations(annotations), Codebook(events), **({"least_examples": 1} | settings))


def codes_by_key(found: TrainingSet):
    names = {code_id(STUDY, name): name for name in ("ads", "price", "speed", "slow", "login")}
    return {row.text.removeprefix("text "): {names[code] for code in row.codes} for row in found.rows}


def test_a_persons_last_word_counts_whatever_the_order_they_come_in():
    first, second = said("a", "ads"), said("a", "price", minute=1)
    assert codes_by_key(labels_of(first, second)) == {"a": {"price"}}
    assert codes_by_key(labels_of(second, first)) == {"a": {"price"}}


def test_a_word_that_comes_twice_is_no_news():
    words = LatestAnnotations()
    assert words.add(said("a", "ads"))
    assert not words.add(said("a", "ads"))


def test_what_is_withdrawn_is_gone_and_what_somebody_is_unsure_of_stays():
    found = labels_of(said("a", "ads"), said("a", "ads", minute=1, withdrawn=True), said("b", "ads", unsure=True))
    assert codes_by_key(found) == {"b": {"ads"}}


def test_of_several_coders_the_majority_counts_code_by_code_and_all_are_named():
    found = labels_of(said("a", "ads", "price"), said("a", "ads", by="ben"), said("a", "speed", "price", by="cy"))
    assert codes_by_key(found) == {"a": {"ads", "price"}}
    assert found.rows[0].coders == ("ana", "ben", "cy")


def test_a_segment_whose_coders_have_nothing_in_common_teaches_nothing_until_it_is_settled():
    apart = [said("a", "ads"), said("a", "price", by="ben")]
    assert codes_by_key(labels_of(*apart)) == {}
    ruling = said("a", "speed", by="lea", minute=1, kind="adjudication")
    found = labels_of(*apart, ruling)
    assert codes_by_key(found) == {"a": {"speed"}}
    assert found.rows[0].coders == ("lea",)


def test_that_no_code_fits_is_a_label_too():
    assert codes_by_key(labels_of(said("a"), said("b", "ads"))) == {"a": set(), "b": {"ads"}}


def test_labels_follow_merges_and_drop_codes_that_were_retired():
    events = [*opened("ads", "price", "slow", "speed"), event("merged", "slow", "speed"), event("retired", "price")]
    found = labels_of(said("a", "slow"), said("b", "speed"), said("c", "price", "ads"), events=events)
    assert codes_by_key(found) == {"a": {"speed"}, "b": {"speed"}, "c": {"ads"}}
    assert found.names[code_id(STUDY, "speed")] == "speed"


def test_a_segment_with_a_code_that_was_split_teaches_nothing_until_it_is_coded_again():
    events = [*opened("slow", "speed", "login"), event("split", "slow", "speed", "login")]
    assert codes_by_key(labels_of(said("a", "slow", "ads"), events=events)) == {}
    again = said("a", "login", minute=1)
    assert codes_by_key(labels_of(said("a", "slow"), again, events=events)) == {"a": {"login"}}


def test_a_code_that_the_codebook_has_not_heard_of_counts_as_it_was_written():
    found = labels_of(said("a", "ads"))
    assert dict(found.names) == {code_id(STUDY, "ads"): "ads"}


def test_labels_that_came_without_ids_or_text_are_found_by_name_or_left_out():
    found = labels_of(said("a", "ads").model_copy(update={"code_ids": []}), said("b", "ads", text=None))
    assert codes_by_key(found) == {"a": {"ads"}}


def test_codes_with_too_few_examples_are_left_out_and_their_segments_stay_as_rows_without_codes():
    many = [said(f"m{n}", "ads") for n in range(12)]
    few = [said("f1", "price"), said("f2", "price", "ads")]
    found = labels_of(*many, *few, least_examples=4)
    assert found.codes == (code_id(STUDY, "ads"),)
    table = dict(zip([row.text for row in found.rows], found.matrix(found.rows).tolist(), strict=True))
    assert table["text f1"] == [False]
    assert table["text f2"] == [True]
    assert len(found.rows) == 14


def test_the_digest_changes_with_labels_texts_and_codes_and_not_with_the_order_they_come_in():
    one, two = said("a", "ads"), said("b", "price")
    digest = labels_of(one, two).digest
    assert labels_of(two, one).digest == digest
    assert labels_of(one).digest != digest
    assert labels_of(one, said("b", "price", text="other")).digest != digest
    assert labels_of(one, two, least_examples=2).digest != digest


def test_a_matrix_has_the_columns_that_are_asked_for():
    found = labels_of(said("a", "ads"), said("b", "price", "ads", minute=1))
    table = found.matrix(found.rows, [code_id(STUDY, "price"), code_id(STUDY, "speed")])
    assert table.dtype == np.bool_
    assert table.tolist() == [[False, False], [True, False]]
