"""What of a request goes into the audit log: whatever changes something, and whatever carries a study's data away."""

import logging
from typing import Any

from fastapi import Request

from infra.accounts.accounts import Visitor
from infra.accounts.audit import NOBODY, AuditLog
from infra.web.errors import SAFE
from models.errors import QualstreamError

log = logging.getLogger(__name__)
_SECRETS = ("secret",)
"""Parameters of a path that would let somebody in."""
_CARRIES_AWAY = (
    *("/export/{what}", "/studies/{study}/segments", "/studies/{study}/labels"),
    *("/agreement/figures.json", ".csv", ".jsonl"),  # whatever is a file
)
_OWN = ("/language", "/account/language")
"""What changes nothing but how the asker reads."""
_NOT_KEPT = (400, 401, 403, 404, 405, 408, 413, 429)
"""Answers to strangers that would let anybody fill the log."""


def belongs(request: Request) -> bool:
    """Whether a request that was answered belongs in the log."""
    if _route(request) in _OWN:
        return False
    return request.method not in SAFE or _route(request).endswith(_CARRIES_AWAY)


def note(request: Request, audit: AuditLog, status: int) -> None:
    """Add a request that belongs there to the log; the answer has been given by then."""
    visitor: Visitor | None = request.state.visitor
    route = _route(request)
    if visitor is None and (status in _NOT_KEPT or not route):
        return
    try:
        audit.add(
            NOBODY if visitor is None else visitor.name,
            "token" if visitor is not None and visitor.by_token else "session",
            f"{request.method} {route}",
            scope=request.path_params.get("study"),
            subject=request.state.subject or _parameters(request.path_params),
            address=address_of(request),
            status=status,
        )
    except QualstreamError as error:  # the answer is given: all that is left is to say that it was not written down
        log.error("not in the audit log: %s %s by %s: %s", request.method, route, visitor and visitor.name, error)


def address_of(request: Request) -> str:
    """Where a request came from; behind a proxy that the settings name, where the proxy had it from."""
    return request.client.host if request.client else "unknown"


def _route(request: Request) -> str:
    return getattr(request.scope.get("route"), "path", "")


def _parameters(parameters: dict[str, Any]) -> str:
    kept = {name: value for name, value in parameters.items() if name != "study" and name not in _SECRETS}
    return ", ".join(f"{name} {value}" for name, value in kept.items())
