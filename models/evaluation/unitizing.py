"""Krippendorff's alpha for coders who decide for themselves where a coded unit begins and ends.

Source: Krippendorff, Mathet, Bouvry, Widlöcher, "On the reliability of unitizing textual continua: Further
developments", Quality & Quantity 50 (2016), with values that are nominal. A unit is kept whole where chance is reckoned
with, a gap between units is as many pieces as it has characters: chance pairs no unit, and no character of a gap, with
itself. Where texts have different numbers of coders, each counts by the pairs that it has, as in alpha with missing
values.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.evaluation.figure import Figure, figure_of, quotients
from models.ports import Floats

GAP = None
"""The value of what no unit covers."""
ALL_ALIKE = "everything is marked alike, which chance alone would do as well"
NOT_BOTH = "they marked no character in common"


class CodedUnit(NamedTuple):
    """A unit of one coder; its places are half-open. Units of one coder do not overlap."""

    start: int
    end: int
    value: Hashable


@dataclass
class Coincidences:
    """What coders did with the same characters; tallies add up."""

    total: float = 0.0
    """Characters, each as often as it has coders."""
    alike: float = 0.0
    """Of those, the coincidences of the same value."""
    binary: float = 0.0
    """Coincidences of a unit with a unit or of a gap with a gap, whatever the units' values."""
    margins: Counter[Hashable] = field(default_factory=Counter)
    """Characters by value."""
    intact: Counter[Hashable] = field(default_factory=Counter)
    """By value, what chance would pair with itself: the squares of the units' lengths, and the characters of gaps."""

    def add(self, other: "Coincidences") -> None:
        """Add another text's."""
        self.total += other.total
        self.alike += other.alike
        self.binary += other.binary
        self.margins.update(other.margins)
        self.intact.update(other.intact)


def untouched(length: int, coders: int) -> Coincidences:
    """Tally a text of which no coder marked anything."""
    size = length * coders
    return Coincidences(size, size, size, Counter({GAP: size}), Counter({GAP: size}))


def coincidences(length: int, coders: Sequence[Sequence[CodedUnit]]) -> Coincidences:
    """Tally one text.

    Args:
        length: Of the text, in characters.
        coders: Each coder's units; at least two coders.
    """
    if not any(coders):
        return untouched(length, len(coders))
    tally = Coincidences(total=length * len(coders))
    for size, values in _pieces(length, coders):
        tally.alike += size * _pairs(Counter(values).values(), len(coders))
        marked = sum(value is not GAP for value in values)
        tally.binary += size * _pairs((marked, len(coders) - marked), len(coders))
        for value in values:
            tally.margins[value] += size
    tally.intact[GAP] = tally.margins[GAP]
    for unit in (unit for units in coders for unit in units):
        tally.intact[unit.value] += (unit.end - unit.start) ** 2
    return tally


def coded_coincidences(length: int, coders: Sequence[Sequence[CodedUnit]]) -> Coincidences:
    """Tally what two coders both marked, for agreement on the values alone."""
    tally = Coincidences()
    for size, (left, right) in _pieces(length, coders):
        if left is not GAP and right is not GAP:
            tally.total += 2 * size
            tally.alike += 2 * size * (left == right)
            tally.margins.update({left: size})
            tally.margins.update({right: size})
    for units, others in (coders, coders[::-1]):
        for unit in units:
            shared = sum(max(0, min(unit.end, other.end) - max(unit.start, other.start)) for other in others)
            tally.intact[unit.value] += shared**2
    return tally


def alpha_figure(tallies: Sequence[Coincidences], weights: Floats, why: str = ALL_ALIKE) -> Figure:
    """Agreement on units and on their values: ``u-alpha`` of ``coincidences``, ``cu-alpha`` of ``coded_coincidences``.

    Args:
        tallies: Of the documents.
        weights: How often each counts, as ``draw_weights`` gives it; shape ``(1 + draws, documents)``.
        why: What is said where there is no figure.
    """
    total, alike, _, margins, intact = _weighted(tallies, weights)
    chance = total * quotients((margins**2 - intact).sum(axis=1), total**2 - intact.sum(axis=1))
    return figure_of(1 - quotients(total - alike, total - chance), len(tallies), why)


def boundary_figure(tallies: Sequence[Coincidences], weights: Floats, why: str = ALL_ALIKE) -> Figure:
    """Agreement on what is marked at all, whatever the values: ``|u-alpha``; see ``alpha_figure``."""
    total, _, binary, margins, intact = _weighted(tallies, weights)
    gaps = weights @ np.array([tally.margins[GAP] for tally in tallies], dtype=float)
    chance = 2 * total * quotients(gaps * (margins.sum(axis=1) - gaps), total**2 - intact.sum(axis=1))
    return figure_of(1 - quotients(total - binary, chance), len(tallies), why)


def _pieces(length: int, coders: Sequence[Sequence[CodedUnit]]) -> Iterable[tuple[int, list[Hashable]]]:
    """Stretches in which no unit begins or ends: how long each is, and each coder's value of it."""
    cuts = sorted({0, length, *(place for units in coders for unit in units for place in (unit.start, unit.end))})
    for start, end in pairwise(cuts):
        yield end - start, [_value_at(units, start) for units in coders]


def _value_at(units: Sequence[CodedUnit], place: int) -> Hashable:
    return next((unit.value for unit in units if unit.start <= place < unit.end), GAP)


def _pairs(counts: Iterable[int], coders: int) -> float:
    """Ordered pairs of coders within the groups, over the pairs that each coder has."""
    return sum(count * (count - 1) for count in counts) / (coders - 1)


def _weighted(tallies: Sequence[Coincidences], weights: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Sums of the tallies over the documents as they are drawn; the last two have a column for each value."""
    values = sorted({value for tally in tallies for value in tally.margins}, key=str)
    plain = ([getattr(tally, name) for tally in tallies] for name in ("total", "alike", "binary"))
    by_value = (
        [[counts[value] for value in values] for counts in columns]
        for columns in ([tally.margins for tally in tallies], [tally.intact for tally in tallies])
    )
    total, alike, binary = (weights @ np.array(column, dtype=float) for column in plain)
    margins, intact = (weights @ np.array(rows, dtype=float).reshape(len(tallies), len(values)) for rows in by_value)
    return total, alike, binary, margins, intact
