"""The switch in every page's foot: in which language somebody reads."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from infra.accounts.accounts import Visitor
from infra.web.access import InPerson
from infra.web.cookies import keep_language
from infra.web.errors import local_path
from infra.web.language.catalogs import languages
from infra.web.language.choice import is_language
from infra.web.language.script_words import script_words
from infra.web.site import Here
from models.errors import InputError

router = APIRouter()


@router.get("/language/overview.json")
def words_of_the_overview() -> dict[str, Any]:
    """What the live overview says: much of it stands on no page until something happens."""
    return script_words("overview")


@router.post("/language")
def choose_language(
    request: Request, site: Here, language: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:
    """Keep a language with the account of who has signed in, and in this browser, and go back to the page."""
    _check(language)
    visitor: Visitor | None = request.state.visitor
    if visitor is not None and not visitor.by_token:
        site.accounts.set_language(visitor.account, language)
    return keep_language(request, language, RedirectResponse(local_path(next), 303))


@router.post("/account/language")
def set_own_language(
    request: Request, site: Here, visitor: InPerson, language: Annotated[str, Form()] = ""
) -> Response:
    """Keep a language with one's account; with none, every browser has its own again."""
    if language:
        _check(language)
    site.accounts.set_language(visitor.account, language)
    return RedirectResponse("/account?done=language", 303)


def _check(language: str) -> None:
    if not is_language(language):
        raise InputError(f"{language[:20]!r} is no language of this page; choose one of {', '.join(languages())}")
