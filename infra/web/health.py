"""Whether the page lives, and whether it can do its work: for what watches over it, without signing in."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from sqlalchemy import text

from infra.web.site import Here

router = APIRouter()
PROBES = frozenset({"/healthz", "/readyz"})
"""Asked by an address of the machine's rather than by the page's name; they tell nothing of what is kept."""


@router.get("/healthz", response_class=PlainTextResponse)
def lives() -> str:
    """The process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
def ready(site: Here) -> str:
    """The database answers; where it does not, the status is 503."""
    with site.store.database.reading() as connection:
        connection.execute(text("SELECT 1"))
    return "ready"
