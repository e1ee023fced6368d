"""The original of a masked segment: for who leads the study, where the installation has the key, and written down."""

from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from infra.masking.originals import read_original
from infra.web.access import InPerson, Lead
from infra.web.site import Here, draw

router = APIRouter()


@router.post("/s/{study}/segments/{segment}/original", response_class=HTMLResponse)
def show_original(
    request: Request, study: str, segment: UUID, site: Here, visitor: Lead, _person: InPerson
) -> HTMLResponse:
    """What masking took out of a segment. It is asked for by a form, so that the audit log has who saw it."""
    key = site.masking.key
    if key is None:
        raise HTTPException(409, "this installation has no key to open originals: QUALSTREAM_MASKING_KEY_FILE names it")
    fields = read_original(site.store.database, study, segment, key)
    return draw(request, "segment_original.html", {"segment": segment, "original": fields})
