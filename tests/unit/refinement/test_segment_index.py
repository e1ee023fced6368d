"""Segments by meaning over a real store: one suite for Qdrant's two engines, the server where QDRANT_URL is set."""

import asyncio
from contextlib import suppress

import pytest

from infra.clock import SystemClock
from infra.storage.store import open_store
from infra.vectors.segment_index import Place, SegmentIndex
from models.errors import SettingError
from models.fakes import HashEmbedder
from tests.qdrant_server import empty_server
from tests.unit.storage.test_store import segment

TEXTS = ("the app is slow", "slow app again", "kind support", "support was kind to me", "I want my money back")


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.close()


@pytest.fixture(params=["folder", "server"])
def place(request, tmp_path):
    if request.param == "folder":
        return Place(f"file:{tmp_path / 'segments'}")
    return Place(*empty_server())


def opened(store, place, dim=32):
    return SegmentIndex(store.database, HashEmbedder(dim), SystemClock(), place)


@pytest.fixture
def index(store, place):
    made = opened(store, place)
    made.rebuild()
    yield made
    made.close()


def fill(index):
    while index.step(2):
        pass


def test_the_nearest_in_meaning_come_first_of_the_study_alone(store, index):
    store.record([segment(n, text=text) for n, text in enumerate(TEXTS)])
    store.record([segment(9, "shop", text="slow app")])
    fill(index)
    found = index.nearest("app", "slow app", 2)
    assert [id_ for id_, _ in found] == [segment(1).id, segment(0).id]
    assert found[0][1] > found[1][1]
    assert index.filled().ready


def test_filling_goes_on_where_an_earlier_process_stopped(store, index, place):
    store.record([segment(n, text=text) for n, text in enumerate(TEXTS)])
    assert index.step(3) == 3
    assert not index.filled().ready
    index.close()
    later = opened(store, place)
    assert later.step(10) == 2
    assert later.step(10) == 0
    assert later.filled().indexed == 5
    later.close()


def test_what_comes_later_is_found_by_the_next_step(store, index):
    store.record([segment(1, text="the app is slow")])
    fill(index)
    store.record([segment(2, text="money back please")])
    assert index.step() == 1
    assert index.nearest("app", "money back", 1)[0][0] == segment(2).id


def test_an_index_of_segments_that_were_deleted_is_made_again(store, index):
    store.record([segment(n, text=text) for n, text in enumerate(TEXTS)])
    fill(index)
    store.reset()
    store.record([segment(7, text="something else")])
    fill(index)
    assert [id_ for id_, _ in index.nearest("app", "slow app", 9)] == [segment(7).id]
    assert index.filled().indexed == 1


def test_another_embedder_begins_its_own(store, index, place):
    store.record([segment(1, text="the app is slow")])
    fill(index)
    index.close()
    other = opened(store, place, dim=16)
    assert other.step() == 1
    assert len(other.nearest("app", "slow", 5)) == 1
    other.close()


def test_before_it_is_opened_it_says_so(store, tmp_path):
    assert opened(store, Place(f"file:{tmp_path / 's'}")).filled().fault == "it is being opened"


async def test_filling_in_the_background_says_what_stops_it_and_ends_when_cancelled(store, tmp_path):
    store.record([segment(1)])
    first, second = (opened(store, Place(f"file:{tmp_path / 's'}")) for _ in range(2))
    first.step()
    with suppress(TimeoutError):
        await asyncio.wait_for(second.fill(), 0.5)
    assert "in use, and it takes one process" in str(second.filled().fault)
    with pytest.raises(SettingError, match="index of segments folder"):
        second.nearest("app", "x", 1)
    first.close()
