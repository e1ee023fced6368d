"""A study's rules: a form for who leads it, and beside it what people's labels say by them."""

import json
import math
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ValidationError

from infra.masking.originals import masked_in_study
from infra.profiles.study_rules import rules_of
from infra.routing.study_report import standing
from infra.storage.overview import newest_stage
from infra.training.loader import out_of_fold_loader
from infra.web.access import Lead, Viewer
from infra.web.language.speech import N_
from infra.web.site import Here, Site, draw, masking_values, profile_of
from models.errors import InputError
from models.routing.calibration import Bin
from schemas import StudyRules
from schemas.record import describe
from schemas.study import CodingMode, MaskingLevel, QueryStrategy

router = APIRouter()

_PERCENT = ("threshold", "wrong_share", "certainty", "doubtful_share", "audit_share", "double_share")
_OPTIONAL = {"budget_segments": 1_000_000, "budget_minutes": 1_440 * 100, "expire_days": 3_650}
_MOST = {name: 100 for name in _PERCENT} | {"lock_minutes": 1_440, "ask_segments": 1_000} | _OPTIONAL
_NEEDED = ("lock_minutes", "ask_segments")
_WHOLE = ("budget_segments", "ask_segments")
_NAMES = {
    "threshold": N_("Confidence"),
    "wrong_share": N_("Largest share of wrong codes"),
    "certainty": N_("Certainty"),
    "doubtful_share": N_("Offered to people"),
    "audit_share": N_("Drawn by chance"),
    "double_share": N_("Coded by two"),
    "budget_segments": N_("Segments a day"),
    "budget_minutes": N_("Minutes a day"),
    "lock_minutes": N_("Reserve a segment for (minutes)"),
    "expire_days": N_("Stop asking after (days)"),
    "ask_segments": N_("Segments after each training"),
}
STRATEGIES: dict[QueryStrategy, tuple[str, str]] = {
    "category-inconsistency": (
        N_("Category inconsistency"),
        N_(
            "those whose mix of codes is unlike any that people gave, and hard to rank. Best where a segment may have "
            "several codes."
        ),
    ),
    "prediction-entropy": (N_("Prediction entropy"), N_("those about whose codes it is most in doubt, all together.")),
    "least-confidence": (N_("Least confidence"), N_("those whose likeliest code is not likely.")),
    "breaking-ties": (N_("Breaking ties"), N_("those with two codes that are almost as likely as each other.")),
    "embedding-kmeans": (
        N_("Embedding k-means"),
        N_("those unlike each other, one from every corner of what came in."),
    ),
    "core-set": (N_("Core-set"), N_("those farthest from everything that has labels.")),
    "random": (N_("Random"), N_("drawn by chance, to compare with.")),
}
"""What the classifier asks about: the strategy's name, and the segments it chooses in plain words."""
CODING_MODES: dict[CodingMode, tuple[str, str]] = {
    "inductive": (
        N_("From the texts (inductive)"),
        N_("where no code of the codebook says the same, models open a new one."),
    ),
    "deductive": (
        N_("From the codebook only (deductive)"),
        N_(
            "models choose among its codes, by label, definition, inclusion and examples. Where none fits, people "
            "decide."
        ),
    ),
    "mixed": (
        N_("From both (mixed)"),
        N_(
            "models propose new codes. A proposal joins the codebook when a person chooses it; until then its segments "
            "go to people."
        ),
    ),
}
"""Where codes come from: the coding mode's name, and what it means in plain words."""
MASKING_LEVELS: dict[MaskingLevel, tuple[str, str]] = {
    "off": (N_("Kept as it comes"), N_("nothing is masked.")),
    "patterns": (
        N_("Patterns"),
        N_(
            "mail addresses, phone, account (IBAN) and card numbers, and attributes that are personal by their names, "
            "such as author and email, get placeholders such as [mail 1]; the same value always the same one."
        ),
    ),
    "names": (
        N_("Names as well"),
        N_("names of people and places too, as far as Presidio and its model know them."),
    ),
}
"""What is masked: the level's name, and what it means in plain words."""


class RulesForm(BaseModel):
    """The form as it was filled in: shares in percent, and what may stay empty as text."""

    mode: str = "threshold"
    coding_mode: str = ""
    threshold: str = ""
    wrong_share: str = ""
    certainty: str = ""
    doubtful_share: str = ""
    audit_share: str = ""
    double_share: str = ""
    blind: bool = False
    budget_segments: str = ""
    budget_minutes: str = ""
    lock_minutes: str = ""
    expire_days: str = ""
    strategy: str = ""
    ask_segments: str = ""
    masking: str = ""


@router.get("/s/{study}/rules")
def page(request: Request, site: Here, _viewer: Viewer, study: str, saved: bool = False) -> HTMLResponse:
    """The rules in force, and what labels say by them."""
    rules = _rules(site, study)
    return _draw(request, site, rules, _filled(rules), saved=saved)


@router.post("/s/{study}/rules")
def change(request: Request, site: Here, lead: Lead, study: str, form: Annotated[RulesForm, Form()]) -> Response:
    """Set new rules; they hold from the router's next batch on."""
    rules = _rules(site, study)
    try:
        if form.masking == "names" != rules.masking and (fault := site.masking.names_fault()):
            raise InputError(fault)
        site.write([read_rules(form, rules, study, lead.name).model_copy(update={"at": site.clock.now()})])
    except InputError as error:
        return _draw(request, site, rules, form, error=str(error))
    return RedirectResponse(f"/s/{quote(study, safe='')}/rules?saved=true", status_code=303)


def read_rules(form: RulesForm, before: StudyRules, study: str, author: str) -> StudyRules:
    """The rules that a form stands for; fields that its mode does not use may stay empty and are kept as they were.

    Raises:
        InputError: One line that names the field, what was found and what was expected.
    """
    values = before.model_dump(exclude={"study", "author"})
    given = form.model_dump()
    for name, most in _MOST.items():
        number = _number(name, given[name], most)
        if number is not None:
            values[name] = round(number / 100, 9) if name in _PERCENT else number
        elif name in _OPTIONAL:
            values[name] = None
    for name in _WHOLE:
        if values[name] is not None:
            values[name] = math.floor(values[name])
    values |= {"mode": form.mode, "blind": form.blind, "study": study, "author": author}
    values["strategy"] = form.strategy or before.strategy
    values["coding_mode"] = form.coding_mode or before.coding_mode
    values["masking"] = form.masking or before.masking
    if form.mode == "budget" and values["budget_segments"] is None and values["budget_minutes"] is None:
        raise InputError("A budget has no limit yet; give segments or minutes a day.")
    try:
        return StudyRules.model_validate(values)
    except ValidationError as error:
        raise InputError(f"These rules cannot be: {describe(error)}.") from None


def _number(name: str, text: str, most: float) -> float | None:
    """A number from a field; None where the field is empty."""
    if not text.strip():
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise InputError(f"{_NAMES[name]} is '{text.strip()[:20]}'; a number from 0 to {most:,} is expected.")
    if number == 0 and name in ("wrong_share", "certainty", "lock_minutes", "expire_days"):
        raise InputError(f"{_NAMES[name]} is 0; more than that is expected.")
    if number == most and name in ("wrong_share", "certainty"):
        raise InputError(f"{_NAMES[name]} is 100; less than that is expected.")
    return number


def _filled(rules: StudyRules) -> RulesForm:
    given = rules.model_dump()
    shares = {name: f"{given[name] * 100:g}" for name in _PERCENT}
    others = {name: "" if given[name] is None else f"{given[name]:g}" for name in (*_OPTIONAL, *_NEEDED)}
    plain = {name: given[name] for name in ("mode", "coding_mode", "blind", "strategy", "masking")}
    return RulesForm(**plain, **shares, **others)


def _rules(site: Site, study: str) -> StudyRules:
    return rules_of(site.store.database, profile_of(site), study)


def _draw(
    request: Request, site: Site, rules: StudyRules, form: RulesForm, *, error: str = "", saved: bool = False
) -> HTMLResponse:
    report = standing(site.store.database, rules.study, rules, out_of_fold_loader(site.settings.data_dir))
    values = {
        "rules": rules,
        "form": form,
        "names": _NAMES,
        "strategies": STRATEGIES,
        "coding_modes": CODING_MODES,
        "has_codes": bool(site.nearby.codes(rules.study).live),
        "standing": report,
        "stage": newest_stage(site.store.database, rules.study),
        "chart": _chart(report.bins),
        "error": error,
        "saved": saved,
        "masking_levels": MASKING_LEVELS,
        "installation_masks": site.settings.masking,
        "masked_study": masked_in_study(site.store.database, rules.study),
        **masking_values(site),
    }
    return draw(request, "rules.html", values, status=422 if error else 200)


def _chart(bins: Sequence[Bin]) -> str:
    """The reliability diagram as static/reliability.js reads it."""
    points = {"x": [bin_.probability for bin_ in bins], "y": [bin_.accepted for bin_ in bins]}
    return json.dumps({name: [round(value, 4) for value in values] for name, values in points.items()})
