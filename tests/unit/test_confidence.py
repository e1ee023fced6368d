"""Confidence is a share that never falls when a signal rises, and decides the route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.confidence import Router, confidence
from models.errors import SettingError
from models.fakes import HandClock
from schemas import Assignment
from schemas.ids import code_id
from tests.unit.builders import segment

SIGNALS = st.fixed_dictionaries(
    {"agreement": st.floats(0, 1), "margin": st.floats(-2, 2)},
    optional={"moderator_log_probability": st.floats(-20, 0)},
)


def assignment(signals, verdict="consensus", moderator="consensus"):
    return Assignment(
        segment_id=segment().id,
        study="reviews",
        code_id=code_id("reviews", "ads"),
        label="ads",
        proposed="ads",
        new=True,
        similarity=1,
        why="new",
        verdict=verdict,
        signals=signals,
        models={"moderator": moderator},
        assigned_at=HandClock().now(),
    )


@given(SIGNALS, st.booleans())
def test_confidence_is_a_share(signals, fell_back):
    assert 0 <= confidence(signals, fell_back=fell_back) <= 1


@given(SIGNALS, st.data(), st.booleans())
def test_confidence_never_falls_when_a_signal_rises(signals, data, fell_back):
    name = data.draw(st.sampled_from(sorted(signals)))
    raised = signals | {name: signals[name] + data.draw(st.floats(0, 3))}
    assert confidence(raised, fell_back=fell_back) >= confidence(signals, fell_back=fell_back)


@given(SIGNALS)
def test_a_fallback_after_an_invalid_answer_is_never_surer(signals):
    assert confidence(signals, fell_back=True) <= confidence(signals)


def test_full_agreement_with_a_clear_margin_is_certain_and_nothing_known_is_not():
    assert confidence({"agreement": 1, "margin": 0.5, "moderator_log_probability": 0}) == pytest.approx(1)
    assert confidence({}) < 0.25


def test_the_sure_are_accepted_and_the_doubtful_go_to_people():
    sure, doubtful = Router(HandClock(), 0.5).route(
        [assignment({"agreement": 0.9, "margin": 0.3}), assignment({"agreement": 0.1, "margin": 0.0})]
    )
    assert (sure.assignment.route, sure.request) == ("accepted", None)
    assert doubtful.assignment.route == "people"
    assert doubtful.request.reason == "low confidence"
    assert doubtful.request.confidence == doubtful.assignment.confidence
    assert doubtful.request.requested_at == HandClock().now()


def test_only_a_consensus_that_stands_in_for_a_moderator_counts_as_a_fallback():
    signals = {"agreement": 0.8, "margin": 0.2}
    by_rule, fallback, picked = Router(HandClock()).route(
        [assignment(signals), assignment(signals, moderator="m@1"), assignment(signals, "picked", "m@1")]
    )
    assert fallback.assignment.confidence < by_rule.assignment.confidence == picked.assignment.confidence


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(SettingError, match=r"threshold is 2; .* expected"):
        Router(HandClock(), 2)


def test_a_code_that_blames_what_the_segment_praises_is_less_sure():
    signals = {"agreement": 0.9, "margin": 0.3}
    assert confidence(signals | {"tone_clash": 1.0}) == pytest.approx(0.6 * confidence(signals))
