"""The switch in every page's foot: in which language somebody reads."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from infra.web.cookies import keep_language
from infra.web.errors import local_path
from infra.web.language.catalogs import languages
from infra.web.language.script_words import script_words
from models.errors import InputError

router = APIRouter()


@router.get("/language/overview.json")
def words_of_the_overview() -> dict[str, Any]:
    """What the live overview says: much of it stands on no page until something happens."""
    return script_words("overview")


@router.post("/language")
def choose_language(
    request: Request, language: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:
    """Keep a language in this browser's cookie and go back to the page; whoever has not signed in may as well."""
    if language not in languages():
        raise InputError(f"{language[:20]!r} is no language of this page; choose one of {', '.join(languages())}")
    return keep_language(request, language, RedirectResponse(local_path(next), 303))
