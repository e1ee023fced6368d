"""How many segments have each word, or each code, by source, in chunks of a stream: enough to tell a rise of one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from models.drift.counts.snapshots import Counts
from models.drift.overdispersion import hypergeometric

_POOLED = 5.0
"""Segments due with a term that count as much as what all terms together show of how much counts vary."""
_FREQUENT = 5
"""Segments with a term from which on it tells something of how much counts vary."""
_SHOWN = 40
"""Segments of a chunk that are remembered with their terms, so that an alert can show some of them."""


class ShownSegment(NamedTuple):
    """A segment that an alert may show."""

    segment: UUID
    terms: tuple[str, ...]


@dataclass
class TermChunk:
    """Some segments in a row, counted."""

    start: float
    """Time of its first segment, seconds since 1970."""
    end: float
    """Time of its last segment."""
    size: Counter[str] = field(default_factory=Counter)
    """Segments by source."""
    terms: dict[str, Counter[str]] = field(default_factory=dict)
    """By source, how many segments have each term."""
    shown: list[ShownSegment] = field(default_factory=list)

    @property
    def segments(self) -> int:
        """All of them."""
        return self.size.total()

    def add(self, at: float, segment: UUID, source: str, terms: tuple[str, ...]) -> None:
        """Count one segment."""
        self.end = at
        self.size[source] += 1
        self.terms.setdefault(source, Counter()).update(terms)
        if len(self.shown) < _SHOWN:
            self.shown.append(ShownSegment(segment, terms))

    def take(self, later: "TermChunk") -> None:
        """Count the segments of a later chunk as well."""
        self.end = later.end
        self.size.update(later.size)
        for source, counts in later.terms.items():
            self.terms.setdefault(source, Counter()).update(counts)
        self.shown = [*self.shown, *later.shown][-_SHOWN:]

    def to_json(self) -> list[Any]:
        """Everything, ready for JSON."""
        shown = [[each.segment.hex, list(each.terms)] for each in self.shown]
        return [self.start, self.end, dict(self.size), {s: dict(c) for s, c in self.terms.items()}, shown]

    @classmethod
    def from_json(cls, encoded: list[Any]) -> "TermChunk":
        """Read what :meth:`to_json` wrote."""
        start, end, size, terms, shown = encoded
        counts = {source: Counter(each) for source, each in terms.items()}
        return cls(start, end, Counter(size), counts, [ShownSegment(UUID(s), tuple(t)) for s, t in shown])


@dataclass(frozen=True)
class TermTable:
    """Chunks as arrays: by chunk, source and term."""

    terms: Sequence[str]
    size: Counts
    """Segments, shape ``(chunks, sources, 1)``."""
    hits: Counts
    """Segments with each term, shape ``(chunks, sources, terms)``."""

    @classmethod
    def of(cls, chunks: Sequence[TermChunk], terms: Sequence[str]) -> "TermTable":
        """Count these terms in these chunks."""
        sources = list(dict.fromkeys(source for chunk in chunks for source in chunk.size))
        size, hits = np.zeros((len(chunks), len(sources), 1)), np.zeros((len(chunks), len(sources), len(terms)))
        for n, chunk in enumerate(chunks):
            for s, source in enumerate(sources):
                size[n, s, 0] = chunk.size[source]
                counts = chunk.terms.get(source)
                if counts:
                    hits[n, s] = [counts.get(term, 0) for term in terms]
        return cls(terms, size, hits)

    def expected(self, newer: slice) -> tuple[Counts, Counts, Counts]:
        """What these chunks have of each term, and what they would have if they were drawn from all, source by source.

        Sources that are not in both parts say nothing of a change within sources, and are left out.

        Returns:
            Observed, mean and variance (hypergeometric), each shape ``(terms,)``.
        """
        size, whole = self.size[newer].sum(axis=0), self.size.sum(axis=0)
        both = (size > 0) & (whole > size)
        observed, hits = self.hits[newer].sum(axis=0) * both, self.hits.sum(axis=0) * both
        mean, variance = hypergeometric(size * both, whole, hits)
        return observed.sum(axis=0), mean.sum(axis=0), variance.sum(axis=0)

    def dispersion(self) -> Counts:
        """By term, how much more its counts vary from chunk to chunk than chance has it, at least 1, ``(terms,)``.

        As :class:`~models.drift.overdispersion.Dispersion` has it: each chunk against itself and the one before it
        together, so that a slow rise is hardly taken for variation; drawn towards what all terms show.
        """
        if len(self.size) < 2:
            return np.ones(len(self.terms))
        size, whole = self.size[1:], self.size[1:] + self.size[:-1]
        mean, variance = hypergeometric(size, whole, self.hits[1:] + self.hits[:-1])
        surplus = (self.hits[1:] - mean).sum(axis=1)
        squares, due = (surplus**2).sum(axis=0), variance.sum(axis=(0, 1))
        often = self.hits.sum(axis=(0, 1)) >= _FREQUENT
        pooled = max(1.0, float(squares[often].sum() / max(due[often].sum(), 1e-9))) if often.any() else 1.0
        return np.asarray(np.maximum((squares + _POOLED * pooled) / (due + _POOLED), 1.0))


def totals(chunks: Iterable[TermChunk]) -> Counter[str]:
    """In how many segments of these chunks each term is."""
    total: Counter[str] = Counter()
    for chunk in chunks:
        for counts in chunk.terms.values():
            total.update(counts)
    return total


def locate_step(hits: Counts, size: Counts) -> tuple[int, int, int]:
    """The chunk from which on a share is another one, with the first and the last that are likely (95%).

    The place of the largest likelihood of one step of a binomial share, and those within 1.92 nats of it.

    >>> locate_step(np.array([1.0, 0, 1, 0, 9, 8, 10]), np.full(7, 25.0))
    (4, 4, 4)

    Args:
        hits: By chunk, shape ``(chunks,)``, at least two.
        size: Segments, same shape.
    """
    hit, n = np.cumsum(hits), np.cumsum(size)
    gain = _likelihood(hit[:-1], n[:-1]) + _likelihood(hit[-1] - hit[:-1], n[-1] - n[:-1])
    likely = np.flatnonzero(gain >= gain.max() - 1.92)
    return int(gain.argmax()) + 1, int(likely[0]) + 1, int(likely[-1]) + 1


def _likelihood(hits: Counts, size: Counts) -> Counts:
    share = np.clip(hits / np.maximum(size, 1.0), 1e-12, 1 - 1e-12)
    return np.asarray(hits * np.log(share) + (size - hits) * np.log(1 - share))
