"""The pages of segments: the list with its filters, and one segment's story."""

import re
from html import unescape
from urllib.parse import quote
from uuid import uuid4

import pytest

from infra.web.pages.segments import index_of
from schemas import Annotation, AnnotationRequest
from schemas.ids import code_id
from tests.web.site import HOSTILE, LABELS, STUDY, app_of, coded, fill, make_site, visit

HX = {"HX-Request": "true"}
LIST = f"/s/{STUDY}/segments"


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    yield made
    index_of(app_of(made)).close()
    made.store.close()


def links(page):
    return re.findall(rf'href="{LIST}/([0-9a-f-]{{36}})"', page.text)


def test_an_empty_study_says_how_to_begin(site):
    page = visit(site, "viewer").get(LIST)
    assert page.status_code == 200
    assert "No segments yet" in page.text


def test_pages_lead_on_without_scripts_and_with_htmx(site):
    segments = fill(site, 70)
    client = visit(site, "viewer")
    first = client.get(LIST)
    more = unescape(re.search(r'hx-get="([^"]+)"', first.text)[1])
    assert len(links(first)) == 50
    for headers in ({}, HX):
        second = client.get(more, headers=headers)
        assert {*links(first), *links(second)} == {str(one.id) for one in segments}
    assert "<html" not in client.get(more, headers=HX).text
    assert "70 segments" in first.text


def test_filters_stand_in_the_address_and_in_the_form(site):
    fill(site, 21)
    client = visit(site, "viewer")
    page = client.get(LIST, params={"q": "CRASHES", "route": "accepted", "code": code_id(STUDY, "app crashes")})
    assert 'value="CRASHES"' in page.text
    assert '<option value="accepted" selected>' in page.text
    assert len(links(page)) == 2
    assert "Nothing matches" in client.get(LIST, params={"q": "no such word"}).text


@pytest.mark.parametrize(
    "asked",
    ["since=yesterday", "low=2", "high=x", "code=7", "after=nonsense", "route=%3Cb%3E", "human=%22", "by=%00", "q=%00"],
)
def test_an_address_that_cannot_be_read_is_no_error(site, asked):
    fill(site, 3)
    page = visit(site, "viewer").get(f"{LIST}?{asked}")
    assert page.status_code == 200
    assert "<b>" not in page.text


def test_a_search_by_meaning_says_when_it_is_not_ready_and_finds_the_nearest_when_it_is(site):
    segments = fill(site, 20)
    client = visit(site, "viewer")
    asked = {"q": segments[3].text, "by": "meaning"}
    assert "not ready: it is being opened" in client.get(LIST, params=asked).text
    index = index_of(app_of(site))
    index.step(10)
    assert "10 of 20 segments can be found so far" in client.get(LIST, params=asked).text
    index.step(20)
    page = client.get(LIST, params=asked)
    assert "notice" not in page.text.split("<main", 1)[1]
    assert links(page)[0] == str(segments[3].id)
    assert links(client.get(LIST, params={**asked, "source": "mail"}))[0] == str(segments[3].id)


def test_a_segments_story_is_told_from_what_came_in_to_what_people_said(site):
    one = fill(site, 5, people=1)[0]
    site.write(
        [
            Annotation(
                segment_id=one.id,
                study=STUDY,
                annotator="ben",
                code_ids=[code_id(STUDY, "app crashes")],
                labels=["app crashes"],
                memo="it fell over",
                decided_at=site.clock.now(),
            )
        ]
    )
    page = visit(site, "viewer").get(f"{LIST}/{one.id}")
    told = unescape(page.text)
    places = [told.index(f"{words}") for words in (one.text, "fake@1", "the proposals agree", "low confidence", "ben")]
    assert places == sorted(places)
    for words in ("it fell over", "-0.50", "agreement", "decided by people", "stars", "refiner@1"):
        assert words in told


def test_a_segment_that_is_not_there_is_not_found(site):
    client = visit(site, "viewer")
    assert client.get(f"{LIST}/{uuid4()}").status_code == 404
    assert client.get(f"{LIST}/none").status_code == 422


def test_another_studys_segment_is_not_shown(site):
    one = fill(site, 1, study="shop")[0]
    assert visit(site, "viewer").get(f"{LIST}/{one.id}").status_code == 404


def test_hostile_text_stays_text(site):
    (plain,) = fill(site, 1)
    hostile = [
        plain.model_copy(
            update={"id": uuid4(), "text": text, "source": text[:200], "metadata": {text: text}, "language": text[:20]}
        )
        for text in HOSTILE
    ]
    for one, text in zip(hostile, HOSTILE, strict=True):
        site.store.record(coded(one, text[:120], at=site.clock.now(), member=text[:80]))
    client = visit(site, "viewer")
    pages = [client.get(LIST), *(client.get(f"{LIST}/{one.id}") for one in hostile)]
    pages += [client.get(f"{LIST}?q={quote(text)}&source={quote(text)}&annotator={quote(text)}") for text in HOSTILE]
    for page in pages:
        assert page.status_code == 200
        inside = page.text.split('<main id="main"', 1)[1].split("</main>")[0]
        assert not re.search(r"<(script|img|iframe|svg|style|base|meta|body|math)\b", inside, re.IGNORECASE)
        assert not re.search(r"<[^>]*\s(on\w+|style)=", re.sub(r'"[^"]*"', '""', inside), re.IGNORECASE)
        assert not re.search(r'href="\s*javascript:', inside, re.IGNORECASE)
    assert pages[1].text.count(HOSTILE[0]) == 0
    assert HOSTILE[0] in unescape(pages[1].text)


def test_what_is_to_be_read_blind_shows_its_code_to_leads_only_until_it_has_been_read(site):
    segment = fill(site, 4, people=1)[0]  # its label is in its text, so look for the system's words about it
    site.store.record([asked(site, segment).model_copy(update={"blind": True, "requested_at": site.clock.now()})])
    ana, lea = visit(site, "annotator"), visit(site, "lead", name="lea")
    story = f"{LIST}/{segment.id}"
    assert "read blind" in ana.get(LIST).text
    assert "the nearest code is near enough" not in ana.get(story).text
    assert "the nearest code is near enough" in lea.get(story).text
    assert str(segment.id) not in ana.get(LIST, params={"high": "0.5"}).text
    assert str(segment.id) in lea.get(LIST, params={"high": "0.5"}).text
    assert str(segment.id) not in ana.get(f"/s/{STUDY}/codebook/codes/{code_id(STUDY, LABELS[0])}").text
    ana.post(f"/s/{STUDY}/queue/decide", data={"segment": segment.id, "cause": uuid4(), "accept": "true"})
    assert "the nearest code is near enough" in ana.get(story).text


def test_the_overview_keeps_the_code_of_what_is_read_blind_to_itself(site):
    segment = fill(site, 1, people=1)[0]
    overview = f"/s/{STUDY}/"
    assert "read blind" not in visit(site, "viewer").get(overview).text
    site.store.record([asked(site, segment).model_copy(update={"blind": True, "requested_at": site.clock.now()})])
    assert "read blind" in visit(site, "viewer").get(overview).text


def test_a_lead_asks_people_again_and_the_segment_comes_first(site):
    segments = fill(site, 6, people=2)
    done = segments[5]  # accepted without anybody having read it
    lea, ana = visit(site, "lead", name="lea"), visit(site, "annotator")
    answer = lea.post(f"{LIST}/{done.id}/again", data={"reason": "is it sarcasm?"}, follow_redirects=False)
    assert answer.status_code == 303
    request = asked(site, done)
    assert (request.reason, request.author, request.why) == ("asked again", "lea", "is it sarcasm?")
    assert f'value="{done.id}"' in ana.get(f"/s/{STUDY}/queue").text
    assert "Ask people again" not in ana.get(f"{LIST}/{segments[4].id}").text
    assert lea.post(f"{LIST}/{uuid4()}/again").status_code == 409


def asked(site, segment):
    (found,) = [one for one in site.store.history(AnnotationRequest) if one.segment_id == segment.id]
    return found
