"""Two codings of the same segments beside each other: what would be different if one took the other's place."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.ids import normalised_label


@dataclass(frozen=True)
class RecodedSegment:
    """One segment as it is coded and as it would be."""

    before: str
    after: str | None
    """None where it could not be coded."""
    people: tuple[str, ...] = ()
    """The codes that people gave it in the end; none where nobody did."""

    @property
    def same(self) -> bool:
        """Whether both give the same code, however it is spelt."""
        return self.after is not None and normalised_label(self.before) == normalised_label(self.after)


@dataclass
class CodeShift:
    """What becomes of one code."""

    code: str
    before: int = 0
    after: int = 0
    kept: int = 0
    went: Counter[str] = field(default_factory=Counter)
    """Codes that its segments would have instead."""
    came: Counter[str] = field(default_factory=Counter)
    """Codes that the segments have now which would come to it."""

    @property
    def moved(self) -> int:
        """Segments that it loses or gains."""
        return self.before + self.after - 2 * self.kept

    def to_json(self) -> dict[str, Any]:
        """For programs: the counts, and the five codes that most came from and went to."""
        counts = {"code": self.code, "before": self.before, "after": self.after, "kept": self.kept}
        return {**counts, "went": dict(self.went.most_common(5)), "came": dict(self.came.most_common(5))}


@dataclass(frozen=True)
class Recoding:
    """Both codings as a whole."""

    segments: int
    same: int
    uncoded: int
    judged: int
    """Segments that people coded."""
    right_before: int
    """Of those, the ones whose present code is among the people's."""
    right_after: int
    codes: tuple[CodeShift, ...]
    """Every code of either coding, those that change most first."""

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        counts = {"segments": self.segments, "same": self.same, "uncoded": self.uncoded}
        people = {"judged": self.judged, "right_before": self.right_before, "right_after": self.right_after}
        return {**counts, **people, "codes": [code.to_json() for code in self.codes]}


def compare(pairs: Sequence[RecodedSegment]) -> Recoding:
    """Lay two codings beside each other, code by code; labels that differ in spelling only are the same code."""
    shifts: dict[str, CodeShift] = {}
    for pair in pairs:
        _count(shifts, pair)
    judged = [pair for pair in pairs if pair.people]
    return Recoding(
        segments=len(pairs),
        same=sum(pair.same for pair in pairs),
        uncoded=sum(pair.after is None for pair in pairs),
        judged=len(judged),
        right_before=sum(_among(pair.before, pair.people) for pair in judged),
        right_after=sum(_among(pair.after, pair.people) for pair in judged),
        codes=tuple(sorted(shifts.values(), key=lambda shift: (-shift.moved, -shift.before, shift.code.casefold()))),
    )


def _count(shifts: dict[str, CodeShift], pair: RecodedSegment) -> None:
    def of(label: str) -> CodeShift:
        return shifts.setdefault(normalised_label(label), CodeShift(label))

    old = of(pair.before)
    old.before += 1
    if pair.after is None:
        return
    new = of(pair.after)
    new.after += 1
    if new is old:
        old.kept += 1
    else:
        old.went[new.code] += 1
        new.came[old.code] += 1


def _among(label: str | None, people: Iterable[str]) -> bool:
    return label is not None and normalised_label(label) in {normalised_label(each) for each in people}
