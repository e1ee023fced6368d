"""The codebook: codes by theme, a page for each, and every change of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NoReturn
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from infra.accounts.accounts import Visitor
from infra.annotation.code_search import CodeMatch
from infra.annotation.codebook_view import Listed, listed, moved, with_code
from infra.annotation.memos import memos_of_code
from infra.files.timestamps import read_time
from infra.storage.segment_search import SegmentMatch
from infra.web.access import Lead, Viewer, hides, unread_by, visitor_of
from infra.web.language.words import REASONS
from infra.web.pages.codebook_forms import (
    Action,
    CodeForm,
    NewForm,
    OvertakenError,
    already_applied,
    created,
    edit,
    history_lines,
    matching,
    part_names,
)
from infra.web.pages.coding.spans import visible_spans
from infra.web.pages.curation.similar import LOWEST, alike
from infra.web.pages.discussion.comments import comments_shown, unsettled
from infra.web.site import Here, Site, draw
from models.annotation.spans import MarkedPart
from models.codebook.codebook import Codebook, CodeState
from models.codebook.diff import compare
from models.codebook.edits import Act, Curation
from models.errors import InputError
from schemas import CodeEvent, Record

SHOWN = 50
"""Segments of a code that its page shows."""
PAGE = 200
"""Codes, or events, on one page."""
_NEAREST = 5  # codes that a code's page names as near
_MOST_MOVED = 5_000  # segments of a split code that are moved or asked about again at once

router = APIRouter()


class ListAsked(BaseModel):
    """What part of the codebook is asked for, and what was done to it just before."""

    q: str = ""
    show: str = "live"
    page: int = 1
    changed: str = ""
    event: str = ""
    fault: str = ""


class HistoryAsked(ListAsked):
    """The same of its history."""

    show: str = "people"
    done: str = ""


@router.get("/s/{study}/codebook", response_class=HTMLResponse)
def list_codes(
    request: Request, study: str, site: Here, visitor: Viewer, asked: Annotated[ListAsked, Query()]
) -> HTMLResponse:
    """Codes by theme, the most used first."""
    q, show, page = asked.q, asked.show, asked.page
    every = listed(site.store.database, study)
    codes = matching(every, q, live=show != "ended")
    start = max(0, page - 1) * PAGE
    values = {
        "groups": _by_theme(codes[start : start + PAGE], every),
        "total": len(codes),
        "most": max((code.count for code in every), default=0),
        "themes": [code for code in every if code.live and code.level == "theme"],
        "ended": sum(not code.live for code in every),
        "any": bool(every),
        "more": len(codes) > start + PAGE,
        "cause": uuid4(),
        "open_comments": unsettled(site, visitor, study),
        "alike": alike(site, study),
        **asked.model_dump(),
    }
    return draw(request, "codebook.html", values)


def _by_theme(shown: Sequence[Listed], every: Sequence[Listed]) -> list[tuple[Listed | None, list[Listed]]]:
    """Codes under their themes, the most used theme first; then those that stand alone."""
    themes = {theme.id: theme for theme in every if theme.level == "theme"}
    groups: dict[UUID | None, list[Listed]] = {}
    for code in shown:
        key = code.id if code.level == "theme" else code.theme
        groups.setdefault(key, []).extend([code] if code.level == "code" else [])
    order = sorted(groups, key=lambda key: (key is None, -sum(code.count for code in groups[key])))
    return [(themes.get(key) if key else None, groups[key]) for key in order]


@router.get("/s/{study}/codebook/new", response_class=HTMLResponse)
def new_code(request: Request, study: str, site: Here, visitor: Lead, level: str = "code") -> HTMLResponse:
    """The form for a new code or theme."""
    return _new_page(request, site, study, NewForm(cause=uuid4(), level="theme" if level == "theme" else "code"))


@router.post("/s/{study}/codebook/new", response_class=HTMLResponse)
def create_code(request: Request, study: str, site: Here, visitor: Lead, form: Annotated[NewForm, Form()]) -> Response:
    """Make a code or theme."""
    try:
        with site.outbox.editing_codebook(study) as keep:
            curation = Curation(site.store.code_events(study), study, _act(site, visitor, form.reason, form.cause))
            events = created(curation, form)
            keep(events)
    except InputError as error:
        return _new_page(request, site, study, form, str(error))
    return _to(study, f"codes/{events[-1].code_id}", done="created")


def _new_page(request: Request, site: Site, study: str, form: NewForm, fault: str = "") -> HTMLResponse:
    themes = [each for each in listed(site.store.database, study) if each.live and each.level == "theme"]
    values = {"form": form, "themes": themes, "fault": fault}
    return draw(request, "codebook_new.html", values, status=422 if fault else 200)


@router.get("/s/{study}/codebook/history", response_class=HTMLResponse)
def show_history(
    request: Request, study: str, site: Here, visitor: Viewer, asked: Annotated[HistoryAsked, Query()]
) -> HTMLResponse:
    """Every change of the codebook, the newest first."""
    return _history_page(request, site, study, asked.model_dump())


@router.post("/s/{study}/codebook/history", response_class=HTMLResponse)
def restore_version(
    request: Request,
    study: str,
    site: Here,
    visitor: Lead,
    then: Annotated[str, Form()],
    cause: Annotated[UUID, Form()],
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Make the whole codebook what it was."""
    try:
        with site.outbox.editing_codebook(study) as keep:
            curation = Curation(site.store.code_events(study), study, _act(site, visitor, reason, cause))
            keep(curation.restore_version(_moment(then)))
    except InputError as error:
        return _history_page(request, site, study, {"fault": str(error)}, status=422)
    return _to(study, "history", done="version")


def _history_page(
    request: Request, site: Site, study: str, values: dict[str, Any], *, status: int = 200
) -> HTMLResponse:
    events = list(site.store.code_events(study))
    show, page = values.get("show", "people"), max(1, values.get("page", 1))
    lines = [line for line in reversed(history_lines(events)) if show == "all" or not line.by_refiner]
    start = (page - 1) * PAGE
    shown = {"lines": lines[start : start + PAGE], "more": len(lines) > start + PAGE, "any": bool(events)}
    given = {"show": show, "page": page, "cause": uuid4(), "reasons": REASONS, **shown}
    return draw(request, "codebook_history.html", {**values, **given}, status=status)


@router.get("/s/{study}/codebook/compare", response_class=HTMLResponse)
def compare_versions(
    request: Request, study: str, site: Here, visitor: Viewer, then: str, now: str = ""
) -> HTMLResponse:
    """What became different between two moments, or from one until now."""
    events = list(site.store.code_events(study))
    first, second = _moment(then), _moment(now) if now else None
    if second is not None and second < first:
        first, second = second, first
    before = Codebook(event for event in events if event.at <= first)
    after = Codebook(event for event in events if second is None or event.at <= second)
    names = {code: state.label for code, state in {**before, **after}.items()}
    differences = compare(before, after)
    values = {"then": first, "now": second, "differences": differences, "names": names, "cause": uuid4()}
    return draw(request, "codebook_compare.html", values)


@router.get("/s/{study}/codebook/codes/{code}", response_class=HTMLResponse)
def show_code(request: Request, study: str, code: UUID, site: Here, visitor: Viewer, done: str = "") -> HTMLResponse:
    """All about one code or theme."""
    return _code_page(request, site, study, code, {"done": done})


@router.get("/s/{study}/codebook/codes/{code}/merge", response_class=HTMLResponse)
def choose_target(request: Request, study: str, code: UUID, site: Here, visitor: Lead, q: str = "") -> HTMLResponse:
    """Choose what a code is merged into; says how many segments move."""
    state = _state(site, study, code)
    every = listed(site.store.database, study)
    targets = [each for each in matching(every, q) if each.level == state.level and each.id != code]
    values = {"code": state, "q": q, "targets": targets[:SHOWN], "more": len(targets) > SHOWN, "cause": uuid4()}
    return draw(request, "codebook_merge.html", {**values, "count": _count(every, code)})


@router.get("/s/{study}/codebook/codes/{code}/split", response_class=HTMLResponse)
def choose_parts(request: Request, study: str, code: UUID, site: Here, visitor: Lead, parts: str = "") -> HTMLResponse:
    """Name the parts of a code, then say which of its segments goes where."""
    return _split_page(request, site, study, code, parts)


def _split_page(request: Request, site: Site, study: str, code: UUID, parts: str, fault: str = "") -> HTMLResponse:
    state, names = _state(site, study, code), part_names(parts)
    rows = with_code(site.store.database, study, code, SHOWN) if names else []
    count = _count(listed(site.store.database, study), code)
    values = {"code": state, "parts": names, "entered": parts, "segments": rows, "count": count, "most": _MOST_MOVED}
    return draw(
        request, "codebook_split.html", {**values, "fault": fault, "cause": uuid4()}, status=422 if fault else 200
    )


@router.post("/s/{study}/codebook/codes/{code}/{action}", response_class=HTMLResponse)
def change_code(
    request: Request,
    study: str,
    code: UUID,
    action: Action,
    site: Here,
    visitor: Lead,
    form: Annotated[CodeForm, Form()],
) -> Response:
    """Change a code; what somebody else has changed meanwhile is shown instead."""
    try:
        _apply(site, study, code, action, form, _act(site, visitor, form.reason, form.cause))
    except OvertakenError as error:
        return _code_page(request, site, study, code, {"fault": str(error)}, status=409)
    except InputError as error:
        if action == "split":
            return _split_page(request, site, study, code, form.parts, str(error))
        return _code_page(request, site, study, code, {"fault": str(error), "form": form}, status=422)
    return _to(study, f"codes/{code}", done=action)


def _apply(site: Site, study: str, code: UUID, action: Action, form: CodeForm, act: Act) -> None:
    """Keep what a form comes to; nothing where it has been sent before."""
    with site.outbox.editing_codebook(study) as keep:
        history = list(site.store.code_events(study))
        curation = Curation(history, study, act)
        if code not in curation.codebook:
            _missing(study, code)
        if not already_applied(history, code, form.cause):
            events = edit(curation, code, action, form)
            keep([*events, *(_of_segments(site, study, code, events[-1], form, act) if action == "split" else ())])


def _of_segments(site: Site, study: str, code: UUID, split: CodeEvent, form: CodeForm, act: Act) -> list[Record]:
    """What becomes of the segments of a code that is split: moved to a part, asked about again, or left."""
    names, into, places = part_names(form.parts), split.into, form.places()
    if len(names) != len(into):
        raise InputError(f"{len(names)} names are given for {len(into)} codes; name each part once")
    reassigned: list[tuple[SegmentMatch, tuple[UUID, str]]] = []
    requeued: list[UUID] = []
    for segment in with_code(site.store.database, study, code, _MOST_MOVED):
        place = places.get(segment.id, form.rest)
        if place == "again":
            requeued.append(segment.id)
        elif place.isdigit() and int(place) < len(into) and into[int(place)] != code:
            reassigned.append((segment, (into[int(place)], names[int(place)])))
    reason = act.reason or f"{split.label!r} was split"
    requests = site.queue.requeue(study, requeued, reason, act.author) if requeued else []
    return [*moved(site.store.database, reassigned, code, act), *requests]


def _code_page(
    request: Request, site: Site, study: str, code: UUID, values: dict[str, Any], *, status: int = 200
) -> HTMLResponse:
    events = list(site.store.code_events(study))
    codebook = Codebook(events)
    state = codebook.get(code) or _missing(study, code)
    every = {each.id: each for each in listed(site.store.database, study)}
    lines = [line for line in history_lines(events) if line.touches(code)]
    segments = with_code(site.store.database, study, code, SHOWN) if state.level == "code" else []
    origin = [state.origin] if state.origin else []
    hidden = unread_by(site, visitor_of(request), study, [*origin, *(segment.id for segment in segments)])
    shown = {
        "code": state,
        "names": {id_: each.label for id_, each in codebook.items()},
        "states": codebook,
        "numbers": every.get(code),
        "theme": _theme(state, codebook),
        "themes": [each for each in every.values() if each.live and each.level == "theme"],
        "below": [each for each in every.values() if each.live and each.theme == code and each.level == "code"],
        "became": codebook.current_theme(code) if state.level == "theme" else codebook.current_code(code),
        "segments": [segment for segment in segments if segment.id not in hidden],
        "unread": hidden,
        "near": _near(site, study, state),
        "parts": [span for span in _visible(request, site, study) if any(each == code for each, _ in span.codes)],
        "lines": list(reversed(lines)),
        "reasons": REASONS,
        "cause": uuid4(),
        "memos": memos_of_code(site.store.database, study, code),
        "memo_on": {"code": code},
        **comments_shown(site, visitor_of(request), study, code=code),
    }
    return draw(
        request, "codebook_code.html", {"form": None, "fault": "", "done": "", **shown, **values}, status=status
    )


def _visible(request: Request, site: Site, study: str) -> list[MarkedPart]:
    return visible_spans(site, study, hides(site, visitor_of(request), study))


def _near(site: Site, study: str, state: CodeState) -> list[CodeMatch]:
    """Codes whose labels are near to a code's, the nearest first; none while they cannot be told yet."""
    if not state.assignable:
        return []
    near = site.nearby.nearest(study, [state.label], _NEAREST, [state.id]) or []
    return [match for match in near if match.similarity >= LOWEST]


def _theme(code: CodeState, codebook: Codebook) -> CodeState | None:
    """The active theme that a code stands under."""
    theme = codebook.theme_of(code.id)
    return None if theme is None else codebook.get(theme)


def _state(site: Site, study: str, code: UUID) -> CodeState:
    return Codebook(site.store.code_events(study)).get(code) or _missing(study, code)


def _missing(study: str, code: UUID) -> NoReturn:
    raise HTTPException(404, f"study '{study}' has no code {code}; look for it in its codebook")


def _count(every: Sequence[Listed], code: UUID) -> int:
    return next((each.count for each in every if each.id == code), 0)


def _act(site: Site, visitor: Visitor, reason: str, cause: UUID) -> Act:
    return Act(visitor.name, site.clock.now(), reason.strip()[:1000], str(cause))


def _moment(text: str) -> datetime:
    at = read_time(text)
    if at is None:
        raise InputError(f"'{text[:40]}' is no time; one such as 2026-03-01T12:00:00Z is expected")
    return at


def _to(study: str, path: str, **query: str) -> RedirectResponse:
    return RedirectResponse(f"/s/{quote(study)}/codebook/{path}?{urlencode(query)}", status_code=303)
