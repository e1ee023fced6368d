"""Before a study says so nothing is accepted: codes are suggestions, and people are offered the most doubtful ones."""

import json
import random
from pathlib import Path

import pytest

from models.fakes import HandClock
from models.routing import rated_prior
from models.routing.confidence import ConfidenceModel, prior
from models.routing.confidence_stages import STAGES
from models.routing.router import Router
from models.routing.suggestions import Suggestions
from schemas import Assignment, StudyRules
from schemas.coding import stage_of
from schemas.ids import code_id, uniform
from tests.unit.builders import judgement, judgements, rules, segment

RATED = {"verifier": 0.99, "log_probability": -0.01, "agreement": 0.9}


def assignment(signals, key="one"):
    return Assignment(
        segment_id=segment(key=key).id,
        study="reviews",
        code_id=code_id("reviews", "ads"),
        label="ads",
        proposed="ads",
        new=True,
        similarity=1,
        why="new",
        verdict="consensus",
        signals=signals,
        models={"moderator": "consensus"},
        assigned_at=HandClock().now(),
    )


def router(**values):
    return Router(lambda study: rules(study, **({"mode": "suggest", "audit_share": 0} | values)))


def stream(count, seed=0):
    chance = random.Random(seed)
    return [assignment({"agreement": chance.random()}, f"{seed}-{n}") for n in range(count)]


def test_without_labels_nothing_is_accepted_however_sure_the_formula_is():
    (routed,) = router(doubtful_share=0).route([assignment({"agreement": 1.0, "margin": 0.5})])
    assert routed.assignment.confidence == 1.0
    assert (routed.assignment.route, routed.request) == ("suggested", None)
    assert routed.assignment.confidence_stage == "uncalibrated"


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_people_are_offered_the_set_share_and_of_that_the_most_doubtful(share):
    routed = router(doubtful_share=share).route(stream(2000))
    offered = [one for one in routed if one.assignment.route == "people"]
    assert len(offered) / 2000 == pytest.approx(share, abs=0.02)
    doubtful = sorted(routed, key=lambda one: one.assignment.confidence)[: len(offered)]
    assert len({id(one) for one in doubtful} & {id(one) for one in offered}) > 0.85 * len(offered)
    assert {one.request.reason for one in offered} == {"low confidence"}
    assert all(one.request is None for one in routed if one.assignment.route == "suggested")


def test_the_share_holds_from_the_first_segments_on():
    first = [router().route(stream(5, seed)) for seed in range(300)]
    offered = sum(one.assignment.route == "people" for routed in first for one in routed)
    assert offered / 1500 == pytest.approx(0.2, abs=0.03)


def test_of_codes_that_are_equally_sure_chance_offers_the_share():
    routed = router().route([assignment({"agreement": 1.0}, str(n)) for n in range(1000)])
    assert sum(one.assignment.route == "people" for one in routed) / 1000 == pytest.approx(0.2, abs=0.03)


def test_the_least_likely_come_first_in_the_queue():
    routed = router(doubtful_share=1).route(stream(50))
    by_priority = sorted(routed, key=lambda one: -one.request.priority)
    assert by_priority == sorted(routed, key=lambda one: one.assignment.confidence)


def test_a_segment_that_is_routed_again_gets_the_same_route_and_request():
    of, batch = router(), stream(300)
    first = of.route(batch)
    assert of.route(batch[-40:]) == first[-40:]


def test_a_router_that_starts_again_goes_on_as_the_one_before_it():
    batch, further = stream(300), stream(100, seed=1)
    before, after = router(), router()
    after.recall([one.assignment for one in before.route(batch)])
    assert [one.assignment.route for one in after.route(further)] == [
        one.assignment.route for one in before.route(further)
    ]


def test_what_was_remembered_is_judged_by_what_is_known_now():
    remembered = Suggestions()
    for n in range(100):
        remembered.add(segment(key=str(n)).id, {"agreement": n / 100})
    one = segment(key="new").id

    def upside_down(signals):
        return 1 - signals["agreement"]

    assert not remembered.is_doubtful(one, {"agreement": 0.9}, 0.2, prior)
    assert remembered.is_doubtful(one, {"agreement": 0.9}, 0.2, upside_down)


def test_only_so_many_suggestions_are_remembered():
    remembered = Suggestions(most=10)
    for n in range(50):
        remembered.add(segment(key=str(n)).id, {"agreement": 0.0 if n < 40 else 1.0})
    assert remembered.is_doubtful(segment(key="new").id, {"agreement": 0.5}, 0.2, prior)


def test_what_chance_draws_is_read_blind_by_a_person_and_is_no_audit_of_what_was_accepted():
    routed = router(audit_share=0.1, doubtful_share=0).route(stream(1000))
    asked = [one for one in routed if one.request]
    assert len(asked) == sum(uniform(one.assignment.segment_id, "sample") < 0.1 for one in routed)
    told = {(one.assignment.route, one.request.reason, one.request.sample, one.request.blind) for one in asked}
    assert told == {("people", "low confidence", True, True)}


@pytest.mark.parametrize(
    "signals",
    [{"classifier_sure": 1.0, "classifier": 0.9}, {"precedent_similarity": 0.97, "precedent_nearest": 1.0}],
)
def test_what_people_s_own_decisions_cover_is_accepted(signals):
    (routed,) = router().route([assignment({"agreement": 0.2} | signals)])
    assert routed.assignment.route == "accepted"


@pytest.mark.parametrize(
    "signals",
    [{"classifier_sure": 0.0, "classifier": 0.99}, {"precedent_similarity": 0.97, "precedent_nearest": 0.6}],
)
def test_a_classifier_that_is_not_sure_and_a_text_that_people_coded_otherwise_cover_nothing(signals):
    (routed,) = router(doubtful_share=0).route([assignment({"agreement": 0.9} | signals)])
    assert routed.assignment.route == "suggested"


def test_labels_that_prove_it_accept_the_sure_codes_and_leave_the_rest_suggestions():
    of = router(doubtful_share=0)
    of.update_annotations(judgements(600))
    sure, doubtful = of.route([assignment({"agreement": 0.95}), assignment({"agreement": 0.1}, "two")])
    assert [one.assignment.route for one in (sure, doubtful)] == ["accepted", "suggested"]
    assert sure.assignment.confidence_stage == "calibrated"


def test_labels_that_are_wrong_too_often_accept_nothing():
    of = router(doubtful_share=0)
    of.update_annotations(judgement(n, accepted=n % 2 == 0) for n in range(200))
    (routed,) = of.route([assignment({"agreement": 0.95})])
    assert (routed.assignment.route, routed.assignment.confidence_stage) == ("suggested", "calibrated")


# the rated prior


def test_a_verified_code_is_accepted_only_from_the_share_on_that_ratings_prove():
    strict, loose = router(doubtful_share=0), router(doubtful_share=0, wrong_share=0.25)
    for of, route in ((strict, "suggested"), (loose, "accepted")):
        (routed,) = of.route([assignment(RATED)])
        assert (routed.assignment.route, routed.assignment.confidence_stage) == (route, "rated")
    (doubtful,) = loose.route([assignment({"verifier": 0.01, "log_probability": -3.0})])
    assert doubtful.assignment.route == "suggested"


def test_ratings_prove_nothing_to_who_wants_to_be_surer_than_their_proof():
    known, wanted = ConfidenceModel(), {"study": "reviews", "wrong_share": 0.3}
    assert known.proven_threshold(RATED, rules(**wanted)) == rated_prior.rated_threshold(RATED, 0.3)
    assert known.proven_threshold(RATED, rules(**wanted, certainty=0.99)) is None
    assert known.proven_threshold({"agreement": 1.0}, rules(**wanted)) is None


@pytest.mark.parametrize(("kind", "signals"), [("judged", RATED), ("elected", {rated_prior.ELECTED: 0.9})])
def test_a_looser_promise_is_proven_from_a_lower_confidence_and_ten_per_cent_by_no_rating_yet(kind, signals):
    kept = json.loads(Path(rated_prior.__file__).with_name("rated_prior.json").read_text())[kind]["proven"]
    shares, thresholds = [one["wrong_share"] for one in kept], [one["threshold"] for one in kept]
    assert shares == sorted(shares)
    assert thresholds == sorted(thresholds, reverse=True)
    assert rated_prior.rated_threshold(signals, 0.1) is None
    assert rated_prior.rated_threshold(signals, shares[0]) == thresholds[0]


# stages


def test_each_stage_has_its_sentence_and_an_old_assignment_has_no_stage():
    assert {stage_of({"confidence": stage}) for stage in STAGES} == set(STAGES)
    assert stage_of({"moderator": "consensus"}) is stage_of({"confidence": "something else"}) is None
    assert "not known here" in STAGES["uncalibrated"]


def test_rules_that_were_kept_before_there_were_suggestions_still_accept_from_their_threshold():
    old = '{"study": "reviews", "author": "ann", "at": "2026-03-01T10:00:00Z", "threshold": 0.7}'
    assert StudyRules.model_validate_json(old).mode == "threshold"


def test_a_rank_is_looked_up_as_it_would_be_counted():
    suggestions, chance, lately, offered = Suggestions(most=20), random.Random(5), [], []
    for n, each in enumerate(stream(300, seed=5)):
        score = _by_agreement if n < 150 else _by_doubt  # what is known changes on the way
        own = (score(each.signals), uniform(each.segment_id, "equally doubtful"))
        rank = sum((score(s), uniform(i, "equally doubtful")) < own for i, s in lately)
        expected = rank + uniform(each.segment_id, "doubtful") < 0.3 * (len(lately) + 1)
        assert suggestions.is_doubtful(each.segment_id, each.signals, 0.3, score) == expected
        offered.append(expected)
        suggestions.add(each.segment_id, each.signals)
        lately = [*lately, (each.segment_id, each.signals)][-20:]
        if chance.random() < 0.2:  # one of them is accepted after all
            gone, _ = lately.pop(chance.randrange(len(lately)))
            suggestions.discard(gone)
    assert 0 < sum(offered) < len(offered)


def _by_agreement(signals):
    return round(signals["agreement"], 1)  # many are equal


def _by_doubt(signals):
    return 1 - round(signals["agreement"], 1)
