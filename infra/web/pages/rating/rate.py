"""Rating: a quote at a time with its codes, in the rater's own order; nothing says whose a code is."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from infra.accounts.accounts import Visitor
from infra.annotation.rating.rater_quotes import NO, YES, Quote, go_on_at, quotes_for, read_marks
from infra.annotation.rating.rating_studies import RatingStudy, given_ratings, has_place, items_of, keep_ratings
from infra.web.access import Annotator, unread_by
from infra.web.pages.rating.rating_list import known_rating
from infra.web.site import Here, Site, draw
from models.errors import InputError
from models.evaluation.rating_study import HIGHEST, LETS_STAND, LOWEST, QUESTIONS, STANDS, STEPS, Marks

router = APIRouter()
Fields = dict[str, str]


async def _fields(request: Request) -> Fields:
    """The form as it came: its fields' names are those of the items."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.get("/s/{study}/ratings/{rating}", response_class=HTMLResponse)
def show_quote(
    request: Request, study: str, rating: UUID, site: Here, visitor: Annotator, number: int = 0
) -> HTMLResponse:
    """A quote with its codes: the one of this number, else the first that is not rated whole."""
    known = known_rating(site, study, rating)
    given = _given(site, visitor, known)
    quotes = _visible(site, visitor, known)
    shown = next((each for each in quotes if each.number == number), None) if number else go_on_at(quotes, given)
    return _draw_quote(request, visitor, known, quotes, shown, given, _entered(shown, given))


@router.post("/s/{study}/ratings/{rating}")
def rate(
    request: Request,
    study: str,
    rating: UUID,
    site: Here,
    visitor: Annotator,
    fields: Annotated[Fields, Depends(_fields)],
) -> Response:
    """Keep what the visitor gives the codes of a quote, and go on to the next."""
    known = known_rating(site, study, rating)
    quotes = _visible(site, visitor, known)
    rated = next((each for each in quotes if str(each.segment) == fields.get("segment")), None)
    if rated is None:
        raise HTTPException(404, "this rating study has no such quote for you; load the page again")
    try:
        marks = read_marks(rated, fields)
        keep_ratings(site.store.database, known, visitor.name, rated.segment, marks, site.clock.now())
    except InputError as error:
        given = _given(site, visitor, known)
        return _draw_quote(request, visitor, known, quotes, rated, given, fields, str(error))
    request.state.subject = f"rating study {known.id}, {len(marks)} codes"
    given = _given(site, visitor, known)
    onward = go_on_at(quotes, given, after=rated.number)
    place = f"?number={onward.number}" if onward else ""
    return RedirectResponse(f"/s/{quote(study)}/ratings/{known.id}{place}", 303)


def _given(site: Site, visitor: Visitor, rating: RatingStudy) -> dict[str, Marks]:
    """What the visitor gave so far, by item."""
    return {each.item: each.marks for each in given_ratings(site.store.database, rating, visitor.name)}


def _visible(site: Site, visitor: Visitor, rating: RatingStudy) -> list[Quote]:
    """The visitor's quotes; those of segments that they may still have to read blind are left out."""
    quotes = quotes_for(visitor.name, rating, items_of(site.store.database, rating))
    hidden = unread_by(site, visitor, rating.study, [each.segment for each in quotes])
    return [each for each in quotes if each.segment not in hidden]


def _entered(shown: Quote | None, given: dict[str, Marks]) -> Fields:
    """What was given before, as the form's fields."""
    marks = {item.item: given[item.item] for item in (shown.items if shown else ()) if item.item in given}
    return {f"{item}-{name}": _answer(name, mark) for item, each in marks.items() for name, mark in each.items()}


def _answer(name: str, mark: float) -> str:
    if name == STANDS:
        return YES if mark else NO
    return str(int(mark))


def _draw_quote(
    request: Request,
    visitor: Visitor,
    rating: RatingStudy,
    quotes: list[Quote],
    shown: Quote | None,
    given: dict[str, Marks],
    entered: Fields,
    fault: str = "",
) -> HTMLResponse:
    site: Site = request.app.state.site
    values = {
        "rating": rating,
        "quote": shown,
        "quotes": quotes,
        "given": given,
        "entered": entered,
        "left": sum(each.item not in given for quote_ in quotes for each in quote_.items),
        "codes": sum(len(quote_.items) for quote_ in quotes),
        "has_place": has_place(site.store.database, rating, visitor.name),
        "questions": QUESTIONS,
        "lets_stand": LETS_STAND,
        "steps": STEPS,
        "numbers": range(LOWEST, HIGHEST + 1),
        "answers": (YES, NO),
        "fault": fault,
    }
    return draw(request, "rating_quote.html", values, status=422 if fault else 200)
