"""What most tests of the page have: a site of its own for each, and a lead who visits it."""

import pytest

from tests.web.site import make_site, visit


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def lead(site):
    return visit(site, "lead")
