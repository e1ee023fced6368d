"""What a drift report draws: counted while the stream goes by, in memory that does not grow with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.drift.alert_rules import KIND as RULE
from models.drift.observation import Observed
from models.evaluation.metrics import jensen_shannon
from models.ports import Embeddings
from schemas import DriftAlert

FloatArray = NDArray[np.float64]
BINS, LEAST = 80, 25
"""Stretches of equal numbers of segments that a stream is drawn in, and how many segments one has at least."""
OTHERS = "other codes"
_MOST_CODES = 2_000  # counted apart; a stream of free codes may have more
_SAMPLED = 1_200  # segments whose embeddings are drawn
_SIMULATED = 300
_BEFORE = 3  # bins before there is a reference
_RARE = 10  # segments a code needs to be called emerging
SIGNALS = {
    "confidence": "confidence",
    "agreement": "agreement of the members",
    "similarity": "similarity to the code reused",
    "accepted": "let stand by people",
    "agreed": "two people agree",
    "rewrote": "rewritten by the moderator",
    "new": "new codes",
    "dead": "dead letters",
}
"""What is measured of a segment, and what a reader is told that it is."""
_WORDS = ("accepted", "agreed")
"""Those that may come after the segment itself: people's."""


@dataclass
class StreamBin:
    """A stretch of the stream."""

    start: datetime
    end: datetime
    segments: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)


@dataclass
class Quarter:
    """A fourth of the stream's segments: a stretch is too long to tell it, where they are few."""

    codes: Counter[str] = field(default_factory=Counter)
    signals: dict[str, tuple[int, float]] = field(default_factory=dict)
    """How often a signal was known, and its sum."""

    def mean(self, signal: str) -> float | None:
        """Of those segments of which it was known; none where there are none."""
        count, total = self.signals.get(signal, (0, 0.0))
        return total / count if count else None


@dataclass(frozen=True)
class BinDistance:
    """How far a stretch is from those before it."""

    at: datetime
    value: float
    """Square root of the Jensen-Shannon divergence in bits, 0 to 1."""
    limit: float
    """What a stretch of that size without a change stays below 99 times of 100."""
    follows: bool = True
    """Whether the stretch just before it has a distance too, from the same reference: a line goes on only then."""


@dataclass(frozen=True)
class EmergingCode:
    """A code that is more frequent in the last quarter than before."""

    code: str
    first: datetime
    before: float
    after: float
    segments: int


@dataclass(frozen=True)
class TextPoint:
    """A segment's text in two dimensions."""

    x: float
    y: float
    after: bool
    code: str


class ReportData:
    """Counts, and a sample of the embeddings."""

    def __init__(self, segments: int, seed: int = 7) -> None:
        """Expect so many segments: they are drawn in stretches of equal size, and told by quarters."""
        self._expected = max(1, segments)
        self._size = max(LEAST, -(-segments // BINS))
        self._random = Random(seed)
        self._first_seen: dict[str, datetime] = {}
        self._quarters = [Quarter() for _ in range(4)]
        self._sample: list[tuple[datetime, str, Embeddings]] = []
        self.bins: list[StreamBin] = []
        self.embedded = 0
        self.segments = 0

    def add(self, observed: Observed) -> None:
        """Count a segment; of a person's word that came later, only the word."""
        if observed.judged:
            if self.bins:
                self._measure(observed)
            return
        if not self.bins or self.bins[-1].segments >= self._size:
            self.bins.append(StreamBin(observed.at, observed.at))
        now = self.bins[-1]
        self.segments += 1
        now.segments += 1
        now.end = observed.at
        now.sources[observed.source] += 1
        if not observed.dead:
            code = self._counted(observed)
            now.codes[code] += 1
            self._quarter.codes[code] += 1
        self._measure(observed)
        if observed.vector is not None:
            self._keep(observed)

    @property
    def _quarter(self) -> Quarter:
        """That of the segment counted last; those that were not expected are in the last one."""
        return self._quarters[min(3, (self.segments - 1) * 4 // self._expected)]

    def _measure(self, observed: Observed) -> None:
        now = self._quarter
        for name in _WORDS if observed.judged else SIGNALS:
            value = getattr(observed, name)
            if value is not None:
                count, total = now.signals.get(name, (0, 0.0))
                now.signals[name] = (count + 1, total + value)

    def _counted(self, observed: Observed) -> str:
        if observed.code not in self._first_seen and len(self._first_seen) >= _MOST_CODES:
            return OTHERS
        self._first_seen.setdefault(observed.code, observed.at)
        return observed.code

    def _keep(self, observed: Observed) -> None:
        self.embedded += 1
        entry = (observed.at, observed.code, observed.vector)
        if len(self._sample) < _SAMPLED:
            self._sample.append(entry)  # type: ignore[arg-type]
        elif (place := self._random.randrange(self.embedded)) < _SAMPLED:
            self._sample[place] = entry  # type: ignore[assignment]

    def totals(self, what: str = "codes") -> Counter[str]:
        """Segments by code or by source."""
        totals: Counter[str] = Counter()
        for bin_ in self.bins:
            totals.update(getattr(bin_, what))
        return totals

    def shown(self, what: str, first: Sequence[str], most: int = 8) -> list[str]:
        """The names that are drawn apart: those of the alerts, then the most frequent."""
        totals = self.totals(what)
        named = [name for name in dict.fromkeys(first) if name in totals][: most - 2]
        frequent = sorted(totals, key=lambda name: (-totals[name], name))
        return list(dict.fromkeys([*named, *frequent]))[:most]

    def quarters(self) -> dict[str, list[float | None]]:
        """The signals' means in each quarter of the stream, none where one was not known; those never above 0 left out.

        Returns:
            What they are, for a reader, with the four means.
        """
        means = {title: [part.mean(name) for part in self._quarters] for name, title in SIGNALS.items()}
        return {title: each for title, each in means.items() if any(each)}

    def shares(self, what: str, names: Sequence[str]) -> FloatArray:
        """Shares by stretch, shape ``(names + 1, bins)``: the last row is all others."""
        table = np.zeros((len(names) + 1, len(self.bins)))
        for n, bin_ in enumerate(self.bins):
            counts = getattr(bin_, what)
            total = max(counts.total(), 1)
            table[:-1, n] = [counts[name] / total for name in names]
            table[-1, n] = max(0.0, 1 - table[:-1, n].sum()) if counts else 0.0
        return table

    def distances(self, changes: Sequence[datetime]) -> list[BinDistance]:
        """Each stretch's distance from all those between the last change and it, with its control limit."""
        names = [name for name, _ in self.totals().most_common(200)]
        counts = np.array([[bin_.codes[name] for name in names] for bin_ in self.bins], dtype=np.float64)
        random = np.random.default_rng(7)
        distances: list[BinDistance] = []
        since, last = 0, -1
        for n in range(1, len(self.bins)):
            if any(self.bins[n - 1].start < at <= self.bins[n].start for at in changes):
                since = n
            reference = counts[since:n].sum(axis=0)
            if n - since < _BEFORE or not reference.sum() or not counts[n].sum():
                continue
            value, limit = float(_distance(reference, counts[n])), _limit(reference, counts[n], random)
            distances.append(BinDistance(self.bins[n].start, value, limit, follows=n == last + 1))
            last = n
        return distances

    def emerging(self, most: int = 8) -> list[EmergingCode]:
        """Codes that rose most from the first three quarters to the last, by a z-test of the two shares."""
        *early, late = self._quarters
        before, after = sum((part.codes for part in early), Counter[str]()), late.codes
        n, m = before.total(), after.total()
        rises: list[tuple[float, EmergingCode]] = []
        for code, count in after.items() if n and m else ():
            p, q = before[code] / n, count / m
            pooled = (before[code] + count) / (n + m)
            z = (q - p) / max((pooled * (1 - pooled) * (1 / n + 1 / m)) ** 0.5, 1e-12)
            if count >= _RARE and z > 3 and code != OTHERS:
                rises.append((z, EmergingCode(code, self._first_seen[code], p, q, count)))
        return [each for _, each in sorted(rises, key=lambda rise: -rise[0])[:most]]

    def projection(self, change: datetime | None) -> tuple[list[TextPoint], FloatArray]:
        """The sampled texts on their two main axes (PCA), before and after a change, or by halves.

        Returns:
            The points, and the share of the variance that each axis has.
        """
        if len(self._sample) < 10:
            return [], np.zeros(2)
        sample = sorted(self._sample, key=lambda entry: entry[0])
        change = change or sample[len(sample) // 2][0]
        vectors = np.stack([vector for _, _, vector in sample]).astype(np.float64)
        centred = vectors - vectors.mean(axis=0)
        _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
        places = centred @ axes[:2].T
        explained = lengths[:2] ** 2 / max(float((lengths**2).sum()), 1e-12)
        points = [
            TextPoint(float(x), float(y), at >= change, code)
            for (at, code, _), (x, y) in zip(sample, places, strict=True)
        ]
        return points, explained


def change_points(alerts: Sequence[DriftAlert]) -> list[datetime]:
    """Since when something is as it was not before; of a rule's alert that is not known: it compares nothing."""
    return [alert.at for alert in alerts if alert.kind != RULE]


def main_change(alerts: Sequence[DriftAlert]) -> datetime | None:
    """The change that before and after are told by: what is said first, then the surest; not a rule's alert."""
    changes = [alert for alert in alerts if alert.kind != RULE]
    ordered = sorted(changes, key=lambda alert: (alert.cause not in ("input", "volume"), alert.p, alert.at))
    return ordered[0].at if ordered else None


def _limit(reference: FloatArray, counts: FloatArray, random: Any) -> float:
    """The 99th percentile of the distance of two samples of these sizes from one and the same distribution."""
    pooled = (reference + counts) / (reference.sum() + counts.sum())
    drawn = random.multinomial(int(counts.sum()), pooled, _SIMULATED)
    base = random.multinomial(int(reference.sum()), pooled, _SIMULATED)
    return float(np.quantile(_distance(base, drawn), 0.99))


def _distance(counts: NDArray[Any], others: NDArray[Any]) -> FloatArray:
    """The distance of frequency tables: the square root of their divergence, a metric from 0 to 1.

    Source:
        Endres and Schindelin, "A new metric for probability distributions", IEEE Trans. Inf. Theory 49 (2003).
    """
    distances: FloatArray = np.sqrt(jensen_shannon(counts, others))
    return distances
