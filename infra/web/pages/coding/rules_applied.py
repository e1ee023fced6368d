"""The rules in force applied to what is coded already: which of it people would be asked about, and asking."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from infra.profiles.study_rules import rules_of
from infra.routing.coded_already import NewQuestions, apply_rules
from infra.training.loader import out_of_fold_loader
from infra.web.access import Lead
from infra.web.language.speech import N_
from infra.web.site import Here, Site, draw, profile_of
from schemas import AnnotationRequest, StudyRules
from schemas.annotation import RequestReason

router = APIRouter()
REASONS: dict[RequestReason, str] = {
    "low confidence": N_("because of their confidence"),
    "double coding": N_("to be coded by two people"),
    "not in the codebook": N_("because their code is not in the codebook"),
    "every segment": N_("because people code every segment"),
    "audit": N_("drawn by chance, to be read blind"),
}
"""Why rules ask about segments, in plain words."""


@router.get("/s/{study}/rules/coded", response_class=HTMLResponse)
def show_questions(request: Request, study: str, site: Here, lead: Lead, asked: str = "") -> HTMLResponse:
    """How many of the coded segments people would be asked about; nothing is asked yet."""
    rules = rules_of(site.store.database, profile_of(site), study)
    return draw(request, "rules_coded.html", _values(rules, _applied(site, rules), asked))


@router.post("/s/{study}/rules/coded")
def ask_people(request: Request, study: str, site: Here, lead: Lead) -> RedirectResponse:
    """Ask people about them."""
    rules = rules_of(site.store.database, profile_of(site), study)
    questions = _applied(site, rules, site.outbox.keep)
    request.state.subject = f"asked about {questions.asked} segments"
    return RedirectResponse(f"/s/{quote(study, safe='')}/rules/coded?asked={questions.asked}", 303)


def _applied(
    site: Site, rules: StudyRules, keep: Callable[[Sequence[AnnotationRequest]], None] | None = None
) -> NewQuestions:
    taught = out_of_fold_loader(site.settings.data_dir)
    return apply_rules(site.store.database, rules, site.clock.now(), taught, keep)


def _values(rules: StudyRules, questions: NewQuestions, asked: str) -> dict[str, Any]:
    return {
        "rules": rules,
        "questions": questions,
        "reasons": [(words, n) for reason, words in REASONS.items() if (n := questions.reasons.get(reason))],
        "asked": int(asked) if asked.isascii() and asked.isdecimal() else None,
    }
