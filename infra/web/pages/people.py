"""Signing in and out, one's own account, everybody's accounts, and the studies that one may see."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from infra.accounts.accounts import EVERYWHERE, ROLES, Account, AccountRole, Visitor
from infra.accounts.attempts import TooManyAttempts
from infra.accounts.keys import LASTS, SCOPES
from infra.storage.studies import is_study, studies
from infra.web.access import Admin, InPerson, check_scope, visitor_of
from infra.web.audit_trail import address_of
from infra.web.cookies import begin_session, device_of, end_session, mark_device
from infra.web.errors import local_path
from infra.web.site import Here, Site, draw
from models.errors import InputError

router = APIRouter()
_DAYS = (7, 30, 90, 365)
FormField = Annotated[str, Form()]


@router.get("/", response_class=HTMLResponse)
def show_studies(request: Request, site: Here, visitor: Annotated[Visitor, Depends(visitor_of)]) -> Response:
    """The studies that the visitor may see; one alone is opened at once."""
    check_scope(visitor, "read")
    seen = [each for each in studies(site.store.database, site.clock.now()) if visitor.may("viewer", each.name)]
    named = {each.name for each in seen}
    empty = sorted(scope for scope in visitor.roles if scope != EVERYWHERE and scope not in named)
    if len(seen) == 1 and not empty and not visitor.may("lead", None):
        return RedirectResponse(f"/s/{seen[0].name}/", 303)
    return draw(request, "studies.html", {"studies": seen, "empty": empty, "may_begin": visitor.may("lead", None)})


@router.get("/signin", response_class=HTMLResponse)
def show_sign_in(request: Request, next: str = "/") -> Response:
    """The form to sign in."""
    if request.state.visitor is not None:
        return RedirectResponse(local_path(next), 303)
    return mark_device(request, draw(request, "signin.html", {"next": local_path(next), "name": "", "fault": None}))


@router.post("/signin")
def sign_in(
    request: Request, site: Here, name: FormField = "", password: FormField = "", next: FormField = "/"
) -> Response:
    """Sign in, and go on to where the visitor wanted to."""
    onward = local_path(next)
    request.state.subject = ", ".join(site.accounts.spelt(name[:200]))
    try:
        visitor = site.accounts.sign_in(name[:200], password, address_of(request), device_of(request))
    except (InputError, TooManyAttempts) as error:
        status, headers = (429, {"Retry-After": str(error.wait_s)}) if isinstance(error, TooManyAttempts) else (422, {})
        page = draw(request, "signin.html", {"next": onward, "name": name[:200], "fault": str(error)}, status=status)
        page.headers.update(headers)
        return page
    return begin_session(request, visitor, RedirectResponse(onward, 303))


@router.post("/signout")
def sign_out(request: Request, site: Here, visitor: InPerson, everywhere: FormField = "") -> Response:
    """End this session, or all of one's sessions."""
    if everywhere:
        site.accounts.sign_out(visitor.account)
    return end_session(request, RedirectResponse("/signin", 303))


@router.get("/setup/{secret}", response_class=HTMLResponse)
def show_setup(request: Request, secret: str, site: Here) -> Response:
    """The form that a one-time link leads to."""
    who = site.accounts.linked(secret)
    return mark_device(request, draw(request, "setup.html", {"who": who, "fault": None}, status=200 if who else 404))


@router.post("/setup/{secret}")
def set_up(request: Request, secret: str, site: Here, password: FormField = "", again: FormField = "") -> Response:
    """Set the password and sign in; the link is used up."""
    who = site.accounts.linked(secret)
    if who is None:
        return draw(request, "setup.html", {"who": None, "fault": None}, status=404)
    try:
        _same(password, again)
        visitor = site.accounts.set_by_link(secret, password)
    except InputError as error:
        return draw(request, "setup.html", {"who": who, "fault": str(error)}, status=422)
    site.accounts.recognise(visitor, address_of(request), device_of(request))
    return begin_session(request, visitor, RedirectResponse("/", 303))


# One's own account


@router.get("/account", response_class=HTMLResponse)
def show_account(request: Request, site: Here, visitor: InPerson) -> Response:
    """One's own roles, password and tokens."""
    return _account(request, site, visitor)


@router.post("/account/password")
def change_password(
    request: Request,
    site: Here,
    visitor: InPerson,
    old: FormField = "",
    password: FormField = "",
    again: FormField = "",
) -> Response:
    """Change one's password; other sessions end."""
    try:
        _same(password, again)
        where = address_of(request), device_of(request)
        changed = site.accounts.change_password(visitor.account, old, password, *where)
    except InputError as error:
        return _account(request, site, visitor, fault=str(error), status=422)
    return begin_session(request, changed, RedirectResponse("/account?done=password", 303))


@router.post("/account/tokens")
def make_token(
    request: Request,
    site: Here,
    visitor: InPerson,
    name: FormField = "",
    days: FormField = "",
    scope: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI makes a new one each time
) -> Response:
    """Make an API token; it is shown once."""
    request.state.subject = f"{name}: {' '.join(scope)}"
    try:
        lasts = timedelta(days=int(days)) if days in {str(each) for each in _DAYS} else LASTS
        secret = site.accounts.keys.make_token(visitor.account, name, lasts, scope)
    except InputError as error:
        return _account(request, site, visitor, token_fault=str(error), status=422)
    return _account(request, site, visitor, secret=secret)


@router.post("/account/tokens/{token}/revoke")
def revoke_token(token: UUID, site: Here, visitor: InPerson) -> Response:
    """End one of one's tokens."""
    site.accounts.keys.revoke_token(visitor.account, token)
    return RedirectResponse("/account", 303)


def _account(request: Request, site: Site, visitor: Visitor, *, status: int = 200, **more: Any) -> Response:
    values = {"tokens": site.accounts.keys.tokens(visitor.account), "days": _DAYS, "now": site.clock.now()}
    values |= {"scopes": SCOPES}
    messages = {"fault": None, "token_fault": None, "secret": None, "done": request.query_params.get("done")}
    return draw(request, "account.html", {**values, **messages, **more}, status=status)


# Everybody's accounts


@router.get("/people", response_class=HTMLResponse)
def show_people(request: Request, site: Here, visitor: Admin, person: InPerson) -> Response:
    """Every account with its roles."""
    return _people(request, site)


@router.post("/people")
def add_person(
    request: Request,
    site: Here,
    visitor: Admin,
    person: InPerson,
    name: FormField,
    role: FormField,
    scope: FormField = "",
) -> Response:
    """Make an account with a role; its one-time link is shown."""
    try:
        account_role = _role(role)
        request.state.subject = f"{name}: {role} in {scope.strip() or EVERYWHERE}"
        account = site.accounts.create(name)
        begun = _begun(site, scope)
        site.accounts.grant(account, scope.strip() or EVERYWHERE, account_role)
    except InputError as error:
        return _people(request, site, fault=str(error), status=422)
    link = _link(request, site, account)
    return _people(request, site, link_for=site.accounts.named(name), link=link, begun=begun)


@router.post("/people/{account}/link")
def link_person(request: Request, account: UUID, site: Here, visitor: Admin, person: InPerson) -> Response:
    """A new one-time link, for a password that was never set or is forgotten."""
    person_linked = _known(site, account)
    request.state.subject = person_linked.name
    return _people(request, site, link_for=person_linked, link=_link(request, site, account))


@router.post("/people/{account}/grant")
def grant_role(
    request: Request,
    account: UUID,
    site: Here,
    visitor: Admin,
    person: InPerson,
    role: FormField,
    scope: FormField = "",
) -> Response:
    """Give a role in a study or everywhere."""
    request.state.subject = f"{_known(site, account).name}: {role} in {scope.strip() or EVERYWHERE}"
    try:
        account_role, where = _role(role), scope.strip() or EVERYWHERE
        _keep_oneself(visitor, account, lowers=where == EVERYWHERE and account_role != "admin")
        begun = _begun(site, scope)
        site.accounts.grant(account, where, account_role)
    except InputError as error:
        return _people(request, site, fault=str(error), status=422)
    return _people(request, site, begun=begun) if begun else RedirectResponse("/people", 303)


@router.post("/people/{account}/revoke")
def revoke_role(
    request: Request, account: UUID, site: Here, visitor: Admin, person: InPerson, scope: FormField = ""
) -> Response:
    """Take a role away."""
    request.state.subject = f"{_known(site, account).name}: in {scope}"
    try:
        _keep_oneself(visitor, account, lowers=scope == EVERYWHERE)
        site.accounts.revoke(account, scope)
    except InputError as error:
        return _people(request, site, fault=str(error), status=422)
    return RedirectResponse("/people", 303)


@router.post("/people/{account}/disable")
def disable_person(
    request: Request, account: UUID, site: Here, visitor: Admin, person: InPerson, enable: FormField = ""
) -> Response:
    """Let nobody in by an account any more, or again."""
    request.state.subject = f"{_known(site, account).name}: {'enabled' if enable else 'disabled'}"
    try:
        _keep_oneself(visitor, account, lowers=not enable)
        site.accounts.disable(account, not enable)
    except InputError as error:
        return _people(request, site, fault=str(error), status=422)
    return RedirectResponse("/people", 303)


@router.post("/people/{account}/tokens/{token}/revoke")
def revoke_token_of(
    request: Request, account: UUID, token: UUID, site: Here, visitor: Admin, person: InPerson
) -> Response:
    """End somebody's token."""
    request.state.subject = f"{_known(site, account).name}: token {token}"
    site.accounts.keys.revoke_token(account, token)
    return RedirectResponse("/people", 303)


@router.post("/people/{account}/signout")
def sign_out_person(request: Request, account: UUID, site: Here, visitor: Admin, person: InPerson) -> Response:
    """End every session and token of an account."""
    request.state.subject = _known(site, account).name
    site.accounts.sign_out(account)
    return RedirectResponse("/people", 303)


def _people(request: Request, site: Site, *, status: int = 200, **more: Any) -> Response:
    names = [each.name for each in studies(site.store.database)]
    values = {"people": site.accounts.all(), "studies": names, "roles": ROLES}
    values |= {"tokens": site.accounts.keys.all_tokens(), "now": site.clock.now(), "scopes": SCOPES}
    messages = {"fault": None, "link_for": None, "link": None, "begun": ""}
    return draw(request, "people.html", {**values, **messages, **more}, status=status)


def _begun(site: Site, scope: str) -> str:
    """The study of a role, if there was none of that name."""
    study = scope.strip()
    return "" if study in ("", EVERYWHERE) or is_study(site.store.database, study) else study


def _link(request: Request, site: Site, account: UUID) -> str:
    return f"{str(request.base_url).rstrip('/')}/setup/{site.accounts.keys.link(account)}"


def _known(site: Site, account: UUID) -> Account:
    for each in site.accounts.all():
        if each.id == account:
            return each
    raise HTTPException(404, "there is no such account")


def _keep_oneself(visitor: Visitor, account: UUID, *, lowers: bool) -> None:
    if lowers and visitor.account == account:
        raise InputError("you cannot take your own admin role away; ask another admin to do it")


def _role(name: str) -> AccountRole:
    if name not in ROLES:
        raise InputError(f"role '{name[:20]}' found; {', '.join(ROLES)} expected")
    return name


def _same(password: str, again: str) -> None:
    if password != again:
        raise InputError("the two passwords differ; type the same twice")
