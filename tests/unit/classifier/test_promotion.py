"""When a classifier takes another's place, when a body is tuned, and from where on a guess counts."""

from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest

from models.classifier.promotion import (
    PromotionCriteria,
    commonest,
    compare_to_champion,
    confidence_threshold,
    even_folds,
    thresholds,
)
from models.classifier.schedule import Schedule, Tuned, due, labels_left
from models.evaluation.metrics import f1_by_code
from models.fakes import HandClock

CODES = [UUID(int=n) for n in range(3)]
NOW = HandClock().now()


def truth(rows=60, seed=1):
    return np.random.default_rng(seed).random((rows, 3)) < 0.35


def worse(right, share, seed=2):
    return right ^ (np.random.default_rng(seed).random(right.shape) < share)


def test_a_classifier_that_is_better_on_the_same_labels_is_promoted_with_its_scores_by_code():
    right = truth()
    verdict = compare_to_champion(right, worse(right, 0.05), worse(right, 0.4), CODES, PromotionCriteria())
    assert verdict.promoted
    assert verdict.macro_f1 > verdict.before
    assert verdict.difference is not None
    assert verdict.difference.low > 0
    assert set(verdict.per_code) == set(CODES)
    assert all(one.f1 > one.before and one.examples for one in verdict.per_code.values())
    assert verdict.why.startswith("better: macro-F1 0.")


def test_one_that_is_worse_or_the_same_is_not():
    right = truth()
    refused = compare_to_champion(
        right, worse(right, 0.4), worse(right, 0.05), CODES, PromotionCriteria(), champion="version 7"
    )
    assert not refused.promoted
    assert refused.why.startswith("not better: ")
    assert "of version 7 on 60 labels" in refused.why
    assert not compare_to_champion(right, right, right, CODES, PromotionCriteria()).promoted


def test_one_that_is_better_by_a_hair_on_a_few_labels_is_not_surely_better():
    right = truth(40)
    old = right.copy()
    old[0, 0] ^= True
    verdict = compare_to_champion(right, right, old, CODES, PromotionCriteria())
    assert (verdict.promoted, verdict.why.partition(":")[0]) == (False, "not surely better")


def test_too_few_labels_are_not_compared_and_it_says_how_many_more_are_needed():
    verdict = compare_to_champion(truth(5), truth(5), ~truth(5), CODES, PromotionCriteria(least=12))
    assert not verdict.promoted
    assert verdict.why == "5 labels are too few to compare on, 12 are needed: 7 more"


def test_labels_without_any_known_code_tell_nothing():
    none = np.zeros((40, 3), dtype=bool)
    assert "has a code" in compare_to_champion(none, ~none, none, CODES, PromotionCriteria()).why


def test_a_code_that_the_old_one_does_not_know_counts_as_never_guessed():
    right = truth()
    old = right.copy()
    old[:, 2] = False
    verdict = compare_to_champion(right, right, old, CODES, PromotionCriteria())
    assert verdict.promoted
    assert verdict.per_code[CODES[2]].before == 0


def test_the_commonest_code_is_what_nothing_is_compared_with():
    taught = np.array([[True, False], [True, True], [False, False]])
    assert commonest(taught, 2).tolist() == [[True, False], [True, False]]
    assert not commonest(np.zeros((3, 2), dtype=bool), 4).any()


def test_f1_of_a_code_that_is_neither_there_nor_said_is_0():
    assert f1_by_code(np.zeros((4, 1), dtype=bool), np.zeros((4, 1), dtype=bool)).tolist() == [0]


def test_a_codes_threshold_is_where_its_f1_is_best_and_a_half_where_examples_are_few():
    right = np.array([[True, True]] * 5 + [[False, False]] * 15)
    right[1:, 1] = False
    probabilities = np.where(right, 0.31, 0.12)
    low, half = thresholds(right, probabilities)
    assert 0.12 < low <= 0.31
    assert half == 0.5


def test_sure_is_the_lowest_probability_from_which_guesses_were_right_often_enough():
    guesses = np.linspace(0.99, 0.01, 100)
    right = guesses > 0.5
    even = confidence_threshold(np.stack([right], axis=1), np.stack([guesses], axis=1), right=0.9, certainty=0.5)
    assert even == pytest.approx(guesses[round(50 / 0.9) - 1], abs=0.02)


def test_the_surer_it_is_to_be_the_higher_the_probability():
    guesses = np.linspace(0.99, 0.01, 100)
    right = (guesses > 0.5)[:, None]
    found = [confidence_threshold(right, guesses[:, None], certainty=one) for one in (0.5, 0.8, 0.95, 0.99)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_nothing_is_sure_where_guesses_are_few_or_wrong():
    assert confidence_threshold(np.ones((10, 1), dtype=bool), np.full((10, 1), 0.9)) is None
    assert confidence_threshold(np.zeros((50, 1), dtype=bool), np.full((50, 1), 0.9)) is None
    assert confidence_threshold(np.zeros((0, 1), dtype=bool), np.zeros((0, 1))) is None


def test_equal_guesses_are_sure_together_or_not_at_all():
    right = np.array([[True]] * 25 + [[False]] * 25)
    assert confidence_threshold(right, np.full((50, 1), 0.8)) is None


def test_folds_are_even_and_do_not_depend_on_the_order():
    ids, targets = [UUID(int=n * 7919) for n in range(20)], np.zeros((20, 1), dtype=bool)
    folds = dict(zip(ids, even_folds(ids, targets, 5).tolist(), strict=True))
    assert sorted(folds.values()) == sorted([0, 1, 2, 3, 4] * 4)
    assert dict(zip(ids[::-1], even_folds(ids[::-1], targets, 5).tolist(), strict=True)) == folds


def test_no_fold_takes_several_examples_of_a_rare_code():
    ids = [UUID(int=n * 7919) for n in range(40)]
    targets = np.eye(10, dtype=bool)[np.arange(40) % 10]
    folds = even_folds(ids, targets, 5)
    assert all(len(set(folds[targets[:, code]])) == 4 for code in range(10))


def test_a_head_taught_many_more_labels_takes_over_unless_it_is_worse():
    truth = np.eye(2, dtype=bool)[np.arange(40) % 2]
    worse = truth[::-1]
    as_good = compare_to_champion(truth, truth, truth, CODES[:2], PromotionCriteria(), grown=True)
    assert as_good.promoted
    assert as_good.why.startswith("taught more, and not worse")
    assert not compare_to_champion(truth, truth, truth, CODES[:2], PromotionCriteria()).promoted
    assert not compare_to_champion(truth, worse, truth, CODES[:2], PromotionCriteria(), grown=True).promoted


# When to tune


def ask(labels, last=None, changed=True, alert=None, minutes=0.0):
    data = "others" if changed else "those"
    return due(Schedule(25, 60.0), labels, data, last, alert, NOW + timedelta(minutes=minutes))


def test_the_first_tuning_waits_for_enough_labels():
    assert ask(24) is None
    assert ask(25) == "first"


def test_a_tuning_is_due_by_labels_then_by_drift_then_by_time():
    last = Tuned(50, NOW, "those")
    assert ask(74, last) is None
    assert ask(75, last) == "labels"
    assert ask(25, last) == "labels"  # so many were withdrawn
    assert ask(51, last, alert=NOW + timedelta(minutes=1), minutes=2) == "drift"
    assert ask(51, last, alert=NOW - timedelta(minutes=1), minutes=2) is None
    assert ask(51, last, minutes=59) is None
    assert ask(51, last, minutes=60) == "time"
    assert ask(50, last, changed=False, minutes=600) is None


def test_what_is_left_until_a_tuning_counts_labels_that_came_and_that_went():
    last = Tuned(50, NOW, "those")
    assert [labels_left(Schedule(25), labels, last) for labels in (20, 40, 50, 60, 80)] == [0, 15, 25, 15, 0]
    assert [labels_left(Schedule(25), labels, None) for labels in (0, 24, 25)] == [25, 1, 0]
    assert labels_left(Schedule(25), 810, Tuned(800, NOW, "")) == 90  # of many labels an eighth more
