"""How far two coders marked the same words with the same codes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from models.annotation.spans import MarkedPart

_Marked = Mapping[UUID, set[tuple[UUID, int]]]
"""By code: the characters under it, each as its segment and its place there."""


@dataclass(frozen=True)
class Overlap:
    """What two coders marked."""

    first: int
    """Characters that the first marked."""
    second: int
    both: int

    @property
    def f1(self) -> float | None:
        """Twice what both marked over what each marked, from 0 to 1; none where neither marked anything."""
        marked = self.first + self.second
        return 2 * self.both / marked if marked else None


@dataclass(frozen=True)
class PairOverlap:
    """Two coders on the documents that both worked on."""

    coders: tuple[str, str]
    documents: int
    spans: tuple[int, int]
    """Parts that each marked there."""
    exact: int
    """Parts that both marked from the same to the same character with the same codes."""
    whole: Overlap
    """Over all codes: a character under two codes counts twice."""
    codes: Mapping[UUID, Overlap]


def span_agreement(spans: Iterable[MarkedPart]) -> list[PairOverlap]:
    """Compare each two coders, by name, on the documents in which both marked something.

    F1 over characters: of a pair of coders it does not matter who is called right. It says nothing of chance, and
    needs no list of what could have been marked. A document in which only one of them marked something is left out,
    for nobody knows whether the other has read it.
    """
    by_coder: dict[str, list[MarkedPart]] = {}
    for span in spans:
        by_coder.setdefault(span.coder, []).append(span)
    pairs = (_pair(a, b, by_coder[a], by_coder[b]) for a, b in combinations(sorted(by_coder), 2))
    return [pair for pair in pairs if pair.documents]


def _pair(a: str, b: str, left: Sequence[MarkedPart], right: Sequence[MarkedPart]) -> PairOverlap:
    shared = {span.source for span in left} & {span.source for span in right}
    mine, theirs = ([span for span in each if span.source in shared] for each in (left, right))
    first, second = _marked(mine), _marked(theirs)
    codes = {code: _overlap(first.get(code, set()), second.get(code, set())) for code in {**first, **second}}
    whole = Overlap(
        sum(each.first for each in codes.values()),
        sum(each.second for each in codes.values()),
        sum(each.both for each in codes.values()),
    )
    exact = len({_place(span) for span in mine} & {_place(span) for span in theirs})
    return PairOverlap((a, b), len(shared), (len(mine), len(theirs)), exact, whole, codes)


def _marked(spans: Iterable[MarkedPart]) -> dict[UUID, set[tuple[UUID, int]]]:
    marked: dict[UUID, set[tuple[UUID, int]]] = {}
    for span in spans:
        for code, _ in span.codes:
            marked.setdefault(code, set()).update((span.segment, place) for place in range(span.start, span.end))
    return marked


def _overlap(left: set[tuple[UUID, int]], right: set[tuple[UUID, int]]) -> Overlap:
    return Overlap(len(left), len(right), len(left & right))


def _place(span: MarkedPart) -> tuple[UUID, int, int, frozenset[UUID]]:
    return span.segment, span.start, span.end, frozenset(code for code, _ in span.codes)
