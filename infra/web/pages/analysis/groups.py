"""Whether groups of segments are coded alike: error, acceptance, routing and reuse, by source, language, attribute."""

from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from infra.storage.analysis.coded_segments import coded_segments
from infra.web.access import Viewer
from infra.web.site import Here, draw
from models.evaluation.group_rates import compare_groups

router = APIRouter()


@router.get("/s/{study}/analysis/groups", response_class=HTMLResponse)
def show_groups(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """Every group beside the others; `qualstream bias` prints the same."""
    shares = compare_groups(coded_segments(site.store.database, study))
    tables = [(by, list(each)) for by, each in groupby(shares, lambda share: share.by)]
    return draw(request, "analysis_groups.html", {"tables": tables})
