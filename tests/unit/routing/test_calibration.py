"""Probabilities that mean what they say: fitted on labels, whatever their order, with holes in the signals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.routing.calibration import (
    ISOTONIC_FROM,
    LEAST,
    Bin,
    Calibration,
    LabelledSignals,
    cross_fitted,
    expected_calibration_error,
    fit,
    log_loss,
    reliability,
)

BY_HAND = Calibration(("a", "b"), (1.0, 0.0), (2.0, 1.0), (0.5, -1.0), 0.25, 50)


def labelled(count, seed=0, truth=lambda x: 1 / (1 + math.exp(-2 * x))):
    """Labels whose true probability is known: it is their signal ``truth``, which is not told to a fit."""
    draws = np.random.default_rng(seed)
    values = draws.normal(size=count)
    return [
        LabelledSignals({"x": float(x), "noise": float(draws.normal())}, bool(draws.random() < truth(x)), f"{seed}-{n}")
        for n, x in enumerate(values)
    ]


def test_a_probability_by_hand():
    assert BY_HAND.probability({"a": 3.0, "b": 0.5}) == pytest.approx(1 / (1 + math.exp(-0.25)))
    assert BY_HAND.probability({}) == BY_HAND.probability({"a": 1.0, "b": math.nan, "z": 9.0})
    far = BY_HAND.probability({"a": 7.0})
    assert far == BY_HAND.probability({"a": 7_000.0}) == pytest.approx(1 / (1 + math.exp(-1.75)))


def test_a_curve_bends_between_its_points_and_nothing_is_certain():
    bent = Calibration((), (), (), (), 0.0, 50, ((0.0, 0.0), (0.4, 0.2), (0.6, 0.4), (1.0, 1.0)))
    assert bent.probability({}) == pytest.approx(0.3)
    assert Calibration((), (), (), (), 0.0, 50, ((0.0, 0.0), (1.0, 0.0))).probability({}) > 0


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(allow_nan=True, allow_infinity=True)))
def test_a_probability_is_one_whatever_comes(signals):
    assert 0 < BY_HAND.probability(signals) < 1


@given(st.floats(-10, 10), st.floats(0, 10))
def test_a_probability_never_falls_when_a_signal_that_speaks_for_the_code_rises(value, more):
    assert BY_HAND.probability({"a": value + more}) >= BY_HAND.probability({"a": value})


def test_too_few_labels_or_one_answer_only_fit_nothing():
    some = labelled(LEAST)
    assert fit([]) is None
    assert fit(some[: LEAST - 1]) is None
    assert fit([LabelledSignals(one.signals, True, one.key) for one in some]) is None
    assert fit(some) is not None


def test_a_fit_on_known_probabilities_is_calibrated_where_it_was_not_fitted():
    model, others = fit(labelled(1_500)), labelled(2_000, seed=1)
    told = [model.probability(one.signals) for one in others]
    assert expected_calibration_error(reliability(told, [one.accepted for one in others])) < 0.04
    true = [1 / (1 + math.exp(-2 * one.signals["x"])) for one in others]
    assert np.abs(np.array(told) - true).mean() < 0.05


def test_a_step_is_learnt_by_a_curve_where_there_are_enough_labels():
    truth = lambda x: 0.9 if x > 1 else 0.1  # noqa: E731
    assert not fit(labelled(ISOTONIC_FROM - 1, truth=truth)).curve
    model, others = fit(labelled(1_200, truth=truth)), labelled(1_000, seed=1, truth=truth)
    assert model.curve
    plain = Calibration(**(model.__dict__ | {"curve": ()}))
    answers = [one.accepted for one in others]
    losses = [log_loss([m.probability(one.signals) for one in others], answers) for m in (model, plain)]
    assert losses[0] < losses[1]
    steps = [model.probability({"x": x}) for x in np.linspace(-3, 3, 50)]
    assert steps == sorted(steps)


@given(st.randoms(use_true_random=False))
@settings(max_examples=5)
def test_the_order_of_the_labels_does_not_matter(random):
    some = labelled(80)
    shuffled = random.sample(some, len(some))
    assert fit(shuffled) == fit(some)


def test_missing_constant_and_endless_signals_are_survived():
    some = [
        LabelledSignals(
            {**(one.signals if n % 3 else {}), "same": 1.0, "bad": math.inf, "rare": float(n)} if n else {},
            one.accepted,
            one.key,
        )
        for n, one in enumerate(labelled(90))
    ]
    model = fit(some)
    assert model.names == ("noise", "rare", "x")
    assert all(0 < model.probability(one.signals) < 1 for one in some)


def test_without_any_signal_the_share_that_was_accepted_is_told():
    some = [LabelledSignals({}, n < 15, str(n)) for n in range(60)]
    assert fit(some).probability({"x": 1.0}) == pytest.approx(0.25)


@pytest.mark.parametrize("count", [60, 400])
def test_a_calibration_comes_back_from_json_as_it_was(count):
    model = fit(labelled(count, truth=lambda x: 0.9 if x > 1 else 0.1))
    assert Calibration.from_json(model.to_json()) == model


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"names": 1}'])
def test_what_is_no_calibration_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|Expecting"):
        Calibration.from_json(text)


def test_a_held_out_probability_knows_nothing_of_its_key():
    some = labelled(100)
    before = cross_fitted(some)
    turned = [LabelledSignals(one.signals, not one.accepted, one.key) if n == 7 else one for n, one in enumerate(some)]
    assert cross_fitted(turned)[7] == before[7]
    assert cross_fitted(turned) != before
    assert cross_fitted(some[:10]) != []  # too few to fit: the others' share


def test_reliability_by_hand():
    bins = reliability([0.05, 0.15, 0.12, 1.0], [False, True, False, True])
    assert [(one.low, one.high, one.count, one.accepted) for one in bins] == [
        (0.0, 0.1, 1, 0.0),
        (0.1, 0.2, 2, 0.5),
        (0.9, 1.0, 1, 1.0),
    ]
    assert bins[1].probability == pytest.approx(0.135)
    assert expected_calibration_error(bins) == pytest.approx((0.05 + 2 * 0.365 + 0) / 4)
    assert expected_calibration_error([]) == 0
    assert expected_calibration_error([Bin(0, 1, 5, 0.5, 0.5)]) == 0
