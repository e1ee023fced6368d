"""Rating studies as they are drawn and kept, on both of the stores that this runs on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from infra.annotation.rating.rating_draw import code_sources, draw_quotes
from infra.annotation.rating.rating_studies import (
    RatingStudy,
    end_rating,
    find_rating,
    given_ratings,
    items_of,
    keep_ratings,
    list_ratings,
    start_rating,
)
from infra.erasure.rows import GONE, erase_person, erase_segments
from infra.storage.store import open_store
from models.errors import InputError
from models.evaluation.rating_study import SCALES, STANDS
from schemas import Annotation, Segment
from schemas.ids import code_id, segment_id
from tests.web.site import coded

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = "rated"
GIVEN = dict.fromkeys(SCALES, 4.0) | {STANDS: 1.0}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Six coded segments, two of one text, three coded by a person too; no earlier run has erased them."""
    url = f"sqlite:///{tmp_path / 'q.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    store = open_store(url)
    store.reset(None)
    run = str(uuid4())
    for n in range(6):
        segment = Segment(
            id=segment_id(STUDY, run, str(n)), study=STUDY, text=f"text {min(n, 4)}", source="a", timestamp=AT
        )
        store.record(coded(segment, f"code {n}", at=AT))
        if n < 3:
            store.record([Annotation.about(segment, "carl", {code_id(STUDY, f"point {n}"): f"point {n}"}, AT)])
    yield store.database
    store.close()


def rating(*sources: str, quotes: int = 2, raters: int = 2, seed: int = 1) -> RatingStudy:
    return RatingStudy(uuid4(), STUDY, sources, quotes, raters, seed, "lea", AT)


def begun(database, *sources: str, **fields: int) -> RatingStudy:
    begins = rating(*sources, **fields)
    start_rating(database, begins, draw_quotes(database, begins, blind=False))
    return begins


def test_sources_are_members_moderator_refiner_and_people_where_they_decided(database):
    assert code_sources(database, STUDY) == ["member:a", "member:b", "member:c", "moderator", "refiner", "people"]
    assert code_sources(database, "another") == []


def test_quotes_have_a_code_of_every_source_and_people_s_own_beside_it(database):
    drawn = draw_quotes(database, rating("people", "refiner", quotes=3), blind=False)
    assert {each.item.gold for each in drawn} == {("point 0",), ("point 1",), ("point 2",)}
    assert {each.item.systems for each in drawn} == {("people",), ("refiner",)}
    with pytest.raises(InputError, match="3 different texts have a code of every source"):
        draw_quotes(database, rating("people", quotes=4), blind=False)


def test_of_equal_texts_one_is_rated(database):
    assert len({each.segment for each in draw_quotes(database, rating("moderator", quotes=5), blind=False)}) == 5
    with pytest.raises(InputError, match="5 different texts have a code of every source"):
        draw_quotes(database, rating("moderator", quotes=6), blind=False)


def test_the_last_place_goes_to_one_of_those_who_want_it_at_once(database):
    begins = begun(database, "moderator", raters=1)
    item = items_of(database, begins)[0]

    def rate(name: str) -> bool:
        try:
            keep_ratings(database, begins, name, item.segment, {item.item.item: GIVEN}, AT)
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(4) as people:
        got_in = list(people.map(rate, ["ana", "ben", "eve", "ida"]))
    assert got_in.count(True) == 1
    assert len(given_ratings(database, begins)) == 1


def test_ratings_are_replaced_and_nobody_rates_after_the_end(database):
    begins = begun(database, "member:c", "refiner")
    items = items_of(database, begins)
    own = {each.item.item: GIVEN for each in items if each.segment == items[0].segment}
    keep_ratings(database, begins, "ana", items[0].segment, own | {"of another": GIVEN}, AT)
    assert {each.item for each in given_ratings(database, begins, "ana")} == set(own)
    keep_ratings(database, begins, "ana", items[0].segment, {next(iter(own)): GIVEN | {STANDS: 0.0}}, AT)
    (kept,) = given_ratings(database, begins, "ana")
    assert kept.marks == GIVEN | {STANDS: 0.0}
    end_rating(database, STUDY, begins.id, AT)
    with pytest.raises(InputError, match="has ended"):
        keep_ratings(database, begins, "ana", items[0].segment, own, AT)
    assert find_rating(database, STUDY, begins.id).ended_at == AT
    assert find_rating(database, "another", begins.id) is None
    assert find_rating(database, STUDY, UUID(int=1)) is None


def test_who_and_what_is_erased_is_gone(database):
    begins = begun(database, "member:c", "refiner")
    items = items_of(database, begins)
    for name in ("ana", "ben"):
        for each in items:
            keep_ratings(database, begins, name, each.segment, {each.item.item: GIVEN}, AT)
    assert erase_person(database, "ana", AT)["ratings"] == len({each.segment for each in items})
    assert {each.rater for each in given_ratings(database, begins)} == {"ben"}
    erase_segments(database, [items[0].segment], AT)
    assert {each.segment for each in items_of(database, begins)} == {each.segment for each in items[1:]} - {
        items[0].segment
    }
    erase_person(database, "lea", AT)
    assert [each.author for each in list_ratings(database, STUDY)] == [GONE]
