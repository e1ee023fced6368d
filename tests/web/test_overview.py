"""The overview: what it counts, its stream of events, and that a server stops with streams open."""

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import aclosing, contextmanager, suppress
from datetime import timedelta
from html import unescape

import httpx
import uvicorn

from infra.storage.analysis.timeline import over_time
from infra.storage.overview import live
from infra.storage.segment_search import Filters
from infra.storage.store import WorkerState
from infra.web.guard import COOKIE
from infra.web.live_updates import LiveFeed, LiveFeeds
from infra.web.pages.overview import stop_streams
from models.errors import UnavailableError
from schemas import Annotation, Assignment, CodeEvent
from schemas.ids import code_event_id, code_id
from tests.web.site import HOSTILE, STUDY, app_of, coded, fill, nobody, visit

PAGE = f"/s/{STUDY}/"


def test_an_empty_study_says_how_to_begin(site):
    assert "Nothing has come in yet" in visit(site, "viewer").get(PAGE).text


def test_counts_are_those_of_the_study(site):
    fill(site, 21, people=5)
    fill(site, 3, study="shop")
    counts = live(site.store.database, STUDY, site.clock.now())
    assert (counts.taken_in, counts.coded, counts.accepted, counts.people) == (21, 21, 16, 5)
    assert (counts.open_requests, counts.human_coded, counts.codes, counts.waiting) == (5, 0, 7, 0)
    page = visit(site, "viewer").get(PAGE)
    shown = dict(re.findall(r'data-count="(\w+)">(\d+)<', page.text))
    assert (shown["taken_in"], shown["open_requests"], shown["codes"]) == ("21", "5", "7")


def test_what_people_coded_is_as_many_here_as_there_are_in_the_list(site):
    segment, *_ = fill(site, 3)
    word = {"study": STUDY, "annotator": "ana", "labels": ["app crashes"], "decided_at": site.clock.now()}
    whole = Annotation(segment_id=segment.id, code_ids=[code_id(STUDY, "app crashes")], **word)
    part = whole.model_copy(update={"segment_id": code_id(STUDY, "a marked part")})  # no segment has this id
    site.store.record([whole, part])
    assert live(site.store.database, STUDY, site.clock.now()).human_coded == 1
    listed = visit(site, "viewer").get(f"{PAGE}segments", params={"human": "yes"}).text
    assert listed.count(f"{PAGE}segments/") == 1


def test_a_code_that_models_propose_is_said_to_be_proposed_in_every_list(site):
    (segment,) = fill(site, 1)
    given = next(each for each in coded(segment, "unheard of", at=site.clock.now()) if isinstance(each, Assignment))
    site.store.record([given.model_copy(update={"standing": "proposed"})])
    client = visit(site, "viewer")
    for page in (PAGE, f"{PAGE}segments"):
        assert "proposed: unheard of" in client.get(page).text


def test_codes_over_time_are_drawn_and_told_in_a_table_merged_ones_as_what_they_became(site):
    fill(site, 28)
    gone, kept = code_id(STUDY, "app crashes"), code_id(STUDY, "login fails")
    merged = CodeEvent(
        id=code_event_id(gone, "merged", "t"),
        code_id=gone,
        study=STUDY,
        kind="merged",
        label="app crashes",
        author="lea",
        at=site.clock.now(),
        into=[kept],
    )
    site.store.record([merged])
    found = over_time(site.store.database, STUDY, "hour")
    assert (found.codes[0].label, sum(found.counts[0]), sum(map(sum, found.counts))) == ("login fails", 8, 28)
    page = visit(site, "viewer").get(f"{PAGE}?by=hour")
    chart = json.loads(unescape(re.search(r'data-chart="([^"]+)"', page.text)[1]))
    assert chart["series"][0]["label"] == "login fails"
    assert len(chart["x"]) == len(chart["series"][0]["values"]) == 28  # it begins where the study does
    assert '<th scope="col" class="num">login fails</th>' in page.text


def series(page):
    return json.loads(unescape(re.search(r'data-chart="([^"]+)"', page.text)[1]))["series"]


def test_codes_over_time_are_narrowed_by_source_attribute_and_dates(site):
    segments = fill(site, 28)
    client = visit(site, "viewer")
    ask = {"by": "hour", "source": "mail", "attribute": "stars", "value": "2"}
    mine = [each for each in segments if each.source == "mail" and each.metadata["stars"] == 2]
    page = client.get(PAGE, params=ask)
    assert sum(sum(each["values"]) for each in series(page)) == len(mine) > 0
    assert f"{len(mine)} segments" in page.text
    assert "stars: 2" in page.text
    part = client.get(f"{PAGE}overview/codes", params=ask)
    assert series(part) == series(page)
    day = segments[0].timestamp.date()
    first = over_time(site.store.database, STUDY, "hour", filters=Filters(until=segments[9].timestamp))
    assert sum(n for _, n in first.totals) == 9
    none = client.get(PAGE, params={"since": "2031-01-01", "until": f"{day}"})
    assert "No segment matches" in none.text
    assert "is no time" in client.get(PAGE, params={"since": "soon"}).text


def test_a_range_of_dates_shows_more_steps_than_the_last_thirty(site):
    (segment,) = fill(site, 1)
    for days in (50, 45):
        earlier = segment.model_copy(
            update={"id": code_id(STUDY, str(days)), "timestamp": segment.timestamp - timedelta(days=days)}
        )
        site.store.take_in([earlier])
        site.store.record(coded(earlier, "slow checkout", at=site.clock.now(), new=False))
    assert len(over_time(site.store.database, STUDY, "day").moments) == 30
    since = segment.timestamp - timedelta(days=60)
    assert len(over_time(site.store.database, STUDY, "day", filters=Filters(since=since)).moments) == 51


def test_where_the_last_steps_have_no_coded_segment_those_up_to_the_newest_coded_one_are_shown_and_said(site):
    newest = fill(site, 28)[-1]
    for n, days in enumerate((80, 82)):
        later = {"id": code_id(STUDY, str(n)), "timestamp": newest.timestamp + timedelta(days=days)}
        site.store.take_in([newest.model_copy(update=later)])
    for step in ("hour", "day"):
        found = over_time(site.store.database, STUDY, step)
        assert (sum(n for _, n in found.totals), found.later, found.is_course) == (28, True, True)
    page = visit(site, "viewer").get(PAGE).text
    assert "data-chart" in page
    assert f"Shown by day: {found.moments[0]:%Y-%m-%d} to {found.moments[-1]:%Y-%m-%d} (UTC)" in page
    assert "No segment after that has a code." in page


def test_the_chart_says_what_time_it_shows_and_that_earlier_segments_are_left_out(site):
    segments = fill(site, 60)
    page = visit(site, "viewer").get(f"{PAGE}?by=hour").text
    assert f"to {segments[-1].timestamp:%Y-%m-%d %H}:00 (UTC)" in page
    assert "Earlier segments are left out" in page
    assert "Earlier segments are left out" not in visit(site, "viewer").get(f"{PAGE}?by=day").text


def test_where_no_segment_has_a_time_that_is_said_and_bars_count_the_codes(site):
    segments = fill(site, 9)
    site.store.reset(STUDY)
    untimed = [each.model_copy(update={"timestamp": None}) for each in segments]
    site.store.take_in(untimed)
    labels = ("slow checkout", "slow checkout", "slow checkout", "app crashes")
    for n, (segment, label) in enumerate(zip(untimed, labels, strict=False)):
        site.store.record(coded(segment, label, at=site.clock.now(), new=label not in labels[:n]))
    page = visit(site, "viewer").get(PAGE).text
    assert "No segment says when it was said" in page
    assert '<meter class="bar" min="0" max="3" value="3" aria-label="slow checkout">' in page
    assert "data-chart" not in page


def test_segments_without_a_time_among_others_are_counted(site):
    segments = fill(site, 4)
    site.store.take_in([segments[0].model_copy(update={"id": code_id(STUDY, "x"), "timestamp": None})])
    assert "1 of 5 segments do not say when they were said" in visit(site, "viewer").get(f"{PAGE}?by=hour").text


def test_workers_their_errors_and_waiting_decisions_are_shown(site):
    now = site.clock.now()
    site.store.heartbeat(
        WorkerState("refiner", "r-1", 7, "here", now, now, read=12, errors=2, last_error="<b>no Qdrant</b>")
    )
    page = visit(site, "viewer").get(f"{PAGE}overview/system", headers={"HX-Request": "true"})
    assert "&lt;b&gt;no Qdrant&lt;/b&gt;" in page.text
    assert "running" in page.text
    assert "<html" not in page.text


def test_hostile_text_stays_text(site):
    (plain,) = fill(site, 1)
    for n, text in enumerate(HOSTILE):
        one = plain.model_copy(update={"id": code_id(STUDY, str(n)), "text": text})
        site.store.record(coded(one, text[:120], at=site.clock.now()))
    inside = visit(site, "viewer").get(PAGE).text.split('<main id="main"', 1)[1].split("</main>")[0]
    assert not re.search(r"<(script|img|iframe|svg|style|base|meta|body|math)\b", inside, re.IGNORECASE)


# The feed


async def test_one_look_serves_everybody_and_nobody_is_told_the_same_twice():
    looks = []

    def look():
        looks.append(1)
        return f"{min(len(looks), 3)}"

    feeds = LiveFeeds()

    async def three():
        async with aclosing(feeds.watch("app", look)) as events:
            return [event async for event in _first(events, 4)]

    seen = await asyncio.gather(*(three() for _ in range(20)))
    assert all(one[0].startswith("retry:") for one in seen)
    assert all(one[1:] == [f"event: live\ndata: {n}\n\n" for n in (1, 2, 3)] for one in seen)
    assert len(looks) == 3


async def _first(events, n):
    async for event in events:
        yield event
        n -= 1
        if not n:
            return


async def test_looking_ends_with_the_last_watcher_and_a_store_that_is_away_ends_nothing():
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 1:
            raise UnavailableError("away")
        return "back"

    feed = LiveFeed(look, every_s=0.01)
    async with aclosing(feed.watch()) as events:
        assert [event async for event in _first(events, 2)][1] == "event: live\ndata: back\n\n"
    assert feed.watchers == 0
    seen = len(looks)
    await asyncio.sleep(0.05)
    assert len(looks) == seen


async def test_a_stream_ends_after_its_time_and_when_stopped():
    feed = LiveFeed(lambda: "x", every_s=0.01)
    assert len([event async for event in feed.watch(longest_s=0)]) == 1
    feeds = LiveFeeds()
    task = asyncio.create_task(_all(feeds.watch("app", lambda: "x")))
    await asyncio.sleep(0.1)
    feeds.stop()
    assert await asyncio.wait_for(task, 1)
    assert await _all(feeds.watch("app", lambda: "x")) == []


async def _all(events):
    return [event async for event in events]


# Over a real server


@contextmanager
def served(site):
    app = app_of(site)
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            thread.join(0.02)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}", server, thread
        server.should_exit = True
        thread.join(10)


def _event(lines):
    """The next event of a stream, as name and data."""
    name = None
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))
    return None


def test_new_segments_come_as_events_and_an_open_stream_does_not_hold_the_server(site):
    fill(site, 30, people=3)
    cookie = visit(site, "viewer").cookies[COOKIE]
    with served(site) as (url, server, thread):
        with httpx.stream("GET", f"{url}{PAGE}overview/events", cookies={COOKIE: cookie}, timeout=20) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            name, first = _event(lines)
            assert (name, first["counts"]["taken_in"], len(first["newest"])) == ("live", 30, 20)
            fill(site, 31, people=3)
            assert _event(lines)[1]["counts"]["taken_in"] == 31
            began = time.monotonic()
            stop_streams(app_of(site))
            server.should_exit = True
            with suppress(httpx.RemoteProtocolError):
                assert [line for line in lines if line.startswith("event")] == []
        thread.join(10)
        assert not thread.is_alive()
        assert time.monotonic() - began < 3


def test_the_stream_is_for_viewers_of_the_study(site):
    fill(site, 1)
    assert nobody(site).get(f"{PAGE}overview/events", follow_redirects=False).status_code == 303
    other = visit(site, "viewer", study="shop", name="ben")
    assert other.get(f"{PAGE}overview/events").status_code == 403
