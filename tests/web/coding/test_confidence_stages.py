"""A confidence says on every page, in files and on the command line what it is worth, and what is suggested says so."""

import csv
import io
import json
import re

import pytest
from rich.console import Console

from infra.local.file_coding import CodingTally
from infra.local.live_view import summary
from infra.storage.overview import newest_stage
from models.fakes import HandClock
from models.pipeline import CodedSegment
from models.routing.confidence_stages import STAGES
from schemas import Assignment, Decision
from tests.unit.builders import segment
from tests.web.site import STUDY, coded, visit

AT = HandClock().now()


def routed(key, *, route="suggested", stage="uncalibrated", text="the app is slow"):
    """Everything about one segment, its assignment as a router leaves it."""
    records = coded(segment(text, key, STUDY), "slow app", at=AT, new=key == "1")
    named = {} if stage is None else {"confidence": stage}
    change = {"route": route, "models": {"moderator": "consensus", **named}}
    return [one.model_copy(update=change) if isinstance(one, Assignment) else one for one in records]


def record(site, *groups):
    site.store.record([one for group in groups for one in group])


@pytest.mark.parametrize("stage", STAGES)
def test_overview_rules_segments_and_segment_say_the_stage_in_one_sentence(site, stage):
    record(site, routed("1", stage=stage))
    client = visit(site, "lead")
    where = segment("the app is slow", "1", STUDY).id
    for page in ("", "rules", "segments", f"segments/{where}"):
        assert STAGES[stage].replace("'", "&#39;") in client.get(f"/s/{STUDY}/{page}").text


def test_a_segment_from_before_there_were_stages_says_none_and_is_shown_as_ever(site):
    record(site, routed("1", route="accepted", stage=None))
    page = visit(site, "lead").get(f"/s/{STUDY}/segments/{segment(key='1', study=STUDY).id}").text
    assert not any(sentence in page for sentence in STAGES.values())
    assert newest_stage(site.store.database, STUDY) is newest_stage(site.store.database, "nowhere") is None


def test_suggested_codes_are_counted_listed_and_are_no_open_segments(site):
    record(site, routed("1"), routed("2"), routed("3", route="accepted"))
    client = visit(site, "lead")
    overview = client.get(f"/s/{STUDY}/").text
    assert 'data-count="suggested">2<' in overview
    listed = client.get(f"/s/{STUDY}/segments?route=suggested").text
    assert listed.count(">suggested</span>") == 2
    assert site.store.open_segments(STUDY) == 0
    assert site.store.counts(STUDY).suggested == 2
    assert "2 suggested" in client.get(f"/s/{STUDY}/rules").text


def test_a_new_study_s_rules_are_those_that_accept_only_what_is_proven_and_can_be_set_back(site):
    page = f"/s/{STUDY}/rules"
    client = visit(site, "lead")
    assert 'value="suggest" checked' in client.get(page).text
    client.post(page, data={"mode": "threshold", "threshold": "70"})
    assert 'value="threshold" checked' in client.get(page).text
    client.post(page, data={"mode": "suggest", "doubtful_share": "10"})
    shown = client.get(page).text
    assert 'value="suggest" checked' in shown
    assert 'name="doubtful_share" type="number" min="0" max="100" step="any" inputmode="decimal" value="10"' in shown


def test_rules_say_how_many_segments_a_promise_takes_at_the_share_that_is_drawn_by_chance(site):
    client, page = visit(site, "lead"), f"/s/{STUDY}/rules"
    shown = client.get(page).text
    labels = int(re.search(r'"big num">(\d+)</span> more labels needed', shown)[1])
    assert f"At 2.0 % drawn by chance that takes about {labels * 50:,} more segments" in shown
    client.post(page, data={"mode": "suggest", "audit_share": "0"})
    assert "drawn by chance that takes about" not in client.get(page).text


def test_an_exported_file_says_the_stage_beside_the_confidence(site):
    record(site, routed("1"), routed("2", stage="calibrated"), routed("3", stage=None))
    raw = visit(site, "lead").get(f"/s/{STUDY}/export/segments?fmt=csv").text
    rows = list(csv.DictReader(io.StringIO(raw.lstrip("\ufeff"))))
    assert sorted(row["confidence_stage"] for row in rows) == ["", "calibrated", "uncalibrated"]


def test_the_empty_queue_leads_to_the_suggestions(site):
    record(site, routed("1"))
    page = visit(site, "annotator").get(f"/s/{STUDY}/queue").text
    assert f'href="/s/{STUDY}/segments?route=suggested&human=no"' in page


def test_the_summary_of_a_run_says_what_nobody_has_judged_and_what_the_confidence_is_worth(site):
    record(site, routed("1"), routed("2"))
    out = Console(file=io.StringIO(), width=200)
    out.print(summary(site.store, STUDY, 2, 1.0, 1.0))
    told = out.file.getvalue()
    assert "2  of them suggested codes, judged by nobody yet" in told
    assert STAGES["uncalibrated"] in told


def test_code_counts_the_routes_and_says_each_stage_once():
    tally = CodingTally()
    assert tally.summary() == ""
    for key, route, stage in (("1", "suggested", "rated"), ("2", "people", "rated"), ("3", "suggested", "calibrated")):
        records = routed(key, route=route, stage=stage)
        decision = next(one for one in records if isinstance(one, Decision))
        assignment = next(one for one in records if isinstance(one, Assignment))
        tally.add(CodedSegment(records[0], decision, assignment, None, None))
    assert tally.summary() == f"2 suggested, 1 for people to look at. {STAGES['rated']} {STAGES['calibrated']}"


def test_the_overviews_stream_carries_the_sentence(site):
    from infra.web.pages.overview import _now

    record(site, routed("1"))
    assert json.loads(json.dumps(_now(site, STUDY)["stage"])) == STAGES["uncalibrated"]
