"""A study's classifier: what serves, how well it tells each code, what was refused and why, and going back."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from infra.storage.releases import count, history
from infra.training.releases import again, classifier_of, find, kept, serving
from infra.training.report import first_of, report
from infra.web.access import Lead, Viewer
from infra.web.site import Here, Site, draw, profile_of
from models.errors import InputError
from schemas import ModelRelease

SHOWN = 30
"""Releases and refusals in the list, the newest."""

router = APIRouter()


@dataclass(frozen=True)
class ReleaseRow:
    """One line of the history."""

    release: ModelRelease
    serves: bool
    again: bool
    """Whether the version had served before."""
    offered: bool
    """Whether one may go back to it."""


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
    summary = report(site.store, site.settings.data_dir, study, profile_of(site).trainer, site.clock.now())
    releases = summary.releases
    values: dict[str, Any] = {
        "report": summary,
        "rows": rows(site, releases[:SHOWN], releases),
        "total": count(site.store.database, classifier_of(study)),
        "points": (points := curve(releases)),
        "chart": _chart(points),
        "error": error,
        "back": back,
    }
    return draw(request, "classifier.html", values, status=422 if error else 200)


def rows(site: Site, shown: Sequence[ModelRelease], releases: Sequence[ModelRelease]) -> list[ReleaseRow]:
    """The history; each version that has served is offered once, where it is newest."""
    current = serving(releases)
    lines, offered = [], {current.version} if current else set()
    for release in shown:
        first = first_of(releases, release.version)
        served = release.outcome == "released"
        new = served and release.version not in offered and kept(site.settings.data_dir, release)
        if new:
            offered.add(release.version)
        returned = served and first is not None and first.released_at < release.released_at
        lines.append(ReleaseRow(release, release is current, returned, new))
    return lines


def curve(releases: Iterable[ModelRelease]) -> list[ModelRelease]:
    """Every classifier that was judged, once, by how much it was taught."""
    judged: dict[tuple[str, str], ModelRelease] = {}
    for release in releases:  # the newest first, so that the first time of each stays
        if "macro_f1" in release.metrics:
            judged[release.version, release.outcome] = release
    return sorted(judged.values(), key=lambda release: (release.labels, release.released_at))


def _chart(points: Sequence[ModelRelease]) -> str:
    """What static/curve.js draws, as JSON for a data attribute."""

    def values(name: str, outcome: str | None = None) -> list[float | None]:
        figures = (release.metrics.get(name) if outcome in (None, release.outcome) else None for release in points)
        return [None if value is None else round(value, 4) for value in figures]

    return json.dumps(
        {
            "x": [release.labels for release in points],
            "released": values("macro_f1", "released"),
            "refused": values("macro_f1", "refused"),
            "low": values("macro_f1_low"),
            "high": values("macro_f1_high"),
        }
    )
