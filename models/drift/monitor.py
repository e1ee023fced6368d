"""Watches one study's coded segments and says what changed, since when, how sure, and why."""

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from models.drift.alerts import AlertBuilder
from models.drift.embedding_drift import TextWatch
from models.drift.observation import KnownChange, Observed
from models.drift.scan import Finding
from models.drift.settings import BLOCKS, DriftSettings
from models.drift.signal_watch import SignalWatch
from models.drift.signals import CODES_OF_A_DAY, SIGNALS, TEXTS, WORDS_OF_A_DAY, WORDS_THAT_LAST
from models.drift.terms.term_watch import TermFinding, TermWatch
from schemas import DriftAlert

_SELDOM = ((32_768, 16), (8_192, 8), (2_048, 4), (512, 2))  # from that many blocks on, only every so many are looked at
_CHANGES = 200  # on purpose that are remembered, the newest: an alert names only those near its change point
FORMAT = 3
"""Of the state: one of another format is not read, and the study is watched anew."""


class Monitor:
    """Watches one study. Its alerts depend on the segments and on the settings, not on when they were read.

    Segments are put in the order of their own time and cut into blocks, sixteen a window. Each of eleven signals
    (codes, themes, sources, confidence, ...) is counted by stratum; at each block's end windows of 2 to 512 blocks are
    compared with what was before them (:class:`~models.drift.scan.Scan`), ever more seldom in a long stream, and once
    a window the texts' embeddings (:class:`~models.drift.embedding_drift.TextWatch`). Words and days have a watch of
    their own (:class:`~models.drift.terms.term_watch.TermWatch`). Look ``k`` at a signal may raise
    a false alarm with probability ``false_alarms * budget * alpha_spent(k)``; the sum over all looks and signals is the
    ``false_alarms`` of the settings, however long the stream. Where a stream ends, its codes are looked at once more as
    a whole (:class:`~models.drift.end_test.EndTest`), which needs no reference long enough. Of a family of signals the
    surest finding becomes an alert, with its change point's interval and its cause; then the reference of what moved
    begins anew.

    Attributes:
        study: Its name.
        settings: How it is watched.
        late: Segments that came later than the settings wait, and were left out.
        changes: What is known to have been changed on purpose.
        watches: One a signal.
        texts: The watch of the embeddings.
        words: The watch of words that rise for good or for a day.
        codes_by_day: The watch of codes that rise for a day.

    Example:
        >>> monitor, alerts = Monitor("app", DriftSettings(lateness=timedelta())), []
        >>> for n in range(1_600):
        ...     at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=n)
        ...     late = n % 10 == 0 if n < 1_000 else n % 3 == 0
        ...     alerts += monitor.update(Observed(at, UUID(int=n), "shop", "late" if late else f"code {n % 7}"))
        >>> [(alert.codes[0], alert.cause, f"{alert.at:%H:%M}") for alert in alerts]
        [('late', 'input', '16:42')]

    Source:
        Lan & DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70 (1983).
    """

    def __init__(self, study: str, settings: DriftSettings | None = None) -> None:
        self.study = study
        self.settings = settings or DriftSettings()
        self.late = 0
        self.changes: list[KnownChange] = []
        self.watches = [SignalWatch(signal, self.settings) for signal in SIGNALS]
        self.texts = TextWatch(self.settings, TEXTS.budget)
        self.words = TermWatch(self.settings, WORDS_THAT_LAST, WORDS_OF_A_DAY)
        self.codes_by_day = TermWatch(self.settings, 0.0, CODES_OF_A_DAY, repeats=(3, 3))
        self._waiting: list[tuple[float, int, int, Observed]] = []
        self._came = 0
        self._newest = float("-inf")
        self._taken = float("-inf")
        self._last: UUID | None = None
        self._models = ""
        self._block = 0
        self._in_block = 0
        self._slot: int | None = None

    def update(self, observed: Observed) -> list[DriftAlert]:
        """Take one segment; the alerts that it brought about, mostly none."""
        at, wait = observed.at.timestamp(), self.settings.lateness.total_seconds()
        if at < self._newest - wait or at < self._taken:
            self.late += 1
            return []
        self._newest = max(self._newest, at)
        if not wait:
            return self._take(observed, at)
        heapq.heappush(self._waiting, (at, observed.segment.int, self._came, observed))
        self._came += 1
        return self._release(self._newest - wait)

    def extend(self, observed: Iterable[Observed]) -> list[DriftAlert]:
        """Take many, one after the other."""
        return [alert for segment in observed for alert in self.update(segment)]

    def note(self, change: KnownChange) -> None:
        """Hear of something that was changed on purpose, at best before the segments that it moved."""
        self.changes = [*self.changes, change][-_CHANGES:]

    def too_few(self) -> list[str]:
        """What is known of some segments, but of too few to see a change: ``texts: 120 of 200``."""
        rare = (watch for watch in self.watches if watch.known_of_any and not watch.compared)
        counts = [(watch.signal.name, watch.known, watch.needed) for watch in rare]
        for name, texts in ((TEXTS.name, self.texts), ("words", self.words)):
            if not texts.looks:
                counts.append((name, texts.known, texts.needed))
        return [f"{name}: {min(known, needed):,} of {needed:,}" for name, known, needed in counts if known]

    def compared(self, *, coded: bool) -> bool:
        """Whether what is said was ever compared with what was before it.

        Args:
            coded: Whether segments have codes, so that these are what is said; else it is their texts.
        """
        if coded:
            return next(watch.compared for watch in self.watches if watch.signal.name == "codes")
        return self.texts.looks > 0 or self.words.looks > 0

    def finish(self) -> list[DriftAlert]:
        """Take what was still waited for, at the end of a file."""
        alerts = self._release(float("inf"))
        self.texts.look_next()
        alerts += self._close() if self._in_block else self._test_texts(set())
        alerts += self._test_whole()
        return [*alerts, *self._rises(self.words.finish(), "words"), *self._rises(self.codes_by_day.finish(), "codes")]

    def _release(self, upto: float) -> list[DriftAlert]:
        """Take what nothing earlier can come before any more, in the order of its time."""
        alerts: list[DriftAlert] = []
        while self._waiting and self._waiting[0][0] <= upto:
            at, _, _, observed = heapq.heappop(self._waiting)
            alerts += self._take(observed, at)
        return alerts

    def _take(self, observed: Observed, at: float) -> list[DriftAlert]:
        if observed.judged:
            self._taken = at
            for watch in self.watches:
                if watch.signal.family == "people":
                    watch.add(observed, at, self._season(observed.at))
            return []
        if observed.segment == self._last:
            return []  # the same message once more
        alerts: list[DriftAlert] = []
        if isinstance(self.settings.window, timedelta):
            slot = int(at // (self.settings.window.total_seconds() / BLOCKS))
            if self._in_block and slot != self._slot:
                alerts = self._close()
            self._slot = slot
        self._taken, self._last = at, observed.segment
        if observed.models != self._models:
            if self._models:
                self.note(KnownChange(observed.at, "model", f"{self._models} gave way to {observed.models}"))
            self._models = observed.models
        season = self._season(observed.at)
        for watch in self.watches:
            watch.add(observed, at, season)
        self.texts.add(observed, at)
        alerts += self._add_terms(observed, at)
        self._in_block += 1
        if isinstance(self.settings.window, int) and self._in_block >= self.settings.window // BLOCKS:
            alerts += self._close()
        return alerts

    def _add_terms(self, observed: Observed, at: float) -> list[DriftAlert]:
        """Count a segment's words and its code by day; what rose by then."""
        alerts: list[DriftAlert] = []
        if observed.words is not None:
            rises = self.words.add(at, observed.segment, observed.source, observed.words)
            alerts += self._rises(rises, "words")
        if not observed.dead:
            rises = self.codes_by_day.add(at, observed.segment, observed.source, (observed.code,))
            alerts += self._rises(rises, "codes")
        return alerts

    def _rises(self, findings: Iterable[TermFinding], terms: Literal["words", "codes"]) -> list[DriftAlert]:
        """The alerts of words or codes that rose; what lasts is the reference of the texts from then on."""
        builder = AlertBuilder(self.study, self.settings.false_alarms)
        detected = self._taken + self.settings.lateness.total_seconds()
        alerts = []
        for finding in findings:
            alerts.append(builder.of_terms(finding, terms, self.changes, detected))
            if not finding.burst:
                self.texts.rebase()
        return alerts

    def _season(self, at: datetime) -> str:
        if self.settings.reference == "seasonal-hour":
            return f"{at.astimezone(UTC).hour:02d} h"
        if self.settings.reference == "seasonal-weekday":
            return f"{at.astimezone(UTC):%A}"
        return ""

    def _close(self) -> list[DriftAlert]:
        """End a block, and say what moved by then."""
        self._block, self._in_block = self._block + 1, 0
        every = next((every for since, every in _SELDOM if self._block > since), 1)
        surest: dict[str, tuple[SignalWatch, Finding]] = {}
        for watch in self.watches:
            finding = watch.test(self._block, self._taken, spend=self._block % every == 0)
            family = watch.signal.family
            if finding and (family not in surest or finding.p < surest[family][1].p):
                surest[family] = (watch, finding)
        alerts = [self._alert(watch, finding) for watch, finding in surest.values()]
        for _, watch, latest, cells in alerts:
            for other in self.watches:
                if other.signal.family == watch.signal.family:
                    other.rebase(latest, cells if other is watch else None)
        return [*(alert for alert, *_ in alerts), *self._test_texts(set(surest))]

    def _test_texts(self, moved: set[str]) -> list[DriftAlert]:
        """What the texts themselves say, where the codes have not said it already."""
        if TEXTS.family in moved:
            self.texts.rebase()
            self.words.rebase()
            self.codes_by_day.rebase()
            return []
        finding = self.texts.test()
        if finding is None:
            return []
        detected = self._taken + self.settings.lateness.total_seconds()
        alert = AlertBuilder(self.study, self.settings.false_alarms).of_texts(finding, self.changes, detected)
        self.texts.rebase_to(finding.texts)
        self.words.rebase_to(finding.texts[0].at)
        return [alert]

    def _test_whole(self) -> list[DriftAlert]:
        """What changed anywhere since it last did, though no window showed it when it came."""
        findings = [(watch, watch.test_whole()) for watch in self.watches]
        return [self._alert(watch, finding)[0] for watch, finding in findings if finding is not None]

    def _alert(self, watch: SignalWatch, finding: Finding) -> tuple[DriftAlert, SignalWatch, float, list[str]]:
        """The alert of a finding, with up to when it may have begun and the cells that moved."""
        detected = self._taken + self.settings.lateness.total_seconds()
        builder = AlertBuilder(self.study, self.settings.false_alarms)
        alert, point, moved = builder.alert(watch, finding, self.watches, self.texts, self.changes, detected)
        return alert, watch, point.latest, sorted({each.cell for each in moved})

    def state(self) -> dict[str, Any]:
        """All that a restart needs, ready for JSON."""
        return {
            "format": FORMAT,
            "study": self.study,
            "settings": self.settings.to_json(),
            "late": self.late,
            "changes": [[change.at.isoformat(), change.kind, change.what] for change in self.changes],
            "watches": {watch.signal.name: watch.state() for watch in self.watches},
            "texts": self.texts.state(),
            "words": self.words.state(),
            "codes_by_day": self.codes_by_day.state(),
            "waiting": [observed.to_json() for *_, observed in sorted(self._waiting, key=lambda entry: entry[:3])],
            "came": self._came,
            "newest": None if self._newest == float("-inf") else self._newest,
            "taken": None if self._taken == float("-inf") else self._taken,
            "last": None if self._last is None else self._last.hex,
            "models": self._models,
            "block": [self._block, self._in_block, self._slot],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`: the same alerts as if there had been no restart."""
        settings = DriftSettings.from_json(state["settings"])
        monitor = cls(state["study"], settings)
        monitor.late = state["late"]
        monitor.changes = [KnownChange(datetime.fromisoformat(at), kind, what) for at, kind, what in state["changes"]]
        monitor.watches = [
            type(watch).restore(watch.signal, settings, state["watches"][watch.signal.name])
            for watch in monitor.watches
        ]
        monitor.texts = TextWatch.restore(settings, TEXTS.budget, state["texts"])
        monitor.words.go_on(state.get("words"))
        monitor.codes_by_day.go_on(state.get("codes_by_day"))
        for n, encoded in enumerate(state["waiting"]):
            observed = Observed.from_json(encoded)
            heapq.heappush(monitor._waiting, (observed.at.timestamp(), observed.segment.int, n, observed))
        monitor._came = state["came"]
        monitor._newest = float("-inf") if state["newest"] is None else state["newest"]
        monitor._taken = float("-inf") if state["taken"] is None else state["taken"]
        monitor._last = None if state["last"] is None else UUID(state["last"])
        monitor._models = state["models"]
        monitor._block, monitor._in_block, monitor._slot = state["block"]
        return monitor
