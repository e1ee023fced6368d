"""Segments: searched by words and by meaning, filtered, and each with its whole story."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from infra.accounts.accounts import Visitor
from infra.annotation.saved_views import saved
from infra.masking.originals import masked_in
from infra.storage.overview import newest_stage
from infra.storage.segment_search import COUNTED, Filters, Mark, SegmentMatch, among, choices, count, find
from infra.storage.trace import trace
from infra.vectors.segment_index import Filled, SegmentIndex, place_of
from infra.web.access import Lead, Viewer, hides, unread_by
from infra.web.pages.discussion.comments import comments_shown
from infra.web.pages.explanation import classifier_now, guessed
from infra.web.search_query import Asked
from infra.web.site import Here, Site, draw
from models.errors import QualstreamError

PAGE = 50
NEAREST = 200
"""Segments that a search by meaning looks at; of those that the filters leave, a page is shown."""
_MOST_SEQ = 2**63  # what a database counts to


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Fill the index of segments for as long as the page runs."""
    index = index_of(app)
    filling = asyncio.create_task(index.fill())
    try:
        yield
    finally:
        filling.cancel()
        with suppress(asyncio.CancelledError):
            await filling
        await asyncio.to_thread(index.close)


router = APIRouter(lifespan=_running)


def index_of(app: FastAPI) -> SegmentIndex:
    """The page's index of segments by meaning; made on first use."""
    if not hasattr(app.state, "segment_index"):
        site: Site = app.state.site
        place = place_of(site.settings)
        app.state.segment_index = SegmentIndex(site.store.database, site.embedder, site.clock, place)
    index: SegmentIndex = app.state.segment_index
    return index


@router.get("/s/{study}/segments", response_class=HTMLResponse)
def list_segments(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """The segments that match, newest first; by meaning, the nearest first."""
    asked = Asked.of(request)
    filters, wrong = asked.filters()
    filters = replace(filters, hides=hides(site, visitor, study))
    base = f"/s/{quote(study)}/segments"
    if asked.meaning:
        values = _by_meaning(request, site, study, asked, filters)
    else:
        values = _by_words(site, study, asked, filters, base)
    hidden = unread_by(site, visitor, study, [match.id for match in values["found"]])
    values["stage"] = newest_stage(site.store.database, study)
    coded = request.query_params.get("coded", "")
    values |= {"views": saved(site.store.database, study, visitor.name), "leads": visitor.may("lead", study)}
    values |= {"may_code": visitor.may("annotator", study), "cause": uuid4()}
    values |= {"coded": coded if coded.isascii() and coded.isdecimal() else ""}
    values |= {"hidden": hidden, "asked": asked, "filters": filters, "wrong": wrong, "base": base, "counted": COUNTED}
    if asked.after and "HX-Request" in request.headers:
        return draw(request, "segments_rows.html", values)
    return draw(request, "segments.html", {**values, "choices": choices(site.store.database, study)})


def _by_words(site: Site, study: str, asked: Asked, filters: Filters, base: str) -> dict[str, Any]:
    database = site.store.database
    page = find(database, study, filters, after=read_mark(asked.after), limit=PAGE)
    more = page.after and asked.url(base, after=written_mark(page.after))
    counts = None if asked.after else count(database, study, filters)
    return {"found": page.matches, "more": more, "count": counts, "filled": None}


def _by_meaning(request: Request, site: Site, study: str, asked: Asked, filters: Filters) -> dict[str, Any]:
    index = index_of(request.app)
    filled = index.filled()
    matches: list[SegmentMatch] = []
    if filled.fault is None:
        try:
            matches = among(site.store.database, study, filters, index.nearest(study, asked.q, NEAREST))[:PAGE]
        except QualstreamError as error:
            filled = Filled(filled.indexed, filled.total, str(error))
    return {"found": matches, "more": None, "count": len(matches), "filled": filled}


def segment_page(
    request: Request,
    study: str,
    segment: UUID,
    site: Site,
    visitor: Visitor,
    panel: Mapping[str, Any],
    *,
    status: int = 200,
) -> HTMLResponse:
    """One segment's whole story, with what its coding panel shows."""
    segment_trace = trace(site.store.database, study, segment)
    if segment_trace is None:
        raise HTTPException(404, f"study '{study}' has no segment {segment}; look for it among its segments")
    similar = _similar(request, site, study, segment_trace.segment.text)
    hidden = unread_by(site, visitor, study, [segment, *(match.id for match in similar)])
    values = {"guessed": guessed(site, segment_trace.decision), "classifier": classifier_now(request, study), **panel}
    values |= {"saved": request.query_params.get("saved") == "1"}
    masked, kept = masked_in(site.store.database, segment)
    has_key = site.settings.masking_key_file is not None
    values |= {
        "masked": [f"{count} {kind}" for kind, count in masked.items()],
        "original_kept": kept,
        "may_unmask": kept and has_key and visitor.may("lead", study),
    }
    values |= comments_shown(site, visitor, study, segment=segment)
    shown = {"trace": segment_trace, "similar": similar, "hidden": hidden, **values}
    return draw(request, "segment.html", shown, status=status)


@router.post("/s/{study}/segments/{segment}/again")
def ask_again(
    study: str, segment: UUID, site: Here, visitor: Lead, reason: Annotated[str, Form(max_length=500)] = ""
) -> RedirectResponse:
    """Put a segment first in the queue, whoever has coded it before."""
    why = " ".join(reason.split()) or "somebody wants it read again"
    asked = site.queue.requeue(study, [segment], why, visitor.name)
    if not asked:
        raise HTTPException(409, "the segment has no code yet; people can be asked as soon as it has one")
    site.write(asked)
    return RedirectResponse(f"/s/{quote(study)}/segments/{segment}#people", status_code=303)


def _similar(request: Request, site: Site, study: str, text: str, most: int = 6) -> list[SegmentMatch]:
    """The segments nearest in meaning; none while they cannot be told."""
    index = index_of(request.app)
    try:
        if index.filled().fault is not None:
            return []
        near = index.nearest(study, text, most)
    except QualstreamError:
        return []
    return among(site.store.database, study, Filters(), near)


def read_mark(after: str) -> Mark | None:
    """Where a page ended, as an address has it; ``None`` where it is no such place."""
    moment, _, seq = after.replace(" ", "+").rpartition(",")  # a bare + of an address, as earlier marks had one
    try:
        at = datetime.fromisoformat(moment)
        mark = Mark((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC), int(seq))
    except (ValueError, OverflowError):
        return None
    return mark if 0 <= mark.seq < _MOST_SEQ else None


def written_mark(mark: Mark) -> str:
    """Where a page ended, for an address, in which it stands as it is."""
    return f"{mark.order_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ},{mark.seq}"
