"""The study's rating studies: which there are, beginning one, ending one."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from infra.accounts.accounts import Visitor
from infra.annotation.rating.rating_draw import MOST_QUOTES, MOST_RATERS, code_sources, draw_quotes
from infra.annotation.rating.rating_studies import (
    RatingStudy,
    count_items,
    count_rated,
    end_rating,
    find_rating,
    list_ratings,
    start_rating,
)
from infra.profiles.study_rules import rules_of
from infra.web.access import Annotator, Lead
from infra.web.site import Here, Site, draw, profile_of
from models.errors import InputError

router = APIRouter()
_QUOTES, _RATERS = 10, 3  # as in the paper's study; raters enough to see whether they agree
_MOST_SEED = 2**31 - 1  # what an integer of the database holds


class StartForm(BaseModel):
    """What is to be compared, and by how many."""

    form: UUID
    source: list[str] = []
    quotes: int = Field(default=_QUOTES, ge=1, le=MOST_QUOTES)
    raters: int = Field(default=_RATERS, ge=1, le=MOST_RATERS)
    seed: int = Field(default=1, ge=0, le=_MOST_SEED)


@router.get("/s/{study}/ratings", response_class=HTMLResponse)
def show_ratings(request: Request, study: str, site: Here, visitor: Annotator) -> HTMLResponse:
    """What there is to rate, and for a lead the form that begins another."""
    return _draw_list(request, site, visitor, study)


@router.post("/s/{study}/ratings")
def begin(request: Request, study: str, site: Here, lead: Lead, form: Annotated[StartForm, Form()]) -> Response:
    """Draw quotes and begin."""
    known = code_sources(site.store.database, study)
    sources = tuple(name for name in known if name in form.source)
    rating = RatingStudy(form.form, study, sources, form.quotes, form.raters, form.seed, lead.name, site.clock.now())
    try:
        if not form.source:
            raise InputError("no source of codes was chosen; choose whose codes are to be rated")
        if strange := ", ".join(sorted({*form.source} - {*known})):
            raise InputError(f"this study has no codes of '{strange}'; choose among those that the form has")
        blind = rules_of(site.store.database, profile_of(site), study).blind
        start_rating(site.store.database, rating, draw_quotes(site.store.database, rating, blind=blind))
    except InputError as error:
        return _draw_list(request, site, lead, study, form, str(error))
    compared = ", ".join(sources)
    request.state.subject = (
        f"rating study {rating.id}: {compared}; {form.quotes} quotes, {form.raters} raters, seed {form.seed}"
    )
    return RedirectResponse(f"/s/{quote(study)}/ratings", 303)


@router.post("/s/{study}/ratings/{rating}/end")
def end(request: Request, study: str, rating: UUID, site: Here, lead: Lead) -> RedirectResponse:
    """Nobody rates any more, and whose each code is may be seen."""
    known = known_rating(site, study, rating)
    end_rating(site.store.database, study, known.id, site.clock.now())
    request.state.subject = f"rating study {known.id}"
    return RedirectResponse(f"/s/{quote(study)}/ratings/{known.id}/results", 303)


def known_rating(site: Site, study: str, rating: UUID) -> RatingStudy:
    """A rating study.

    Raises:
        HTTPException: 404 where the study has none such.
    """
    known = find_rating(site.store.database, study, rating)
    if known is None:
        raise HTTPException(404, f"study '{study}' has no rating study {rating}; the list shows those that there are")
    return known


def _draw_list(
    request: Request, site: Site, visitor: Visitor, study: str, form: StartForm | None = None, fault: str = ""
) -> HTMLResponse:
    database = site.store.database
    listed = list_ratings(database, study)
    values = {
        "ratings": listed,
        "rated": count_rated(database, study, visitor.name),
        "codes": count_items(database, study),
        "sources": code_sources(database, study) if visitor.may("lead", study) else [],
        "form": form,
        "cause": form.form if form else uuid4(),
        "quotes": form.quotes if form else _QUOTES,
        "raters": form.raters if form else _RATERS,
        "seed": form.seed if form else len(listed) + 1,
        "most_quotes": MOST_QUOTES,
        "most_raters": MOST_RATERS,
        "most_seed": _MOST_SEED,
        "fault": fault,
    }
    return draw(request, "ratings.html", values, status=422 if fault else 200)
