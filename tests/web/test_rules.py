"""The page of a study's rules: who may change them, what is refused, and what labels say."""

import json
import re
from html import unescape
from typing import get_args

import pytest
from sqlalchemy import func, select, update

from infra.profiles.loading import load_profile
from infra.profiles.study_rules import default_rules, rules_of
from infra.routing.study_report import standing
from infra.storage.tables import assignments, outbox
from infra.web.pages.rules import CODING_MODES, STRATEGIES
from models.classifier.predictions import OutOfFoldPredictions
from models.fakes import HandClock
from schemas import StudyRules
from schemas.coding import CONFIDENCE, OUTSIDE_CODEBOOK
from schemas.ids import code_id
from schemas.study import CodingMode, QueryStrategy
from tests.unit.builders import judgement, judgements, release
from tests.web.site import FAKES, STUDY, fill, make_site, visit

PAGE = f"/s/{STUDY}/rules"
FORM = {
    "mode": "promise",
    "threshold": "50",
    "wrong_share": "5",
    "certainty": "90",
    "audit_share": "2.5",
    "double_share": "10",
    "blind": "true",
    "lock_minutes": "15",
    "expire_days": "30",
}


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, clock=HandClock())
    yield made
    made.store.close()


def rules(site):
    return rules_of(site.store.database, load_profile(FAKES), STUDY)


def waiting(site):
    with site.store.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()


def read(client):
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


# changing


def test_who_leads_a_study_changes_its_rules_and_the_router_will_hear_of_it(site):
    answer = visit(site, "lead", name="lea").post(PAGE, data=FORM, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?saved=true")
    found = rules(site)
    assert (found.mode, found.wrong_share, found.certainty, found.audit_share) == ("promise", 0.05, 0.9, 0.025)
    assert (found.double_share, found.blind, found.lock_minutes, found.expire_days) == (0.1, True, 15, 30)
    assert (found.author, found.at) == ("lea", site.clock.now())
    assert waiting(site) == 1


@pytest.mark.parametrize("mode", get_args(CodingMode))
def test_where_codes_come_from_is_chosen_on_the_page_and_kept_where_a_form_does_not_say(site, mode):
    client = visit(site, "lead")
    client.post(PAGE, data={"mode": "people", "coding_mode": mode})
    assert (rules(site).mode, rules(site).coding_mode) == ("people", mode)
    client.post(PAGE, data={"mode": "threshold"})
    assert (rules(site).mode, rules(site).coding_mode) == ("threshold", mode)
    assert re.search(f'value="{mode}" checked', read(client))


def test_a_coding_mode_that_is_none_is_refused(site):
    answer = visit(site, "lead").post(PAGE, data={"mode": "threshold", "coding_mode": "closed"})
    assert answer.status_code == 422
    assert rules(site).coding_mode == "inductive"


def test_every_coding_mode_is_explained_on_the_page(site):
    assert set(CODING_MODES) == set(get_args(CodingMode))
    page = read(visit(site, "lead"))
    assert all(f"{title}:" in page and says in page for title, says in CODING_MODES.values())


def test_a_deductive_study_without_codes_is_told_that_everything_goes_to_people(site):
    client = visit(site, "lead")
    assert "has no codes yet" not in read(client)
    client.post(PAGE, data={"mode": "threshold", "coding_mode": "deductive"})
    assert "The codebook has no codes yet, so every segment goes to people." in read(client)


def test_what_a_form_leaves_empty_is_kept_or_has_no_limit(site):
    client = visit(site, "lead")
    client.post(PAGE, data=FORM)
    client.post(PAGE, data={"mode": "budget", "budget_segments": "40"})
    found = rules(site)
    assert (found.mode, found.budget_segments, found.budget_minutes) == ("budget", 40, None)
    assert (found.wrong_share, found.lock_minutes) == (0.05, 15)
    assert (found.blind, found.expire_days) == (False, None)


@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_who_does_not_lead_reads_the_rules_and_may_not_change_them(site, role):
    client = visit(site, role)
    text = read(client)
    assert '<fieldset class="stack" disabled>' in text
    assert "Only who leads the study may change them." in text
    assert 'type="submit">Save' not in text
    assert client.post(PAGE, data=FORM).status_code == 403
    assert waiting(site) == 0


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("wrong_share", "100", "Largest share of wrong codes is 100; less than that is expected."),
        ("wrong_share", "0", "Largest share of wrong codes is 0; more than that is expected."),
        ("certainty", "many", "Certainty is 'many'; a number from 0 to 100 is expected."),
        ("audit_share", "-1", "Drawn by chance is '-1'; a number from 0 to 100 is expected."),
        ("threshold", "nan", "Confidence is 'nan'; a number from 0 to 100 is expected."),
        ("expire_days", "1e12", "Stop asking after (days) is '1e12'; a number from 0 to 3,650 is expected."),
        ("lock_minutes", "inf", "Reserve a segment for (minutes) is 'inf'; a number from 0 to 1,440 is expected."),
        ("mode", "guess", "mode"),
        ("strategy", "oracle", "strategy"),
        ("ask_segments", "1001", "Segments after each training is '1001'; a number from 0 to 1,000 is expected."),
        ("mode", "budget", "A budget has no limit yet; give segments or minutes a day."),
    ],
)
def test_rules_that_cannot_be_are_refused_and_the_form_keeps_what_was_typed(site, field, value, fault):
    answer = visit(site, "lead").post(PAGE, data=FORM | {field: value})
    assert answer.status_code == 422
    text = unescape(answer.text)
    assert fault in text
    assert 'role="alert"' in text
    assert 'value="10"' in text  # what was typed elsewhere
    assert waiting(site) == 0


def test_a_lead_says_what_the_classifier_asks_about(site):
    client = visit(site, "lead")
    text = read(client)
    assert 'value="category-inconsistency" checked' in text
    assert "those with two codes that are almost as likely as each other." in text
    client.post(PAGE, data=FORM | {"strategy": "breaking-ties", "ask_segments": "12.7"})
    assert (rules(site).strategy, rules(site).ask_segments) == ("breaking-ties", 12)
    assert 'value="breaking-ties" checked' in read(client)
    client.post(PAGE, data=FORM)
    assert (rules(site).strategy, rules(site).ask_segments) == ("breaking-ties", 12)


def test_every_strategy_has_its_words():
    assert set(STRATEGIES) == set(get_args(QueryStrategy))


def test_a_form_without_the_sessions_token_changes_nothing(site):
    answer = visit(site, "lead").post(PAGE, data=FORM | {"csrf": "another"})
    assert answer.status_code == 403
    assert waiting(site) == 0


def test_saved_rules_are_shown_with_who_set_them(site):
    client = visit(site, "lead", name="lea")
    assert "nobody has set rules for this study yet" in read(client)
    page = unescape(client.post(PAGE, data=FORM).text)
    assert "Saved." in page
    assert "Set by lea" in page
    assert 'name="wrong_share" type="number" min="0" max="100" step="any" inputmode="decimal" value="5"' in page


# standing


def test_a_study_without_anything_says_what_is_needed(site):
    text = read(visit(site, "viewer"))
    assert '<span class="big num">31</span> more labels needed' in text
    assert "No accepted code has been audited yet." in text
    assert "Nothing has been routed yet." in text
    assert "data-reliability" not in text


def test_how_long_the_promise_takes_is_told_from_the_pace_and_what_share_would_do_it_in_a_week(site):
    fill(site, 240, people=0)  # one an hour: ten days, 24 a day
    for share, words in (
        (0.05, "24 a day, and if people read what is drawn, that is in about 26 days. With 18.5 % drawn by chance"),
        (0.5, "that is in about 3 days.</p>"),
    ):
        rules_ = StudyRules(study=STUDY, mode="suggest", audit_share=share, author="lea", at=site.clock.now())
        site.store.record([rules_])
        assert words in read(visit(site, "viewer"))


def test_labels_keep_the_promise_and_the_page_shows_its_figures(site):
    fill(site, 10, people=4)
    site.store.record(judgements(600))
    text = read(visit(site, "viewer"))
    assert '<span class="tag good">kept</span>' in text
    assert "600 segments judged by people, 600 of them drawn by chance" in text
    assert "6 accepted, 4 sent to people" in text
    chart = json.loads(text.split('data-reliability="', 1)[1].split('" aria-hidden', 1)[0])
    assert len(chart["x"]) == len(chart["y"]) > 4
    assert text.count('<tr><th scope="row">') == len(chart["x"])


def test_codes_that_are_wrong_too_often_are_said_to_be_out_of_reach(site):
    site.store.record([judgement(n, accepted=n % 2 == 0) for n in range(300)])
    assert '<span class="tag bad">out of reach</span>' in read(visit(site, "viewer"))


def test_a_few_wrong_labels_are_too_few_to_say_so(site):
    site.store.record([judgement(n, accepted=False) for n in range(3)])
    text = read(visit(site, "viewer"))
    assert "out of reach" not in text
    assert '<span class="big num">31</span> more labels needed, at least' in text


def test_what_people_coded_outside_the_codebook_is_said_not_to_count(site):
    outside = [judgement(n) for n in range(21)]
    signals = [{**each.signals, OUTSIDE_CODEBOOK: 1.0} for each in outside]
    site.store.record([each.model_copy(update={"signals": s}) for each, s in zip(outside, signals, strict=True)])
    text = read(visit(site, "viewer"))
    assert "0 segments judged by people" in text
    assert "21 more segments that people coded do not count" in text


def test_calibration_and_what_the_confidence_is_worth_say_the_same(site):
    fill(site, 10, people=0)
    site.store.record([judgement(n) for n in range(5)])
    for stage, words in (("rated", "it comes from blind ratings"), ("uncalibrated", "it is a score so far")):
        with site.store.database.writing() as connection:
            connection.execute(update(assignments).values(models={CONFIDENCE: stage}))
        text = read(visit(site, "viewer"))
        assert words in text
        assert ("about that share of such codes stood" in text) == (stage == "rated")


def test_the_audits_error_counts_accepted_codes_alone_and_comes_with_its_interval(site):
    audits = [judgement(n, accepted=n % 10 != 0, reason="audit") for n in range(50)]
    doubtful = [judgement(n, accepted=False, sample=False, reason="low confidence") for n in range(50, 80)]
    site.store.record(audits + doubtful)
    found = standing(site.store.database, STUDY, rules(site))
    assert (found.audit.wrong, found.audit.total) == (5, 50)
    assert found.audit.interval == pytest.approx((0.0333, 0.2181), abs=1e-4)
    assert (found.overridden.wrong, found.overridden.total) == (35, 80)
    assert "5 of 50; 95% interval 3.3 % to 21.8 %" in read(visit(site, "viewer"))


def test_what_a_person_took_back_is_not_counted(site):
    said = judgement(1, reason="audit", accepted=False)
    later = site.clock.now().replace(hour=1)
    site.store.record([said, said.model_copy(update={"withdrawn": True, "decided_at": later})])
    assert standing(site.store.database, STUDY, rules(site)).labels == 0


# the profile's rules


def test_a_study_has_the_profiles_rules_until_it_sets_its_own(site, tmp_path):
    file = tmp_path / "mine.toml"
    router = '[router]\nmode = "promise"\nwrong_share = 0.2\nask_segments = 9\n'
    router += '[router.studies.reviews]\naudit_share = 0.5\nstrategy = "random"\n'
    file.write_text(FAKES.read_text() + router)
    profile = load_profile(file)
    own, other = default_rules(profile, STUDY), default_rules(profile, "other")
    assert (own.mode, own.wrong_share, own.audit_share) == ("promise", 0.2, 0.5)
    assert (other.mode, other.wrong_share, other.audit_share) == ("promise", 0.2, 0.02)
    assert (own.strategy, own.ask_segments) == ("random", 9)
    assert (other.strategy, other.ask_segments) == ("category-inconsistency", 9)
    assert rules_of(site.store.database, profile, STUDY) == own
    set_ = StudyRules(study=STUDY, author="lea", at=site.clock.now())
    assert set_.at > own.at
    site.store.record([set_])
    assert rules_of(site.store.database, profile, STUDY) == set_


def test_what_the_serving_classifier_says_out_of_fold_takes_the_place_of_what_an_earlier_one_had_said(site):
    said = [judgement(n, shown="slow app") for n in range(20)]
    site.store.record([*said, release("v1", study=STUDY)])
    slow = code_id(STUDY, "slow app")
    sure = OutOfFoldPredictions({slow: "slow app"}, {one.segment_id: {slow: 0.99} for one in said}, 0.9)
    before, after = (standing(site.store.database, STUDY, rules(site), taught) for taught in (None, lambda one: sure))
    assert before.labels == after.labels
    assert max(one.probability for one in after.bins) > max(one.probability for one in before.bins)
