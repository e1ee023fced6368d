"""A rating study as one rater goes through it: the quotes in their own order, what they gave, where to go on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from infra.annotation.rating.rating_studies import QuotedItem, RatingStudy
from models.errors import InputError
from models.evaluation.rating_study import HIGHEST, LOWEST, SCALES, STANDS, Marks, RatedItem, in_order_for

YES, NO = "yes", "no"


@dataclass(frozen=True)
class Quote:
    """A text with its codes, at its place in one rater's order."""

    number: int
    """From 1."""
    segment: UUID
    text: str
    items: tuple[RatedItem, ...]

    def rated(self, given: Collection[str]) -> bool:
        """Whether every code of it is among the items that were rated."""
        return all(item.item in given for item in self.items)


def quotes_for(rater: str, rating: RatingStudy, items: Sequence[QuotedItem]) -> list[Quote]:
    """The quotes in a rater's order, the codes of each in an order of chance."""
    segments = {each.item.text: each.segment for each in items}
    ordered: dict[str, list[RatedItem]] = {}
    for item in in_order_for(rater, [each.item for each in items], rating.seed):
        ordered.setdefault(item.text, []).append(item)
    return [Quote(n, segments[text], text, tuple(codes)) for n, (text, codes) in enumerate(ordered.items(), 1)]


def go_on_at(quotes: Sequence[Quote], given: Collection[str], after: int = 0) -> Quote | None:
    """The next quote that is not rated whole, from one on and then from the beginning; ``None``: all are."""
    ordered = sorted(quotes, key=lambda quote: (quote.number <= after, quote.number))
    return next((quote for quote in ordered if not quote.rated(given)), None)


def read_marks(quote: Quote, fields: Mapping[str, str]) -> dict[str, Marks]:
    """What a form gives the codes of a quote; one that has no answer at all is left out.

    Args:
        quote: Whose codes.
        fields: By ``ITEM-SCALE`` a number, by ``ITEM-stands`` yes or no.

    Raises:
        InputError: If a code has some answers and not all, or one that is none.
    """
    marks = {item.item: _marks_of(item, fields) for item in quote.items}
    return {item: each for item, each in marks.items() if each}


def _marks_of(item: RatedItem, fields: Mapping[str, str]) -> dict[str, float]:
    names = (*SCALES, STANDS)
    answers = {name: fields[f"{item.item}-{name}"] for name in names if fields.get(f"{item.item}-{name}")}
    if answers and len(answers) < len(names):
        raise InputError(f"'{item.code}' has some answers and not all; answer all four questions, or clear the code")
    return {name: _number(name, answer) for name, answer in answers.items()}


def _number(name: str, answer: str) -> float:
    allowed = {YES: 1.0, NO: 0.0} if name == STANDS else {str(n): float(n) for n in range(LOWEST, HIGHEST + 1)}
    if answer not in allowed:
        raise InputError(f"'{answer[:20]}' is no answer here; load the page again and choose one of those that it has")
    return allowed[answer]
