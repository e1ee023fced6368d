"""A new study on the page: its name, files, how they are read, and then its first segments."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from infra.accounts.accounts import Visitor
from infra.files.sandbox import TextsAsked
from infra.storage.studies import studies
from infra.web.access import needs
from infra.web.pages.texts import FilesAsked, TakingAsked, preview_page, reading_asked
from infra.web.site import Here, Site, draw, masking_values
from models.errors import InputError

router = APIRouter()
_NAME = re.compile(r"[\w.\- ]{1,80}")


Beginner = Annotated[Visitor, Depends(needs("lead", "ingest"))]
"""Who may begin a study: who leads all of them."""


@router.get("/studies/new", response_class=HTMLResponse)
def show_new(request: Request, site: Here, visitor: Beginner, name: str = "") -> HTMLResponse:
    """The form: name, file, and how the file is read."""
    return draw(request, "study_new.html", {"name": name[:80], **masking_values(site)})


@router.post("/studies/new", response_class=HTMLResponse)
def begin(
    request: Request,
    site: Here,
    visitor: Beginner,
    name: Annotated[str, Form(max_length=200)],
    file: FilesAsked,
    asked: Annotated[TextsAsked, Depends(reading_asked)],
    taking: TakingAsked,
) -> Response:
    """The preview of what the study would begin with; nothing is taken in yet."""
    study = _fresh(site, name)
    return preview_page(request, site, study, file, asked, taking)


@router.get("/studies/empty")
def open_empty(site: Here, visitor: Beginner, name: str) -> RedirectResponse:
    """A study without texts: its rules and codes can be set before the first segment comes."""
    return RedirectResponse(f"/s/{quote(_fresh(site, name))}/rules", 303)


def _fresh(site: Site, name: str) -> str:
    study = " ".join(name.split())
    if not _NAME.fullmatch(study):
        raise InputError(f"'{study[:80]}' is no name of a study; expected 1 to 80 letters, digits, spaces and . _ -")
    if any(each.name == study and each.segments for each in studies(site.store.database)):
        raise InputError(f"there is a study '{study}' already; bring texts in there, or choose another name")
    return study
