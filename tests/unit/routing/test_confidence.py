"""The first confidence never falls when a signal rises; labels count by their last word, and a promise has its own."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rating.prior import KINDS, OUT, all_fitted
from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions, Redecided
from models.fakes import HandClock
from models.routing.confidence import (
    ConfidenceModel,
    RoutedLately,
    fit_confidence,
    judged_assignments,
    prior,
    unseen_confidences,
)
from models.routing.rated_prior import ELECTED, elected_rating, elected_signals
from schemas.ids import code_id, uniform
from tests.unit.builders import judgement, judgements, rules, segment
from tests.unit.routing.test_router import assignment

SIGNALS = st.fixed_dictionaries(
    {"agreement": st.floats(0, 1), "margin": st.floats(-2, 2)},
    optional={
        "moderator_log_probability": st.floats(-20, 0),
        "classifier": st.floats(0, 1),
        "classifier_sure": st.sampled_from([0.0, 1.0]),
    },
)


# the score before there are labels


@given(SIGNALS, st.sampled_from([0.0, 1.0]))
def test_the_score_is_a_share(signals, fell_back):
    assert 0 <= prior(signals | {"fell_back": fell_back}) <= 1


@given(SIGNALS, st.data())
def test_the_score_never_falls_when_a_signal_rises(signals, data):
    name = data.draw(st.sampled_from(sorted(signals)))
    raised = signals | {name: signals[name] + data.draw(st.floats(0, 3))}
    assert prior(raised) >= prior(signals)


@given(SIGNALS)
def test_a_fallback_after_an_invalid_answer_is_never_surer(signals):
    assert prior(signals | {"fell_back": 1.0}) <= prior(signals)


def test_full_agreement_with_a_clear_margin_is_certain_and_nothing_known_is_not():
    assert prior({"agreement": 1, "margin": 0.5, "moderator_log_probability": 0}) == pytest.approx(1)
    assert prior({}) < 0.25


def test_a_code_that_blames_what_the_segment_praises_is_less_sure():
    signals = {"agreement": 0.9, "margin": 0.3}
    assert prior(signals | {"tone_clash": 1.0}) == pytest.approx(0.6 * prior(signals))


# chance


def test_what_is_drawn_is_a_segments_own_and_evenly_spread():
    ids = [segment(str(n)).id for n in range(4000)]
    first = [uniform(one, "sample") for one in ids]
    assert first == [uniform(one, "sample") for one in ids]
    assert all(0 <= one < 1 for one in first)
    for cut in (0.02, 0.25, 0.5, 0.9):
        assert sum(one < cut for one in first) / 4000 == pytest.approx(cut, abs=0.03)


def test_what_is_drawn_for_one_purpose_says_nothing_about_another():
    ids = [segment(str(n)).id for n in range(4000)]
    both = sum(uniform(one, "sample") < 0.5 and uniform(one, "half") < 0.5 for one in ids)
    assert both / 4000 == pytest.approx(0.25, abs=0.03)


# labels


def said(**values):
    return judgement(0, **values)


def verdicts(*annotations):
    return [one.accepted for one in judged_assignments(LatestAnnotations(annotations))]


def test_a_persons_last_word_counts_whatever_order_it_is_heard_in():
    first, last = said(accepted=True), said(accepted=False, minute=1)
    assert verdicts(first, last) == verdicts(last, first) == [False]


def test_a_word_that_is_withdrawn_was_never_said():
    assert verdicts(said(), said(minute=1, withdrawn=True)) == []
    assert verdicts(said(), said(minute=1, withdrawn=True), said(minute=2)) == [True]


def test_a_segment_that_several_people_judged_is_one_label_and_a_tie_is_no_acceptance():
    yes, no = said(annotator="ana"), said(annotator="ben", accepted=False)
    assert verdicts(yes, no) == [False]
    assert verdicts(yes, no, said(annotator="cy")) == [True]


def test_who_settles_a_segment_counts_before_all_who_coded_it():
    coders = [said(annotator=name, accepted=False) for name in ("ana", "ben")]
    assert verdicts(*coders, said(annotator="lea", kind="adjudication", signals={})) == [True]


def test_what_came_without_signals_or_without_a_verdict_teaches_nothing():
    assert verdicts(said(signals={})) == []
    assert verdicts(said(accepted=None)) == []


def test_what_is_heard_again_is_no_news():
    labels = LatestAnnotations()
    assert labels.add(said())
    assert not labels.add(said())


# what labels say


def test_without_labels_the_score_is_all_there_is_and_the_promise_needs_the_fewest():
    known = fit_confidence([], rules(mode="promise"), promising=True)
    signals = {"agreement": 0.9}
    assert known.confidence(signals) == prior(signals)
    assert known.labels_needed == 31


def test_labels_make_the_confidence_a_probability_and_keep_the_promise():
    known = fit_confidence(judged_assignments(LatestAnnotations(judgements(600))), rules(), promising=True)
    assert known.calibration is not None
    assert known.promise.satisfied
    assert known.labels_needed == 0
    assert known.confidence({"agreement": 0.95}) > 0.9
    assert known.confidence({"agreement": 0.05}) < 0.5


def test_all_labels_drawn_by_chance_teach_and_test_and_none_is_tested_by_what_it_taught():
    labels = judged_assignments(LatestAnnotations(judgements(600)))
    known = fit_confidence(labels, rules(), promising=True)
    assert known.promise.labels == known.calibration.labels == 600
    _, tests = unseen_confidences(labels)
    seen = [known.confidence(one.signals) for one in labels]
    assert len(tests) == 600
    assert [confidence for confidence, _ in tests] != pytest.approx(seen, abs=1e-6)


def test_labels_that_people_saw_for_doubt_do_not_teach_a_promise_where_enough_were_drawn_by_chance():
    drawn = judgements(200)
    doubted = [judgement(1_000 + n, sample=False, accepted=False) for n in range(200)]
    labels = judged_assignments(LatestAnnotations([*drawn, *doubted]))
    known = fit_confidence(labels, rules(), promising=True)
    assert known == fit_confidence(judged_assignments(LatestAnnotations(drawn)), rules(), promising=True)


def test_what_was_accepted_lately_is_counted_once_a_segment_and_forgotten_in_time():
    lately = RoutedLately(accepted=2)
    ids = [segment(str(n)).id for n in range(3)]
    for one in (ids[0], ids[0], ids[1]):
        lately.add(one, 0.9, accepted=True)
    assert (lately.earlier.codes, lately.earlier.wrong_share) == (2, pytest.approx(0.1))
    lately.add(ids[1], 0.4, accepted=False)
    assert lately.earlier.codes == 1
    for one in ids[1:]:
        lately.add(one, 0.7, accepted=True)
    assert (lately.earlier.codes, lately.earlier.wrong_share) == (2, pytest.approx(0.3))


def test_the_signals_of_what_came_lately_are_kept_once_a_segment_and_forgotten_in_time():
    lately = RoutedLately(stream=2)
    ids = [segment(str(n)).id for n in range(4)]
    lately.add(ids[0], 0.9, {"agreement": 0.9}, accepted=True)
    lately.add(ids[1], 0.2, {"agreement": 0.2}, accepted=False)
    lately.add(ids[0], 0.9, {"agreement": 0.8}, accepted=True)
    assert lately.stream == {ids[1]: {"agreement": 0.2}, ids[0]: {"agreement": 0.8}}
    lately.add(ids[2], 0.5, {"agreement": 0.5}, accepted=False)
    lately.add(ids[3], 0.0, None, accepted=False)  # outside the codebook: it is never accepted
    assert list(lately.stream) == [ids[0], ids[2]]


def stream(count, *others):
    came = {one.segment_id: one.signals for one in judgements(count, study="stream")}
    return came | {one.segment: one.signals for one in others}


def test_labels_asked_for_by_confidence_test_a_promise_too_where_enough_were_drawn_and_much_came():
    drawn = judged_assignments(LatestAnnotations(judgements(150)))
    doubtful = judged_assignments(LatestAnnotations(judgements(90, study="others", sample=False)))
    asked = [replace(one, redecided=True, asked=True) for one in doubtful]
    chosen = [replace(one, asked=False) for one in asked]  # by a person, who may have looked for what is right

    def tested(labels, came):
        return fit_confidence(labels, rules(), promising=True, stream=came).promise.labels

    assert tested([*drawn, *asked], stream(300, *asked)) == 240
    assert tested([*drawn, *asked], stream(300, *asked[:50])) == 200  # the others came too long ago
    assert tested([*drawn, *chosen], stream(300, *chosen)) == 150
    assert tested([*drawn, *asked], stream(9, *asked)) == tested([*drawn, *asked], None) == 150
    assert tested([*drawn[:80], *asked], stream(300, *asked)) == 80


def test_what_people_were_asked_since_a_release_counts_as_it_was_said_and_what_it_was_taught_does_not():
    ads = code_id("reviews", "ads")
    said = [judgement(n, shown="ads", reason=reason, sample=False) for n, reason in enumerate(("low confidence", None))]
    newer = judged_assignments(LatestAnnotations(said), OutOfFoldPredictions({ads: "ads"}, {}))
    assert [one.weighable for one in newer] == [True, False]
    rows = {one.segment_id: {ads: 0.3} for one in said}
    taught = judged_assignments(LatestAnnotations(said), OutOfFoldPredictions({ads: "ads"}, rows))
    assert not any(one.redecided or one.weighable for one in [*taught, *judged_assignments(LatestAnnotations(said))])


def test_a_label_is_judged_by_what_the_classifier_that_serves_would_say_now():
    slow, ads = (code_id("reviews", label) for label in ("slow app", "ads"))
    wrong_then = judgement(0, shown="ads", labels=["slow app"], code_ids=[slow], accepted=False)
    right_then = judgement(1, shown="slow app", labels=["slow app"], code_ids=[slow])
    rows = {wrong_then.segment_id: {slow: 0.8, ads: 0.1}, right_then.segment_id: {slow: 0.2, ads: 0.7}}
    taught = OutOfFoldPredictions({slow: "slow app", ads: "ads"}, rows)
    judged = judged_assignments(LatestAnnotations([wrong_then, right_then]), taught)
    assert [one.accepted for one in judged] == [True, False]
    assert all(one.signals["classifier_agrees"] == 1.0 for one in judged)
    assert all("agreement" not in one.signals for one in judged)  # that was of another code


def test_a_label_is_judged_by_what_the_system_would_decide_now_without_it():
    slow, ads = (code_id("reviews", label) for label in ("slow app", "ads"))
    other = judgement(
        0, shown="ads", labels=["slow app"], code_ids=[slow], accepted=False, signals={"agreement": 0.5, "words": 4.0}
    )
    same = judgement(1, shown="slow app", labels=["slow app"], code_ids=[slow])
    decided = {
        other.segment_id: Redecided("Slow App", {"precedent_similarity": 0.9}),
        same.segment_id: Redecided("slow app", {"precedent_similarity": 0.4}),
    }
    rows = {one.segment_id: {slow: 0.2, ads: 0.7} for one in (other, same)}
    taught = OutOfFoldPredictions({slow: "slow app", ads: "ads"}, rows, decided=decided)
    first, second = judged_assignments(LatestAnnotations([other, same]), taught)
    assert (first.accepted, first.redecided, first.signals["precedent_similarity"]) == (True, True, 0.9)
    assert first.signals["words"] == 4.0
    assert "agreement" not in first.signals  # that was of another code
    assert (second.accepted, second.signals["agreement"], second.signals["classifier_agrees"]) == (True, 0.5, 0.0)


def test_a_judgement_that_still_holds_is_not_made_again():
    labels = LatestAnnotations(judgements(3))
    known = {}
    first = judged_assignments(labels, None, known)
    assert list(known.values()) == first
    known[first[0].segment] = None
    assert judged_assignments(labels, None, known) == first[1:]


def test_what_was_decided_again_teaches_beside_what_was_drawn_by_chance():
    drawn = judged_assignments(LatestAnnotations(judgements(150)))
    doubtful = judged_assignments(LatestAnnotations(judgements(90, study="others", sample=False)))
    again = [replace(one, redecided=True) for one in doubtful]
    assert unseen_confidences([*drawn, *doubtful])[0].labels == 150
    taught, tests = unseen_confidences([*drawn, *again])
    assert (taught.labels, len(tests)) == (240, 150)


def test_labels_that_were_not_drawn_by_chance_are_for_the_calibration_alone():
    known = fit_confidence(
        judged_assignments(LatestAnnotations(judgements(200, sample=False))), rules(), promising=True
    )
    assert known.calibration.labels == 200
    assert known.promise.labels == 0


def test_no_promise_is_made_where_none_is_wanted():
    assert fit_confidence([], rules(), promising=False) == ConfidenceModel(None, None)


def test_clocks_do_not_matter_to_what_is_learnt():
    later = [one.model_copy(update={"decided_at": HandClock().now() + timedelta(days=3)}) for one in judgements(100)]
    assert judged_assignments(LatestAnnotations(later)) == judged_assignments(LatestAnnotations(judgements(100)))


# a classifier


def test_a_sure_classifier_stands_for_the_members_agreement_and_one_that_is_not_changes_nothing():
    members = {"agreement": 0.4, "margin": 0.3}
    assert prior(members | {"classifier": 0.95, "classifier_sure": 1.0}) == prior(members | {"agreement": 0.95})
    assert prior(members | {"classifier": 0.95}) == prior(members | {"classifier": 0.0}) == prior(members)
    assert prior({"margin": 0.3, "classifier": 0.95, "classifier_sure": 1.0}) == prior(members | {"agreement": 0.95})


def test_labels_are_weighed_with_what_the_release_that_serves_says_of_them():
    slow, ads = (code_id("reviews", label) for label in ("slow app", "ads"))
    accepted = judgement(0, shown="ads", labels=["slow app", "ads"], code_ids=[slow, ads])
    refused = judgement(1, shown="ads", labels=["slow app"], code_ids=[slow], accepted=False)
    unshown = judgement(2)
    rows = {one.segment_id: {slow: 0.3, ads: 0.6} for one in (accepted, refused, unshown)}
    labels = LatestAnnotations([accepted, refused, unshown])
    found = [
        dict(one.signals)
        for one in judged_assignments(labels, OutOfFoldPredictions({slow: "slow app", ads: "ads"}, rows))
    ]
    said = {"classifier": 0.6, "classifier_margin": 0.3, "classifier_agrees": 1.0, "classifier_sure": 0.0}
    assert found == [{"agreement": 0.5} | said, {"agreement": 0.5} | said, said]  # nobody had been shown a code
    assert [dict(one.signals) for one in judged_assignments(labels)] == [{"agreement": 0.5}] * 3


def test_what_a_verifier_judged_well_is_surer_and_a_clash_or_a_fallback_costs_as_ever():
    likely = {"verifier": 0.95, "log_probability": -0.2, "agreement": 0.4}
    assert (
        prior(likely) > prior(likely | {"verifier": 0.5}) > prior(likely | {"verifier": 0.5, "log_probability": -1.5})
    )
    assert prior(likely | {"tone_clash": 1.0}) == pytest.approx(0.6 * prior(likely))
    assert prior(likely | {"classifier": 0.99, "classifier_sure": 1.0}) == 0.99


def test_the_weights_of_rated_codes_are_what_the_ratings_give_and_those_of_elected_ones_name_the_members_of_tiny():
    kept, again = json.loads(OUT.read_text(encoding="utf-8")), all_fitted()
    for kind in KINDS:
        assert again[kind]["weights"] == pytest.approx(kept[kind]["weights"], abs=0.01)
        assert again[kind]["card"]["ratings"] == kept[kind]["card"]["ratings"]
    assert again["elected"]["members"] == kept["elected"]["members"]


@pytest.mark.parametrize("kind", KINDS)
def test_confidence_before_labels_is_near_what_stands_of_the_rated_codes(kind):
    rated = KINDS[kind].rows()
    sure = [prior(with_rating(row["signals"])) for row in rated]
    assert sum(sure) / len(sure) == pytest.approx(sum(row["stands"] for row in rated) / len(rated), abs=0.02)
    best = sorted(zip(sure, (row["stands"] for row in rated), strict=True), key=lambda each: -each[0])
    half = [stands for _, stands in best[: len(rated) // 2]]
    assert sum(half) / len(half) > 0.78


def with_rating(signals: dict[str, float]) -> dict[str, float]:
    """A code's signals as the router completes them, elected by the members of `tiny` where no verifier judged it."""
    return signals if "verifier" in signals else signals | {ELECTED: elected_rating(signals)}


def test_only_codes_that_the_rated_members_elected_have_their_rating():
    signals = {"log_probability": -0.4, "stems_in_text": 0.5}
    members = json.loads(OUT.read_text(encoding="utf-8"))["elected"]["members"]

    def rating(models: dict[str, str], verdict: str = "consensus", **more: float) -> dict[str, float]:
        given = assignment(signals=signals | more, verdict=verdict)
        return elected_signals(given.model_copy(update={"models": given.models | models}))

    assert 0.5 < rating(members)[ELECTED] < 0.9
    for unrated in (
        rating(members | {"gist": "another+1a2b3c4d"}),
        rating({}),
        rating(members, "precedent"),
        rating(members, verifier=0.5),
    ):
        assert unrated == {}
