"""What is slow, rare or short: words and codes that rise over weeks, in few segments, or for a day."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np

from models.drift.counts.snapshots import Counts
from models.drift.settings import DriftSettings
from models.drift.tail_tests import alpha_spent, tails
from models.drift.terms.term_counts import TermChunk, TermTable, locate_step, totals

_CHUNK = 25
"""Segments of a chunk: a change is placed to the chunk."""
_CHUNKS = 64
"""Chunks that are kept; beyond, small neighbours become one, and then the oldest are given up: memory stays flat."""
_LARGEST = 200
"""Segments of a chunk that two have become: 12,800 segments are remembered at most."""
_PARTS = (2, 4, 8, 16)
"""The newest half, quarter, eighth and sixteenth of all segments are compared with what was before them."""
_FIRST, _FEWEST = 100, 4
"""Segments, and chunks, before the first look."""
_STEP, _LONGEST_STEP = 10, 1_000
"""From one look to the next a tenth of all segments come, and at most a thousand."""
_LEAST_OF_DAY, _LEAST_BEFORE = 8, 100
"""Segments of a day that is compared, and of what was before it."""
_SEEN = 4
"""Times that a term must have been seen in what is newer: rarer ones cannot show anything at these levels."""
_USUAL = 50
"""Terms that how much counts vary is learned from, the most frequent ones."""
_OVER = 0.5
"""Of the rate of its day: a burst is over when the next day has less than that."""
_LOUDEST = 100.0
"""By how much less sure a lasting rise may be without the chunk that speaks loudest for it."""
_SOON = 10
"""Days, or looks, after which the spending on them begins to fall: a stream of some weeks is to have its share."""
_NAMED, _EXAMPLES = 12, 5  # terms and segments that an alert shows
_DAY_S = 86_400.0  # seconds


@dataclass(frozen=True)
class Risen:
    """A term that more segments have than before."""

    term: str
    p: float
    """Of this test alone."""
    before: float
    """Share of segments that were due to have it."""
    after: float


@dataclass(frozen=True)
class TermFinding:
    """A stretch of the stream in which some terms are more frequent than before it."""

    p: float
    """After paying for all terms, windows and looks, as a share of the false alarms that these looks may raise."""
    burst: bool
    """Whether it was over the day after."""
    start: float
    """When it began, seconds since 1970; of a rise that lasts, the likeliest time."""
    earliest: float
    latest: float
    before: int
    after: int
    risen: tuple[Risen, ...]
    """At least one, the surest first."""
    examples: tuple[UUID, ...]
    """Segments with most of these terms."""


class TermWatch:
    """Counts in how many segments each term is, and tells which rose, for good or for a day.

    For good: at looks that come ever more seldom (100 segments, then a tenth more each time) the newest half,
    quarter, eighth and sixteenth of all since the last change are compared with those before them, source by source
    (Mantel-Haenszel). So a rise over weeks, or one among few segments, is compared with all that was before and not
    with the last window, and few looks share what may be spent.
    For a day: each day (UTC) of eight segments or more is compared with all before it. A burst is told when the day
    after it is over and has less than half of it, or when the stream ends; what goes on is a change, not a burst.
    Variances are multiplied by what the counts vary from chunk to chunk, and, for days, from day to day.

    Example:
        >>> watch, found = TermWatch(DriftSettings(), 0.5, 0.5, repeats=(3, 3)), []
        >>> for n in range(600):
        ...     late = n % 20 == 0 or (n // 20 == 24 and n % 2 == 0)  # twenty segments a day; day 24 is another one
        ...     found += watch.add(n * 4_320.0, UUID(int=n), "shop", ("late" if late else f"word {n % 7}",))
        >>> [(each.burst, each.start / 86_400, each.risen[0].term) for each in found]
        [(True, 24.0, 'late')]

    Source:
        Mantel & Haenszel, "Statistical Aspects of the Analysis of Data from Retrospective Studies", JNCI 22 (1959).
    """

    def __init__(
        self, settings: DriftSettings, lasting: float, bursts: float, repeats: tuple[int, int] = (1, 10)
    ) -> None:
        """Count from here on.

        Args:
            settings: How the stream is watched.
            lasting: Share of all false alarms that rises that last may raise; 0: not looked for.
            bursts: The same for those of a day.
            repeats: How often the very same terms count among how many of a source's segments in a row: what is said
                again at once is one event.
        """
        self.settings, self.lasting, self.bursts, self.repeats = settings, lasting, bursts, repeats
        self.rows: dict[str, deque[tuple[str, ...]]] = {}
        self.chunks: list[TermChunk] = []
        self.today: list[TermChunk] = []
        self.candidate: tuple[TermFinding, list[TermChunk]] | None = None
        self.looks = 0
        self.days = 0
        self.came = 0
        self.next_look = _FIRST
        self._spread = (_CHUNK * 1.0, _CHUNK * 1.0)

    @property
    def known(self) -> int:
        """Segments since the last change that are remembered."""
        return sum(chunk.segments for chunk in self._all())

    @property
    def needed(self) -> int:
        """Segments at the first look."""
        return _FIRST

    def add(self, at: float, segment: UUID, source: str, terms: tuple[str, ...]) -> list[TermFinding]:
        """Count one segment; what was found when it began a new day or a new chunk, mostly nothing."""
        findings: list[TermFinding] = []
        row = self.rows.setdefault(source, deque(maxlen=self.repeats[1]))
        again = row.count(terms) >= self.repeats[0]
        row.append(terms)
        if again:
            return []
        self.came += 1
        if self.today and at // _DAY_S != self.today[0].start // _DAY_S:
            findings += self._end_day()
        elif self.today and self.today[-1].segments >= _CHUNK:
            findings += self._look()
        if not self.today or self.today[-1].segments >= _CHUNK:
            self.today.append(TermChunk(at, at))
        self.today[-1].add(at, segment, source, terms)
        return findings

    def finish(self) -> list[TermFinding]:
        """End the last day, on which a burst need not be over, and look once more at what is there by then."""
        findings = self._end_day() if self.today else []
        if self.came >= _FIRST:
            self.next_look = 0
            findings += self._look()
        if self.candidate is not None:
            findings.append(self.candidate[0])
            self.candidate = None
        return findings

    def rebase(self) -> None:
        """Begin the reference anew behind a change."""
        self.chunks, self.today, self.candidate = [], [], None
        self.came, self.next_look = 0, _FIRST

    def _all(self) -> list[TermChunk]:
        return [*self.chunks, *(self.candidate[1] if self.candidate else ()), *self.today]

    def _end_day(self) -> list[TermFinding]:
        """Compare the day that ended with what was before it, and let it be part of that."""
        findings = self._settle_candidate()
        day, self.today = self.today, []
        finding = self._compare_day(day) if self.bursts else None
        if finding is None:
            self._append(day)
            return [*findings, *self._look()]
        self.candidate = (finding, day)
        return findings

    def _settle_candidate(self) -> list[TermFinding]:
        """Whether yesterday was a burst, now that today is over: then it is no part of what was before."""
        if self.candidate is None:
            return []
        finding, day = self.candidate
        self.candidate = None
        first = finding.risen[0]
        size, seen = sum(chunk.segments for chunk in self.today), totals(self.today)[first.term]
        next_day = self.today[0].start // _DAY_S == day[0].start // _DAY_S + 1
        if not next_day or seen < _OVER * first.after * size or size == 0:
            return [finding]
        self._append(day)
        return []

    def _append(self, day: Sequence[TermChunk]) -> None:
        for chunk in day:
            if self.chunks and self.chunks[-1].segments < _CHUNK:
                self.chunks[-1].take(chunk)
            else:
                self.chunks.append(chunk)
        while len(self.chunks) > _CHUNKS:
            before = len(self.chunks)
            self._join_neighbours()
            if len(self.chunks) == before:
                self.chunks.pop(0)

    def _join_neighbours(self) -> None:
        """Make one of each two neighbours that are small enough."""
        n = 0
        while n < len(self.chunks) - 1:
            if self.chunks[n].segments + self.chunks[n + 1].segments <= _LARGEST:
                self.chunks[n].take(self.chunks.pop(n + 1))
            n += 1

    def _compare_day(self, day: list[TermChunk]) -> TermFinding | None:
        size = sum(chunk.segments for chunk in day)
        before = sum(chunk.segments for chunk in self.chunks)
        if size < _LEAST_OF_DAY or before < _LEAST_BEFORE:
            return None
        alpha = self.settings.false_alarms * self.bursts * alpha_spent(self.days, _SOON)
        self.days += 1
        table, tests = _counted(self.chunks, day)
        newer = slice(len(self.chunks), None)
        spread = max(1.0, self._spread[0] / self._spread[1])
        finding = self._compare(table, newer, alpha / tests, spread)
        if finding is None:
            self._learn_days(table, newer)
            return None
        start, end = day[0].start, day[-1].end
        return self._told(replace(finding, burst=True, start=start, earliest=start, latest=end), day, before)

    def _learn_days(self, table: TermTable, newer: slice) -> None:
        """How much days vary: the squares of surpluses, and what they should be."""
        observed, mean, variance = table.expected(newer)
        squares, due = self._spread
        self._spread = (squares + float(((observed - mean) ** 2).sum()), due + float(variance.sum()))

    def _look(self) -> list[TermFinding]:
        """Compare the newest parts of the stream with what was before them, if it is time to."""
        chunks = self._all()
        if not self.lasting or self.came <= self.next_look or len(chunks) < _FEWEST:
            return []
        known = self.known
        level = self.settings.false_alarms * self.lasting * alpha_spent(self.looks, _SOON) / len(_PARTS)
        self.looks, self.next_look = self.looks + 1, _next(self.came)
        findings = [each for part in _PARTS if (each := self._compare_part(chunks, known / part, level))]
        if not findings:
            return []
        finding = min(findings, key=lambda each: each.p)
        self.rebase_to(finding.start)
        return [finding]

    def rebase_to(self, start: float) -> None:
        """Let what came since a change be the reference."""
        if self.candidate is not None:
            self._append(self.candidate[1])
            self.candidate = None
        self.chunks = [chunk for chunk in self.chunks if chunk.start >= start]
        self.today = [chunk for chunk in self.today if chunk.start >= start]
        self.came = self.known
        self.next_look = max(_FIRST, _next(self.came))

    def _compare_part(self, chunks: list[TermChunk], size: float, level: float) -> TermFinding | None:
        """Compare so many of the newest segments with what was before them."""
        behind = np.cumsum([chunk.segments for chunk in reversed(chunks)])
        first = max(1, len(chunks) - 1 - int(np.searchsorted(behind, size)))
        newer = chunks[first:]
        table, tests = _counted(chunks[:first], newer)
        finding = self._compare(table, slice(first, None), level / tests, 1.0, lasting=True)
        if finding is None:
            return None
        column = table.terms.index(finding.risen[0].term)
        hits, sizes = table.hits[..., column].sum(axis=1), table.size[..., 0].sum(axis=1)
        at, low, high = (chunks[n].start for n in locate_step(hits, sizes))
        finding = replace(finding, start=at, earliest=low, latest=high)
        before = sum(chunk.segments for chunk in chunks if chunk.start < at)
        return self._told(finding, [chunk for chunk in chunks if chunk.start >= at], before)

    def _compare(
        self, table: TermTable, newer: slice, level: float, spread: float, *, lasting: bool = False
    ) -> TermFinding | None:
        """The terms that rose, if any did at this level of each test's."""
        if not table.terms:
            return None
        reference = TermTable(table.terms, table.size[: newer.start], table.hits[: newer.start])
        factor = np.maximum(reference.dispersion(), spread)
        p, before, after = self._p_values(table, newer, factor)
        if lasting:
            p = np.maximum(p, self._without_loudest(table, newer, factor) / _LOUDEST)
        order = np.argsort(p, kind="stable")[:_NAMED]
        if p[order[0]] > level:
            return None
        named = [n for n in order if p[n] <= max(level, _NAMED / max(len(p), _NAMED) * 1e-3)]
        risen = tuple(Risen(table.terms[n], float(p[n]), float(before[n]), float(after[n])) for n in named)
        return TermFinding(float(p[order[0]] / level), False, 0.0, 0.0, 0.0, 0, 0, risen, ())

    def _p_values(self, table: TermTable, newer: slice, factor: Counts) -> tuple[Counts, Counts, Counts]:
        """By term: how likely so many or more are, and the shares that were due and that there are."""
        observed, mean, variance = table.expected(newer)
        size = max(float(table.size[newer].sum()), 1.0)
        mean = np.maximum(mean, 1e-9)
        wide = np.maximum(variance * factor + (self.settings.tolerated_sd * mean) ** 2, 1e-9)
        _, high = tails(observed, mean, wide, np.maximum(np.minimum(size, table.hits.sum(axis=(0, 1))), observed))
        p = np.where((observed > mean) & (observed >= _SEEN), high, 1.0)
        before = table.hits[: newer.start].sum(axis=(0, 1)) / max(float(table.size[: newer.start].sum()), 1.0)
        return p, before, observed / size

    def _without_loudest(self, table: TermTable, newer: slice, factor: Counts) -> Counts:
        """P-values without the newer chunk that has most of each term: a burst is no rise that lasts."""
        loudest = table.hits[newer].sum(axis=1).argmax(axis=0) + newer.start
        p = np.ones(len(table.terms))
        for chunk in np.unique(loudest):
            kept = np.arange(len(table.size)) != chunk
            rest = TermTable(table.terms, table.size[kept], table.hits[kept])
            if newer.start < len(rest.size):
                mine = loudest == chunk
                p[mine] = self._p_values(rest, newer, factor)[0][mine]
        return p

    def _told(self, finding: TermFinding, newer: Sequence[TermChunk], before: int) -> TermFinding:
        """A finding with how many segments there were, and some that show it."""
        names = {risen.term for risen in finding.risen}
        shown = [each for chunk in newer for each in chunk.shown if names & set(each.terms)]
        shown.sort(key=lambda each: -len(names & set(each.terms)))
        return replace(
            finding,
            before=before,
            after=sum(chunk.segments for chunk in newer),
            examples=tuple(each.segment for each in shown[:_EXAMPLES]),
        )

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        candidate = self.candidate
        return {
            "chunks": _encoded(self.chunks),
            "today": _encoded(self.today),
            "candidate": None if candidate is None else [_finding_to_json(candidate[0]), _encoded(candidate[1])],
            "looks": [self.looks, self.days, self.came, self.next_look],
            "spread": list(self._spread),
            "rows": {source: [list(terms) for terms in row] for source, row in self.rows.items()},
        }

    def go_on(self, state: dict[str, Any] | None) -> None:
        """Go on from :meth:`state`; from nothing where a state is of before there was such a self."""
        if state is None:
            return
        self.chunks, self.today = _decoded(state["chunks"]), _decoded(state["today"])
        if state["candidate"] is not None:
            finding, day = state["candidate"]
            self.candidate = (_finding_from_json(finding), _decoded(day))
        self.looks, self.days, self.came, self.next_look = state["looks"]
        self._spread = tuple(state["spread"])
        most = self.repeats[1]
        self.rows = {s: deque((tuple(each) for each in row), maxlen=most) for s, row in state["rows"].items()}


def _counted(before: Sequence[TermChunk], newer: Sequence[TermChunk]) -> tuple[TermTable, int]:
    """The terms that newer segments have often enough to be tested, and how many these are.

    The most frequent ones of before are counted with them: they tell how much counts vary, whatever is new.
    """
    tested = {term for term, count in totals(newer).items() if count >= _SEEN}
    usual = (term for term, _ in totals(before).most_common(_USUAL))
    return TermTable.of([*before, *newer], sorted(tested.union(usual))), max(len(tested), 1)


def _next(came: int) -> int:
    """How many segments there are to be at the look behind one at so many."""
    return came + min(came // _STEP, _LONGEST_STEP)


def _encoded(chunks: Iterable[TermChunk]) -> list[Any]:
    return [chunk.to_json() for chunk in chunks]


def _decoded(encoded: Iterable[Any]) -> list[TermChunk]:
    return [TermChunk.from_json(each) for each in encoded]


def _finding_to_json(finding: TermFinding) -> dict[str, Any]:
    risen = [[each.term, each.p, each.before, each.after] for each in finding.risen]
    return {**vars(finding), "risen": risen, "examples": [each.hex for each in finding.examples]}


def _finding_from_json(encoded: dict[str, Any]) -> TermFinding:
    risen = tuple(Risen(*each) for each in encoded["risen"])
    return TermFinding(**{**encoded, "risen": risen, "examples": tuple(UUID(each) for each in encoded["examples"])})
