"""A study at a glance: live counts and segments, codes over time, and how the workers are doing."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from infra.accounts.accounts import Visitor
from infra.profiles.study_rules import rules_of
from infra.storage.analysis.timeline import OverTime, TimeStep, over_time
from infra.storage.annotations import unread
from infra.storage.overview import live, newest, newest_stage
from infra.storage.segment_search import choices
from infra.telemetry.status import lags_of
from infra.web.access import Viewer, hides
from infra.web.form_fields import count_of
from infra.web.language.speech import N_
from infra.web.live_updates import LiveFeeds
from infra.web.pages.curation.similar import alike
from infra.web.pages.discussion.comments import unsettled
from infra.web.search_query import Asked
from infra.web.site import Here, Site, draw, profile_of
from models.routing.confidence_stages import STAGES
from streams.topology import ROLES

SHOWN = 20
"""The newest segments that a page shows."""
_ASK_LAGS_S = 10.0
_WANTED_S = 60.0  # lags are asked for as long as somebody looked so lately
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_COUNTS = (
    ("taken_in", N_("taken in"), "segments"),
    ("coded", N_("read by the models"), "segments"),
    ("suggested", N_("suggested"), "segments?route=suggested"),
    ("people", N_("to people"), "segments?route=people"),
    ("accepted", N_("accepted"), "segments?route=accepted"),
    ("open_requests", N_("open requests"), "queue"),
    ("human_coded", N_("coded by people"), "segments?human=yes"),
    ("codes", N_("codes"), "codebook"),
    ("alerts", N_("alerts"), "drift"),
    ("dead_letters", N_("set aside"), None),
)


@dataclass
class Lags:
    """How many messages each role has not read yet, as last asked of the brokers."""

    by_role: Mapping[str, int] = field(default_factory=dict)
    wanted_at: float = float("-inf")

    def now(self) -> Mapping[str, int]:
        """What is known; what is asked for is kept fresh for a minute."""
        self.wanted_at = time.monotonic()
        return self.by_role

    async def keep(self, site: Site) -> None:
        """Ask the brokers while somebody wants to know, until cancelled."""
        while True:
            if time.monotonic() - self.wanted_at < _WANTED_S:
                self.by_role = await lags_of(site.settings, ROLES)
                await asyncio.sleep(_ASK_LAGS_S)
            await asyncio.sleep(1.0)


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    keeping = asyncio.create_task(_lags(app).keep(app.state.site))
    try:
        yield
    finally:
        stop_streams(app)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


router = APIRouter(lifespan=_running)


def stop_streams(app: FastAPI) -> None:
    """End every stream of events: to be called when the server is told to stop, because it waits for open ones."""
    _feeds(app).stop()


@router.get("/s/{study}/", response_class=HTMLResponse)
def show_overview(request: Request, study: str, site: Here, visitor: Viewer, by: str = "day") -> HTMLResponse:
    """The overview as it is now; the page keeps it fresh."""
    values = {
        **_now(site, study),
        **_system(request, site),
        **_series(request, site, visitor, study, by),
        "tiles": _COUNTS,
        "open_comments": unsettled(site, visitor, study),
        "alike": alike(site, study),
        "shown": SHOWN,
        "taken": count_of(request, "taken"),
    }
    return draw(request, "overview.html", values)


@router.get("/s/{study}/overview/system", response_class=HTMLResponse)
def show_system(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """The part about workers, to be put in its place."""
    return draw(request, "overview_system.html", _system(request, site))


@router.get("/s/{study}/overview/codes", response_class=HTMLResponse)
def show_codes(request: Request, study: str, site: Here, visitor: Viewer, by: str = "day") -> HTMLResponse:
    """The part about codes over time, to be put in its place."""
    return draw(request, "overview_codes.html", _series(request, site, visitor, study, by))


@router.get("/s/{study}/overview/events")
async def stream(request: Request, study: str, site: Here, visitor: Viewer) -> StreamingResponse:
    """Counts and the newest segments as server-sent events, at most one a second."""

    def look() -> str:
        now = _now(site, study)
        segments = [
            {**asdict(segment), "id": str(segment.id), "at": segment.at.isoformat()} for segment in now["newest"]
        ]
        return json.dumps({"counts": now["counts"], "newest": segments, "stage": now["stage"]})

    events: AsyncGenerator[str, None] = _feeds(request.app).watch(study, look)
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM_HEADERS)


def _feeds(app: FastAPI) -> LiveFeeds:
    if not hasattr(app.state, "feeds"):
        app.state.feeds = LiveFeeds()
    feeds: LiveFeeds = app.state.feeds
    return feeds


def _lags(app: FastAPI) -> Lags:
    if not hasattr(app.state, "lags"):
        app.state.lags = Lags()
    lags: Lags = app.state.lags
    return lags


def _now(site: Site, study: str) -> dict[str, Any]:
    database = site.store.database
    counts = asdict(live(database, study, site.clock.now()))
    shown, stage = newest(database, study, SHOWN), newest_stage(database, study)
    every = rules_of(database, profile_of(site), study).blind
    hidden = unread(database, study, [segment.id for segment in shown], every=every)  # one poll serves everybody
    return {
        "counts": counts,
        "stage": None if stage is None else STAGES[stage],
        "newest": [
            replace(segment, code=None, by=None, proposed=None, blind=True) if segment.id in hidden else segment
            for segment in shown
        ],
    }


def _series(request: Request, site: Site, visitor: Visitor, study: str, by: str) -> dict[str, Any]:
    """Codes over time in the part of the study that the address asks for, as the list of segments is narrowed."""
    asked = Asked.of(request)
    filters, wrong = asked.filters()
    filters = replace(filters, words=asked.q, hides=hides(site, visitor, study))
    step: TimeStep = "hour" if by == "hour" else "day"
    timeline = over_time(site.store.database, study, step, filters=filters)
    rows = [
        (moment, [counts[n] for counts in timeline.counts])
        for n, moment in enumerate(timeline.moments)
        if any(counts[n] for counts in timeline.counts)
    ]
    narrowed = {"asked": asked, "part": filters, "wrong": wrong, "choices": choices(site.store.database, study)}
    return {"by": step, "over_time": timeline, "over_time_rows": rows, "chart": _chart(timeline), **narrowed}


def _chart(timeline: OverTime) -> str:
    """What charts.js draws, as JSON for a data attribute."""
    series = [
        {"label": code.label, "values": list(counts)}
        for code, counts in zip(timeline.codes, timeline.counts, strict=True)
    ]
    return json.dumps({"x": [int(moment.timestamp()) for moment in timeline.moments], "series": series})


def _system(request: Request, site: Site) -> dict[str, Any]:
    """How each role does: its lag, its workers, and what they could not do."""
    workers = site.store.workers()
    now, lags = site.clock.now(), _lags(request.app).now()

    roles = [
        {
            "name": role.name,
            "does": role.does,
            "lag": lags.get(role.name),
            "workers": [(worker, worker.alive(now)) for worker in workers if worker.role == role.name],
        }
        for role in ROLES
    ]
    return {"roles": roles, "outbox": site.outbox.backlog(), "broker_known": bool(lags)}
