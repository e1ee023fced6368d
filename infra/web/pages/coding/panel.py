"""Coding any segment, asked about or not: on its own page, one after another through a list, or several at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from infra.accounts.accounts import Visitor
from infra.profiles.study_rules import rules_of
from infra.storage.segment_search import count, find
from infra.web.access import Annotator, Viewer, hides, unread_by
from infra.web.form_fields import OptionalId
from infra.web.pages.queue import DecisionForm, offered
from infra.web.pages.segments import read_mark, segment_page, written_mark
from infra.web.pages.suggestions import system
from infra.web.search_query import Asked
from infra.web.site import Here, Site, draw, profile_of
from models.annotation.coding import CodeLookup, CodingChoice, Task, decide
from models.annotation.human_decision import chosen_codes
from models.errors import InputError
from schemas import Annotation, CodeEvent

router = APIRouter()
MOST_AT_ONCE = 500
"""Segments that are coded in one go."""


class PanelForm(DecisionForm):
    """What a person entered about a segment, and the list that they are going through, if they are."""

    onward: str = Field(default="", max_length=4000)
    """The list's query, from where the next segment comes."""


class BulkForm(BaseModel):
    """Segments that were ticked in a list, and the code that all of them get."""

    segment: list[UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)
    cause: UUID
    code: OptionalId = None
    new: str = ""
    onward: str = Field(default="", max_length=4000)


def panel_values(
    site: Site, visitor: Visitor, study: str, segment: UUID, entered: DecisionForm | None = None
) -> dict[str, Any]:
    """What the coding panel shows: what can be ticked, with the person's earlier codes and memo in it."""
    if not visitor.may("annotator", study):
        return {}
    task, codes = _task(site, visitor, study, segment), site.nearby.codes(study)
    shown = entered or _earlier(task, codes)
    values = {"task": task, "system": system(task, codes), "cause": uuid4(), "entered": shown}
    values |= offered(task, codes, site.nearby, shown) | {"base": f"/s/{quote(study)}/queue"}
    return values | {"panel": {"action": f"/s/{quote(study)}/segments/{segment}/code"}}


@router.get("/s/{study}/segments/{segment}", response_class=HTMLResponse)
def show_segment(request: Request, study: str, segment: UUID, site: Here, visitor: Viewer) -> HTMLResponse:
    """One segment's whole story, and for those who code it their panel."""
    return segment_page(request, study, segment, site, visitor, panel_values(site, visitor, study, segment))


@router.post("/s/{study}/segments/{segment}/code")
def code_segment(
    request: Request, study: str, segment: UUID, site: Here, who: Annotator, form: Annotated[PanelForm, Form()]
) -> Response:
    """Keep what somebody decides about a segment, whether anybody was asked about it or not."""
    task = _task(site, who, study, segment)
    try:
        done = decide(task, form.choice(None), site.nearby.codes(study), who.name, site.clock.now())
    except InputError as error:
        values = panel_values(site, who, study, segment, form) | {"fault": str(error)}
        if form.onward:
            return _list_page(request, site, who, study, form.onward, values, status=422)
        return segment_page(request, study, segment, site, who, values, status=422)
    site.write(done.records)
    if form.onward:
        return RedirectResponse(f"/s/{quote(study)}/coding?{form.onward}", 303)
    return RedirectResponse(f"/s/{quote(study)}/segments/{segment}?saved=1#your-coding", 303)


@router.get("/s/{study}/coding", response_class=HTMLResponse)
def code_list(request: Request, study: str, site: Here, who: Annotator) -> HTMLResponse:
    """The next segment of a filtered list that the person has not coded yet."""
    asked = Asked.of(request)
    filters, wrong = asked.filters()
    if wrong:
        raise HTTPException(422, "; ".join(wrong))
    filters = replace(filters, hides=hides(site, who, study), uncoded_by=who.name)
    database = site.store.database
    page = find(database, study, filters, after=read_mark(asked.after), limit=1)
    values: dict[str, Any] = {"left": count(database, study, filters), "asked": asked}
    values["skipped"] = bool(asked.after)
    onward = asked.url("", after=asked.after).lstrip("?") or "by=words"
    if not page.matches:
        return draw(request, "coding.html", {**values, "task": None, **_ways(study, asked)})
    values |= panel_values(site, who, study, page.matches[0].id) | {"onward": onward}
    skip = asked.url(f"/s/{quote(study)}/coding", after=written_mark(page.after)) if page.after else None
    values["panel"] = {**values["panel"], "skip": skip, "back": _ways(study, asked)["back"]}
    return draw(request, "coding.html", {**values, **_ways(study, asked)})


@router.post("/s/{study}/segments/code")
def code_several(study: str, site: Here, who: Annotator, form: Annotated[BulkForm, Form()]) -> RedirectResponse:
    """Give all ticked segments one code; what the person had said about them before is kept in their history."""
    codes = site.nearby.codes(study)
    labels = [form.new] if form.new.strip() else []
    choice = CodingChoice(str(form.cause), codes=[form.code] if form.code else [], labels=labels)
    created: dict[UUID, CodeEvent] = {}
    decided: list[Annotation] = []
    for segment in dict.fromkeys(form.segment):
        task = _task(site, who, study, segment)
        memo = task.last.memo if task.last else ""
        done = decide(task, replace(choice, memo=memo), codes, who.name, site.clock.now())
        created |= {event.id: event for event in done.created if event.id not in created}
        decided.append(done.annotation)
    site.write([*created.values(), *decided])
    back = f"/s/{quote(study)}/segments?{form.onward}" if form.onward else f"/s/{quote(study)}/segments?by=words"
    return RedirectResponse(f"{back}&coded={len(set(form.segment))}", 303)


def _task(site: Site, visitor: Visitor, study: str, segment: UUID) -> Task:
    rules = rules_of(site.store.database, profile_of(site), study)
    task = site.queue.any_task(study, segment, visitor.name, rules)
    if task is None:
        raise HTTPException(404, f"study '{study}' has no segment {segment}; look for it among its segments")
    return replace(task, blind=bool(unread_by(site, visitor, study, [segment])))


def _earlier(task: Task, codes: CodeLookup) -> DecisionForm | None:
    """A person's last word as the form has it; codes that were merged stand as what they became."""
    last = task.last
    if last is None or last.withdrawn:
        return None
    now = [codes.current(code) for code in chosen_codes(last)]
    living = [code.id for code in now if code is not None]
    given = None if task.blind else system(task, codes)
    none_fits = given is not None and given.standing == "none" and not (living or last.unsure)
    accept = none_fits or (given is not None and given.id in living)
    others = [code for code in living if not (accept and given is not None and code == given.id)]
    return DecisionForm(
        segment=task.segment.id, cause=uuid4(), accept=accept, code=others, unsure=last.unsure, memo=last.memo
    )


def _list_page(
    request: Request, site: Site, who: Visitor, study: str, onward: str, values: Mapping[str, Any], *, status: int
) -> HTMLResponse:
    back = f"/s/{quote(study)}/segments?{onward}"
    return draw(
        request,
        "coding.html",
        {**values, "onward": onward, "left": None, "back": back, "skipped": False},
        status=status,
    )


def _ways(study: str, asked: Asked) -> dict[str, str]:
    return {
        "back": asked.url(f"/s/{quote(study)}/segments"),
        "again": asked.url(f"/s/{quote(study)}/coding"),
    }
