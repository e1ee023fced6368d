"""Benchmarks, which CI does not run: each can be imported, and the page's does its work on a small study."""

from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import page

FAKES = Path(__file__).parents[1] / "data" / "fakes.toml"
MODULES = sorted(path.stem for path in Path(page.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name: str) -> None:
    assert import_module(f"benchmarks.{name}").__doc__


def test_decisions_and_searches_are_measured_on_the_page(tmp_path: Path) -> None:
    small = Namespace(segments=60, open=20, done=20, codes=15, decisions=12, profile=str(FAKES))
    times = page.run(tmp_path, small)
    assert {name: len(measured) for name, measured in times.items()} == dict.fromkeys(times, 12)
    assert min(min(measured) for measured in times.values()) > 0
