"""Naming a filter of the list of segments, for oneself or for the study, and forgetting it."""

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from infra.accounts.accounts import Visitor
from infra.annotation.saved_views import EVERYBODY, SavedView, remove_view, save_view
from infra.web.access import Viewer
from infra.web.site import Here

router = APIRouter()


class ViewForm(BaseModel):
    """A view, and whose it is."""

    name: str = ""
    query: str = Field(default="", max_length=4000)
    shared: bool = False


@router.post("/s/{study}/views")
def keep_view(study: str, site: Here, visitor: Viewer, form: Annotated[ViewForm, Form()]) -> RedirectResponse:
    """Keep a filter under a name; a lead may keep it for everybody."""
    name = " ".join(form.name.split())
    view = SavedView(name, form.query.lstrip("?"), _owner(study, visitor, shared=form.shared), visitor.name)
    save_view(site.store.database, study, view, site.clock.now())
    return _back(study, view.query)


@router.post("/s/{study}/views/remove")
def forget_view(study: str, site: Here, visitor: Viewer, form: Annotated[ViewForm, Form()]) -> RedirectResponse:
    """Forget one's own view; a lead forgets the study's too."""
    if not remove_view(site.store.database, study, _owner(study, visitor, shared=form.shared), form.name):
        raise HTTPException(404, "there is no such view; the list shows those that there are")
    return _back(study, form.query)


def _owner(study: str, visitor: Visitor, *, shared: bool) -> str:
    """Whose view it is.

    Raises:
        HTTPException: 403 where somebody who does not run the study means everybody's.
    """
    if shared and not visitor.may("lead", study):
        raise HTTPException(403, "views for everybody are a lead's; keep it for yourself")
    return EVERYBODY if shared else visitor.name


def _back(study: str, query: str) -> RedirectResponse:
    return RedirectResponse(f"/s/{quote(study)}/segments?{query or urlencode({'by': 'words'})}", status_code=303)
