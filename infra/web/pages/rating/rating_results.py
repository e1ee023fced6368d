"""What raters gave: how far they are while it runs; once it has ended, whose codes got what, also as a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from infra.annotation.rating.rating_draw import PEOPLE
from infra.annotation.rating.rating_studies import (
    GivenRating,
    QuotedItem,
    RatingStudy,
    by_rater,
    given_ratings,
    items_of,
)
from infra.experiments.wordnet import find_wordnet, read_wordnet
from infra.files.tables import MEDIA_TYPES, OutputRow, Shape, encoded
from infra.web.access import Lead
from infra.web.pages.rating.rating_list import known_rating
from infra.web.site import Here, Site, draw
from models.evaluation.correlation import Rated
from models.evaluation.rating_measures import measures_beside
from models.evaluation.rating_study import SCALES, STANDS, Marks, RatedItem, RatingResults, add_up, mean_ratings
from models.evaluation.score_table import MeasureResources

router = APIRouter()
_COLUMNS = ("rater", "segment", "text", "code", "sources", "people", *SCALES, STANDS, "at")
_SHAPE = Shape(
    _COLUMNS,
    {"sources": "list", "people": "list", **dict.fromkeys(SCALES, "number"), STANDS: "truth", "at": "time"},
)
_MEASURING = Lock()  # WordNet's reader moves about in open files, which two threads must not share


@router.get("/s/{study}/ratings/{rating}/results", response_class=HTMLResponse)
def show_results(request: Request, study: str, rating: UUID, site: Here, lead: Lead) -> HTMLResponse:
    """Each rater's progress; once the rating study has ended, all figures."""
    known = known_rating(site, study, rating)
    items = items_of(site.store.database, known)
    given = given_ratings(site.store.database, known)
    progress = {rater: len(marks) for rater, marks in by_rater(given).items()}
    values: dict[str, Any] = {"rating": known, "progress": progress, "codes": len(items)}
    if known.ended_at is not None:
        values |= _figures(site, known, items, given)
    return draw(request, "rating_results.html", values)


@router.get("/s/{study}/ratings/{rating}/ratings.csv")
def download_ratings(study: str, rating: UUID, site: Here, lead: Lead) -> Response:
    """Every rating with its text, its code and whose that is, a line each."""
    known = known_rating(site, study, rating)
    if known.ended_at is None:
        raise HTTPException(403, "the file says whose each code is: end the rating study first")
    items = {each.item.item: each for each in items_of(site.store.database, known)}
    rows = _rows(items, given_ratings(site.store.database, known))
    content = b"".join(encoded(_SHAPE, rows, "csv"))
    name = quote(f"{study}-ratings.csv")
    attached = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(content, media_type=MEDIA_TYPES["csv"], headers=attached)


def _figures(
    site: Site, rating: RatingStudy, items: Sequence[QuotedItem], given: Sequence[GivenRating]
) -> dict[str, Any]:
    """What the ratings come to, and how measures go with them; nothing where nobody rated."""
    marks = by_rater(given)
    if not marks:
        return {"results": None, "measured": None}
    rated = [each.item for each in items]
    results = add_up(rated, marks, rating.seed)
    measured = _measured(site, rated, marks)
    return {"results": _best_first(results), "measured": measured, "measures": _telling(measured)}


def _telling(measured: Rated | None) -> list[str]:
    """The measures that vary, over single codes or over whose they are."""
    if measured is None:
        return []
    every = [*measured.codes.items(), *measured.systems.items()]
    return list(dict.fromkeys(name for name, each in every if each.rho is not None))


def _best_first(results: RatingResults) -> RatingResults:
    order = sorted(results.systems.items(), key=lambda pair: -pair[1]["mean"].value)
    return replace(results, systems=dict(order))


def _measured(site: Site, items: Sequence[RatedItem], marks: Mapping[str, Mapping[str, Marks]]) -> Rated | None:
    folder = find_wordnet(site.settings.wordnet)
    with _MEASURING:
        thesaurus = None if folder is None else read_wordnet(folder)
        resources = MeasureResources(site.embedder, None, thesaurus)
        return measures_beside(items, mean_ratings(marks), resources, PEOPLE)


def _rows(items: Mapping[str, QuotedItem], given: Sequence[GivenRating]) -> Iterator[OutputRow]:
    for rating in given:
        rated = items[rating.item]
        yield {
            "rater": rating.rater,
            "segment": rated.segment,
            "text": rated.item.text,
            "code": rated.item.code,
            "sources": list(rated.item.systems),
            "people": list(rated.item.gold),
            **{scale: int(rating.marks[scale]) for scale in SCALES},
            STANDS: bool(rating.marks[STANDS]),
            "at": rating.at,
        }
