"""A site of its own for each test of these pages."""

import pytest

from tests.web.site import make_site


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    yield made
    made.store.close()
