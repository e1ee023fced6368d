"""Precision, recall and F1 of what two coders marked, over characters and over parts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from models.annotation.span_units import CodedPart, ComparedText, MarkedTexts, code_units
from models.evaluation.figure import Figure, figure_of, quotients
from models.evaluation.unitizing import CodedUnit
from models.ports import Floats

CHARACTERS = "characters"
RULES: Mapping[str, Callable[[int, int], bool]] = {
    "any": lambda shared, _union: shared > 0,
    "half": lambda shared, union: 2 * shared >= union,
    "exact": lambda shared, union: shared == union,
}
"""When a part counts as marked by the other too, by the characters that both parts cover and that either covers."""

DocumentCounts = dict[str, list[int]]
"""By document: what the first marked, what of it the second did too, what the second marked, what of it the first."""


@dataclass(frozen=True)
class Scores:
    """How much of what one coder marked the other marked too."""

    first: int
    """Characters, or parts, that the first marked."""
    first_shared: int
    """Of those, the ones that the second marked too."""
    second: int
    second_shared: int
    precision: Figure
    """Of what the second marked, the share that the first did too."""
    recall: Figure
    """Of what the first marked, the share that the second did too."""
    f1: Figure
    """The harmonic mean of the two: the same whoever is called first."""


def counted(
    marked: MarkedTexts, coders: tuple[str, str], texts: Iterable[ComparedText], measure: str
) -> dict[UUID, DocumentCounts]:
    """By code, what either coder marked with it, in ``CHARACTERS`` or in parts by one of ``RULES``."""
    rows: dict[UUID, DocumentCounts] = defaultdict(_no_rows)
    for text in texts:
        left, right = marked.of(coders, text)
        for code in {code for part in (*left, *right) for code in part.codes}:
            row = rows[code][text.document]
            row[:] = [a + b for a, b in zip(row, _compared(code, left, right, measure), strict=True)]
    return rows


def summed(by_code: Mapping[UUID, DocumentCounts]) -> DocumentCounts:
    """The counts of all codes together."""
    total = _no_rows()
    for rows in by_code.values():
        for document, row in rows.items():
            total[document] = [a + b for a, b in zip(total[document], row, strict=True)]
    return total


def scores(coders: tuple[str, str], rows: DocumentCounts, places: Mapping[str, int], weights: Floats) -> Scores:
    """Precision, recall and F1 with their intervals.

    Args:
        coders: Their names, for what is said where one marked nothing.
        rows: The counts.
        places: The column of ``weights`` that each document has.
        weights: How often each document counts; shape ``(1 + draws, documents)``.
    """
    table = np.zeros((len(places), 4))
    for document, row in rows.items():
        table[places[document]] = row
    first, first_shared, second, second_shared = (weights @ table).T
    precision, recall = quotients(second_shared, second), quotients(first_shared, first)
    mean = quotients(2 * precision * recall, precision + recall)
    f1 = np.where(np.isfinite(mean), mean, np.where(first + second > 0, 0.0, np.nan))
    nothing = [f"{coder} marked nothing here" for coder in coders]
    n = len(places)
    counts = [int(count) for count in table.sum(axis=0)]
    return Scores(
        first=counts[0],
        first_shared=counts[1],
        second=counts[2],
        second_shared=counts[3],
        precision=figure_of(precision, n, nothing[1]),
        recall=figure_of(recall, n, nothing[0]),
        f1=figure_of(f1, n, "neither marked anything here"),
    )


def _no_rows() -> DocumentCounts:
    return defaultdict(lambda: [0, 0, 0, 0])


def _compared(code: UUID, left: Sequence[CodedPart], right: Sequence[CodedPart], measure: str) -> list[int]:
    if measure == CHARACTERS:
        own, others = code_units(left, code), code_units(right, code)
        both = sum(_overlap(unit, other) for unit in own for other in others)
        first, second = (sum(unit.end - unit.start for unit in units) for units in (own, others))
        return [first, both, second, both]
    mine, theirs = ([part for part in parts if code in part.codes] for parts in (left, right))
    return [len(mine), _shared(mine, theirs, measure), len(theirs), _shared(theirs, mine, measure)]


def _shared(parts: Sequence[CodedPart], others: Sequence[CodedPart], rule: str) -> int:
    return sum(any(_matches(part, other, rule) for other in others) for part in parts)


def _matches(part: CodedPart, other: CodedPart, rule: str) -> bool:
    shared = _overlap(part, other)
    return RULES[rule](shared, part.end - part.start + other.end - other.start - shared)


def _overlap(part: CodedPart | CodedUnit, other: CodedPart | CodedUnit) -> int:
    return max(0, min(part.end, other.end) - max(part.start, other.start))
