"""Each situation that was reported of another tool, tried on the inputs that ship."""

import pytest

from tests.cases.coming_back import COMING_BACK
from tests.cases.measuring import MEASURING
from tests.cases.product import Product
from tests.cases.reading import READING
from tests.structure import ROOT

INPUTS = ROOT / "tests" / "data" / "cases"
CHECKS = {**READING, **COMING_BACK, **MEASURING}


@pytest.mark.parametrize("name", CHECKS)
def test_what_people_bring_comes_to_what_they_expect(tmp_path, name):
    assert CHECKS[name](Product(tmp_path / "data", INPUTS))
