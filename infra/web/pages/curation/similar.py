"""Codes whose labels are near to each other, and how large the codebook is when they are merged."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from infra.annotation.codebook_view import Listed, listed
from infra.profiles.study_rules import refiner_settings
from infra.web.access import Viewer
from infra.web.site import Here, Site, draw, profile_of
from models.codebook.near_duplicates import MOST, LabelUse, NearCodes, near_duplicates, size_after

router = APIRouter()
LOWEST, HIGHEST = 0.4, 0.99
"""Between these the threshold is moved; under the lowest, labels have little to do with each other."""
_GROUPS = 100  # that a page shows


@dataclass(frozen=True)
class CodebookPreview:
    """What merging at a threshold comes to."""

    threshold: float
    codes: int
    """That the study has now."""
    after: int
    """That it has when all groups are merged."""
    groups: list[NearCodes]
    compared: int


@router.get("/s/{study}/codebook/similar", response_class=HTMLResponse)
def show_similar(
    request: Request,
    study: str,
    site: Here,
    visitor: Viewer,
    threshold: float | None = None,
    changed: str = "",
    event: str = "",
    fault: str = "",
) -> HTMLResponse:
    """The near codes at a threshold; moving it draws the list anew."""
    used = refiner_settings(profile_of(site)).of(study)
    at = min(max(used.value if threshold is None else threshold, LOWEST), HIGHEST)
    values: dict[str, Any] = {
        "preview": preview(site, study, at),
        "used": used,
        "at": at,
        "shown": _GROUPS,
        "cause": uuid4(),
    }
    values |= {"lowest": LOWEST, "highest": HIGHEST, "changed": changed, "event": event, "fault": fault}
    only_list = request.headers.get("HX-Request") and request.headers.get("HX-Target") == "similar"
    return draw(request, "codebook_similar_list.html" if only_list else "codebook_similar.html", values)


def preview(site: Site, study: str, threshold: float) -> CodebookPreview | None:
    """The near codes of a study; ``None`` while their labels are still being embedded."""
    embedded = site.nearby.embedded(study)
    if embedded is None:
        return None if site.nearby.codes(study).live else CodebookPreview(threshold, 0, 0, [], 0)
    codes, vectors = embedded
    uses = _uses(listed(site.store.database, study))
    rows = sorted(range(len(codes)), key=lambda row: -uses.get(codes[row].id, 0))[:MOST]
    compared = [LabelUse(codes[row].id, codes[row].label, uses.get(codes[row].id, 0)) for row in rows]
    groups = near_duplicates(compared, vectors[rows], threshold)
    return CodebookPreview(threshold, len(codes), size_after(len(codes), groups), groups, len(rows))


def _uses(every: list[Listed]) -> dict[object, int]:
    return {code.id: code.count for code in every}
