"""The audit log for those who run the page: who did what, when and from where."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from infra.accounts.audit import AuditEntry, AuditFilter
from infra.web.access import Admin, InPerson
from infra.web.site import Here, Site, draw

PAGE = 100
_MOST_SEQ = 2**63
router = APIRouter()


@router.get("/audit", response_class=HTMLResponse)
def show_audit(
    request: Request,
    site: Here,
    visitor: Admin,
    person: InPerson,
    actor: str = "",
    scope: str = "",
    action: str = "",
    before: str = "",
) -> HTMLResponse:
    """The newest entries that match, a page of them."""
    number = int(before) if before.isascii() and before.isdecimal() and int(before[:20]) < _MOST_SEQ else None
    narrowed = AuditFilter(actor.strip(), scope.strip(), action.strip(), number)
    entries = site.audit.newest(narrowed, PAGE + 1)
    shown = {"actor": narrowed.actor, "scope": narrowed.scope, "action": narrowed.action}
    more = urlencode({**shown, "before": entries[PAGE - 1].seq}) if len(entries) > PAGE else ""
    return draw(request, "audit.html", {"entries": entries[:PAGE], "asked": shown, "more": more})


@router.get("/audit.jsonl")
def download_audit(site: Here, visitor: Admin, person: InPerson) -> Response:
    """The whole log, an entry a line, oldest first."""
    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(site), media_type="application/x-ndjson", headers=headers)


def _lines(site: Site) -> Iterator[bytes]:
    for entry in site.audit.every():
        yield json.dumps(_as_json(entry), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _as_json(entry: AuditEntry) -> dict[str, object]:
    return {**asdict(entry), "at": entry.at.isoformat()}
