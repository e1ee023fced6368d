"""A lead sets on the page from which similarity the models use an earlier code again."""

import pytest

from infra.accounts.audit import AuditFilter
from infra.profiles.study_rules import rules_of
from infra.web.site import profile_of
from schemas import StudyRules
from tests.web.site import STUDY, fill, visit

BASE = f"/s/{STUDY}/codebook"


@pytest.fixture
def site(site):
    fill(site, 7)
    return site


def threshold_form(client, value):
    return client.post(f"{BASE}/similar/threshold", data={"threshold": value}, follow_redirects=False)


def test_a_lead_sets_from_which_similarity_codes_are_used_again_and_takes_it_back(site):
    lead = visit(site, "lead", name="lea")
    site.write([StudyRules(study=STUDY, mode="people", lock_minutes=7, author="ben", at=site.clock.now())])
    assert threshold_form(lead, "0.83").headers["location"].endswith("held=true&threshold=0.83")
    rules = rules_of(site.store.database, profile_of(site), STUDY)
    assert (rules.reuse_threshold, rules.author, rules.mode, rules.lock_minutes) == (0.83, "lea", "people", 7)
    assert {message.message.topic for message in site.outbox.waiting()} == {"studies"}
    page = lead.get(f"{BASE}/similar").text
    assert "from a similarity of 0.83 (set on the page) on" in page
    assert "Back to the default" in page
    (entry, *_) = site.audit.newest(AuditFilter(action="POST /s/{study}/codebook/similar/threshold"), 5)
    assert (entry.actor, entry.subject) == ("lea", "threshold: 0.83")
    threshold_form(lead, "")
    assert rules_of(site.store.database, profile_of(site), STUDY).reuse_threshold is None
    assert "the default" in lead.get(f"{BASE}/similar").text


def test_what_cannot_be_a_threshold_is_refused_and_others_have_no_button(site):
    lead = visit(site, "lead", name="lea")
    assert [threshold_form(lead, value).status_code for value in ("0.1", "1", "nan", "x")] == [422] * 4
    assert threshold_form(visit(site, "annotator"), "0.8").status_code == 403
    assert "segments to come" not in visit(site, "viewer", name="vic").get(f"{BASE}/similar?threshold=0.9").text
    assert "Use 0.90 for segments to come" in lead.get(f"{BASE}/similar?threshold=0.9").text


def test_other_rules_leave_the_threshold_as_it_was_set(site):
    lead = visit(site, "lead", name="lea")
    threshold_form(lead, "0.83")
    lead.post(f"/s/{STUDY}/rules", data={"mode": "people"})
    assert rules_of(site.store.database, profile_of(site), STUDY).reuse_threshold == 0.83
