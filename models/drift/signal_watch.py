"""One signal under watch: its counts, how much they vary anyway, and what they have spent of the false alarms."""

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

import numpy as np

from models.drift.counts.codec import decode_counts, encode_counts
from models.drift.counts.snapshots import BlockSnapshot
from models.drift.counts.stratified import StratifiedCounts
from models.drift.end_test import LEAST, EndTest
from models.drift.observation import Observed
from models.drift.overdispersion import LAG, Dispersion
from models.drift.scan import Finding, Scan
from models.drift.settings import DriftSettings
from models.drift.signals import Signal
from models.drift.tail_tests import alpha_spent

_CUTS = 4  # of a measured signal: five steps, so that each holds enough segments to be tested
_RARE = 4  # times fewer segments that the reference of a signal needs which few segments have
_BELOW = 1e-4  # under the lowest cut there is one more: two digits finer than cuts are rounded


class SignalWatch:
    """One signal of one study: counts its segments, and tests its newest windows at each block's end.

    A test at look ``k`` may raise a false alarm with probability ``false_alarms * budget * alpha_correction *
    alpha_spent(k)``; over all looks and signals these add up to the settings' ``false_alarms``, where the correction
    gives back what overlapping windows and cautious tests leave unspent. A signal that is a number is counted by the
    fifths of its first values: no distribution has to be assumed.

    Attributes:
        signal: What is watched.
        settings: How.
        least: Segments that a reference needs.
        table: Its counts.
        dispersion: How much they vary anyway.
        looks: How often it was tested.
        compared: Whether there ever was a window with a reference long enough before it.

    Example:
        >>> from datetime import UTC, datetime
        >>> from models.drift.signals import SIGNALS
        >>> watch, day = SignalWatch(SIGNALS[0], DriftSettings()), datetime(2026, 3, 1, tzinfo=UTC)
        >>> for n in range(1_200):
        ...     late = n % 10 == 0 if n < 800 else n % 3 == 0
        ...     watch.add(Observed(day, UUID(int=n), "shop", "late" if late else f"code {n % 7}"), 60.0 * n, season="")
        ...     if n % 25 == 24:
        ...         finding = watch.test(1 + n // 25, 60.0 * n, spend=True)
        >>> watch.signal.name, finding.moved[0].cell, finding.p < 0.01
        ('codes', 'late', True)

    Source:
        Lan & DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70 (1983).
    """

    def __init__(self, signal: Signal, settings: DriftSettings) -> None:
        self.signal = signal
        self.settings = settings
        self.least = settings.least // _RARE if signal.rare else settings.least
        self.table = StratifiedCounts(repeats=signal.repeats)
        self.dispersion = Dispersion()
        self.looks = 0
        self.compared = False
        self._cuts: list[float] | None = None
        self._waiting: list[tuple[float, UUID, tuple[str, str], float]] = []

    def add(self, observed: Observed, at: float, season: str) -> None:
        """Count one segment."""
        signal = self.signal
        key = (getattr(observed, signal.within) if signal.within else "", season)
        if signal.value is not None:
            value = signal.value(observed)
            if value is not None:
                self._measure(at, observed.segment, key, value)
        elif signal.applies_to(observed):
            assert signal.cell is not None
            self.table.add(at, observed.segment, key, signal.cell(observed))

    def test(self, block: int, at: float, *, spend: bool) -> Finding | None:
        """End a block; what moved by then, if anything.

        Args:
            block: Its number, from 1.
            at: Time of its last segment, seconds since 1970.
            spend: Whether to look at all: ever more seldom in a long stream.
        """
        table = self.table
        if not table.strata:
            return None  # the signal is not known of any segment
        table.close_block(block, at)
        if table.total < self.least:
            self.dispersion.learn(table, block, table.members())
            return None
        self.dispersion.learn(table, block - LAG, table.members())
        if not spend:
            return None
        scan = self.scan(self._alpha())
        self.compared = self.compared or bool(scan.window_starts(table))
        return scan.run(table, self.dispersion)

    def test_whole(self) -> Finding | None:
        """What changed anywhere in the stream since its reference began, asked once, at its end."""
        if not self.signal.at_the_end:
            return None
        settings = self.settings
        alpha = settings.false_alarms * self.signal.at_the_end
        test = EndTest(self.table, alpha, settings.tolerated_sd, settings.seasonal_sd, settings.seed)
        self.compared = self.compared or test.enough
        return test.run()

    @property
    def known_of_any(self) -> bool:
        """Whether any segment ever was in one of its cells."""
        return bool(self.table.cells or self._waiting)

    @property
    def known(self) -> int:
        """Segments of which the signal is known, since the reference began."""
        return int(self.table.total) + len(self._waiting)

    @property
    def needed(self) -> int:
        """Segments that have to be known before anything can be compared."""
        if self.signal.at_the_end:
            return LEAST
        return self.least + self.settings.needed - self.settings.least

    def scan(self, alpha: float) -> Scan:
        """How its counts are to be scanned now, at this probability of a false alarm."""
        settings = self.settings
        return Scan(self.least, settings.tolerated_sd, settings.seasonal_sd, alpha, self._reference_end())

    def rebase(self, at: float, cells: Iterable[str] | None = None) -> None:
        """Begin the reference anew behind a change: of the cells that moved, or of all where none are given."""
        self.table.rebase(at, None if self.settings.reference == "fixed" else cells)
        self.table.history.reference_end = None

    def _alpha(self) -> float:
        """What this look may spend."""
        self.looks += 1
        signal = self.signal
        return self.settings.false_alarms * signal.budget * signal.alpha_correction * alpha_spent(self.looks - 1)

    def _reference_end(self) -> BlockSnapshot | None:
        """End of a fixed reference, as soon as it is long enough; none where the reference slides."""
        if self.settings.reference != "fixed":
            return None
        history = self.table.history
        if history.reference_end is None:
            enough = history.base.counts[:, 0].sum() + self.settings.history
            ends = (block.block for block in history.blocks if block.counts[:, 0].sum() >= enough)
            history.reference_end = next(ends, None)
        return next((block for block in history.blocks if block.block == history.reference_end), None)

    def _measure(self, at: float, segment: UUID, key: tuple[str, str], value: float) -> None:
        """Count a number by the step of the scale that it is on."""
        if self._cuts is None:
            self._waiting.append((at, segment, key, value))
            if len(self._waiting) >= self.least:
                self._set_cuts()
            return
        step = next((n for n, cut in enumerate(self._cuts) if value <= cut), None)
        self.table.add(at, segment, key, None if step is None else self.table.steps[step])

    def _set_cuts(self) -> None:
        """Make a scale of the first values, and count them on it."""
        values = np.array([value for *_, value in self._waiting])
        fifths = np.quantile(values, np.arange(1, _CUTS + 1) / (_CUTS + 1))
        cuts = sorted({float(f"{cut:.4g}") for cut in fifths})
        self._cuts = [cuts[0] - _BELOW, *cuts]  # where most are equal, what is lower must still be seen
        last = self.table.history.blocks[-1]
        self.table = StratifiedCounts(tuple(f"at most {cut:.5g}" for cut in self._cuts), start=(last.block, last.at))
        waiting, self._waiting = self._waiting, []
        for segment in waiting:
            self._measure(*segment)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "table": encode_counts(self.table),
            "dispersion": self.dispersion.state(),
            "looks": self.looks,
            "cuts": self._cuts,
            "waiting": [[at, segment.hex, list(key), value] for at, segment, key, value in self._waiting],
        }

    @classmethod
    def restore(cls, signal: Signal, settings: DriftSettings, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        watch = cls(signal, settings)
        watch.table, watch.dispersion = decode_counts(state["table"]), Dispersion.restore(state["dispersion"])
        watch.looks, watch._cuts = state["looks"], state["cuts"]
        watch._waiting = [(at, UUID(s), (key[0], key[1]), value) for at, s, key, value in state["waiting"]]
        return watch
