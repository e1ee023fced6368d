"""The drift page: what was raised, the charts, and what people do about an alert."""

import csv
import io
from datetime import timedelta
from uuid import uuid5

import pytest

from infra.accounts.audit import AuditFilter
from infra.drift.alert_rules import rules
from infra.drift.scan_study import report_study
from infra.storage.alerts import count_open, raised
from models.drift.settings import DriftSettings
from models.fakes import HandClock
from schemas import Annotation, DriftAlert
from schemas.ids import code_id
from tests.web.site import HOSTILE, STUDY, fill, make_site, visit

PAGE = f"/s/{STUDY}/drift"
NOW = HandClock().now()


def alert(number=0, **more):
    given = {
        "id": uuid5(code_id(STUDY, "alert"), str(number)),
        "study": STUDY,
        "kind": "code share",
        "cause": "input",
        "at": NOW - timedelta(hours=2),
        "detected_at": NOW - timedelta(hours=1, minutes=number),
        "p": 0.001,
        "effect": 0.1,
        "codes": ["slow checkout"],
        "says": "'slow checkout' rose from 5% to 12%",
        "changes": {"slow checkout": (0.05, 0.12)},
        "causes": {"input": 0.9, "volume": 0.1},
    }
    return DriftAlert.model_validate(given | more)


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, clock=HandClock())
    yield made
    made.store.close()


def test_an_empty_study_says_what_will_be_here(site):
    assert "Nothing to watch yet" in visit(site, "viewer").get(PAGE).text


def test_an_alert_says_what_changed_since_when_and_why(site):
    segments = fill(site, 60)
    site.store.record([alert(examples=[segments[0].id])])
    page = visit(site, "viewer").get(PAGE).text
    for said in ("&#39;slow checkout&#39; rose from 5% to 12%", "what people say changed", "p 0.001", "0.120"):
        assert said in page
    assert f"/s/{STUDY}/segments/{segments[0].id}" in page
    assert page.count("<svg") > 2
    assert "style=" not in page
    assert "Acknowledge" not in page


def test_a_rules_alert_says_what_was_counted_and_of_no_comparison(site):
    fill(site, 60)
    assert "Numbers mark the changes above" not in visit(site, "viewer").get(PAGE).text
    site.store.record([alert(kind="rule", p=1.0, after=21, changes={}, causes={})])
    page = visit(site, "viewer").get(PAGE).text
    assert "<dt>Segments</dt><dd>21</dd>" in page
    assert "Numbers mark the changes above" in page
    for said in ("0 before", "How sure", "Since", "what people say changed"):
        assert said not in page


def test_an_alert_about_texts_says_what_is_new_in_them(site):
    segments = fill(site, 60)
    new = {"terms": ["covid refund", "<b>voucher</b>"], "nearest": ["late refund"], "name": "Pandemic refunds"}
    site.store.record([alert(kind="texts", examples=[each.id for each in segments[:5]], **new)])
    page = visit(site, "viewer").get(PAGE).text
    for said in ("covid refund, &lt;b&gt;voucher&lt;/b&gt;", "late refund", "Pandemic refunds", "Nearest codes"):
        assert said in page
    assert page.count(f"/s/{STUDY}/segments/") == 5


def test_too_few_segments_are_said_and_are_not_taken_for_no_change(site):
    fill(site, 60)
    page = visit(site, "viewer").get(PAGE).text
    assert "Too few to tell: 60 of 250 segments." in page
    assert "none has been found so far" not in page


def test_leads_acknowledge_snooze_and_open_again(site):
    fill(site, 30)
    site.store.record([alert()])
    lead, database = visit(site, "lead", name="lea"), site.store.database

    def do(what, note=""):
        answer = lead.post(f"{PAGE}/{alert().id}", data={"does": what, "note": note})
        assert answer.status_code == 200
        return answer.text

    assert count_open(database, STUDY, NOW) == 1
    assert "it was a holiday" in do("acknowledge", "it was a   holiday")
    assert count_open(database, STUDY, NOW) == 0
    do("reopen")
    assert count_open(database, STUDY, NOW) == 1
    do("snooze-7")
    assert (count_open(database, STUDY, NOW), count_open(database, STUDY, NOW + timedelta(days=8))) == (0, 1)
    (one,) = raised(database, STUDY)
    assert (one.mark.kind, one.mark.author) == ("snoozed", "lea")


def test_what_cannot_be_done_is_refused(site):
    site.store.record([alert()])
    lead = visit(site, "lead")
    assert lead.post(f"{PAGE}/{alert().id}", data={"does": "explode"}).status_code == 422
    assert lead.post(f"{PAGE}/{alert(7).id}", data={"does": "acknowledge"}).status_code == 404
    assert visit(site, "annotator", name="ben").post(f"{PAGE}/{alert().id}", data={"does": "reopen"}).status_code == 403


def test_the_texts_are_drawn_without_their_codes(site):
    fill(site, 60)
    part = visit(site, "viewer").get(f"{PAGE}/texts").text
    assert part.count('class="before"') + part.count('class="after"') == 60
    assert "slow checkout" not in part


def test_the_figures_of_every_chart_are_had_as_csv(site):
    fill(site, 60)
    viewer = visit(site, "viewer")
    page = viewer.get(PAGE).text
    for what, columns in (
        ("shares", ["start", "end", "segments", "code", "count", "share"]),
        ("sources", ["start", "end", "segments", "source", "count", "share"]),
        ("distance", ["start", "distance", "limit", "above"]),
        ("texts", ["x", "y", "side"]),
    ):
        answer = viewer.get(f"{PAGE}/export/{what}.csv")
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert answer.text.splitlines()[0].split(",") == columns
        assert f'filename="drift-{what}.csv"' in answer.headers["content-disposition"]
        if what in ("shares", "sources"):
            assert sum(int(row["count"]) for row in rows) == 60
            assert f"{PAGE}/export/{what}.csv" in page
    assert viewer.get(f"{PAGE}/export/nothing.csv").status_code == 404
    assert f"{PAGE}/export/texts.csv" in viewer.get(f"{PAGE}/texts").text
    assert site.audit.newest(AuditFilter(action="GET /s/{study}/drift/export/{what}"), 9)


def test_peoples_words_that_came_later_are_drawn_as_in_the_report(site):
    filled = fill(site, 60)
    viewer = visit(site, "viewer")
    before = viewer.get(PAGE).text
    assert "confidence" in before
    assert "let stand by people" not in before

    def word(of, annotator, chosen, minutes):
        at = filled[40].timestamp + timedelta(minutes=minutes)
        said = {"segment_id": of.id, "study": STUDY, "annotator": annotator, "code_ids": [], "decided_at": at}
        return Annotation(**said, labels=[chosen], accepted=chosen == "x", sample=True)

    site.store.record([word(filled[n], "ana", "x", n) for n in range(4)])
    site.store.record([word(filled[n], "bo", "x" if n else "y", 10 + n) for n in range(4)])
    after = viewer.get(PAGE).text
    reported = report_study(site.store.database, STUDY, None, DriftSettings()).data.quarters()
    assert {mean for mean in reported["two people agree"] if mean is not None} == {0.75}
    for said in ("let stand by people", "two people agree"):
        cells = "".join(f'<td class="num">{"–" if mean is None else f"{mean:.3f}"}</td>' for mean in reported[said])
        assert f'<th scope="row">{said}</th>{cells}' in after


def test_hostile_names_stay_text(site):
    fill(site, 30)
    site.store.record([alert(n, says=text, codes=[text], sources=[text]) for n, text in enumerate(HOSTILE)])
    page = visit(site, "viewer").get(PAGE).text
    assert not [text for text in HOSTILE if "<" in text and text in page]


def test_alerts_that_wait_stand_on_the_tab_the_overview_and_the_list_of_studies(site):
    fill(site, 10)
    site.store.record([alert(), alert(1)])
    client = visit(site, "lead", study="")
    waiting = '2<span class="visually-hidden"> alerts waiting</span>'
    assert waiting in client.get(f"/s/{STUDY}/codebook").text
    assert 'data-count="alerts">2<' in client.get(f"/s/{STUDY}/").text
    assert f'<a href="/s/{STUDY}/drift">2</a>' in client.get("/").text
    for number in (0, 1):
        client.post(f"{PAGE}/{alert(number).id}", data={"does": "acknowledge"})
    assert "alerts waiting" not in client.get(f"/s/{STUDY}/codebook").text


def test_a_rule_for_alerts_is_written_and_removed_on_the_page(site):
    fill(site, 10)
    lead, code = visit(site, "lead"), code_id(STUDY, "slow checkout")
    page = lead.post(f"{PAGE}/rules", data={"code": code, "percent": "5", "hours": "2"})
    assert "Remove<span" in page.text
    assert "5.0 %" in page.text
    assert lead.post(f"{PAGE}/rules", data={"code": code, "percent": "0", "hours": "2"}).status_code == 422
    (rule,) = rules(site.store.database, STUDY)
    assert "Remove<span" not in visit(site, "viewer", name="vic").get(PAGE).text
    assert "Remove<span" not in lead.post(f"{PAGE}/rules/{rule.id}/remove").text


def test_what_was_sent_is_listed_and_can_be_sent_again(tmp_path):
    site = make_site(tmp_path, clock=HandClock(), slack_url="https://hooks.example.org/x")
    fill(site, 60)
    site.store.record([alert()])
    client = visit(site, "lead")
    assert "Not sent to anybody" in client.get(PAGE).text
    page = client.post(f"{PAGE}/{alert().id}", data={"does": "send"})
    assert "slack: to be sent" in page.text
    assert "hooks.example.org" not in page.text
    site.store.close()
