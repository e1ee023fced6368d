"""The pages about agreement over a real SQLite file: figures, disagreements, settling them."""

import csv
import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from infra.annotation.disputes import disagreements
from infra.cli.measuring.agreement import agreement
from infra.storage.annotations import codings
from infra.storage.tables import outbox
from schemas import Annotation, CodeEvent, StudyRules
from schemas.ids import code_event_id, code_id
from tests.web.site import HOSTILE, STUDY, fill, make_site, visit

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = f"/s/{STUDY}/agreement"


@pytest.fixture
def some(site):
    return fill(site, 8)


def say(site, who, segment, *labels, minute=0, **more):
    said = Annotation(
        segment_id=segment.id,
        study=STUDY,
        annotator=who,
        code_ids=[code_id(STUDY, label) for label in labels],
        labels=labels,
        text=segment.text,
        decided_at=AT + timedelta(minutes=minute),
        **more,
    )
    site.store.record([said])


def two_coders(site, some):
    """Two people who differ on the second of four segments."""
    for n, (one, other) in enumerate(
        [("slow checkout", "slow checkout"), ("app crashes", "login fails"), ("app crashes", "app crashes")]
    ):
        say(site, "cem", some[n], one, memo=f"cem on {n}", blind=True)
        say(site, "dana", some[n], other, memo=f"dana on {n}", blind=True)
    say(site, "cem", some[3], "too expensive", blind=True)


def form(**fields):
    return {"form": str(uuid4()), **fields}


def settled(site, segment):
    return [one for one in codings(site.store.database, STUDY, segment=segment.id) if one.kind == "adjudication"]


def open_(site):
    return disagreements(site.store.database, STUDY, 9)[1]


# What there is to read


def test_a_study_that_nobody_coded_says_what_to_do(site, some):
    answer = visit(site, "annotator").get(PAGE)
    assert answer.status_code == 200
    assert "Nothing to compare yet" in answer.text
    assert f'href="/s/{STUDY}/queue"' in answer.text


def test_a_study_with_one_coder_says_to_raise_the_share_that_is_coded_twice(site, some):
    say(site, "cem", some[0], "slow checkout")
    answer = visit(site, "viewer").get(PAGE)
    assert "No segment has two coders yet: raise the double-coding share" in answer.text
    assert "0 of 1 segments that people coded were coded by two or more" in answer.text


def test_the_page_shows_figures_pairs_codes_and_what_is_coded_twice(site, some):
    two_coders(site, some)
    text = visit(site, "viewer").get(PAGE).text
    assert "3 of 4 segments that people coded were coded by two or more" in text
    assert re.search(r"cem and dana</th>\s*<td class=\"num\">0\.\d\d</td>", text)
    assert "0.667 and 0.8" in text
    assert "the models' code" not in text
    assert "Qualstream <span" not in text


def test_models_are_coders_too_when_asked_for(site, some):
    two_coders(site, some)
    client = visit(site, "viewer")
    assert "cem and Qualstream" not in re.sub(r"\s*<[^>]*>", "", client.get(PAGE).text)
    text = re.sub(r"<[^>]*>", "", client.get(PAGE, params={"models": "true"}).text)
    assert re.search(r"Qualstream\s+model\s+and cem|cem\s+and Qualstream", re.sub(r"\s+", " ", text))


def test_codings_made_with_the_systems_code_in_view_are_owned_up_to(site, some):
    two_coders(site, some)
    client = visit(site, "viewer")
    assert "in view" not in client.get(PAGE).text
    say(site, "dana", some[3], "too expensive")
    assert "1 of 8 codings by people were made with the system's code in view" in client.get(PAGE).text.replace(
        "&#39;", "'"
    )


def test_the_rules_goal_is_shown(site, some):
    say(site, "cem", some[0], "slow checkout")
    assert "ask nobody to code" in visit(site, "viewer").get(PAGE).text
    site.store.record([StudyRules(study=STUDY, double_share=0.25, author="ana", at=AT)])
    assert "want 25 % coded by two" in visit(site, "viewer").get(PAGE).text


def test_the_list_names_who_gave_what_and_why(site, some):
    two_coders(site, some)
    text = visit(site, "viewer").get(PAGE).text
    assert f"{PAGE}/{some[1].id}" in text
    assert f"{PAGE}/{some[0].id}" not in text
    assert "cem on 1" in text
    assert "dana on 1" in text


def test_a_disagreement_shows_the_segment_the_coders_and_what_the_codes_mean(site, some):
    two_coders(site, some)
    identity = code_id(STUDY, "app crashes")
    defined = CodeEvent(
        id=code_event_id(identity, "defined", "test"),
        code_id=identity,
        study=STUDY,
        kind="defined",
        label="app crashes",
        author="ana",
        at=datetime.now(UTC),
        definition="It ends by itself.",
        exclusion="where it only freezes",
    )
    site.store.record([defined])
    text = visit(site, "viewer").get(f"{PAGE}/{some[1].id}").text
    for wanted in ("cem on 1", "dana on 1", "login fails", "It ends by itself.", "where it only freezes", "Qualstream"):
        assert wanted in text
    assert "Settle it" not in text


def test_a_segment_of_another_study_is_not_found(site, some):
    assert visit(site, "viewer").get(f"{PAGE}/{uuid4()}").status_code == 404


def test_text_from_the_stream_and_from_people_is_never_html(site, tmp_path):
    harmless = make_site(tmp_path / "harmless")
    texts = {site: HOSTILE, harmless: [f"text {n}" for n in range(len(HOSTILE))]}
    drawn = {}
    for one, memos in texts.items():
        segments = fill(one, len(HOSTILE), people=len(HOSTILE))
        for n, (segment, memo) in enumerate(zip(segments, memos, strict=True)):
            say(one, "cem", segment, "app crashes", memo=memo)
            say(one, "dana", segment, f"{memo} {n}"[-120:], memo=memo)  # folded, two may be one code
        lead = visit(one, "lead")
        drawn[one] = [elements(lead.get(PAGE).text)] + [elements(lead.get(f"{PAGE}/{s.id}").text) for s in segments]
    harmless.store.close()
    assert drawn[site] == drawn[harmless]


def elements(page):
    """How often each element is there, with which attributes."""
    found = Counter()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.update([(tag, tuple(name for name, _ in attributes))])
    parser.feed(page)
    return found


# Settling


def test_a_lead_settles_a_disagreement_and_it_leaves_the_list(site, some):
    two_coders(site, some)
    lead = visit(site, "lead")
    answer = lead.post(
        f"{PAGE}/{some[1].id}",
        data=form(code=str(code_id(STUDY, "app crashes")), memo="it ends"),
        follow_redirects=True,
    )
    assert answer.status_code == 200
    assert "ana settled it" in answer.text
    (ruling,) = settled(site, some[1])
    assert (ruling.coder, ruling.labels, ruling.memo) == ("ana", ("app crashes",), "it ends")
    assert open_(site) == 0
    with site.store.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(outbox)).scalar_one() == 1


def test_a_ruling_says_what_the_system_had_and_keeps_the_text(site, some):
    two_coders(site, some)
    visit(site, "lead").post(f"{PAGE}/{some[1].id}", data=form(code=str(code_id(STUDY, "app crashes"))))
    (kept,) = [one for one in site.store.history(Annotation) if one.kind == "adjudication"]
    assert (kept.text, kept.shown, kept.accepted, kept.confidence) == (some[1].text, "app crashes", True, 0.35)
    assert kept.signals == {"agreement": 0.8}


def test_what_is_settled_can_be_undone_and_is_open_again(site, some):
    two_coders(site, some)
    lead = visit(site, "lead")
    lead.post(f"{PAGE}/{some[1].id}", data=form(code=str(code_id(STUDY, "app crashes"))))
    answer = lead.post(f"{PAGE}/{some[1].id}/undo", follow_redirects=True)
    assert "Who gave what" in answer.text
    assert (settled(site, some[1]), open_(site)) == ([], 1)


def test_a_leads_own_coding_outlasts_what_they_settled_and_undid(site, some):
    say(site, "ana", some[0], "slow checkout", memo="mine")
    say(site, "cem", some[0], "app crashes")
    lead = visit(site, "lead")
    lead.post(f"{PAGE}/{some[0].id}", data=form(none_fits="true"))
    assert settled(site, some[0])[0].labels == ()
    lead.post(f"{PAGE}/{some[0].id}/undo")
    people = [one for one in codings(site.store.database, STUDY, include_models=False)]
    assert {(one.coder, one.labels, one.memo) for one in people} == {
        ("ana", ("slow checkout",), "mine"),
        ("cem", ("app crashes",), ""),
    }


def test_only_who_settled_it_can_undo_it(site, some):
    two_coders(site, some)
    visit(site, "lead").post(f"{PAGE}/{some[1].id}", data=form(none_fits="true"))
    answer = visit(site, "lead", name="eva").post(f"{PAGE}/{some[1].id}/undo")
    assert answer.status_code == 422
    assert len(settled(site, some[1])) == 1


def test_a_new_code_is_made_once_however_often_the_form_is_sent(site, some):
    two_coders(site, some)
    lead, sent = visit(site, "lead"), form(label="  freezes   at start ")
    for _ in range(2):
        assert lead.post(f"{PAGE}/{some[1].id}", data=sent, follow_redirects=False).status_code == 303
    made = [one for one in site.store.history(CodeEvent) if one.author == "ana"]
    assert [(one.kind, one.label, one.segment_id) for one in made] == [("created", "freezes at start", some[1].id)]
    assert settled(site, some[1])[0].code_ids == (code_id(STUDY, "freezes at start"),)


def test_a_written_code_that_exists_in_another_spelling_is_that_code(site, some):
    two_coders(site, some)
    visit(site, "lead").post(f"{PAGE}/{some[1].id}", data=form(label="APP crashes"))
    assert settled(site, some[1])[0].labels == ("app crashes",)
    assert not [one for one in site.store.history(CodeEvent) if one.author == "ana"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "No code is chosen"),
        ({"label": "app crashes", "none_fits": "true"}, "that none fits"),
        ({"label": "?!"}, "is no code"),
        ({"code": str(uuid4())}, "a living one is expected"),
        ({"none_fits": "true", "memo": "x" * 4001}, "4001 characters"),
    ],
)
def test_what_cannot_be_settled_so_is_said_and_what_was_entered_stays(site, some, fields, words):
    two_coders(site, some)
    answer = visit(site, "lead").post(f"{PAGE}/{some[1].id}", data=form(**fields))
    assert answer.status_code == 422
    assert words in answer.text
    assert fields.get("memo", "") in answer.text
    assert settled(site, some[1]) == []


@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_only_leads_settle(site, some, role):
    two_coders(site, some)
    client = visit(site, role)
    assert client.post(f"{PAGE}/{some[1].id}", data=form(none_fits="true")).status_code == 403
    assert client.post(f"{PAGE}/{some[1].id}/undo").status_code == 403
    assert "Settle it" not in client.get(f"{PAGE}/{some[1].id}").text


# For programs


def test_the_figures_can_be_had_as_json_and_csv(site, some):
    two_coders(site, some)
    client = visit(site, "viewer")
    answer = client.get(f"{PAGE}/figures.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    found = answer.json()
    assert found["segments"] == {"coded": 4, "coded_twice": 3, "compared": 3, "no_code_fits": 0}
    assert found["overall"]["percent"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    lines = list(csv.DictReader(io.StringIO(client.get(f"{PAGE}/figures.csv").text)))
    alpha = next(line for line in lines if line["figure"] == "alpha" and not line["code"])
    assert float(alpha["value"]) == found["overall"]["alpha"]["value"]
    assert {line["code"] for line in lines} == {"", "slow checkout", "app crashes", "login fails"}


def test_a_label_in_the_csv_is_no_formula(site, some):
    for who in ("cem", "dana"):
        say(site, who, some[0], "=1+1")
        say(site, who, some[1], "slow checkout")
    assert "'=1+1" in visit(site, "viewer").get(f"{PAGE}/figures.csv").text


def test_the_command_prints_the_same(site, some, monkeypatch):
    two_coders(site, some)
    monkeypatch.setenv("QUALSTREAM_DATA_DIR", str(site.settings.data_dir))
    plain = CliRunner().invoke(agreement, ["--study", STUDY])
    assert plain.exit_code == 0, plain.output
    for wanted in ("Krippendorff's alpha", "cem", "app crashes", "4 segments coded by people, 3 of them"):
        assert wanted in plain.output
    as_json = CliRunner().invoke(agreement, ["--study", STUDY, "--json"])
    assert json.loads(as_json.output) == visit(site, "viewer").get(f"{PAGE}/figures.json").json()
    site.store.record([StudyRules(study="nothing", author="ana", at=AT)])
    empty = CliRunner().invoke(agreement, ["--study", "nothing", "--models"])
    assert "nobody has coded a segment yet" in empty.output
