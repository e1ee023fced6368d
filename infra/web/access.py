"""Who is asking, and what they may: sessions, tokens, roles, CSRF, security headers."""

from collections.abc import Callable, Collection
from typing import Annotated
from uuid import UUID

from fastapi import Depends, HTTPException, Request

from infra.accounts.accounts import AccountRole, Visitor
from infra.profiles.study_rules import rules_of
from infra.storage.blind import unread
from infra.web.site import Site, profile_of


def visitor_of(request: Request) -> Visitor:
    """Who is asking; raises 401 (a page is sent to the sign-in) where nobody has signed in."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    if visitor is None:
        raise HTTPException(401, "sign in first")
    return visitor


def needs(role: AccountRole) -> Callable[..., Visitor]:
    """A dependency: the visitor, if they have at least this role in the study of the path (else everywhere)."""

    def check(request: Request, visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
        if not visitor.may(role, request.path_params.get("study")):
            raise HTTPException(403, f"role '{role}' is needed here; ask who runs the study")
        return visitor

    check.role = role  # type: ignore[attr-defined]  # read by the test that asks every role for every route
    return check


Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Annotator = Annotated[Visitor, Depends(needs("annotator"))]
Lead = Annotated[Visitor, Depends(needs("lead"))]
Admin = Annotated[Visitor, Depends(needs("admin"))]


def unread_by(site: Site, visitor: Visitor, study: str, segments: Collection[UUID]) -> frozenset[UUID]:
    """Segments whose code this visitor may not see yet: somebody is to read them blind, perhaps they themselves."""
    if visitor.may("lead", study):
        return frozenset()
    rules = rules_of(site.store.database, profile_of(site), study)
    return unread(site.store.database, study, segments, every=rules.blind)
