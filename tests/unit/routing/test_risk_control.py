"""A promise holds as often as it says, and says how far away it is where it cannot be made."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from models.errors import SettingError
from models.routing.risk_control import MOST_LABELS, Earlier, error_rate, fewest_labels, promise, upper_share

LABELS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), max_size=120)


def world(seed, labels, base=1.5, slope=2.0, digits=9):
    """Confidences, and answers of people who accept the surer ones more often."""
    draw = np.random.default_rng(seed)
    score = draw.normal(size=labels)
    chance = 1 / (1 + np.exp(-(base + slope * score)))
    return chance.round(digits), draw.random(labels) < chance


@pytest.mark.parametrize("digits", [9, 1])
@pytest.mark.parametrize(("base", "slope"), [(1.5, 2.0), (2.4, 0.3), (0.3, 3.0)])
def test_the_promised_share_is_exceeded_in_at_most_one_of_twenty_resplits(base, slope, digits):
    confidences, accepted = world(0, 200_000, base, slope, digits)
    draw = np.random.default_rng(1)
    broken = 0
    for _ in range(400):
        sample = draw.choice(len(confidences), 250, replace=False)
        made = promise(confidences[sample].tolist(), accepted[sample].tolist())
        if made.threshold is not None:
            broken += np.mean(~accepted[confidences >= made.threshold]) > 0.1
    assert broken / 400 <= 0.05


def test_a_promise_about_a_useful_confidence_is_made_in_most_resplits():
    made = [promise(*(part.tolist() for part in world(seed, 500))) for seed in range(50)]
    assert np.mean([one.satisfied for one in made]) > 0.8
    assert np.mean([one.accepted / one.labels for one in made]) > 0.3


@settings(deadline=None)
@given(LABELS, st.sampled_from([0.05, 0.1, 0.3]))
def test_what_is_accepted_is_counted_and_passes_the_exact_test(labels, share):
    made = promise([c for c, _ in labels], [a for _, a in labels], wrong_share=share)
    assert made.labels == len(labels)
    if made.threshold is None:
        assert (made.accepted, made.wrong) == (0, 0)
        assert made.labels_needed > 0
        return
    above = [a for c, a in labels if c >= made.threshold]  # all of equal confidence, or none
    assert (made.accepted, made.wrong) == (len(above), above.count(False))
    assert binom.cdf(made.wrong, made.accepted, share) <= 0.04 + 1e-9
    assert (made.labels_needed, made.reachable) == (0, True)


@settings(deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(labels, random):
    shuffled = random.sample(labels, len(labels))
    assert promise(*_apart(labels)) == promise(*_apart(shuffled))


def _apart(labels):
    return [c for c, _ in labels], [a for _, a in labels]


def test_thirty_one_right_labels_are_the_fewest_that_promise_a_tenth_at_95_percent():
    assert fewest_labels(0.1, 0.95) == 31
    assert promise([0.9] * 30, [True] * 30).labels_needed == 1
    assert promise([0.9] * 31, [True] * 31).threshold == 0.9


def test_without_labels_the_fewest_are_needed():
    none = promise([], [])
    assert (none.threshold, none.labels, none.labels_needed, none.reachable) == (None, 0, 31, True)


def test_codes_that_are_wrong_too_often_are_out_of_reach_however_many_labels_come():
    hopeless = promise([0.5] * 100, [n % 2 == 0 for n in range(100)])
    assert (hopeless.threshold, hopeless.labels_needed, hopeless.reachable) == (None, MOST_LABELS, False)


@pytest.mark.parametrize(("wrong", "labels"), [(1, 1), (3, 3), (30, 30), (6, 40), (13, 100)])
def test_more_wrong_than_promised_is_not_out_of_reach_while_labels_are_too_few_to_tell(wrong, labels):
    early = promise([0.9] * labels, [n >= wrong for n in range(labels)])
    assert (early.reachable, early.unclear, early.labels_needed) == (True, True, 31)


@pytest.mark.parametrize(("wrong", "labels"), [(31, 31), (9, 40), (20, 100)])
def test_out_of_reach_is_proven_by_labels(wrong, labels):
    late = promise([0.9] * labels, [n >= wrong for n in range(labels)])
    assert (late.reachable, late.unclear) == (False, False)
    assert error_rate(wrong, labels, 0.9)[1] > 0.1


def test_a_share_that_is_hardly_smaller_than_promised_is_not_out_of_reach():
    near = promise([0.9] * 1001, [n >= 100 for n in range(1001)])
    assert (near.reachable, near.unclear, near.labels_needed) == (True, False, 8_999)


def test_codes_that_keep_a_promise_are_seldom_called_out_of_reach():
    draws = np.random.default_rng(1).random((400, 200)) >= 0.1
    verdicts = [promise([0.9] * 200, right.tolist()).reachable for right in draws]
    assert np.mean(verdicts) >= 0.95


def test_what_is_said_to_be_needed_is_about_what_is_needed():
    labels = [n % 20 != 7 for n in range(60)]  # three wrong ones
    more = promise([0.9] * 60, labels)
    assert more.threshold is None
    longer = [n % 20 != 7 for n in range(60 + more.labels_needed)]
    assert promise([0.9] * len(longer), longer).satisfied


def test_a_smaller_share_is_never_promised_from_a_lower_confidence_on():
    confidences, accepted = (part.tolist() for part in world(3, 800))
    strict, loose = promise(confidences, accepted, wrong_share=0.1), promise(confidences, accepted, wrong_share=0.2)
    assert strict.threshold > loose.threshold


@pytest.mark.parametrize(("share", "certainty"), [(0, 0.95), (1, 0.95), (0.1, 1), (0.1, 0)])
def test_a_share_or_certainty_that_promises_nothing_is_refused(share, certainty):
    with pytest.raises(SettingError, match=r"promise's .* is [01]; a number between 0 and 1 is expected"):
        promise([0.5], [True], wrong_share=share, certainty=certainty)


def test_an_error_rate_comes_with_its_exact_interval():
    assert error_rate(3, 50) == pytest.approx((0.06, 0.0125, 0.1655), abs=1e-4)
    assert error_rate(0, 29)[1:] == pytest.approx((0, 0.1194), abs=1e-4)
    assert error_rate(4, 4)[2] == 1
    assert math.isnan(error_rate(0, 0)[0])


def test_the_interval_of_a_share_is_scipys_exact_one():
    for wrong, total in ((0, 5), (1, 7), (13, 40), (200, 200)):
        exact = binomtest(wrong, total).proportion_ci(0.9, method="exact")
        assert error_rate(wrong, total, 0.9)[1:] == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_what_was_saved_before_may_be_spent_but_never_more_than_is_promised_of_what_comes():
    confidences, accepted = world(4, 300)
    plain = promise(confidences.tolist(), accepted.tolist())
    saved = promise(confidences.tolist(), accepted.tolist(), earlier=Earlier(2_000, 0.02))
    spent = promise(confidences.tolist(), accepted.tolist(), earlier=Earlier(2_000, 0.16))
    assert saved.threshold < plain.threshold
    assert saved.wrong <= 0.1 * saved.accepted
    assert spent.threshold is None or spent.threshold > plain.threshold
    assert promise(confidences.tolist(), accepted.tolist(), earlier=Earlier(0, 0.5)) == plain


def test_what_was_saved_counts_only_as_far_as_the_labels_prove_it():
    spared = Earlier(2_000, 0.05)
    assert spared.allowed(0.1, 100, 0.95) == 0.1  # of 100 labels 5 wrong ones may be 10 of a hundred
    assert 0.1 < spared.allowed(0.1, 400, 0.95) < spared.allowed(0.1, 4_000, 0.95) < 0.15
    assert Earlier(2_000, 0.12).allowed(0.1, 4_000, 0.95) == pytest.approx(0.08)
    assert upper_share(0.0, 59, 0.95) < 0.05 < upper_share(0.0, 58, 0.95)
    assert upper_share(0.0, 0, 0.95) == upper_share(1.0, 8, 0.95) == 1.0


def test_an_unlucky_label_among_the_surest_does_not_end_a_promise():
    confidences = np.linspace(0.99, 0.94, 300).tolist()
    accepted = [False] * 6 + [True] * 294
    assert promise(confidences, accepted).threshold == pytest.approx(0.94)
