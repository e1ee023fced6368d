"""How well coders agree, what they disagree on, and settling it."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from infra.accounts.accounts import Visitor
from infra.annotation.agreement import CONVENTION, MEANINGS, study_agreement, to_csv
from infra.annotation.disputes import DisputedSegment, disagreements, read_case
from infra.annotation.part_agreement import OVERLAP_RULES, PartAgreement, compared, part_agreement
from infra.profiles.study_rules import rules_of
from infra.web.access import Lead, Viewer, hides, unread_by
from infra.web.pages.coding.spans import unread_segments
from infra.web.site import Here, Site, draw, profile_of
from models.annotation.adjudication import AdjudicationChoice, adjudicate, withdraw
from models.errors import InputError

MOST = 50
"""Disagreements listed at once."""
_CSV = "text/csv; charset=utf-8"

router = APIRouter()


class AdjudicationForm(BaseModel):
    """The form that settles a segment; see ``models.annotation.adjudication.AdjudicationChoice``."""

    form: UUID
    code: list[UUID] = []
    label: str = ""
    none_fits: bool = False
    memo: str = ""


@router.get("/s/{study}/agreement")
def page(
    request: Request, site: Here, viewer: Viewer, study: str, models: bool = False, overlap: str = "half"
) -> HTMLResponse:
    """All figures, and what is left to settle; parts are matched by one of ``OVERLAP_RULES``."""
    database = site.store.database
    open_, count = disagreements(database, study, MOST)
    hidden = unread_by(site, viewer, study, [each.segment_id for each in open_])
    values = {
        "agreement": study_agreement(database, study, with_models=models),
        "goal": rules_of(database, profile_of(site), study).double_share,
        "open": [each for each in open_ if each.segment_id not in hidden],
        "count": count,
        "parts": _parts(site, viewer, study, models),
        "compared": compared(models),
        "overlap": overlap if overlap in OVERLAP_RULES else "half",
        "overlap_rules": OVERLAP_RULES,
        "convention": CONVENTION,
        "meanings": MEANINGS,
    }
    return draw(request, "agreement.html", values)


@router.get("/s/{study}/agreement/figures.json")
def as_json(site: Here, viewer: Viewer, study: str, models: bool = False) -> Response:
    """All figures, for programs."""
    agreement = study_agreement(site.store.database, study, with_models=models)
    figures = {**agreement.to_json(), "parts": _parts(site, viewer, study, models).to_json()}
    return JSONResponse(figures, headers=_download(f"agreement-{study}.json"))


@router.get("/s/{study}/agreement/figures.csv")
def as_csv(site: Here, _viewer: Viewer, study: str, models: bool = False) -> Response:
    """All figures on whole segments, a line each."""
    agreement = study_agreement(site.store.database, study, with_models=models)
    return Response(to_csv(agreement), media_type=_CSV, headers=_download(f"agreement-{study}.csv"))


@router.get("/s/{study}/agreement/parts.csv")
def parts_as_csv(site: Here, viewer: Viewer, study: str, models: bool = False) -> Response:
    """All figures on marked parts, a line each."""
    content = _parts(site, viewer, study, models).to_csv()
    return Response(content, media_type=_CSV, headers=_download(f"agreement-parts-{study}.csv"))


@router.get("/s/{study}/agreement/{segment}")
def show_case(request: Request, site: Here, viewer: Viewer, study: str, segment: UUID) -> HTMLResponse:
    """One segment: who gave it what and why, and what the codes mean."""
    if unread_by(site, viewer, study, [segment]):
        raise HTTPException(403, "this segment is still to be read blind; its codes are shown once it has been")
    return _draw_case(request, _case(site, study, segment, viewer.name), AdjudicationChoice(str(uuid4())))


@router.post("/s/{study}/agreement/{segment}")
def adjudicate_case(
    request: Request, site: Here, lead: Lead, study: str, segment: UUID, form: Annotated[AdjudicationForm, Form()]
) -> Response:
    """Settle what a segment's codes are."""
    disputed = _case(site, study, segment, lead.name)
    choice = AdjudicationChoice(str(form.form), form.code, form.label, form.none_fits, form.memo)
    try:
        coded = adjudicate(disputed.case, choice, disputed.codes, lead.name, site.clock.now())
    except InputError as error:
        return _draw_case(request, disputed, choice, str(error))
    site.write(coded.records)
    return RedirectResponse(_address(study, segment), status_code=303)


@router.post("/s/{study}/agreement/{segment}/undo")
def withdraw_ruling(request: Request, site: Here, lead: Lead, study: str, segment: UUID) -> Response:
    """Take back what one settled oneself."""
    disputed = _case(site, study, segment, lead.name)
    try:
        records = withdraw(disputed.case, site.clock.now())
    except InputError as error:
        return _draw_case(request, disputed, AdjudicationChoice(str(uuid4())), str(error))
    site.write(records)
    return RedirectResponse(_address(study, segment), status_code=303)


def _case(site: Site, study: str, segment: UUID, name: str) -> DisputedSegment:
    disputed = read_case(site.store.database, study, segment, name)
    if disputed is None:
        raise HTTPException(
            404, f"study '{study}' has no segment {segment}; the list of disagreements shows those open"
        )
    return disputed


def _draw_case(
    request: Request, disputed: DisputedSegment, choice: AdjudicationChoice, fault: str = ""
) -> HTMLResponse:
    site: Site = request.app.state.site
    _, left = disagreements(site.store.database, disputed.case.segment.study, 0)
    values = {"disputed": disputed, "choice": choice, "fault": fault, "left": left}
    return draw(request, "disagreement.html", values, status=422 if fault else 200)


def _address(study: str, segment: UUID) -> str:
    return f"/s/{quote(study)}/agreement/{segment}"


def _parts(site: Site, viewer: Visitor, study: str, with_models: bool) -> PartAgreement:
    hidden = unread_segments(site, study, hides(site, viewer, study))
    return part_agreement(site.store.database, study, with_models=with_models, hidden=hidden)


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
