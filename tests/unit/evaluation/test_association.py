"""Chi-square and Cramer's V of a table of counts."""

import pytest

from models.evaluation.association import chi_square


def test_figures_of_a_textbook_table():
    tested = chi_square([[10, 20, 30], [6, 9, 17]])  # scipy's own documentation of chi2_contingency has it
    assert (tested.degrees, tested.chi2, tested.p) == (2, pytest.approx(0.27157465), pytest.approx(0.87302818))
    assert tested.v == pytest.approx((0.27157465 / 92) ** 0.5)


def test_what_goes_together_wholly_has_an_effect_of_one():
    assert chi_square([[5, 0, 0], [0, 7, 0], [0, 0, 9]]).v == pytest.approx(1.0)
    assert chi_square([[5, 10], [10, 20]]).v == pytest.approx(0.0)


@pytest.mark.parametrize("table", [[], [[1, 2]], [[0, 0], [3, 4]], [[1, 0], [2, 0]], [[0, 0], [0, 0]]])
def test_a_table_with_nothing_to_compare_has_no_test(table):
    assert chi_square(table) is None


def test_empty_rows_and_columns_count_for_nothing():
    assert chi_square([[1, 0, 9], [0, 0, 0], [8, 0, 2]]) == chi_square([[1, 9], [8, 2]])
