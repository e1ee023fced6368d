"""Rating codes blind: raters see neither whose a code is nor what others gave; they stop and go on; places are few."""

from datetime import timedelta

import pytest

from infra.annotation.rating.rating_studies import find_rating, given_ratings, items_of, list_ratings
from schemas import AnnotationRequest
from tests.web.poison import poison
from tests.web.rating.raters import (
    RATINGS,
    SOURCES,
    answers,
    begin,
    codes_on,
    items_on,
    rate_all,
    rate_quote,
    segment_on,
)
from tests.web.site import HOSTILE, LABELS, STUDY, code, fill, visit


@pytest.fixture
def lea(site):
    fill(site, 14, people=0)
    return visit(site, "lead", name="lea")


@pytest.fixture
def rating(site, lea):
    assert begin(lea).headers["location"] == RATINGS
    (kept,) = list_ratings(site.store.database, STUDY)
    return kept


@pytest.fixture
def address(rating):
    return f"{RATINGS}/{rating.id}"


def given(site, rating, rater=None):
    return given_ratings(site.store.database, rating, rater)


def test_a_lead_chooses_whose_codes_and_raters_find_it_in_the_list(site, lea, rating, address):
    assert (rating.sources, rating.quotes, rating.raters, rating.author) == (SOURCES, 4, 2, "lea")
    items = items_of(site.store.database, rating)
    assert len({each.segment for each in items}) == 4
    for each in items:
        assert set(each.item.systems) <= set(SOURCES)
    ana = visit(site, "annotator")
    assert address in ana.get(RATINGS).text
    assert "Begin a rating" not in ana.get(RATINGS).text
    assert f'href="{RATINGS}"' in ana.get(f"/s/{STUDY}/agreement").text


def test_the_same_seed_draws_the_same_quotes_and_another_one_others(site, lea, rating):
    begin(lea)
    begin(lea, seed="2")
    other, same, first = (
        {each.item.text for each in items_of(site.store.database, each)}
        for each in list_ratings(site.store.database, STUDY)
    )
    assert first == same != other


def test_the_same_form_sent_twice_begins_one_study(site, lea):
    form = "6b0a3c5e-0d1c-4f4b-9d0f-8a4d5a1c2b3d"
    begin(lea, form=form)
    begin(lea, form=form, seed="5")
    assert [each.seed for each in list_ratings(site.store.database, STUDY)] == [1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sources": ()}, "No source of codes was chosen"),
        ({"sources": ("member:zzz",)}, "This study has no codes of"),
        ({"quotes": "15"}, "14 different texts have a code of every source"),
        ({"sources": ("people", "refiner")}, "This study has no codes of"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_to_do(site, lea, fields, words):
    answer = begin(lea, **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert list_ratings(site.store.database, STUDY) == []


@pytest.mark.parametrize("fields", [{"quotes": "0"}, {"quotes": "101"}, {"raters": "0"}, {"seed": str(2**40)}])
def test_numbers_out_of_bounds_are_refused(site, lea, fields):
    assert begin(lea, **fields).status_code == 422
    assert list_ratings(site.store.database, STUDY) == []


def test_a_rater_sees_codes_in_an_order_of_their_own_and_nobody_s_name(site, lea, rating, address):
    pages = {name: visit(site, "annotator", name=name).get(address).text for name in ("ana", "ben", "eve", "ida")}
    assert len({tuple(items_on(page)) for page in pages.values()}) > 1
    for page in pages.values():
        assert codes_on(page)
        assert not any(word in page for word in ("moderator", "refiner", "member", "consensus"))


def test_a_rater_stops_and_goes_on_where_they_were(site, rating, address):
    ana = visit(site, "annotator")
    first = ana.get(address).text
    second = rate_quote(ana, address, first).text
    assert segment_on(second) != segment_on(first)
    rated = len(given(site, rating, "ana"))
    assert f"{rated} of " in visit(site, "annotator").get(RATINGS).text
    again = visit(site, "annotator")
    assert segment_on(again.get(address).text) == segment_on(second)
    assert rate_all(again, address) == 3
    assert "Nothing is left to rate" in again.get(address).text
    assert len(given(site, rating, "ana")) == len(items_of(site.store.database, rating))


def test_what_was_given_is_shown_to_its_rater_and_changed(site, rating, address):
    ana = visit(site, "annotator")
    page = ana.get(f"{address}?number=2").text
    rate_quote(ana, address, page, lambda code: 5)
    assert 'value="5" data-answer="5" checked' in ana.get(f"{address}?number=2").text
    assert 'data-answer="5" checked' not in visit(site, "annotator", name="ben").get(f"{address}?number=2").text
    rate_quote(ana, address, page, lambda code: 1)
    assert {each.marks["clarity"] for each in given(site, rating, "ana")} == {1.0}
    assert {each.marks["stands"] for each in given(site, rating, "ana")} == {0.0}


def test_a_code_that_a_rater_cleared_or_skipped_is_not_rated(site, rating, address):
    ana = visit(site, "annotator")
    page = ana.get(address).text
    rate_quote(ana, address, page)
    first, *_ = items_on(page)
    ana.post(address, data={"segment": segment_on(page), **answers(first, 3)})
    assert [each.item for each in given(site, rating, "ana")] == [first]
    ana.post(address, data={"segment": segment_on(page)})
    assert given(site, rating, "ana") == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"clarity": ""}, "has some answers and not all"),
        ({"stands": ""}, "has some answers and not all"),
        ({"clarity": "6"}, "is no answer here"),
        ({"relevance": "4.5"}, "is no answer here"),
        ({"stands": "perhaps"}, "is no answer here"),
        ({"conciseness": "<script>alert(1)</script>"}, "is no answer here"),
    ],
)
def test_half_an_answer_or_none_of_those_there_are_is_refused_and_what_was_chosen_stays(
    site, rating, address, more, words
):
    ana = visit(site, "annotator")
    page = ana.get(address).text
    first, *_ = items_on(page)
    form = {"segment": segment_on(page), **answers(first, 3)} | {f"{first}-{name}": text for name, text in more.items()}
    answer = ana.post(address, data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert "<script>alert" not in answer.text
    assert f'name="{first}-' in answer.text
    assert "checked" in answer.text
    assert given(site, rating) == []


def test_a_quote_or_a_code_of_another_study_is_not_rated(site, lea, rating, address):
    begin(lea, seed="2")
    other = next(each for each in list_ratings(site.store.database, STUDY) if each.id != rating.id)
    strange = next(
        each for each in items_of(site.store.database, other)
        if each.segment not in {own.segment for own in items_of(site.store.database, rating)}
    )  # fmt: skip
    ana = visit(site, "annotator")
    assert ana.post(address, data={"segment": str(strange.segment)}).status_code == 404
    form = {"segment": segment_on(ana.get(address).text), **answers(strange.item.item)}
    assert ana.post(address, data=form).status_code == 200
    assert given(site, rating) == []
    visit(site, "annotator", study="elsewhere")
    assert ana.get(f"/s/elsewhere/ratings/{rating.id}").status_code == 404


def test_no_more_rate_than_were_asked_for(site, rating, address):
    ana, ben, eve = (visit(site, "annotator", name=name) for name in ("ana", "ben", "eve"))
    open_page = eve.get(address).text
    for client in (ana, ben):
        rate_quote(client, address, client.get(address).text)
    assert "Enough people rate already" in eve.get(address).text
    assert rate_quote(eve, address, open_page).status_code == 422
    assert {each.rater for each in given(site, rating)} == {"ana", "ben"}
    assert rate_all(ben, address) == 3


def test_nothing_is_rated_after_the_end(site, lea, rating, address):
    ana = visit(site, "annotator")
    page = ana.get(address).text
    assert lea.post(f"{address}/end", follow_redirects=False).headers["location"] == f"{address}/results"
    assert "This rating has ended" in ana.get(address).text
    assert rate_quote(ana, address, page).status_code == 422
    assert given(site, rating) == []
    ended = find_rating(site.store.database, STUDY, rating.id).ended_at
    lea.post(f"{address}/end")
    assert find_rating(site.store.database, STUDY, rating.id).ended_at == ended


def asked_blind(site, segment, at=None):
    request = AnnotationRequest(
        segment_id=segment, study=STUDY, code_id=code(LABELS[0]), label=LABELS[0], confidence=0.3, reason="audit",
        blind=True, requested_at=at or site.clock.now(),
    )  # fmt: skip
    site.store.record([request])


def test_segments_that_wait_for_a_blind_reading_are_not_drawn(site, lea):
    waiting = [each.id for each in fill(site, 14, people=0)[:9]]
    for segment in waiting:
        asked_blind(site, segment)
    assert begin(lea, quotes="6").status_code == 422
    assert begin(lea, quotes="5").status_code == 303
    (rating,) = list_ratings(site.store.database, STUDY)
    assert not {each.segment for each in items_of(site.store.database, rating)} & set(waiting)


def test_a_quote_that_is_to_be_read_blind_meanwhile_is_kept_from_raters_and_not_from_a_lead(site, lea, rating, address):
    ana = visit(site, "annotator")
    page = ana.get(f"{address}?number=3").text
    segment, shown = segment_on(page), codes_on(page)
    asked_blind(site, segment, site.clock.now() + timedelta(seconds=1))
    hidden = ana.get(f"{address}?number=3").text
    assert "There is no such quote" in hidden
    assert items_on(hidden) == []
    assert "are left out" in hidden
    assert ana.post(address, data={"segment": segment, **answers(next(iter(shown)))}).status_code == 404
    assert rate_all(ana, address) == 3
    assert segment in "".join(lea.get(f"{address}?number={n}").text for n in range(1, 5))


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_a_hostile_text_stays_text(site, text):
    poison(site, [text])
    lea = visit(site, "lead", name="lea")
    assert begin(lea, sources=("moderator",), quotes="1").status_code == 303
    (rating,) = list_ratings(site.store.database, STUDY)
    page = lea.get(f"{RATINGS}/{rating.id}").text
    assert text not in page
    assert items_on(page)
