"""The page that compares groups shows every group with its interval, beside the others."""

import re

from tests.web.site import STUDY, fill, visit


def test_groups_are_shown_with_their_intervals(site):
    fill(site, 6, people=2)
    page = visit(site, "viewer").get(f"/s/{STUDY}/analysis/groups").text
    assert re.search(r"<h2[^>]*>By \w+", page)
    assert "to people" in page
    assert "reused" in page


def test_a_study_without_codes_says_that_there_is_nothing_to_compare(site):
    fill(site, 1, people=0)
    site.store.reset(STUDY)
    fill(site, 0, people=0)
    page = visit(site, "viewer").get(f"/s/{STUDY}/analysis/groups").text
    assert "Nothing to compare yet" in page
