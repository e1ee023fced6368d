"""Who sees a segment next: by a threshold, a promise or a budget; some by chance, some by two people."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.registry import ReleaseRegistry
from models.fakes import HandClock
from models.routing.confidence import prior
from models.routing.router import Router
from schemas import Assignment
from schemas.coding import OUTSIDE_CODEBOOK
from schemas.ids import code_id, uniform
from tests.unit.builders import judgement, judgements, release, rules, segment

NOW = HandClock().now()
SURE, DOUBTFUL = {"agreement": 0.95}, {"agreement": 0.1}


def assignment(signals=SURE, key="one", study="reviews", verdict="consensus", moderator="consensus"):
    return Assignment(
        segment_id=segment(key=key, study=study).id,
        study=study,
        code_id=code_id(study, "ads"),
        label="ads",
        proposed="ads",
        new=True,
        similarity=1,
        why="new",
        verdict=verdict,
        signals=signals,
        models={"moderator": moderator},
        assigned_at=NOW,
    )


def many(count, signals=SURE):
    return [assignment(signals, str(n)) for n in range(count)]


def router(**values):
    return Router(lambda study: rules(study, **({"audit_share": 0} | values)))


def routes(of, *assignments):
    return [routed.assignment.route for routed in of.route(assignments)]


# threshold


def test_the_sure_are_accepted_and_the_doubtful_go_to_people():
    sure, doubtful = router().route([assignment(SURE), assignment(DOUBTFUL)])
    assert (sure.assignment.route, sure.request) == ("accepted", None)
    assert doubtful.assignment.route == "people"
    asked = doubtful.request
    assert (asked.reason, asked.blind, asked.sample, asked.coders) == ("low confidence", False, False, 1)
    assert asked.confidence == doubtful.assignment.confidence == prior(DOUBTFUL)
    assert asked.signals == doubtful.assignment.signals


def test_only_a_consensus_that_stands_in_for_a_moderator_counts_as_a_fallback():
    signals = {"agreement": 0.8, "margin": 0.2}
    by_rule, fallback, picked = router().route(
        [
            assignment(signals),
            assignment(signals, moderator="m@1"),
            assignment(signals, "one", "reviews", "picked", "m"),
        ]
    )
    assert fallback.assignment.confidence < by_rule.assignment.confidence == picked.assignment.confidence
    assert fallback.assignment.signals == signals | {"fell_back": 1.0}
    (led,) = router().route([assignment(signals, moderator="consensus+precedents")])
    assert led.assignment.confidence == by_rule.assignment.confidence


def test_the_same_assignment_makes_the_same_request_again_whatever_the_time():
    of = router(expire_days=3)
    (first,), (again,) = of.route([assignment(DOUBTFUL)]), of.route([assignment(DOUBTFUL)])
    assert first == again
    assert first.request.requested_at == NOW
    assert first.request.expires_at == NOW + timedelta(days=3)


def test_rules_that_expire_after_the_end_of_the_calendar_stop_no_router():
    assert router(expire_days=1e9).route([assignment(DOUBTFUL)])[0].request.expires_at.year < 9999


def test_each_study_has_its_own_rules():
    of = Router(lambda study: rules(study, threshold=1.0 if study == "strict" else 0.0, audit_share=0))
    assert routes(of, assignment(study="strict"), assignment(DOUBTFUL, study="loose")) == ["people", "accepted"]


# chance


def test_the_chosen_share_of_the_accepted_is_read_blind_as_an_audit():
    routed = router(audit_share=0.1).route(many(2000))
    audits = [one.request for one in routed if one.request]
    assert 150 < len(audits) < 250
    assert {(one.reason, one.sample, one.blind) for one in audits} == {("audit", True, True)}
    assert {one.assignment.route for one in routed} == {"accepted"}


def test_whether_a_segment_is_drawn_has_nothing_to_do_with_its_confidence():
    of = router(audit_share=0.1)

    def sampled(signals):
        return [one.request is not None and one.request.sample for one in of.route(many(500, signals))]

    assert sampled(SURE) == sampled(DOUBTFUL)
    assert {one.request.blind for one in of.route(many(500, DOUBTFUL))} == {True, False}


def test_the_drawn_come_first_in_their_order_and_then_what_tells_the_most():
    of = router(audit_share=0.2, threshold=0.9)
    asked = [one.request for one in of.route([*many(300, DOUBTFUL), assignment({"agreement": 0.5}, "halfway")])]
    ordered = sorted(asked, key=lambda one: -one.priority)
    sample = [one for one in ordered if one.sample]
    assert ordered[: len(sample)] == sample
    assert sample == sorted(sample, key=lambda one: uniform(one.segment_id, "sample"))
    assert ordered[len(sample)].segment_id == segment(key="halfway").id


def test_the_chosen_share_of_what_people_get_is_coded_by_two():
    asked = [one.request for one in router(double_share=0.3).route(many(1000, DOUBTFUL))]
    twice = [one for one in asked if one.coders == 2]
    assert 250 < len(twice) < 350
    assert {(one.reason, one.blind) for one in twice} == {("double coding", True)}


def test_an_audit_that_two_people_read_is_still_an_audit():
    asked = [one.request for one in router(double_share=1, audit_share=1).route(many(20))]
    assert {(one.reason, one.coders) for one in asked} == {("audit", 2)}


# promise


def test_without_labels_everything_goes_to_people_by_chance_and_says_how_many_labels_are_needed():
    (routed,) = router(mode="promise").route([assignment()])
    assert routed.assignment.route == "people"
    assert (routed.request.sample, routed.request.blind) == (True, True)
    assert routed.request.why == "the promise needs about 31 more labels"


def test_labels_keep_the_promise_and_what_is_accepted_is_wrong_less_often():
    of = router(mode="promise")
    of.update_annotations(judgements(600))
    _, known = of.fitted("reviews")
    assert routes(of, assignment(), assignment(DOUBTFUL)) == ["accepted", "people"]
    assert known.promise.labels == 600


def test_the_promise_is_exceeded_in_at_most_one_of_twenty_studies():
    world = judgements(5000, seed=1_000)
    exceeded = 0
    for seed in range(20):
        of = router(mode="promise")
        of.update_annotations(judgements(300, seed=seed))
        _, known = of.fitted("reviews")
        accepted = [one.accepted for one in world if known.confidence(one.signals) >= known.promise.threshold]
        exceeded += accepted.count(False) > 0.1 * len(accepted)
    assert exceeded <= 1


def test_where_codes_are_wrong_too_often_it_says_so():
    of = router(mode="promise")
    of.update_annotations(judgement(n, accepted=n % 2 == 0) for n in range(400))
    (routed,) = of.route([assignment()])
    assert routed.request.why == "codes are wrong too often for the promise, however sure they are"


def test_labels_that_are_withdrawn_take_the_promise_back():
    of = router(mode="promise")
    said = judgements(600)
    of.update_annotations(said)
    assert routes(of, assignment()) == ["accepted"]
    later = {"withdrawn": True, "decided_at": NOW + timedelta(hours=1)}
    of.update_annotations(one.model_copy(update=later) for one in said)
    assert routes(of, assignment()) == ["people"]


def test_labels_of_one_study_promise_nothing_to_another():
    of = router(mode="promise")
    of.update_annotations(judgements(600))
    assert routes(of, assignment(), assignment(study="other")) == ["accepted", "people"]


def test_few_labels_are_weighed_one_by_one_and_many_only_when_a_fiftieth_is_new():
    of = router(mode="promise")
    of.update_annotations(judgements(40))
    before = of.fitted("reviews")[1]
    of.update_annotations([judgement(100)])
    after = of.fitted("reviews")[1]
    assert after is not before
    of.update_annotations(judgements(400))
    before = of.fitted("reviews")[1]
    of.update_annotations([judgement(1001)])
    assert of.fitted("reviews")[1] is before
    of.update_annotations([judgement(n) for n in range(1002, 1012)])
    assert of.fitted("reviews")[1] is not before


# budget


def test_a_budget_asks_about_all_that_is_not_certain_the_most_informative_first():
    of = router(mode="budget", certainty=0.9)
    certain, sure, even = of.route(
        [assignment({"agreement": 1, "margin": 0.5}), assignment(), assignment({"agreement": 0.5})]
    )
    assert certain.request is None
    assert even.request.priority > sure.request.priority
    assert even.assignment.route == "people"


# rules


def test_the_newest_rules_hold_from_the_next_batch_on_whatever_order_they_are_heard_in():
    of = router()
    of.update_rules([rules(minute=2, threshold=1.0, audit_share=0), rules(minute=1, threshold=0.0, audit_share=0)])
    assert routes(of, assignment()) == ["people"]
    of.update_rules([rules(minute=3, threshold=0.0, audit_share=0)])
    assert routes(of, assignment(DOUBTFUL)) == ["accepted"]


@given(st.permutations(range(60)))
@settings(max_examples=10, deadline=None)
def test_routes_do_not_depend_on_the_order_in_which_labels_were_heard(order):
    said = judgements(60)
    one, other = router(mode="promise"), router(mode="promise")
    one.update_annotations(said)
    other.update_annotations(said[n] for n in order)
    batch = [assignment({"agreement": n / 10}, str(n)) for n in range(10)]
    assert one.route(batch) == other.route(batch)


def test_a_router_is_taught_by_one_thread_while_another_routes():
    of, failed = router(mode="promise"), []

    def route():
        try:
            for _ in range(50):
                of.route(many(3))
        except RuntimeError as error:
            failed.append(error)

    routing = threading.Thread(target=route)
    routing.start()
    for one in judgements(300):
        of.update_annotations([one])
    routing.join()
    assert not failed
    of.warm_up()
    assert of.fitted("reviews")[1].promise.labels == 300


# a classifier's releases


def test_a_release_s_word_on_labelled_segments_is_weighed_for_the_next_batch():
    ads, slow = code_id("reviews", "ads"), code_id("reviews", "slow app")
    said = [
        judgement(n, shown="ads", labels=["ads"] if n % 2 else ["slow app"], accepted=bool(n % 2), sample=False)
        for n in range(100)
    ]
    rows = {one.segment_id: {ads: 0.9 if one.accepted else 0.1, slow: 0.3} for one in said}
    of = Router(rules, ReleaseRegistry(lambda one: OutOfFoldPredictions({ads: "ads", slow: "slow app"}, rows)))
    of.update_annotations(said)
    likely = assignment({"agreement": 0.5, "classifier": 0.9, "classifier_margin": 0.6, "classifier_agrees": 1.0})
    unlikely = assignment({"agreement": 0.5, "classifier": 0.1, "classifier_margin": -0.2, "classifier_agrees": 0.0})
    before = [one.assignment.confidence for one in of.route([likely, unlikely])]
    assert before == [pytest.approx(0.5, abs=0.01)] * 2  # what the labels' own signals say: nothing
    of.update_releases([release("v1", outcome="refused"), release("v0", model="other/reviews")])
    assert [one.assignment.confidence for one in of.route([likely, unlikely])] == before
    of.update_releases([release("v1")])
    sure, doubtful = (one.assignment.confidence for one in of.route([likely, unlikely]))
    assert sure > 0.75
    assert doubtful < 0.25


def test_a_probability_of_nothing_is_no_signal_where_the_release_does_not_know_the_code():
    slow = code_id("reviews", "slow app")
    of = Router(rules, ReleaseRegistry(lambda one: OutOfFoldPredictions({slow: "slow app"}, {})))
    signals = {"agreement": 0.5, "classifier": 0.0, "classifier_margin": -0.4}
    (before,) = of.route([assignment(signals)])
    of.update_releases([release("v1")])
    (after,) = of.route([assignment(signals)])
    assert "classifier" in before.assignment.signals
    assert "classifier" not in after.assignment.signals


def test_a_router_without_classifiers_passes_releases_over():
    of = router()
    of.update_releases([release("v1")])
    assert routes(of, assignment()) == ["accepted"]


# outside the codebook, and where people code everything


def outside(standing, key="one", signals=SURE):
    given = {"standing": standing, "new": False, "why": "nearest 'slow app' at 0.40"}
    return assignment(signals | {OUTSIDE_CODEBOOK: 1.0}, key).model_copy(update=given)


@pytest.mark.parametrize("standing", ["proposed", "none"])
@pytest.mark.parametrize("values", [{"threshold": 0.0}, {"mode": "budget", "certainty": 0.01}, {"mode": "people"}])
def test_what_the_codebook_has_no_code_for_is_never_accepted_and_says_why(standing, values):
    (routed,) = router(**values).route([outside(standing)])
    assert routed.assignment.route == "people"
    assert (routed.request.reason, routed.request.why) == ("not in the codebook", "nearest 'slow app' at 0.40")


def test_under_a_promise_that_holds_it_is_not_accepted_either():
    of = router(mode="promise")
    of.update_annotations(judgements(600))
    assert routes(of, assignment(), outside("proposed", "two"), outside("none", "three")) == [
        *("accepted", "people", "people")
    ]


def test_that_none_fits_has_no_confidence_and_comes_before_what_is_doubtful():
    none, doubtful = router().route([outside("none"), assignment({"agreement": 0.3}, "two")])
    assert none.assignment.confidence == 0
    assert none.request.priority > doubtful.request.priority


def test_labels_of_what_stands_outside_the_codebook_teach_no_confidence_and_test_no_promise():
    inside = judgements(200)
    others = [one.model_copy(update={"signals": one.signals | {OUTSIDE_CODEBOOK: 1.0}}) for one in judgements(90)]
    apart = [one.model_copy(update={"segment_id": segment(key=f"outside {n}").id}) for n, one in enumerate(others)]
    without, beside = router(mode="promise"), router(mode="promise")
    without.update_annotations(inside)
    beside.update_annotations([*apart, *inside])
    assert beside.fitted("reviews")[1] == without.fitted("reviews")[1]


def test_where_people_code_everything_every_segment_is_asked_about_in_its_order_with_the_models_code_shown():
    routed = router(mode="people", audit_share=0, threshold=0).route(many(20))
    assert {each.assignment.route for each in routed} == {"people"}
    assert {(each.request.reason, each.request.blind, each.request.priority) for each in routed} == {
        ("every segment", False, 0.0)
    }


def test_where_people_code_everything_those_drawn_by_chance_are_still_read_blind():
    drawn = [each.request for each in router(mode="people", audit_share=0.5).route(many(200))]
    assert {each.sample for each in drawn} == {True, False}
    assert all(each.blind == each.sample for each in drawn)


def test_a_segment_that_two_people_code_says_so_whatever_the_mode():
    (routed,) = router(mode="people", double_share=1).route([assignment()])
    assert (routed.request.reason, routed.request.coders) == ("double coding", 2)
