"""A claim beside what was measured, and the rule that its verdict follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HERE = "`make paper`"
NOT_RUN = "Not part of this run."
HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "cannot be told", "not testable here"


@dataclass(frozen=True)
class Claim:
    """One claim of a source beside what was measured."""

    name: str
    where: str
    """Section, table or figure of the source."""
    says: str
    measured: str
    shown: str
    """Command or page that the figures come from."""
    verdict: str

    def to_json(self) -> dict[str, str]:
        """All of it, for programs."""
        return dict(vars(self))


def interval(gap: Mapping[str, float], digits: int = 3, *, signed: bool = True) -> str:
    """A figure with its interval; differences with their sign."""
    sign = "+" if signed else ""
    middle = next(gap[name] for name in ("mean", "value", "rho") if name in gap)
    return f"{middle:{sign}.{digits}f} [{gap['low']:{sign}.{digits}f}, {gap['high']:{sign}.{digits}f}]"


def verdict(gaps: Iterable[Mapping[str, float]]) -> str:
    """Holds where every interval lies above zero, does not where none does and one lies below; else open."""
    sides = [1 if gap["low"] > 0 else -1 if gap["high"] < 0 else 0 for gap in gaps]
    if sides and all(side > 0 for side in sides):
        return HOLDS
    return FAILS if any(side < 0 for side in sides) and not any(side > 0 for side in sides) else OPEN


def gap(figures: Mapping[str, Any], a: str, b: str) -> Mapping[str, Any] | None:
    """The differences of two systems, if both ran."""
    return next((each for each in figures["differences"] if (each["of"], each["less"]) == (a, b)), None)


def pair_gaps(
    figures: Mapping[str, Any], pairs: Iterable[tuple[str, str]], metric: str
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """One measure's differences of pairs of systems, of which both ran."""
    there = {pair: gap(figures, *pair) for pair in pairs}
    return {pair: each[metric] for pair, each in there.items() if each is not None and metric in each}


def in_words(gaps: Mapping[tuple[str, str], Mapping[str, Any]], shown: int = 0) -> str:
    """Differences, each behind the first (or second) system of its pair."""
    return "; ".join(f"{pair[shown]} {interval(each)}" for pair, each in gaps.items())
