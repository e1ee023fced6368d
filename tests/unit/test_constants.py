"""Every number at the top of a module of the domain says what it is."""

import ast

import pytest

from tests.structure import _is_number, unexplained_constants


def test_no_number_in_the_domain_stands_without_a_word():
    assert unexplained_constants() == []


@pytest.mark.parametrize("value", ["3", "-0.5", "1 << 20", "(1, 2)", "{408, 425}", "np.array([0.5, 1])", "f(hours=1)"])
def test_what_counts_as_a_number(value):
    assert _is_number(ast.parse(value, mode="eval").body)


@pytest.mark.parametrize("value", ["True", "'a'", "()", "f()", "(1, 'a')", "{'a': 1}", "re.compile('a')"])
def test_what_does_not(value):
    assert not _is_number(ast.parse(value, mode="eval").body)
