"""The queue's pages over a real SQLite file."""

import re
import threading
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from uuid import uuid4

import pytest

from models.fakes import HandClock, HashEmbedder
from schemas import Annotation, AnnotationRequest, Assignment, CodeEvent, Decision, Proposal, Segment, StudyRules
from schemas.coding import NONE_FITS
from schemas.ids import code_event_id, code_id, segment_id
from tests.web.site import HOSTILE, STUDY, make_site
from tests.web.site import visit as signed_in

HX = {"HX-Request": "true"}


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path, clock=HandClock())
    yield made
    made.store.close()


def visit(site, name="ana", role="annotator", study=STUDY):
    return signed_in(site, role, study, name)


def code(site, label, **more):
    identity = code_id(STUDY, label)
    given = {"id": code_event_id(identity, "created", "test"), "code_id": identity, "study": STUDY, "kind": "created"}
    event = CodeEvent.model_validate({**given, "label": label, "author": "lea", "at": site.clock.now(), **more})
    site.store.record([event])
    return identity


def ask(site, n, label="slow app", *, text=None, metadata=None, standing="code", **request):
    of = Segment(id=segment_id(STUDY, "s", str(n)), study=STUDY, text=text or f"text {n}", source="s")
    of = of.model_copy(update={"metadata": metadata or {}})
    common = {"segment_id": of.id, "study": STUDY, "code_id": code_id(STUDY, label), "label": label}
    proposals = [
        Proposal(member=member, model="m@1", label=said, latency_s=0.1)
        for member, said in (("gist", label), ("theme", "sluggish screens"))
    ]
    given = {"proposed": label, "new": False, "similarity": 0.8, "why": "reused, it is near", "verdict": "picked"}
    given |= {"standing": standing}
    asked = {"confidence": 0.31, "reason": "low confidence", "requested_at": site.clock.now(), "priority": -n}
    site.store.record(
        [
            of,
            Decision(
                segment=of,
                proposals=proposals,
                label=label,
                verdict="picked",
                why="most say so",
                agreement=0.5,
                moderator="c@1",
            ),
            Assignment.model_validate({**common, **given, "assigned_at": site.clock.now()}),
            AnnotationRequest.model_validate({**common, **asked, **request}),
        ]
    )
    return of.id


def shown(page):
    """The segment that a page asks about."""
    found = re.search(r'id="decision".*?name="segment" value="([^"]+)"', page.text, re.DOTALL)
    return found and found[1]


def post(client, what, segment, *, plain=False, **form):
    data = {"segment": str(segment), "cause": str(uuid4()), **form}
    return client.post(f"/s/{STUDY}/queue/{what}", data=data, headers={} if plain else HX)


def said(site, study=STUDY):
    return list(site.store.history(Annotation, study))


def page_of(client, **params):
    return client.get(f"/s/{STUDY}/queue", params=params)


def test_an_empty_queue_says_what_comes_here(site):
    page = page_of(visit(site))
    assert page.status_code == 200
    assert "Nothing is waiting for you" in page.text


def test_a_viewer_may_not_claim(site):
    assert page_of(visit(site, role="viewer")).status_code == 403
    assert page_of(visit(site, study="other")).status_code == 403


def test_the_page_shows_the_segment_the_systems_code_and_why(site):
    ask(site, 0, text="the checkout is slow", metadata={"version": "1.2"})
    page = page_of(visit(site)).text
    for expected in (
        "the checkout is slow",
        "slow app",
        "reused, it is near",
        "most say so",
        "sluggish screens",
        "1.2",
    ):
        assert expected in page
    assert "confidence 31 %" in page
    assert "<strong>1</strong> open for you" in page


def test_nearest_codes_are_offered_with_their_definitions(site):
    code(site, "slow checkout", definition="Waiting at the till")
    ask(site, 0, text="the checkout is slow")
    client = visit(site)
    page_of(client)
    client.app.state.site.nearby.wait()
    page = page_of(client).text
    assert "Waiting at the till" in page
    assert f'value="{code_id(STUDY, "slow checkout")}"' in page


def test_the_page_does_not_wait_for_an_embedder_that_is_loading(site):
    loaded = threading.Event()

    class Loading(HashEmbedder):
        def embed(self, texts):
            assert loaded.wait(30)
            return super().embed(texts)

    made = replace(site, embedder=Loading())
    code(made, "slow checkout")
    segment = ask(made, 0, text="the checkout is slow")
    client = visit(made)
    page = page_of(client).text
    assert "being looked up" in page
    loaded.set()
    client.app.state.site.nearby.wait()
    near = client.get(f"/s/{STUDY}/queue/near", params={"segment": str(segment)}, headers=HX).text
    assert "slow checkout" in near
    assert "being looked up" not in near


def test_accepting_keeps_a_decision_and_shows_the_next(site):
    first, second = ask(site, 0), ask(site, 1)
    client = visit(site)
    assert shown(page_of(client)) == str(first)
    site.clock.advance(4.5)
    page = post(client, "decide", first, accept="true", memo="clear")
    assert (page.status_code, shown(page)) == (200, str(second))
    (kept,) = said(site)
    assert (kept.annotator, kept.accepted, kept.labels, kept.memo, kept.seconds) == (
        "ana",
        True,
        ["slow app"],
        "clear",
        4.5,
    )
    assert [one.message.topic for one in site.outbox.waiting()] == ["annotation.labels"]
    assert "Your last decision: <strong>slow app</strong>" in page.text


def test_several_codes_and_a_new_one_are_kept_together(site):
    crash = code(site, "crashes")
    segment = ask(site, 0)
    client = visit(site)
    page_of(client)
    post(client, "decide", segment, code=[str(crash)], new=["Dark  mode", ""])
    (kept,) = said(site)
    assert kept.labels == ["crashes", "Dark mode"]
    assert kept.accepted is False
    (event,) = [one for one in site.store.code_events(STUDY) if one.author == "ana"]
    assert (event.label, event.segment_id) == ("Dark mode", segment)
    assert [one.message.topic for one in site.outbox.waiting()] == ["codebook", "annotation.labels"]


def test_nothing_chosen_says_what_is_missing_and_keeps_what_was_entered(site):
    segment = ask(site, 0)
    client = visit(site)
    page = post(client, "decide", segment, memo="half a thought")
    assert page.status_code == 422
    assert "No code is chosen" in page.text
    assert "half a thought" in page.text
    page = post(client, "decide", segment, code=[str(code(site, "crashes"))], new=["good one", "..."])
    assert page.status_code == 422
    assert "&#39;...&#39; is no code" in page.text
    assert re.search(r'value="good one"[^>]*checked', page.text)
    assert said(site) == []


def test_blind_hides_what_the_system_thinks(site):
    ask(site, 0, text="it takes ages", blind=True, sample=True, reason="audit")
    page = page_of(visit(site)).text
    for hidden in ("slow app", "sluggish", "most say so", "reused", "confidence", "audit", "gist", "0.31"):
        assert hidden not in page
    assert "read blind" in page


def test_a_study_that_codes_blind_hides_it_too_and_a_code_that_the_segment_created(site):
    site.store.record([StudyRules(study=STUDY, blind=True, author="lea", at=site.clock.now())])
    segment = ask(site, 0)
    code(site, "slow app", segment_id=segment)
    (done,) = site.store.history(Assignment, STUDY)
    later = done.model_copy(update={"new": True, "route": "people"})
    site.store.record([later])
    client = visit(site)
    page_of(client)
    client.app.state.site.nearby.wait()
    assert "slow app" not in page_of(client).text


def test_after_a_blind_choice_the_systems_code_is_shown_and_may_be_taken(site):
    first, second = ask(site, 0, blind=True), ask(site, 1)
    client = visit(site)
    page_of(client)
    page = post(client, "decide", first, new=["my own words"])
    assert "The system gave it <strong>slow app</strong>" in page.text
    site.clock.advance(2)
    page = post(client, "second", first, keep="system")
    assert shown(page) == str(second)
    blind, final = said(site)
    assert (blind.labels, blind.blind, blind.accepted) == (["my own words"], True, False)
    assert (final.labels, final.blind, final.accepted, final.seconds) == (["slow app"], True, True, 2.0)


def test_the_segments_beside_it_are_shown_whenever_a_segment_is(site):
    first = ask(site, 0, text="it is slow", blind=True)
    ask(site, 1, text="and then it stopped")
    client = visit(site)
    unclear = "a" * 10_000
    pages = [page_of(client), post(client, "decide", first, new=[unclear]), post(client, "decide", first, new=["mine"])]
    pages.append(post(client, "second", first, keep="system"))
    assert [page.status_code for page in pages] == [200, 422, 200, 200]
    for page, other in zip(pages, [*["and then it stopped"] * 3, "it is slow"], strict=True):
        assert re.search(rf"(Before|After):</span> {other}", page.text)


def test_keeping_a_blind_choice_adds_nothing_and_both_adds_the_systems_code(site):
    first, second = ask(site, 0, blind=True), ask(site, 1, blind=True)
    client = visit(site)
    for segment, keep in ((first, "mine"), (second, "both")):
        page_of(client)
        post(client, "decide", segment, new=["my own words"])
        post(client, "second", segment, keep=keep)
    assert [one.labels for one in said(site)] == [["my own words"], ["my own words"], ["slow app", "my own words"]]


def test_a_blind_choice_that_agrees_goes_on_at_once(site):
    first, second = ask(site, 0, blind=True), ask(site, 1)
    client = visit(site)
    page_of(client)
    assert shown(post(client, "decide", first, new=["Slow app"])) == str(second)


def test_undo_withdraws_and_shows_the_segment_again(site):
    first, second = ask(site, 0), ask(site, 1)
    client = visit(site)
    page_of(client)
    assert shown(post(client, "decide", first, accept="true")) == str(second)
    page = post(client, "undo", first)
    assert shown(page) == str(first)
    assert [one.withdrawn for one in said(site)] == [False, True]
    assert "Your last decision" not in page.text
    assert shown(page_of(visit(site, "ben"))) == str(second)


def test_skip_goes_on_and_leave_lets_others_have_it(site):
    first, second = ask(site, 0), ask(site, 1)
    client = visit(site)
    page_of(client)
    assert shown(post(client, "skip", first)) == str(second)
    answer = post(client, "leave", second)
    assert answer.headers["HX-Redirect"] == f"/s/{STUDY}/"
    assert shown(page_of(visit(site, "ben"))) == str(first)


def test_a_decision_after_somebody_elses_is_kept_and_said(site):
    first, _ = ask(site, 0), ask(site, 1)
    ana, ben = visit(site), visit(site, "ben")
    page_of(ana)
    site.clock.advance(3600)
    page_of(ben)
    post(ben, "decide", first, accept="true")
    page = post(ana, "decide", first, new=["too late"])
    assert "Somebody else had coded this segment in the meantime" in page.text
    assert {one.annotator for one in said(site)} == {"ana", "ben"}


def test_without_javascript_a_form_leads_back_to_the_queue(site):
    first, second = ask(site, 0), ask(site, 1)
    client = visit(site)
    page_of(client)
    page = post(client, "decide", first, plain=True, search="Slow  App")
    assert page.url.path == f"/s/{STUDY}/queue"
    assert shown(page) == str(second)
    assert "<!doctype html>" in page.text
    assert said(site)[0].accepted is True


def test_the_day_ends_with_the_budget(site):
    rules = {"mode": "budget", "budget_segments": 1}
    site.store.record([StudyRules(study=STUDY, author="lea", at=site.clock.now(), **rules)])
    first, _ = ask(site, 0), ask(site, 1)
    client = visit(site)
    page_of(client)
    page = post(client, "decide", first, accept="true")
    assert "Enough for today" in page.text
    assert "0 segments left today" in page.text


def test_choosing_a_proposed_code_admits_it_to_the_codebook(site):
    segment = ask(site, 0, "great music", standing="proposed", reason="not in the codebook", why="nearest is far")
    client = visit(site)
    page = page_of(client).text
    assert "A proposal: it is not in the codebook yet. Choosing it adds it." in page
    assert "not in the codebook" in page
    assert "None: " not in page
    post(client, "decide", segment, accept="true")
    (event,) = site.store.code_events(STUDY)
    assert (event.label, event.kind, event.author) == ("great music", "created", "ana")
    assert (said(site)[0].labels, said(site)[0].accepted) == (["great music"], True)


def test_that_none_of_these_fits_is_chosen_like_a_code_and_makes_none(site):
    segment = ask(site, 0, NONE_FITS, standing="none", reason="not in the codebook")
    client = visit(site)
    assert "Choosing this says that none fits." in page_of(client).text
    page = post(client, "decide", segment, accept="true").text
    assert "Your last decision: <strong>none fits</strong>" in page
    assert list(site.store.code_events(STUDY)) == []
    assert (said(site)[0].code_ids, said(site)[0].unsure) == ([], False)


def test_where_people_code_everything_the_queue_says_so(site):
    site.store.record([StudyRules(study=STUDY, author="lea", at=site.clock.now(), mode="people")])
    client = visit(site)
    assert "Every segment comes here as soon as the models have read it." in page_of(client).text
    ask(site, 0, reason="every segment")
    page = page_of(client).text
    assert "people code every segment of this study" in page
    assert '<span class="tag">every segment</span>' in page


def test_the_search_finds_as_spelt_first_and_offers_a_new_code(site):
    for label in ("slow app", "app store", "crashes", "happy"):
        code(site, label)
    client = visit(site)
    found = client.get(f"/s/{STUDY}/queue/codes", params={"search": "app"}, headers=HX).text
    assert re.findall(r'data-label="([^"]+)"', found)[:4] == ["app store", "slow app", "happy", "app"]
    assert 'data-new data-value="app"' in found
    assert "data-new" not in client.get(f"/s/{STUDY}/queue/codes", params={"search": "Crashes"}).text


def test_the_search_finds_by_meaning_what_is_spelt_otherwise(site):
    code(site, "crashes at login")
    client = visit(site)
    client.get(f"/s/{STUDY}/queue/codes", params={"search": "crashes"})
    client.app.state.site.nearby.search(STUDY, "warm it up", 3)
    client.app.state.site.nearby.wait()
    assert "crashes at login" in client.get(f"/s/{STUDY}/queue/codes", params={"search": "login with crashes"}).text


def test_another_studys_segment_is_not_found(site):
    segment = ask(site, 0)
    client = visit(site, study="other")
    data = {"segment": str(segment), "cause": str(uuid4()), "accept": "true"}
    assert client.post("/s/other/queue/decide", data=data).status_code == 404
    assert said(site, "other") == []


class _Reader(HTMLParser):
    """What a browser would make of a page: its tags and attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.scripts = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append(dict(attrs).get("src", ""))


def test_hostile_text_is_shown_as_text(site):
    ask(site, 0, "plain")
    client = visit(site)
    plain = _Reader(page_of(client).text)
    for n, hostile in enumerate(HOSTILE, 1):
        code(site, f"c {hostile}"[:120], definition=hostile)
        asked = {"author": hostile, "why": hostile, "priority": float(n)}
        segment = ask(site, n, f"l {hostile}"[:120], text=hostile, metadata={hostile: hostile}, **asked)
        post(client, "undo", segment)  # takes it
        client.app.state.site.nearby.wait()
        pages = [page_of(client), post(client, "decide", segment, memo=hostile, new=[hostile[:100], "..."])]
        assert shown(pages[0]) == str(segment)
        assert pages[1].status_code == 422
        pages.append(client.get(f"/s/{STUDY}/queue/codes", params={"search": hostile[:60]}, headers=HX))
        for page in pages:
            read = _Reader(page.text)
            assert read.tags <= plain.tags | {"table", "tbody", "tr", "th", "td", "title", "details", "summary"}
            assert not {name for name in read.attributes if name.startswith("on") or name in ("style", "srcdoc")}
            assert all(source.startswith("/static/") for source in read.scripts)
        assert hostile.replace("\0", "") in unescape(pages[0].text).replace("\0", "").replace("\ufffd", "")
