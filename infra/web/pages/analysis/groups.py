"""Whether groups of segments are coded alike: error, acceptance, routing and reuse, by source, language, attribute."""

from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from infra.storage.analysis.coded_segments import FIXED, coded_segments
from infra.storage.analysis.crosstab import WITHOUT
from infra.web.access import Viewer
from infra.web.language.speech import looked_up
from infra.web.site import Here, draw
from models.evaluation.group_rates import OTHERS, GroupShare, compare_groups

router = APIRouter()


@router.get("/s/{study}/analysis/groups", response_class=HTMLResponse)
def show_groups(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """Every group beside the others; `qualstream bias` prints the same."""
    shares = compare_groups(coded_segments(site.store.database, study))
    tables = [
        (looked_up(by) if by in FIXED else by, [(_group(share), share) for share in each])
        for by, each in groupby(shares, lambda share: share.by)
    ]
    return draw(request, "analysis_groups.html", {"tables": tables})


def _group(share: GroupShare) -> str:
    """A group as a reader knows it: what we named ourselves is in their language, what their data has stays."""
    ours = share.by == "length" or share.group in (WITHOUT, OTHERS)
    return looked_up(share.group) if ours else share.group
