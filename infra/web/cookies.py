"""The page's cookies, the session's, the device's and the language's; their attributes are the same on every answer."""

import secrets
from datetime import timedelta

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.responses import Response as StarletteResponse

from infra.accounts.accounts import Visitor
from infra.accounts.open_sessions import LONGEST
from infra.web.language.choice import COOKIE_NAME
from infra.web.sessions import COOKIE, Session, Sessions
from infra.web.site import Site

DEVICE = "qualstream_device"
"""A browser from which somebody has signed in: other people's failures do not keep it out."""
_DEVICE_LASTS = timedelta(days=365)
_CHOICE_LASTS = timedelta(days=365)
_LONGEST_DEVICE = 100  # characters of its secret


def is_secure(request: Request) -> bool:
    """Whether the browser came by https: directly, through a proxy that may say so, or when its session began."""
    site: Site = request.app.state.site
    session: Session | None = getattr(request.state, "session", None)
    return (
        site.settings.web_tls
        or request.url.scheme == "https"
        or (session is not None and session.secure)
        or request.headers.get("origin", "").startswith("https:")
    )


def set_session(headers: MutableHeaders, value: str, *, secure: bool) -> None:
    """Set the session's cookie."""
    _set(headers, COOKIE, value, LONGEST, secure=secure)


def begin_session(request: Request, visitor: Visitor, answer: Response) -> Response:
    """Have an answer begin a session for somebody who proved who they are, in place of the one before."""
    sessions: Sessions = request.app.state.sessions
    secure = is_secure(request)
    if request.state.session is not None:
        sessions.end(request.state.session)
    set_session(answer.headers, sessions.write(sessions.begin(visitor, secure=secure)), secure=secure)
    request.state.visitor = visitor
    return answer


def end_session(request: Request, answer: Response) -> Response:
    """Have an answer end the session for good, and the browser forget what it kept."""
    sessions: Sessions = request.app.state.sessions
    if request.state.session is not None:
        sessions.end(request.state.session)
    _set(answer.headers, COOKIE, "", timedelta(), secure=is_secure(request))
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def device_of(request: Request) -> str:
    """The secret of the browser's device cookie; empty where it has none."""
    return request.cookies.get(DEVICE, "")[:_LONGEST_DEVICE]


def mark_device(request: Request, answer: Response) -> Response:
    """Have an answer give a browser that has none a device cookie; it is known once somebody signs in there."""
    if not device_of(request):
        _set(answer.headers, DEVICE, secrets.token_urlsafe(24), _DEVICE_LASTS, secure=is_secure(request))
    return answer


def keep_language(request: Request, language: str, answer: Response) -> Response:
    """Have an answer keep in which language this browser's person reads."""
    _set(answer.headers, COOKIE_NAME, language, _CHOICE_LASTS, secure=is_secure(request))
    return answer


def _set(headers: MutableHeaders, name: str, value: str, lasts: timedelta, *, secure: bool) -> None:
    cookie = StarletteResponse()
    seconds = int(lasts.total_seconds())
    cookie.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
    headers.append("set-cookie", cookie.headers["set-cookie"])
