"""Who is asking, and what they may: sessions, tokens, roles, CSRF, security headers."""

from collections.abc import Callable, Collection
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, HTTPException, Request

from infra.accounts.accounts import AccountRole, Visitor
from infra.accounts.keys import Scope
from infra.profiles.study_rules import rules_of
from infra.storage.annotations import unread
from infra.storage.studies import is_study
from infra.web.errors import SAFE, SIGN_IN
from infra.web.site import Site, profile_of, site_of


def visitor_of(request: Request) -> Visitor:
    """Who is asking; raises 401 (a page is sent to the sign-in) where nobody has signed in."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    if visitor is None:
        raise HTTPException(401, SIGN_IN)
    return visitor


def check_scope(visitor: Visitor, scope: Scope) -> None:
    """See that a token was made for this; somebody in person may whatever their role lets them.

    Raises:
        HTTPException: 403 where it was not.
    """
    if scope not in visitor.scopes:
        raise HTTPException(403, f"this token was not made for it; scope '{scope}' is needed: make another token")


def needs(role: AccountRole, scope: Scope | None = None) -> Callable[..., Visitor]:
    """A dependency: the visitor, if they have at least this role in the study of the path (else everywhere).

    What reads is for studies that there are; what writes may begin one.

    Args:
        role: The least role.
        scope: What a token must have been made for; by default as method and role tell.
    """

    def check(request: Request, visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
        study = request.path_params.get("study")
        if not visitor.may(role, study):
            raise HTTPException(403, f"role '{role}' is needed here; ask who runs the study")
        check_scope(visitor, scope or _scope_of(request.method, role))
        if study and request.method in SAFE and not is_study(site_of(request).store.database, study):
            raise HTTPException(404, f"there is no study '{study}'; the list of studies has those that there are")
        return visitor

    check.role = role  # type: ignore[attr-defined]  # read by the test that asks every role for every route
    return check


def _scope_of(method: str, role: AccountRole) -> Scope:
    if method in SAFE:
        return "read"
    return "labels" if role == "annotator" else "manage"


Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Annotator = Annotated[Visitor, Depends(needs("annotator"))]
Lead = Annotated[Visitor, Depends(needs("lead"))]
Admin = Annotated[Visitor, Depends(needs("admin"))]


def _person(visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
    """Somebody in person: no token may make itself another, or let others in."""
    if visitor.by_token:
        raise HTTPException(403, "accounts are for people: sign in by name and password")
    return visitor


InPerson = Annotated[Visitor, Depends(_person)]


def hides(site: Site, visitor: Visitor, study: str) -> Literal["", "blind", "all"]:
    """Which segments' codes this visitor may not see yet: none, those to be read blind, or all that wait for a reading.

    Who may still have to read a segment blind sees neither its code nor its confidence, on no page and in no file. A
    lead runs the study and sees everything.
    """
    if visitor.may("lead", study):
        return ""
    return "all" if rules_of(site.store.database, profile_of(site), study).blind else "blind"


def unread_by(site: Site, visitor: Visitor, study: str, segments: Collection[UUID]) -> frozenset[UUID]:
    """Of some segments, a few hundred at most, those whose code this visitor may not see yet; see ``hides``."""
    hidden = hides(site, visitor, study)
    return unread(site.store.database, study, segments, every=hidden == "all") if hidden else frozenset()
