"""How well coders agree, what they disagree on, and settling it."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from infra.annotation.agreement import CONVENTION, MEANINGS, StudyAgreement, study_agreement, to_csv
from infra.annotation.disputes import DisputedSegment, disagreements, read_case
from infra.profiles.study_rules import rules_of
from infra.web.access import Lead, Viewer, hides, unread_by
from infra.web.pages.coding.spans import visible_spans
from infra.web.site import Here, Site, draw, profile_of
from models.annotation.adjudication import AdjudicationChoice, adjudicate, withdraw
from models.annotation.span_agreement import span_agreement
from models.errors import InputError

MOST = 50
"""Disagreements listed at once."""

router = APIRouter()


class AdjudicationForm(BaseModel):
    """The form that settles a segment; see ``models.annotation.adjudication.AdjudicationChoice``."""

    form: UUID
    code: list[UUID] = []
    label: str = ""
    none_fits: bool = False
    memo: str = ""


@router.get("/s/{study}/agreement")
def page(request: Request, site: Here, viewer: Viewer, study: str, models: bool = False) -> HTMLResponse:
    """All figures, and what is left to settle."""
    database = site.store.database
    open_, count = disagreements(database, study, MOST)
    hidden = unread_by(site, viewer, study, [each.segment_id for each in open_])
    marked = visible_spans(site, study, hides(site, viewer, study))
    values = {
        "agreement": study_agreement(database, study, with_models=models),
        "goal": rules_of(database, profile_of(site), study).double_share,
        "open": [each for each in open_ if each.segment_id not in hidden],
        "count": count,
        "overlaps": span_agreement(marked),
        "span_labels": {code: label for span in marked for code, label in span.codes},
        "convention": CONVENTION,
        "meanings": MEANINGS,
    }
    return draw(request, "agreement.html", values)


@router.get("/s/{study}/agreement/figures.json")
def as_json(site: Here, _viewer: Viewer, study: str, models: bool = False) -> Response:
    """All figures, for programs."""
    agreement = study_agreement(site.store.database, study, with_models=models)
    return JSONResponse(agreement.to_json(), headers=_download(agreement, "json"))


@router.get("/s/{study}/agreement/figures.csv")
def as_csv(site: Here, _viewer: Viewer, study: str, models: bool = False) -> Response:
    """All figures, a line each."""
    agreement = study_agreement(site.store.database, study, with_models=models)
    return Response(to_csv(agreement), media_type="text/csv; charset=utf-8", headers=_download(agreement, "csv"))


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


def _download(agreement: StudyAgreement, ending: str) -> dict[str, str]:
    name = quote(f"agreement-{agreement.study}.{ending}")
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
