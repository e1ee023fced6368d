"""Why a classifier gives a segment a code: what it made of it then, and what its words weigh now."""

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

from infra.storage.outcomes import names_now
from infra.storage.releases import history
from infra.storage.trace import Trace, trace
from infra.training.explain import Explainer
from infra.training.releases import classifier_of, serving
from infra.web.access import Viewer, unread_by
from infra.web.language.speech import N_
from infra.web.site import Here, Site, draw
from models.errors import InputError, QualstreamError, SettingError, UnavailableError
from schemas import Decision, ModelRelease

log = logging.getLogger(__name__)
router = APIRouter()


def explainer_of(app: FastAPI) -> Explainer:
    """What says why a classifier decided as it did; it loads nothing before it is asked."""
    if not hasattr(app.state, "explainer"):
        site: Site = app.state.site
        app.state.explainer = Explainer(site.settings.data_dir)
    explainer: Explainer = app.state.explainer
    return explainer


@router.get("/s/{study}/segments/{segment}/why", response_class=HTMLResponse)
def explain(
    request: Request, study: str, segment: UUID, site: Here, visitor: Viewer, code: UUID | None = None
) -> HTMLResponse:
    """Which words of a segment speak for one of the classifier's codes, and which against it."""
    segment_trace = trace(site.store.database, study, segment)
    if segment_trace is None:
        raise HTTPException(404, f"study '{study}' has no segment {segment}; look for it among its segments")
    if unread_by(site, visitor, study, [segment]):
        raise HTTPException(403, "the segment is to be read blind; what the classifier makes of it is shown after that")
    values: dict[str, Any] = {"segment": segment_trace.segment, "address": f"/s/{quote(study)}/segments/{segment}/why"}
    try:
        values |= _explained(request, segment_trace, code)
    except (InputError, SettingError, UnavailableError) as error:
        values |= {"told": None, "fault": _fault(error)}
    part = "segment_why.html" if "HX-Request" in request.headers else "why.html"
    return draw(request, part, values, status=422 if values["told"] is None else 200)


@dataclass(frozen=True)
class Guessed:
    """A code that the classifier gave a segment, and what it is called now."""

    id: UUID
    label: str
    now: str
    probability: float


def guessed(site: Site, decision: Decision | None) -> list[Guessed]:
    """What the classifier made of a segment when it was coded, best first; empty where it had none."""
    if decision is None or decision.classified is None:
        return []
    guesses = decision.classified.guesses
    with site.store.database.reading() as connection:
        names = names_now(connection, [guess.code_id for guess in guesses])
    return [
        Guessed(
            guess.code_id,
            guess.label,
            names[guess.code_id].label if guess.code_id in names else guess.label,
            guess.probability,
        )
        for guess in guesses
    ]


@dataclass(frozen=True)
class Asking:
    """The classifier that would say why."""

    release: ModelRelease
    loaded: bool


def classifier_now(request: Request, study: str) -> Asking | None:
    """The one that serves; none where none does."""
    site: Site = request.app.state.site
    release = serving(history(site.store.database, classifier_of(study)))
    return None if release is None else Asking(release, explainer_of(request.app).loaded(release))


def _explained(request: Request, segment_trace: Trace, code: UUID | None) -> dict[str, Any]:
    asking = classifier_now(request, segment_trace.segment.study)
    if asking is None:
        raise InputError("this study has no classifier yet; its page says what is missing")
    explanation = explainer_of(request.app).explain(asking.release, segment_trace.segment.text, code)
    then = None if segment_trace.decision is None else segment_trace.decision.classified
    return {"told": explanation, "changed": then is not None and then.model != explanation.version}


def _fault(error: QualstreamError) -> str:
    if isinstance(error, SettingError):
        log.warning("a classifier cannot be asked why: %s", error)
        return N_("the files of this classifier are not here, or not as they were released; the page's log says more")
    return str(error)
