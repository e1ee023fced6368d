"""Distances and evidence: against what scipy and plain counting say."""

import numpy as np
import pytest
from scipy import stats

from models.drift.tail_tests import alpha_spent, tails
from models.drift.two_sample import (
    bandwidth,
    fourier_features,
    g_statistic,
    gaussian,
    mmd_test,
    permuted,
    squared_mmd,
)


def test_the_g_statistic_is_scipys():
    a, b = np.array([30, 50, 20]), np.array([41, 19, 22])
    found = stats.chi2_contingency([a, b], lambda_="log-likelihood", correction=False).statistic
    assert g_statistic(a, b) == pytest.approx(found)


def test_a_permutation_p_value_is_near_the_exact_one():
    a, b = np.array([12, 38]), np.array([25, 25])
    exact = stats.fisher_exact([a, b]).pvalue
    assert permuted(a, b) == pytest.approx(exact, abs=0.02)


def test_what_strata_explain_is_no_difference():
    a, b = np.array([[90, 10], [1, 9]]), np.array([[9, 1], [10, 90]])
    assert permuted(a.sum(axis=0), b.sum(axis=0)) <= 0.01
    assert permuted(a, b) >= 0.2


def test_tails_of_a_poisson_like_and_of_a_binomial_count_are_exact():
    low, high = tails([3, 9], [5.0, 5.0], [5.0, 2.5], [100, 10])
    assert low[0] == pytest.approx(stats.poisson.cdf(3, 5), rel=1e-3)
    assert high[1] == pytest.approx(stats.binom.sf(8, 10, 0.5), rel=1e-6)


def test_tails_of_a_count_that_varies_more_are_those_of_a_negative_binomial():
    low, high = tails([12], [5.0], [10.0], [100])
    assert high[0] == pytest.approx(stats.nbinom.sf(11, 5, 0.5), rel=1e-6)
    assert low[0] == pytest.approx(stats.nbinom.cdf(12, 5, 0.5), rel=1e-6)


def test_all_looks_together_spend_no_more_than_everything():
    assert 0.5 < sum(alpha_spent(n) for n in range(200_000)) <= 1


def test_the_kernel_test_sees_a_shift_and_no_shift_where_there_is_none():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((80, 5)).astype(np.float32)
    newer, strata = np.arange(80) >= 40, np.zeros(80)
    _, none, _ = mmd_test(gaussian(rows, bandwidth(rows)), newer, strata, 199)
    rows[40:] += 1
    _, shift, _ = mmd_test(gaussian(rows, bandwidth(rows)), newer, strata, 199)
    assert none > 0.05
    assert shift <= 0.01


def test_random_features_come_near_the_kernel():
    rows = np.random.default_rng(3).standard_normal((30, 4)).astype(np.float32)
    width, newer = bandwidth(rows), np.arange(30) >= 15
    features = fourier_features(rows, width, 4_096)
    assert squared_mmd(features @ features.T, newer) == pytest.approx(
        squared_mmd(gaussian(rows, width), newer), abs=0.05
    )
