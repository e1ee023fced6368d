"""The page's queue: one segment after another, decided with two key presses."""

from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from infra.annotation.code_search import Nearby
from infra.profiles.study_rules import rules_of
from infra.web.access import Annotator
from infra.web.language.speech import N_
from infra.web.pages.suggestions import Suggestion, nearest_suggestions, proposed, system
from infra.web.site import Here, Site, draw, profile_of
from models.annotation.coding import CodeLookup, CodingChoice, Task, decide, undo
from models.errors import InputError
from schemas import StudyRules

router = APIRouter()
_FOUND = 8  # codes that a search shows
_NOTES = {
    "taken": N_("Somebody else had coded this segment in the meantime. Your decision is kept beside theirs."),
    "gone": N_("That segment is on somebody else's screen by now. Here is another one."),
}


class DecisionForm(BaseModel):
    """What a person entered about a segment."""

    segment: UUID
    cause: UUID
    accept: bool = False
    code: list[UUID] = []
    new: list[str] = []
    search: str = ""
    """A code by its name, as it is sent where no script runs."""
    unsure: bool = False
    memo: str = ""

    def choice(self, seconds: float | None) -> CodingChoice:
        """As records are made of it."""
        labels = [label for label in (*self.new, self.search) if label.strip()]
        return CodingChoice(str(self.cause), self.accept, self.code, labels, self.unsure, self.memo, seconds)


class SecondForm(BaseModel):
    """What becomes of a blind choice when the system's code is seen."""

    segment: UUID
    cause: UUID
    keep: Literal["mine", "system", "both"] = "mine"


@router.get("/s/{study}/queue")
def queue(request: Request, here: Here, who: Annotator, study: str, note: str = "") -> HTMLResponse:
    """The next segment, locked for the person; the one that they have already, if they have one."""
    return _next(request, here, who.name, _rules(here, study), note)


@router.post("/s/{study}/queue/decide")
def decided(
    request: Request, here: Here, who: Annotator, study: str, form: Annotated[DecisionForm, Form()]
) -> Response:
    """Keep a decision; a blind one that the system does not share is shown beside the system's code."""
    rules = _rules(here, study)
    task = _task(here, study, form.segment, who.name, rules)
    codes = here.nearby.codes(study)
    try:
        done = decide(task, form.choice(_seconds(here, task, rules)), codes, who.name, here.clock.now())
    except InputError as error:
        seen = {"task": here.queue.with_neighbours(task), "fault": str(error), "entered": form}
        return _page(request, here, who.name, rules, seen, status=422)
    here.write(done.records)
    if task.blind and not done.annotation.accepted and done.annotation.code_ids:
        seen = {"task": here.queue.with_neighbours(task), "mine": done.annotation, "reveal": True}
        return _page(request, here, who.name, rules, seen)
    late = not (task.held or task.open_slots or (task.last and not task.last.withdrawn))
    return _onward(request, here, who.name, rules, "taken" if late else "")


@router.post("/s/{study}/queue/second")
def second(request: Request, here: Here, who: Annotator, study: str, form: Annotated[SecondForm, Form()]) -> Response:
    """Keep or change a blind choice, now that the system's code is seen; both stay in the history."""
    rules = _rules(here, study)
    task = _task(here, study, form.segment, who.name, rules)
    first = task.last
    if first is None or first.withdrawn:
        raise HTTPException(409, "there is no first choice to change; code the segment again")
    if form.keep != "mine":
        own = first.code_ids if form.keep == "both" else ()
        seconds = (here.clock.now() - first.decided_at).total_seconds()
        choice = CodingChoice(
            str(form.cause), True, own, memo=first.memo, unsure=first.unsure, seconds=max(0.0, seconds)
        )
        try:
            done = decide(task, choice, here.nearby.codes(study), who.name, here.clock.now())
        except InputError as error:
            shown = here.queue.with_neighbours(task)
            seen = {"task": shown, "mine": first, "reveal": True, "fault": str(error)}
            return _page(request, here, who.name, rules, seen, status=422)
        here.write(done.records)
    return _onward(request, here, who.name, rules)


@router.post("/s/{study}/queue/skip")
def skip(request: Request, here: Here, who: Annotator, study: str, segment: Annotated[UUID, Form()]) -> Response:
    """Another one first; this one comes back to the person tomorrow."""
    here.queue.skip(study, segment, who.name)
    return _onward(request, here, who.name, _rules(here, study))


@router.post("/s/{study}/queue/leave")
def leave(request: Request, here: Here, who: Annotator, study: str, segment: Annotated[UUID, Form()]) -> Response:
    """Stop for now: the segment is free for others at once."""
    here.queue.release(study, segment, who.name)
    overview = f"/s/{quote(study)}/"
    if request.headers.get("HX-Request"):
        return Response(headers={"HX-Redirect": overview})
    return RedirectResponse(overview, status_code=303)


@router.post("/s/{study}/queue/undo")
def take_back(request: Request, here: Here, who: Annotator, study: str, segment: Annotated[UUID, Form()]) -> Response:
    """Withdraw a decision, and show its segment again where nobody else has it."""
    rules = _rules(here, study)
    annotation = _task(here, study, segment, who.name, rules).last
    if annotation is not None and not annotation.withdrawn:
        here.write([undo(annotation, here.clock.now())])
    taken = here.queue.claim(study, segment, who.name, rules)
    return _onward(request, here, who.name, rules, "gone" if taken is None else "")


@router.get("/s/{study}/queue/codes")
def matching(request: Request, here: Here, who: Annotator, study: str, search: str = "") -> HTMLResponse:
    """The options of the search over the codebook: as spelt first, then by meaning."""
    words = " ".join(search.split())[:120]
    matches = here.nearby.search(study, words, _FOUND)
    exact = any(code.label.casefold() == words.casefold() for code in matches)
    return draw(request, "queue_codes.html", {"found": matches, "words": words, "exact": exact})


@router.get("/s/{study}/queue/near")
def near(request: Request, here: Here, who: Annotator, study: str, segment: UUID) -> HTMLResponse:
    """The nearest codes, for a page that was drawn before the embedder was there."""
    task = here.queue.any_task(study, segment, who.name, _rules(here, study))
    if task is None:
        raise HTTPException(404, f"study '{study}' has no segment {segment}")
    nearby = here.nearby
    return draw(
        request, "queue_near.html", {"task": task, "near": nearest_suggestions(task, nearby.codes(study), nearby)}
    )


def _rules(here: Site, study: str) -> StudyRules:
    return rules_of(here.store.database, profile_of(here), study)


def _task(here: Site, study: str, segment: UUID, annotator: str, rules: StudyRules) -> Task:
    task = here.queue.task(study, segment, annotator, rules)
    if task is None:
        raise HTTPException(404, "nobody was asked about this segment; go on in the queue")
    return task


def _seconds(here: Site, task: Task, rules: StudyRules) -> float | None:
    """Time since it came on the screen, in seconds; at most the lock's, for those who went away."""
    if task.since is None:
        return None
    return min(max(0.0, (here.clock.now() - task.since).total_seconds()), rules.lock_minutes * 60)


def _onward(request: Request, here: Site, annotator: str, rules: StudyRules, note: str = "") -> Response:
    """The next segment: at once for HTMX, by a fresh page (which can be reloaded) for everybody else."""
    if request.headers.get("HX-Request"):
        return _next(request, here, annotator, rules, note)
    return RedirectResponse(f"/s/{quote(rules.study)}/queue" + (f"?note={note}" if note else ""), status_code=303)


def _next(request: Request, here: Site, annotator: str, rules: StudyRules, note: str = "") -> HTMLResponse:
    task = here.queue.claim_next(rules.study, annotator, rules)
    return _page(request, here, annotator, rules, {"task": task, "note": _NOTES.get(note, "")})


def _page(
    request: Request, here: Site, annotator: str, rules: StudyRules, values: dict[str, object], *, status: int = 200
) -> HTMLResponse:
    study, task, nearby = rules.study, values["task"], here.nearby
    shown: dict[str, Any] = {
        "rules": rules,
        "waiting": here.queue.waiting(study, annotator, rules),
        "last": here.queue.last(study, annotator),
        "cause": uuid4(),
        "base": f"/s/{quote(study)}/queue",
    }
    if isinstance(task, Task):
        codes = nearby.codes(study)
        shown["system"] = system(task, codes)
        if not values.get("reveal"):
            shown |= offered(task, codes, nearby, values.get("entered"))
    return draw(request, "queue.html", {**shown, **values}, status=status)


def offered(task: Task, codes: CodeLookup, nearby: Nearby, entered: object = None) -> dict[str, Any]:
    """What can be ticked: the members' proposals, the nearest codes, and what was entered besides."""
    of_members, near = proposed(task, codes), nearest_suggestions(task, codes, nearby)
    return {"proposed": of_members, "near": near, "kept": _kept(entered, [*of_members, *(near or [])], codes)}


def _kept(entered: object, offered: list[Suggestion], codes: CodeLookup) -> list[tuple[str, str, str]]:
    """What was entered and is not offered: the field's name, its value and what to show, to be ticked again."""
    if not isinstance(entered, DecisionForm):
        return []
    there = {offer.code.id if offer.code else offer.label for offer in offered}
    unlisted = []
    for identity in entered.code:
        known = codes.get(identity)
        if identity not in there and known is not None:
            unlisted.append(("code", str(identity), known.label))
    return unlisted + [("new", label, label) for label in entered.new if label.strip() and label not in there]
