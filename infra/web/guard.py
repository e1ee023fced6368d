"""What every request passes: host, size, session, origin; and what every answer carries."""

import logging
import re
from asyncio import timeout
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.accounts.accounts import Visitor
from infra.settings import Settings
from infra.web.audit_trail import belongs, note
from infra.web.cookies import is_secure, set_session
from infra.web.errors import SAFE, SIGN_IN, answer_fault
from infra.web.health import PROBES
from infra.web.language.choice import is_language, language_of
from infra.web.language.speech import speak, speaking, spoken
from infra.web.sessions import COOKIE, Session, Sessions
from infra.web.site import Site
from models.errors import UnavailableError

log = logging.getLogger(__name__)
OPEN = re.compile(r"/signin|/language|/setup/[^/]+")
"""What may be sent without having signed in."""
_LISTEN_S = 10.0  # how long a stream goes on after its session has ended
SMALL, LARGE = 2_000_000, 50_000_000
"""The most bytes of a body."""
SMALL_S, LARGE_S = 30.0, 300.0
"""How long a body may take to arrive."""
_LARGE = re.compile(r"/s/[^/]+/(import|texts)|/studies/new")
_STUDY = re.compile(r"/s/([^/]*)(/.*)?", re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.\-]+))(?::\d{1,5})?")
_ONLY_HTTPS = "max-age=31536000"
"""Where the page is reached by https it is, from then on, reached by nothing else: for a year."""
_STUDY_NAME = re.compile(r"[\w.\- ]{1,80}")
_AT_HOME = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """The outermost layer: nothing reaches a page that may not, and no answer leaves without its headers."""

    def __init__(self, app: ASGIApp, site: Site, sessions: Sessions) -> None:
        """Stand before an application."""
        self._app = app
        self._site = site
        self._sessions = sessions
        self._hosts = allowed_hosts(site.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        with speaking(language_of(request, self._site.settings.web_language)):
            await self._answer(request, scope, receive, send)

    async def _answer(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send, "no-cache" if request.scope["path"].startswith("/static/") else "no-store")
        try:
            await self._pass(request, _limited(request, receive), answer)
        except _SessionOver:
            log.info("a stream ended with its session")
        except Exception as error:
            if answer.started:
                raise
            if not isinstance(error, HTTPException | UnavailableError):
                log.exception("%s %s", request.method, request.scope["path"])
            await (await answer_fault(request, error))(scope, receive, answer)
        if belongs(request):
            await run_in_threadpool(note, request, self._site.audit, answer.status)

    async def _pass(self, request: Request, receive: Receive, answer: "_Answer") -> None:
        state, scope = request.state, request.scope
        state.visitor, state.session, state.csrf, state.subject = None, None, "", ""
        answer.secure = is_secure(request)
        if request.scope["path"] not in PROBES:
            self._check_address(request)
        if not request.scope["path"].startswith("/static/"):
            if "authorization" in request.headers:
                state.visitor = await self._by_token(request)
            else:
                await self._by_cookie(request, answer)
            self._check_sender(request)
        answer.secure = is_secure(request)
        if state.visitor is not None:
            answer.still = partial(self._still, request)
        await self._app(scope, receive, answer)

    def _check_address(self, request: Request) -> None:
        """Answer only under the names that are ours (another site's name may be made to lead here)."""
        name = host_of(request.headers.get("host", ""))
        if name not in self._hosts:
            raise HTTPException(
                400, f"this page is not served as '{name[:80]}'; its names are set by QUALSTREAM_WEB_HOSTS"
            )
        study = _STUDY.fullmatch(request.scope["path"])
        if study and not _STUDY_NAME.fullmatch(unquote(study[1])):
            raise HTTPException(404, "there is no such study")

    async def _by_token(self, request: Request) -> Visitor:
        visitor = None
        if request.headers["authorization"].casefold().startswith("bearer "):
            visitor = await run_in_threadpool(self._site.accounts.by_token, _secret(request))
        if visitor is None:
            raise HTTPException(401, "this token is not known, or expired", {"WWW-Authenticate": "Bearer"})
        return visitor

    async def _by_cookie(self, request: Request, answer: "_Answer") -> None:
        state, sessions = request.state, self._sessions
        session = sessions.read(request.cookies.get(COOKIE))
        if session is not None and session.account is not None:
            state.visitor = await self._of_session(session)
            if state.visitor is None:
                session = None
            elif is_language(state.visitor.language):
                speak(state.visitor.language)
        anew = session is None and request.method in SAFE and OPEN.fullmatch(request.scope["path"]) is not None
        if anew:
            session = sessions.begin(secure=is_secure(request))
        if session is not None:
            state.session, state.csrf = session, sessions.csrf(session)
            if anew or sessions.renew(session):
                set_session(answer.cookies, sessions.write(session), secure=is_secure(request))

    async def _of_session(self, session: Session) -> Visitor | None:
        assert session.account is not None
        by_session = self._site.accounts.by_session
        return await run_in_threadpool(by_session, session.id, session.account, session.epoch)

    async def _still(self, request: Request) -> bool:
        """Whether a visitor may still listen to a stream that was opened some time ago."""
        if request.state.visitor.by_token:
            return (await run_in_threadpool(self._site.accounts.by_token, _secret(request))) is not None
        return (await self._of_session(request.state.session)) is not None

    def _check_sender(self, request: Request) -> None:
        """Whatever changes something comes from a page of ours, or from a program with a token."""
        visitor = request.state.visitor
        if request.method in SAFE or (visitor is not None and visitor.by_token):
            return
        origin = request.headers.get("origin")
        foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if foreign or (origin is not None and urlsplit(origin).netloc != request.headers.get("host")):
            raise HTTPException(403, "this was sent from another site's page; open the page here and send it again")
        if visitor is None and not OPEN.fullmatch(request.scope["path"]):
            raise HTTPException(401, SIGN_IN)


def _secret(request: Request) -> str:
    return request.headers["authorization"].partition(" ")[2].strip()


class _SessionOver(Exception):
    """Ends a stream whose listener may not listen any more."""


class _Answer:
    """Sends an answer with the headers that every one carries; a stream of events ends when its session does."""

    def __init__(self, send: Send, cache: str) -> None:
        self._send = send
        self._cache = cache
        self.cookies = MutableHeaders()
        self.started = False
        self.status = 0
        self.secure = False
        self.still: Callable[[], Awaitable[bool]] | None = None
        self._checked: float | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            if self.secure:
                headers["Strict-Transport-Security"] = _ONLY_HTTPS
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", self._cache)
            if headers.get("content-type", "").startswith("text/html"):
                headers.setdefault("Content-Language", spoken())
                headers.add_vary_header("Cookie, Accept-Language")
            given = headers.getlist("set-cookie")
            for cookie in self.cookies.getlist("set-cookie"):
                if not any(header.startswith(f"{COOKIE}=") for header in given):  # a page's own, as at sign-in, wins
                    headers.append("set-cookie", cookie)
            if headers.get("content-type", "").startswith("text/event-stream"):
                self._checked = monotonic()
        elif self._checked is not None and monotonic() - self._checked > _LISTEN_S:
            await self._check()
        await self._send(message)

    async def _check(self) -> None:
        self._checked = monotonic()
        if self.still is not None and not await self.still():
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _SessionOver


def _limited(request: Request, receive: Receive) -> Receive:
    """Read no more of a body than is allowed, and for no longer."""
    large = _LARGE.fullmatch(request.scope["path"]) is not None
    most, until = LARGE if large else SMALL, monotonic() + (LARGE_S if large else SMALL_S)
    too_large = HTTPException(413, f"this is too large; at most {most // 1_000_000} MB are taken")
    taken, whole = 0, False

    async def limited() -> Message:
        nonlocal taken, whole
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_large
        if whole:  # what comes now is the end of the connection, for which an answer may wait
            return await receive()
        try:
            async with timeout(until - monotonic()):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "this took too long to arrive; send it again") from None
        taken += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if taken > most:
            raise too_large
        return message

    return limited


def host_of(value: str) -> str:
    """The name in a Host header, without port; empty where it is none."""
    match = _HOST.fullmatch(value)
    return (match[1] or match[2]).casefold() if match else ""


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """The names under which the page may be asked for."""
    listens = () if settings.web_host in ("0.0.0.0", "::") else (settings.web_host,)  # noqa: S104 - compared only
    return frozenset(name.casefold() for name in (*_AT_HOME, *listens, *settings.web_hosts))


async def check_csrf(request: Request) -> None:
    """A dependency of the whole application: what changes something carries the session's token.

    Raises:
        HTTPException: 403 where it does not; nothing was changed then.
    """
    visitor: Visitor | None = request.state.visitor
    if request.method in SAFE or (visitor is not None and visitor.by_token):
        return
    given: Any = request.headers.get("x-csrf-token")
    if given is None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            given = (await request.form()).get("csrf")
    sessions: Sessions = request.app.state.sessions
    session: Session | None = request.state.session
    if session is None or not isinstance(given, str) or not sessions.is_csrf(session, given):
        raise HTTPException(403, "this form is too old; open the page again and send it once more")
