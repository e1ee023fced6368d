"""Whether a study's coding treats groups of segments alike: shares by group, with intervals and tests."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.evaluation.clopper_pearson import interval

OTHERS = "(others)"
"""Stands for the smaller groups together."""
MOST_GROUPS = 12  # that are looked at by themselves: a table that fits a screen
_LENGTHS = ((10, "under 10 words"), (25, "10 to 24 words"), (50, "25 to 49 words"))
_LONGEST = "50 words and more"
SURE = 0.05  # chance that any group at all stands out although none differs


@dataclass(frozen=True)
class CodedSegment:
    """What became of one segment, and which groups it is in.

    Attributes:
        groups: By what is looked at (a language, an attribute), the segment's group.
        reused: Whether it got an earlier code.
        to_people: Whether it was sent to people; none where it was not routed.
        stands: Whether people let the system's code stand; none where nobody judged it.
        drawn: Whether it was judged because chance drew it.
    """

    groups: Mapping[str, str]
    reused: bool
    to_people: bool | None
    stands: bool | None
    drawn: bool


MEASURES: Mapping[str, Callable[[CodedSegment], bool | None]] = {
    "wrong": lambda one: not one.stands if one.drawn and one.stands is not None else None,
    "let stand": lambda one: one.stands,
    "to people": lambda one: one.to_people,
    "reused": lambda one: one.reused,
}
"""Of a segment, whether it counts; none where it is not looked at. "Wrong" is of those that chance drew alone: of the
others mostly doubtful ones are judged."""


class GroupShare(NamedTuple):
    """A share in one group."""

    by: str
    group: str
    measure: str
    hits: int
    total: int
    low: float
    high: float
    rest: float | None
    """The share in all other groups together; none where nothing was counted there."""
    p: float
    """Chance of a difference from the rest as large where there is none, corrected for all that was looked at."""

    @property
    def share(self) -> float:
        """Hits of all that was counted."""
        return self.hits / self.total

    @property
    def stands_out(self) -> bool:
        """Whether it differs from the rest by more than chance explains."""
        return self.p < SURE


def length_group(words: int) -> str:
    """The group of a text of so many words."""
    return next((name for limit, name in _LENGTHS if words < limit), _LONGEST)


def compare_groups(coded: Iterable[CodedSegment]) -> list[GroupShare]:
    """Every measure in every group beside the rest; the largest groups by themselves, smaller ones together.

    Formula:
        Clopper and Pearson's interval at 95% for each share; Fisher's exact test of a group against the rest;
        Holm's correction over every test of the comparison.

    Example:
        >>> ana = [CodedSegment({"source": "app"}, True, False, True, True)] * 60
        >>> web = [CodedSegment({"source": "web"}, True, False, False, True)] * 60
        >>> [(each.group, each.share, each.stands_out) for each in compare_groups(ana + web) if each.measure == "wrong"]
        [('app', 0.0, True), ('web', 1.0, True)]

    Args:
        coded: Segments of one study.

    Returns:
        By what is looked at, then by measure; the largest group first. Empty shares are left out.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    counts = _count(list(coded))
    shares = [share for (by, measure), groups in counts.items() for share in _shares(by, measure, groups)]
    corrected = _holm([share.p for share in shares])
    return [share._replace(p=p) for share, p in zip(shares, corrected, strict=True)]


def _count(coded: Sequence[CodedSegment]) -> dict[tuple[str, str], dict[str, list[int]]]:
    """Hits and totals by group, for each measure of each thing that is looked at."""
    named = _largest(coded)
    counts: dict[tuple[str, str], dict[str, list[int]]] = {
        (by, measure): defaultdict(lambda: [0, 0]) for by in named for measure in MEASURES
    }
    for one in coded:
        for measure, counts_as in MEASURES.items():
            hit = counts_as(one)
            for by, group in one.groups.items() if hit is not None else ():
                both = counts[by, measure][group if group in named[by] else OTHERS]
                both[0] += bool(hit)
                both[1] += 1
    return counts


def _largest(coded: Sequence[CodedSegment]) -> dict[str, set[str]]:
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for one in coded:
        for by, group in one.groups.items():
            sizes[by][group] += 1
    return {by: {group for group, _ in groups.most_common(MOST_GROUPS)} for by, groups in sizes.items()}


def _shares(by: str, measure: str, groups: Mapping[str, Sequence[int]]) -> list[GroupShare]:
    from scipy.stats import fisher_exact

    all_hits, everything = (sum(both[n] for both in groups.values()) for n in (0, 1))
    shares = []
    for group, (hits, total) in sorted(groups.items(), key=lambda item: (-item[1][1], item[0])):
        rest_hits, rest = all_hits - hits, everything - total
        table = [[hits, total - hits], [rest_hits, rest - rest_hits]]
        p = float(fisher_exact(table).pvalue) if rest else 1.0
        low, high = interval(hits, total)
        shares.append(GroupShare(by, group, measure, hits, total, low, high, rest_hits / rest if rest else None, p))
    return shares


def _holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected for how many there are, in the same order."""
    corrected, highest = [0.0] * len(chances), 0.0
    for rank, n in enumerate(sorted(range(len(chances)), key=lambda n: chances[n])):
        highest = max(highest, min(1.0, chances[n] * (len(chances) - rank)))
        corrected[n] = highest
    return corrected
