"""The examples in docstrings of the domain give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "models").rglob("*.py")
    if "    >>> " in path.read_text(encoding="utf-8")
)
"""Those with an example."""


def test_what_a_reader_of_the_monitor_looks_at_first_has_an_example():
    first = {"monitor", "scan", "seasonality", "counts.stratified", "signal_watch", "change_point", "two_sample"}
    assert {f"models.drift.{name}" for name in first | {"tail_tests"}} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0
