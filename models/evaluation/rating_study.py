"""People rate codes without knowing whose they are: what they are shown, and what their ratings come to. Pure.

Source:
    "Measuring What Matters: Evaluating Ensemble LLMs with Label Refinement in Inductive Coding", section 5.2 and
    appendix F: ten quotes a rater, codes of anonymised models, rated from 1 to 5.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from models.errors import InputError
from models.evaluation.bootstrap import SEED, Estimate, draws_of
from models.evaluation.correlation import Correlation, spearman
from models.ports import Floats
from schemas.ids import normalised_label

SCALES = ("clarity", "conciseness", "relevance")
STANDS = "stands"
"""Whether the rater would leave the code as it is, 1 or 0: told beside the scales, and no part of their mean."""
LOWEST, HIGHEST = 1, 5  # of a scale, as in appendix F
QUESTIONS: Mapping[str, str] = {
    "clarity": "Would a colleague know what is meant without the quote?",
    "conciseness": "Is it as short as it can be, without words that say nothing?",
    "relevance": "Is it what the quote is mainly about?",
}
"""What raters are asked, by scale."""
LETS_STAND = "Would you leave the code as it is? Yes, or no if you would change it."
STEPS = (
    "very poor: misses it altogether",
    "poor: a part of it, or unclear",
    "acceptable: relevant, could be better",
    "good: right, with hardly anything to mend",
    "excellent: right, clear and short",
)
"""What the numbers mean, from the lowest."""
_NAME = 10  # hexadecimal digits of an item's name: some thousand items do not share one

Marks = Mapping[str, float]
"""What a rater gave one item: a number for each scale and, where the rater was asked, whether it stands."""


@dataclass(frozen=True)
class RatedItem:
    """One code of one quote, as raters see it, and whose it is, which they do not see."""

    item: str
    text: str
    code: str
    gold: tuple[str, ...]
    """People's own codes of the quote."""
    systems: tuple[str, ...]
    """Everybody whose code it is: equal codes of a quote are rated once."""

    def to_json(self) -> dict[str, Any]:
        """All of it, as the key keeps it."""
        return {**vars(self), "gold": list(self.gold), "systems": list(self.systems)}


@dataclass(frozen=True)
class RatingResults:
    """What the ratings come to."""

    raters: tuple[str, ...]
    quotes: int
    items: int
    systems: Mapping[str, Mapping[str, Estimate]]
    """Per system and scale (and ``mean``, over the scales; ``stands`` where raters were asked) the mean over quotes and
    raters, with its interval."""
    alpha: Mapping[str, float | None]
    """Krippendorff's alpha for ordinal values by scale; none with fewer than two raters, or where nothing varies."""
    pairs: Mapping[tuple[str, str], Correlation]
    """Of every two raters Spearman's correlation of the mean ratings of the items that both rated."""

    def to_json(self) -> dict[str, Any]:
        """All figures, to four places."""
        return {
            "raters": list(self.raters),
            "quotes": self.quotes,
            "items": self.items,
            "systems": {
                name: {scale: each.to_json() for scale, each in row.items()} for name, row in self.systems.items()
            },
            "alpha": {scale: None if each is None else round(each, 4) for scale, each in self.alpha.items()},
            "pairs": [{"raters": list(pair), **each.to_json()} for pair, each in self.pairs.items()],
        }


def draw_items(
    gold: Sequence[tuple[str, tuple[str, ...]]],
    codes: Mapping[str, Sequence[str | None]],
    quotes: int,
    seed: int = SEED,
) -> list[RatedItem]:
    """Draw quotes by chance and lay everybody's code of each beside it, equal codes once.

    Args:
        gold: Texts with people's own codes.
        codes: Per system a code for each text, in order; none where it has none.
        quotes: How many texts.
        seed: Draws them; the same draws the same.

    Raises:
        InputError: If there are fewer texts that every system has coded.
    """
    whole = [n for n in range(len(gold)) if all(column[n] for column in codes.values())]
    if len(whole) < quotes:
        raise InputError(
            f"{len(whole)} texts have a code of each of {', '.join(codes)}, but {quotes} quotes are to be rated; "
            "give fewer quotes, or systems that coded more"
        )
    drawn = random.Random(seed).sample(whole, quotes)
    return [item for n in drawn for item in _items(gold[n], {name: str(codes[name][n]) for name in codes}, seed)]


def _items(gold: tuple[str, tuple[str, ...]], codes: Mapping[str, str], seed: int) -> list[RatedItem]:
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for name, code in codes.items():
        owners[normalised_label(code)].append(name)
    return [
        RatedItem(_item_name(seed, gold[0], label), gold[0], codes[names[0]], gold[1], tuple(names))
        for label, names in owners.items()
    ]


def _item_name(seed: int, text: str, label: str) -> str:
    """A name that tells neither whose the code is nor where it stands."""
    return hashlib.sha256(f"{seed} {text} {label}".encode()).hexdigest()[:_NAME]


def in_order_for(rater: int | str, items: Sequence[RatedItem], seed: int = SEED) -> list[RatedItem]:
    """The items as one rater (a number or a name) gets them: quotes in an order of their own, their codes together."""
    chance = random.Random(f"{seed} {rater}")
    groups: defaultdict[str, list[RatedItem]] = defaultdict(list)
    for item in items:
        groups[item.text].append(item)
    shuffled = chance.sample(list(groups), len(groups))
    return [item for text in shuffled for item in chance.sample(groups[text], len(groups[text]))]


def add_up(items: Sequence[RatedItem], ratings: Mapping[str, Mapping[str, Marks]], seed: int = SEED) -> RatingResults:
    """What every system got, how sure that is over quotes, and how far raters agree.

    Args:
        items: Everything that was to be rated.
        ratings: Per rater and item a number for each scale; items that a rater left out are not in it.
        seed: Of the intervals.

    Raises:
        InputError: If nothing was rated.
    """
    if not any(ratings.values()):
        raise InputError("no item was rated; fill in the columns " + ", ".join(SCALES))
    means = mean_ratings(ratings)
    texts = {item.text: n for n, item in enumerate({item.text: item for item in items}.values())}
    draws = draws_of(len(texts), seed=seed)
    systems = dict.fromkeys(name for item in items for name in item.systems)
    by_name = {name: _of_system(name, items, means, texts, draws) for name in systems}
    return RatingResults(
        raters=tuple(ratings),
        quotes=len(texts),
        items=len(items),
        systems=by_name,
        alpha={scale: _alpha(scale, items, ratings) for scale in next(iter(by_name.values())) if scale != "mean"},
        pairs={(a, b): _pair(ratings[a], ratings[b]) for a, b in combinations(ratings, 2)},
    )


def mean_ratings(ratings: Mapping[str, Mapping[str, Marks]]) -> dict[str, dict[str, float]]:
    """Each item's mean over raters by scale, and ``mean`` over the scales; items that nobody rated are not in it."""
    given: defaultdict[str, list[Marks]] = defaultdict(list)
    for marks in ratings.values():
        for item, row in marks.items():
            given[item].append(row)
    return {item: _means(rows) for item, rows in given.items()}


def _means(rows: Sequence[Marks]) -> dict[str, float]:
    means = {scale: float(np.mean([row[scale] for row in rows])) for scale in SCALES}
    stands = [row[STANDS] for row in rows if STANDS in row]
    judged = {STANDS: float(np.mean(stands))} if stands else {}
    return {**means, "mean": float(np.mean(list(means.values()))), **judged}


def _of_system(
    name: str,
    items: Sequence[RatedItem],
    means: Mapping[str, Mapping[str, float]],
    texts: Mapping[str, int],
    draws: Floats,
) -> dict[str, Estimate]:
    own = [item for item in items if name in item.systems and item.item in means]
    shown = [*SCALES, "mean", *([STANDS] if any(STANDS in row for row in means.values()) else [])]
    return {scale: _estimate([(texts[i.text], means[i.item].get(scale)) for i in own], draws) for scale in shown}


def _estimate(marks: Sequence[tuple[int, float | None]], draws: Floats) -> Estimate:
    """The mean of the marks that were given, each with its quote's place; not a number where there are none."""
    given = [(place, mark) for place, mark in marks if mark is not None]
    places, values = np.array([p for p, _ in given], dtype=np.intp), np.array([mark for _, mark in given])
    there = draws[:, places].sum(axis=1)
    drawn = draws[there > 0][:, places] @ values / there[there > 0]
    return Estimate(float(values.mean()) if len(values) else float("nan"), drawn)


def _alpha(scale: str, items: Sequence[RatedItem], ratings: Mapping[str, Mapping[str, Marks]]) -> float | None:
    """Krippendorff's alpha for ordinal values.

    Source:
        Krippendorff, "Content Analysis", 4th edition (2019), chapter 12; computed by ``krippendorff``.
    """
    from krippendorff import alpha

    table = np.array(
        [[marks.get(item.item, {}).get(scale, np.nan) for item in items] for marks in ratings.values()], dtype=float
    )
    several = (~np.isnan(table)).sum(axis=0) > 1
    if not several.any() or np.nanmax(table[:, several]) == np.nanmin(table[:, several]):
        return None
    return float(alpha(reliability_data=table[:, several], level_of_measurement="ordinal"))


def _pair(a: Mapping[str, Marks], b: Mapping[str, Marks]) -> Correlation:
    both = [item for item in a if item in b]
    sides = [[float(np.mean([marks[item][scale] for scale in SCALES])) for item in both] for marks in (a, b)]
    return spearman(*sides)


def by_system(items: Iterable[RatedItem], means: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Per system and text the mean rating of its code, for ``models.evaluation.correlation.correlate``."""
    rated: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for item in items:
        if item.item in means:
            for name in item.systems:
                rated[name][item.text] = means[item.item]["mean"]
    return dict(rated)
