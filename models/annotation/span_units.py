"""Marked parts as they are compared: what overlaps within one coder becomes units that do not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from models.evaluation.unitizing import CodedUnit


class CodedPart(NamedTuple):
    """A stretch of a segment under a coder's codes; its places are half-open and count code points."""

    coder: str
    segment: UUID
    start: int
    end: int
    codes: frozenset[UUID]


@dataclass(frozen=True)
class ComparedText:
    """A segment in which coders are compared."""

    segment: UUID
    document: str
    """Where it belongs; a text that is no passage of anything is a document of its own."""
    length: int
    readers: frozenset[str]
    """Who has read it: what they did not mark counts as read and left unmarked."""


class MarkedTexts:
    """What coders marked, by coder and segment."""

    def __init__(self, parts: Collection[CodedPart]) -> None:
        """Sort the parts of all coders."""
        self._parts: dict[tuple[str, UUID], list[CodedPart]] = {}
        for part in parts:
            self._parts.setdefault((part.coder, part.segment), []).append(part)

    def of(self, coders: Sequence[str], text: ComparedText) -> list[Sequence[CodedPart]]:
        """What each of some coders marked in a text."""
        return [self._parts.get((coder, text.segment), ()) for coder in coders]


def code_units(parts: Sequence[CodedPart], code: UUID) -> list[CodedUnit]:
    """One coder's parts with a code as units; parts that overlap are one unit, parts that touch are two."""
    units: list[CodedUnit] = []
    for part in sorted((part for part in parts if code in part.codes), key=lambda part: part.start):
        if units and part.start < units[-1].end:
            units[-1] = units[-1]._replace(end=max(units[-1].end, part.end))
        else:
            units.append(CodedUnit(part.start, part.end, code))
    return units


def set_units(parts: Sequence[CodedPart]) -> list[CodedUnit]:
    """One coder's parts as units whose value is the set of codes there; a unit ends where one begins or ends."""
    by_code = {code: code_units(parts, code) for code in {code for part in parts for code in part.codes}}
    cuts = sorted({place for units in by_code.values() for unit in units for place in (unit.start, unit.end)})
    stretches = ((start, end, _codes_at(by_code, start)) for start, end in pairwise(cuts))
    return [CodedUnit(start, end, codes) for start, end, codes in stretches if codes]


def _codes_at(by_code: Mapping[UUID, Sequence[CodedUnit]], place: int) -> frozenset[UUID]:
    return frozenset(code for code, units in by_code.items() if any(unit.start <= place < unit.end for unit in units))
