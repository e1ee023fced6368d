"""Rules applied to what is coded already: what people are asked about, and what stays as it is."""

from datetime import timedelta
from html import unescape
from typing import get_args

import pytest
from sqlalchemy import func, select

from infra.routing.coded_already import apply_rules
from infra.storage.tables import outbox
from infra.telemetry.invariant_check import audit_of_store
from infra.training.loader import out_of_fold_loader
from infra.web.pages.coding.rules_applied import REASONS
from models.errors import UnavailableError
from models.routing.router import Router
from schemas import Annotation, AnnotationRequest, Assignment, StudyRules
from schemas.ids import uniform
from schemas.study import RoutingMode
from tests.web.site import STUDY, fill, make_site, visit

PAGE = f"/s/{STUDY}/rules/coded"
CODED, ASKED = 40, 10  # of the coded segments, those that wait for people from the start


@pytest.fixture
def segments(site):
    return fill(site, CODED, people=ASKED)


def set_rules(site, **values):
    rules = StudyRules(study=STUDY, author="lea", at=site.clock.now(), **({"audit_share": 0.0} | values))
    site.store.record([rules])
    return rules


def requests(site):
    return {request.segment_id: request for request in site.store.history(AnnotationRequest, STUDY)}


def waiting(site):
    with site.store.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()


def decide(site, segment, **values):
    given = {"code_ids": [], "labels": [], "annotator": "ben", "decided_at": site.clock.now()} | values
    site.store.record([Annotation(segment_id=segment.id, study=STUDY, **given)])


def apply(site, rules, keep=None, at=None):
    taught = out_of_fold_loader(site.settings.data_dir)
    return apply_rules(site.store.database, rules, at or site.clock.now(), taught, keep)


def text(answer):
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


# the page


def test_the_page_counts_what_people_would_be_asked_about_and_asks_nobody(site, lead, segments):
    before = requests(site)
    set_rules(site, threshold=0.9)
    page = text(lead.get(PAGE))
    assert "Of 40 coded segments <strong>30</strong> would be asked about." in page
    assert '<span class="num">30</span> because of their confidence' in page
    assert "10 were decided by people or wait for them: they stay as they are." in page
    assert (requests(site), waiting(site)) == (before, 0)


def test_a_lead_asks_people_once_and_the_queue_gives_the_segments_out(site, lead, segments):
    rules = set_rules(site, threshold=0.9)
    page = text(lead.post(PAGE))
    assert "People are asked about 30 segments." in page
    assert "Of 40 coded segments <strong>0</strong> would be asked about." in page
    assert (len(requests(site)), waiting(site)) == (CODED, CODED - ASKED)
    assert "People are asked about 0 segments." in text(lead.post(PAGE))
    assert waiting(site) == CODED - ASKED
    assert site.queue.waiting(STUDY, "kim", rules).open == CODED
    assert visit(site, "annotator", name="kim").get(f"/s/{STUDY}/queue").text.count('name="segment"') > 0


def test_the_rules_page_leads_there_for_a_lead_only(site, lead, segments):
    assert f'href="{PAGE}"' in lead.get(f"/s/{STUDY}/rules").text
    assert f'href="{PAGE}"' not in visit(site, "viewer", name="vic").get(f"/s/{STUDY}/rules").text


def test_a_study_without_codes_says_so(lead):
    assert "No segment is coded yet." in text(lead.get(PAGE))


def test_the_audit_log_says_how_many_were_asked_about(site, lead, segments):
    set_rules(site, threshold=0.9)
    lead.post(PAGE)
    entries = [entry for entry in site.audit.every() if entry.action.endswith("/rules/coded")]
    assert [entry.subject for entry in entries] == ["asked about 30 segments"]


# what is asked


@pytest.mark.parametrize("mode", get_args(RoutingMode))
def test_people_are_asked_as_the_router_would_ask_if_the_segments_came_now(site, segments, mode):
    now = site.clock.now()
    values = {"mode": mode, "threshold": 0.7, "audit_share": 0.3, "double_share": 0.3, "expire_days": 5}
    rules = set_rules(site, **values, doubtful_share=0.4)
    before = requests(site)
    come = [each.model_copy(update={"assigned_at": now}) for each in site.store.history(Assignment, STUDY)]
    router = Router(lambda study: rules)
    router.recall(site.store.history(Assignment, STUDY))
    expected = {each.request.segment_id: each.request for each in router.route(come) if each.request}
    apply(site, rules, site.store.record, now)
    asked = {segment: request for segment, request in requests(site).items() if segment not in before}
    assert asked
    sample = {segment: uniform(segment, "sample") for segment in before}
    whole = min(sample.values()) >= (1.0 if mode == "promise" else 0.3)
    assert asked == {
        segment: request.model_copy(update={"sample": request.sample and whole})
        for segment, request in expected.items()
        if segment not in before
    }


def test_what_people_decided_is_left_alone_and_what_expired_unanswered_is_asked_again(site, segments):
    rules = set_rules(site, threshold=0.9, expire_days=1)
    decided, taken_back = segments[-1], segments[-2]
    decide(site, decided)
    decide(site, taken_back)
    decide(site, taken_back, withdrawn=True, decided_at=site.clock.now() + timedelta(seconds=1))
    first = apply(site, rules, site.store.record)
    assert (first.coded, first.asked, first.settled) == (CODED, CODED - ASKED - 1, ASKED + 1)
    assert decided.id not in requests(site)
    later = apply(site, rules, at=site.clock.now() + timedelta(days=2))
    assert (later.asked, later.settled) == (CODED - ASKED - 1, ASKED + 1)  # those of the start never expire


def test_a_second_person_is_asked_about_the_share_that_the_rules_say_of_what_one_coded_or_is_asked_about(site, lead):
    segments = fill(site, CODED, people=CODED - 1)  # the last one was coded without a question
    for segment in (*segments[:20], segments[-1]):
        decide(site, segment, annotator="lea")
    decide(site, segments[0], annotator="kim")
    decide(site, segments[1], annotator="lea", kind="adjudication")
    before = {segment: request.sample for segment, request in requests(site).items()}
    rules = set_rules(site, mode="people", double_share=0.5)
    twice = {each.id for each in segments if uniform(each.id, "double") < 0.5} - {segments[0].id, segments[1].id}
    assert f'<span class="num">{len(twice)}</span> to be coded by two people' in text(lead.get(PAGE))
    questions = apply(site, rules, site.store.record)
    assert (questions.reasons, questions.settled) == ({"double coding": len(twice)}, CODED - len(twice))
    asked = {segment: request for segment, request in requests(site).items() if request.coders == 2}
    assert asked.keys() == twice
    assert all(request.blind and request.sample == before.get(segment, False) for segment, request in asked.items())
    open_ = {segment.id for segment in segments[20:-1]}
    assert site.queue.waiting(STUDY, "ben", rules).open == len(twice | open_)
    assert site.queue.waiting(STUDY, "lea", rules).open == len(open_)
    assert apply(site, rules).asked == 0


def test_nothing_is_lost_or_repeated_by_what_qualstream_check_counts(site, segments):
    apply(site, set_rules(site, mode="people"), site.store.record)
    assert audit_of_store(site.store, STUDY).faults(all_taken_in=True) == []


def test_many_segments_are_read_and_kept_a_few_hundred_at_a_time(site):
    fill(site, 1_200, people=0)
    kept = []
    questions = apply(site, set_rules(site, mode="people"), kept.append)
    assert (questions.asked, [len(batch) for batch in kept]) == (1_200, [500, 500, 200])


def test_what_was_broken_off_is_done_by_doing_it_again(site):
    fill(site, 1_200, people=0)
    rules, at, batches = set_rules(site, mode="suggest", doubtful_share=0.3), site.clock.now(), []

    def keep(batch):
        if len(batches) == 1:
            raise UnavailableError("the database is away")
        batches.append(batch)
        site.store.record(batch)

    whole = []
    apply(site, rules, whole.extend, at)
    with pytest.raises(UnavailableError):
        apply(site, rules, keep, at)
    apply(site, rules, site.store.record, at)
    assert requests(site) == {request.segment_id: request for request in whole}


@pytest.fixture(params=["sqlite", "postgresql"])
def on_either(request, tmp_path):
    """A page over one database or the other."""
    given = {"database_url": request.getfixturevalue("postgresql_url")} if request.param == "postgresql" else {}
    made = make_site(tmp_path, **given)
    made.store.reset()
    yield made
    made.store.close()


def test_both_databases_tell_what_is_to_be_asked(on_either):
    segments = fill(on_either, CODED, people=ASKED)
    decide(on_either, segments[-1])
    rules = set_rules(on_either, threshold=0.9, audit_share=0.9)
    questions = apply(on_either, rules, on_either.store.record)
    assert (questions.coded, questions.settled, questions.asked) == (CODED, ASKED + 1, CODED - ASKED - 1)
    assert not questions.is_sample
    assert apply(on_either, rules).asked == 0


# what a draw is worth


def test_a_whole_draw_counts_for_the_promise(site):
    fill(site, CODED, people=0)
    questions = apply(site, set_rules(site, audit_share=1.0, threshold=0.0), site.store.record)
    assert (questions.is_sample, questions.reasons) == (True, {"audit": CODED})
    assert all(request.sample and request.blind for request in requests(site).values())


@pytest.mark.parametrize("way", ["decided", "asked about"])
def test_a_draw_that_lacks_what_was_read_for_other_reasons_does_not_count(site, lead, way):
    segments = fill(site, CODED, people=1 if way == "asked about" else 0)
    if way == "decided":
        decide(site, segments[3])
    rules = set_rules(site, audit_share=1.0, threshold=0.0)
    assert "does not count for the promise" in text(lead.get(PAGE))
    assert not apply(site, rules, site.store.record).is_sample
    assert not any(request.sample for request in requests(site).values())


def test_what_was_drawn_before_is_part_of_the_draw(site):
    segments = fill(site, CODED, people=0)
    decide(site, segments[3], sample=True)
    assert apply(site, set_rules(site, audit_share=1.0)).is_sample


def test_every_reason_that_rules_have_is_said_in_words():
    assert set(REASONS) == {
        *("low confidence", "double coding", "not in the codebook", "every segment", "audit"),
    }
