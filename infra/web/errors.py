"""What goes wrong, as a page for people and as JSON for programs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import DataError, StatementError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from infra.accounts.attempts import TooManyAttempts
from infra.files.sandbox import ReadersBusy
from infra.web.language.form_words import capital
from infra.web.language.speech import N_, gettext
from infra.web.site import draw
from models.errors import InputError, QualstreamError, SettingError, UnavailableError

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing."""
SIGN_IN = "sign in first; a program sends a token of the account page in a header: Authorization: Bearer qs_..."
_TITLES = {
    400: N_("This cannot be answered"),
    401: N_("Please sign in"),
    403: N_("This is not yours to do"),
    404: N_("There is nothing here"),
    405: N_("This cannot be done here"),
    408: N_("That took too long"),
    409: N_("Somebody was quicker"),
    413: N_("That is too large"),
    422: N_("Something is missing or wrong"),
    429: N_("Too many attempts"),
    500: N_("Something went wrong"),
    503: N_("Away for the moment"),
}
_UNEXPECTED = N_(
    "Nothing was lost, and it stands in the page's log. Try again; if it stays, tell whoever runs the page."
)
_AWAY = N_("The database does not answer now. What you sent just then was not saved: send it again in a moment.")
_UNFIT = N_("A number or a time here is out of bounds, or a text holds what no text has; correct it and send it again.")
_NOT_SET_UP = N_("The page is not set up as it must be; its log says what to change.")
_NO_SUCH_PAGE = N_("No page has this address; go on from the studies.")


def handle_faults(app: FastAPI) -> None:
    """Have every error that a page raises answered here."""

    async def handle(request: Request, error: Exception) -> Response:
        return await answer_fault(request, error)

    for kind in (StarletteHTTPException, RequestValidationError, QualstreamError, DataError):
        app.add_exception_handler(kind, handle)


async def answer_fault(request: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    status, sentence, headers = _answer_of(error)
    if wants_json(request):
        return JSONResponse({"detail": sentence}, status, headers)
    if status == 401:
        return sign_in_first(request, sentence)
    values = {"status": status, "title": gettext(_TITLES.get(status, HTTPStatus(status).phrase)), "said": sentence}
    page = await run_in_threadpool(draw, request, "error.html", values, status=status)
    page.headers.update(headers)
    return page


def wants_json(request: Request) -> bool:
    """Whether a program asks."""
    accepted = request.headers.get("accept", "")
    if request.scope["path"].startswith("/api/"):
        return True
    return "authorization" in request.headers or ("json" in accepted and "html" not in accepted)


def sign_in_first(request: Request, sentence: str) -> Response:
    """Lead to the sign-in, and from there back to the page that was open."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"], safe="/") + (f"?{query}" if query else "")
    if request.headers.get("HX-Request"):
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        where = f"/signin?next={quote(shown.path + (f'?{shown.query}' if shown.query else ''), safe='/')}"
        return Response(sentence, 401, {"HX-Redirect": where}, "text/plain")
    if request.method not in ("GET", "HEAD"):
        path = urlsplit(request.headers.get("referer", "")).path or "/"
    return RedirectResponse(f"/signin?next={quote(path, safe='/')}", 303)


def local_path(path: str) -> str:
    r"""A path of this page to go on to; ``/`` where somebody wrote an address elsewhere (``//host``, ``/\host``)."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain and not parts.scheme and not parts.netloc else "/"


def _answer_of(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, sentence and headers of an error's answer."""
    match error:
        case StarletteHTTPException():
            plain = error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase
            answer = error.status_code, _NO_SUCH_PAGE if plain else str(error.detail), dict(error.headers or {})
        case RequestValidationError():
            answer = 422, "; ".join(_field(fault) for fault in error.errors()[:5]), {}
        case TooManyAttempts():
            answer = 429, capital(str(error)), {"Retry-After": str(error.wait_s)}
        case ReadersBusy():
            answer = 503, capital(str(error)), {"Retry-After": "5"}
        case DataError() | StatementError(orig=OverflowError() | ValueError()) | OverflowError():
            answer = 422, _UNFIT, {}
        case InputError():
            answer = 422, capital(str(error)), {}
        case UnavailableError():
            answer = 503, _AWAY, {"Retry-After": "5"}
        case SettingError():
            answer = 500, _NOT_SET_UP, {}
        case _:
            answer = 500, _UNEXPECTED, {}
    return answer


def _field(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"][1:]) or "the request"
    return f"{place}: {str(fault['msg']).removeprefix('Value error, ')}"
