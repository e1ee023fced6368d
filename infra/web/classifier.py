"""A study's classifier: what serves, how well it tells each code, what was refused and why, and going back."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from infra.learning.releasing import again, classifier_of, find, kept, serving
from infra.readmodel.outcomes import Named, names_now
from infra.readmodel.releases import count, history, labels_of, people_of
from infra.status import SEEN_LATELY_S
from infra.web.access import Lead, Viewer
from infra.web.site import Here, Site, draw
from models.errors import InputError
from models.labelled import LabelledSet
from models.promotion import Gate
from models.stopping import WINDOW, Advice
from schemas import ModelRelease

SHOWN = 30
"""Releases and refusals in the list, the newest."""
LEAST_EXAMPLES = 4
"""Taught segments that a code needs."""
_NEXT = 5

router = APIRouter()


@dataclass(frozen=True)
class CodeRow:
    """How well one code is told."""

    label: str
    f1: float | None
    before: float | None
    """Its F1 when the release before was judged."""
    taught: int
    held_out: int


@dataclass(frozen=True)
class Row:
    """One line of the history."""

    release: ModelRelease
    serves: bool
    again: bool
    """Whether the version had served before."""
    offered: bool
    """Whether one may go back to it."""


@dataclass(frozen=True)
class Missing:
    """What a study's first classifier waits for."""

    labels: int
    """About so many more."""
    held_out: int
    least: int
    enough: Sequence[str]
    """Codes with enough examples."""
    lacking: Sequence[tuple[str, int]]
    """The codes nearest to it, with how many more each needs."""


@router.get("/s/{study}/classifier")
def page(request: Request, site: Here, _viewer: Viewer, study: str, back: bool = False) -> HTMLResponse:
    """All that is known of the study's classifier."""
    return _draw(request, site, study, back=back)


@router.post("/s/{study}/classifier/rollback")
def go_back(
    request: Request, site: Here, lead: Lead, study: str, version: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Have an earlier version serve again, from the coders' next batch on."""
    releases = history(site.store.database, classifier_of(study))
    try:
        chosen = find(releases, version)
        if not kept(site.settings.data_dir, chosen):
            raise InputError(f"version '{version}' is no longer kept on disk; choose a newer one")
        site.write([again(chosen, serving(releases), lead.name, site.clock)])
    except InputError as error:
        return _draw(request, site, study, error=str(error))
    return RedirectResponse(f"/s/{quote(study, safe='')}/classifier?back=true", status_code=303)


def _draw(request: Request, site: Site, study: str, *, error: str = "", back: bool = False) -> HTMLResponse:
    database = site.store.database
    releases = history(database, classifier_of(study))
    current = serving(releases)
    labels = labels_of(site.store, study)
    names = _names(site, labels)
    first = None if current is None else _first(releases, current.version)
    values: dict[str, Any] = {
        "current": current,
        "first": first,
        "before": None if first is None else _first(releases, first.replaces),
        "labels": labels,
        "people": people_of(labels, None if first is None else first.released_at),
        "codes": code_rows(releases, current, labels, names),
        "missing": missing(labels, names),
        "rows": rows(site, releases[:SHOWN], releases),
        "total": count(database, classifier_of(study)),
        "points": (points := curve(releases)),
        "chart": _chart(points),
        "advice": advice(releases),
        "trainer": _trainer(site),
        "error": error,
        "back": back,
    }
    return draw(request, "classifier.html", values, status=422 if error else 200)


def _names(site: Site, labels: LabelledSet) -> dict[Any, str]:
    """By code its label now."""
    used = {code for row in labels.rows for code in row.codes}
    with site.store.database.reading() as connection:
        now = names_now(connection, used)
    return {code: now.get(code, Named(code, labels.names.get(code, str(code)))).label for code in used}


def _first(releases: Sequence[ModelRelease], version: str | None) -> ModelRelease | None:
    """A version as it was first released: what a return to it says is about the return."""
    found = [one for one in releases if one.version == version and one.outcome == "released"]
    return min(found, key=lambda one: one.released_at, default=None)


def code_rows(
    releases: Sequence[ModelRelease], current: ModelRelease | None, labels: LabelledSet, names: dict[Any, str]
) -> list[CodeRow]:
    """The codes of what serves, the best told first; then those that it was not taught and that are taught by now."""
    if current is None:
        return []
    first = _first(releases, current.version) or current
    before = _first(releases, first.replaces)
    taught = Counter(names[code] for row in labels.taught for code in row.codes)
    tests = Counter(names[code] for row in labels.held_out for code in row.codes)
    found = [
        CodeRow(label, f1, None if before is None else before.per_code.get(label), taught[label], tests[label])
        for label, f1 in sorted(current.per_code.items(), key=lambda each: (-each[1], each[0]))
    ]
    new = [names[code] for code in labels.codes if names[code] not in current.per_code]
    return found + [CodeRow(label, None, None, taught[label], tests[label]) for label in new]


def missing(labels: LabelledSet, names: dict[Any, str]) -> Missing:
    """What the first classifier waits for: labels to compare on, and a code with enough examples."""
    gate, tests = Gate(), len(labels.held_out)
    counts = Counter(code for row in labels.taught for code in row.codes)
    lacking = [(names[code], LEAST_EXAMPLES - n) for code, n in counts.most_common() if code not in labels.codes]
    for_tests = math.ceil(max(0, gate.least - tests) / labels.held_out_share)
    for_codes = 0 if labels.codes else min((more for _, more in lacking), default=LEAST_EXAMPLES)
    return Missing(
        max(for_tests, for_codes), tests, gate.least, [names[code] for code in labels.codes], lacking[:_NEXT]
    )


def rows(site: Site, shown: Sequence[ModelRelease], releases: Sequence[ModelRelease]) -> list[Row]:
    """The history; each version that has served is offered once, where it is newest."""
    current = serving(releases)
    found, offered = [], {current.version} if current else set()
    for one in shown:
        first = _first(releases, one.version)
        served = one.outcome == "released"
        new = served and one.version not in offered and kept(site.settings.data_dir, one)
        if new:
            offered.add(one.version)
        returned = served and first is not None and first.released_at < one.released_at
        found.append(Row(one, one is current, returned, new))
    return found


def curve(releases: Iterable[ModelRelease]) -> list[ModelRelease]:
    """Every classifier that was judged, once, by how much it was taught."""
    found: dict[tuple[str, str], ModelRelease] = {}
    for one in releases:  # the newest first, so that the first time of each stays
        if "macro_f1" in one.metrics:
            found[one.version, one.outcome] = one
    return sorted(found.values(), key=lambda one: (one.labels, one.released_at))


def advice(releases: Sequence[ModelRelease]) -> Advice | None:
    """Whether more labels pay, as the last training that told found; none where none has."""
    told = next((one.metrics for one in releases if "stop_kappa" in one.metrics), None)
    if told is None:
        return None
    return Advice(
        kappa_stops=told["stop_kappa"] > 0,
        delta_f_stops=told.get("stop_delta_f", 0.0) > 0,
        kappa=told.get("kappa"),
        delta_f=told.get("delta_f"),
        trainings=int(told.get("trainings", WINDOW + 1)),
    )


def _chart(points: Sequence[ModelRelease]) -> str:
    """What static/curve.js draws, as JSON for a data attribute."""

    def values(name: str, outcome: str | None = None) -> list[float | None]:
        wanted = (one.metrics.get(name) if outcome in (None, one.outcome) else None for one in points)
        return [None if value is None else round(value, 4) for value in wanted]

    return json.dumps(
        {
            "x": [one.labels for one in points],
            "released": values("macro_f1", "released"),
            "refused": values("macro_f1", "refused"),
            "low": values("macro_f1_low"),
            "high": values("macro_f1_high"),
        }
    )


def _trainer(site: Site) -> bool:
    """Whether a trainer was seen lately."""
    now = site.clock.now()
    return any(
        one.role == "trainer" and (now - one.seen_at).total_seconds() < SEEN_LATELY_S for one in site.store.workers()
    )
