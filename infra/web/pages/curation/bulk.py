"""Many codes merged, moved or retired in one act, which one click takes back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from infra.accounts.accounts import Visitor
from infra.annotation.codebook_view import listed
from infra.web.access import Lead
from infra.web.form_fields import OptionalId
from infra.web.site import Here, Site
from models.codebook.edits import Act, Curation
from models.errors import InputError
from schemas import CodeEvent

router = APIRouter()
MOST = 500
"""Codes that are changed in one act."""


class CodesForm(BaseModel):
    """Codes that were ticked, and what becomes of all of them."""

    code: list[UUID] = Field(default=[], max_length=MOST)
    action: Literal["merge", "move", "retire"]
    into: OptionalId = None
    """Of a merge: one of the ticked codes; none: the most used of them."""
    theme: OptionalId = None
    """Of a move; none: out of every theme."""
    cause: UUID
    reason: str = ""


class GroupsForm(BaseModel):
    """Codes that were ticked among those that are near to others."""

    pair: list[str] = Field(default=[], max_length=MOST)
    """``CODE=TARGET``: what becomes what."""
    cause: UUID
    reason: str = ""

    def groups(self) -> list[list[UUID]]:
        """The codes of each target, the target first."""
        groups: dict[UUID, list[UUID]] = {}
        for entry in self.pair:
            code, _, target = entry.partition("=")
            try:
                groups.setdefault(UUID(target), [UUID(target)]).append(UUID(code))
            except ValueError:
                raise InputError(f"{entry[:80]!r} names no two codes; tick codes of the list") from None
        return list(groups.values())


class UndoForm(BaseModel):
    """An event whose whole act is taken back."""

    event: UUID
    cause: UUID


@router.post("/s/{study}/codebook/bulk")
def change_many(study: str, site: Here, visitor: Lead, form: Annotated[CodesForm, Form()]) -> RedirectResponse:
    """Merge, move or retire every ticked code."""
    actions: Mapping[str, Callable[[Curation], list[CodeEvent]]] = {
        "merge": lambda curation: curation.merge_groups([_target_first(site, study, form)]),
        "move": lambda curation: curation.move_all(form.code, form.theme),
        "retire": lambda curation: [event for code in dict.fromkeys(form.code) for event in curation.retire(code)],
    }
    return _change(site, study, _act(site, visitor, form), "codebook", actions[form.action])


@router.post("/s/{study}/codebook/similar")
def merge_similar(study: str, site: Here, visitor: Lead, form: Annotated[GroupsForm, Form()]) -> RedirectResponse:
    """Merge every ticked code into the one that it is near to."""
    act = _act(site, visitor, form)
    return _change(site, study, act, "codebook/similar", lambda c: c.merge_groups(form.groups()))


@router.post("/s/{study}/codebook/undo")
def undo_act(study: str, site: Here, visitor: Lead, form: Annotated[UndoForm, Form()]) -> RedirectResponse:
    """Take back a change, with all that was done together with it."""
    act = Act(visitor.name, site.clock.now(), "", str(form.cause))
    return _change(site, study, act, "codebook/history", lambda curation: curation.undo_act(form.event))


def _change(
    site: Site, study: str, act: Act, back: str, events_of: Callable[[Curation], list[CodeEvent]]
) -> RedirectResponse:
    """Keep what an act comes to and go back; what cannot be done is told there."""
    try:
        with site.outbox.editing_codebook(study) as keep:
            events = events_of(Curation(site.store.code_events(study), study, act))
            if not events:
                raise InputError("no code is ticked; tick the codes that you mean")
            keep(events)
    except InputError as error:
        return _to(study, back, fault=str(error)[:300])
    return _to(study, back, changed=len(events), event=events[0].id)


def _target_first(site: Site, study: str, form: CodesForm) -> Sequence[UUID]:
    """The ticked codes with the one first that the others become."""
    counts = {code.id: code.count for code in listed(site.store.database, study)}
    target = form.into or max(form.code, key=lambda code: counts.get(code, -1), default=None)
    if target is None or len({*form.code, target}) < 2:
        raise InputError("at least two codes are merged; tick more")
    return [target, *(code for code in dict.fromkeys(form.code) if code != target)]


def _act(site: Site, visitor: Visitor, form: CodesForm | GroupsForm) -> Act:
    return Act(visitor.name, site.clock.now(), form.reason.strip()[:1000], str(form.cause))


def _to(study: str, path: str, **query: object) -> RedirectResponse:
    return RedirectResponse(f"/s/{quote(study)}/{path}?{urlencode(query)}", status_code=303)
