"""Codes whose labels are near to each other, and how large the codebook is when they are merged."""

from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from infra.profiles.study_rules import refiner_settings, rules_of
from infra.web.access import Lead, Viewer
from infra.web.form_fields import EMPTY_IS_NONE
from infra.web.site import Here, Site, draw, profile_of
from models.refinement.study_thresholds import set_threshold
from models.refinement.thresholds import Threshold

router = APIRouter()
LOWEST, HIGHEST = 0.4, 0.99
"""Between these the threshold is moved; under the lowest, labels have little to do with each other."""
_GROUPS = 100  # that a page shows


class SimilarAsked(BaseModel):
    """The threshold that is looked at, and what was done just before."""

    threshold: float | None = None
    changed: str = ""
    event: str = ""
    fault: str = ""
    held: bool = False
    """Whether the threshold that is used was set."""


class ThresholdForm(BaseModel):
    """The similarity that a lead chose; none: as the profile has it, and as it is learned."""

    threshold: Annotated[Annotated[float, Field(ge=LOWEST, le=HIGHEST)] | None, EMPTY_IS_NONE] = None


@router.get("/s/{study}/codebook/similar", response_class=HTMLResponse)
def show_similar(
    request: Request, study: str, site: Here, visitor: Viewer, asked: Annotated[SimilarAsked, Query()]
) -> HTMLResponse:
    """The near codes at a threshold; moving it draws the list anew."""
    rules, default = rules_of(site.store.database, profile_of(site), study), _default(site, study)
    used = set_threshold(rules) or default
    at = min(max(used.value if asked.threshold is None else asked.threshold, LOWEST), HIGHEST)
    values: dict[str, Any] = {
        "preview": site.similar.preview(study, at),
        "used": used,
        "default": default,
        "chosen": rules.reuse_threshold is not None,
        "at": at,
        "shown": _GROUPS,
        "cause": uuid4(),
        "lowest": LOWEST,
        "highest": HIGHEST,
    }
    values |= asked.model_dump(exclude={"threshold"})
    only_list = request.headers.get("HX-Request") and request.headers.get("HX-Target") == "similar"
    return draw(request, "codebook_similar_list.html" if only_list else "codebook_similar.html", values)


@router.post("/s/{study}/codebook/similar/threshold")
def use_threshold(
    request: Request, study: str, site: Here, visitor: Lead, form: Annotated[ThresholdForm, Form()]
) -> RedirectResponse:
    """Have the study's codes used again from this similarity on; it holds from the refiner's next batch."""
    rules = rules_of(site.store.database, profile_of(site), study)
    given = {"reuse_threshold": form.threshold, "author": visitor.name, "at": site.clock.now()}
    site.write([rules.model_copy(update=given)])
    request.state.subject = "threshold: " + ("the default" if form.threshold is None else f"{form.threshold:.2f}")
    shown = form.threshold or _default(site, study).value
    return RedirectResponse(f"/s/{quote(study)}/codebook/similar?held=true&threshold={shown:.2f}", 303)


def _default(site: Site, study: str) -> Threshold:
    """The study's threshold where nobody has set one."""
    return refiner_settings(profile_of(site)).of(study)


def alike(site: Site, study: str) -> int:
    """How many codes look like another one at the threshold that the study uses; 0 until that is known."""
    used = set_threshold(rules_of(site.store.database, profile_of(site), study)) or _default(site, study)
    return site.similar.pairs(study, min(max(used.value, LOWEST), HIGHEST))
