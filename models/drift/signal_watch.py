"""One signal under watch: its counts, how much they vary anyway, and what they have spent of the false alarms."""

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

import numpy as np

from models.drift.counts import Table
from models.drift.observation import Observed
from models.drift.overdispersion import LAG, Dispersion
from models.drift.scan import Finding, Scan
from models.drift.settings import DriftSettings
from models.drift.signals import Signal
from models.drift.snapshots import Mark

_STEPS = 4
_RARE = 4
_BELOW = 1e-4


class Watch:
    """One signal of one study."""

    def __init__(self, signal: Signal, settings: DriftSettings) -> None:
        self.signal = signal
        self.settings = settings
        self.least = settings.least // _RARE if signal.rare else settings.least
        self.table = Table(repeats=signal.repeats)
        self.dispersion = Dispersion()
        self.looks = 0
        self._cuts: list[float] | None = None
        self._waiting: list[tuple[float, UUID, tuple[str, str], float]] = []

    def take(self, observed: Observed, at: float, season: str) -> None:
        """Count one segment."""
        signal = self.signal
        key = (getattr(observed, signal.within) if signal.within else "", season)
        if signal.value is not None:
            value = signal.value(observed)
            if value is not None:
                self._measure(at, observed.segment, key, value)
        elif signal.asked(observed):
            assert signal.cell is not None
            self.table.add(at, observed.segment, key, signal.cell(observed))

    def look(self, block: int, at: float, *, spend: bool) -> Finding | None:
        """End a block; what moved by then, if anything.

        Args:
            block: Its number, from 1.
            at: Time of its last segment, seconds since 1970.
            spend: Whether to look at all: ever more seldom in a long stream.
        """
        table = self.table
        if not table.strata:
            return None  # nobody has told anything of it
        table.close(block, at)
        base = table.base.counts[:, 0].sum()
        if table.now[:, 0].sum() - base < self.least:
            self.dispersion.learn(table, block, table.members())
            return None
        self.dispersion.learn(table, block - LAG, table.members())
        if not spend:
            return None
        return self.scan(self._allowed()).run(table, self.dispersion)

    def scan(self, allowed: float) -> Scan:
        """How its table is to be scanned now."""
        settings = self.settings
        return Scan(self.least, settings.swing, settings.unseen_swing, allowed, self._end_of_reference())

    def rebase(self, at: float, cells: Iterable[str] | None = None) -> None:
        """Begin the reference anew behind a change: of the cells that moved, or of all where none are given."""
        self.table.rebase(at, None if self.settings.reference == "fixed" else cells)
        self.table.kept = None

    def _allowed(self) -> float:
        from models.drift.tail_tests import spent

        self.looks += 1
        return self.settings.false_alarms * self.signal.budget * self.signal.earned * spent(self.looks - 1)

    def _end_of_reference(self) -> Mark | None:
        if self.settings.reference != "fixed":
            return None
        marks = self.table.marks
        if self.table.kept is None:
            enough = self.table.base.counts[:, 0].sum() + self.settings.history
            self.table.kept = next((mark.block for mark in marks if mark.counts[:, 0].sum() >= enough), None)
        return next((mark for mark in marks if mark.block == self.table.kept), None)

    def _measure(self, at: float, segment: UUID, key: tuple[str, str], value: float) -> None:
        """Count a number by the fifths of the first ones that came: no distribution has to be assumed."""
        if self._cuts is None:
            self._waiting.append((at, segment, key, value))
            if len(self._waiting) >= self.least:
                self._set_cuts()
            return
        step = next((n for n, cut in enumerate(self._cuts) if value <= cut), None)
        self.table.add(at, segment, key, None if step is None else self.table.steps[step])

    def _set_cuts(self) -> None:
        values = np.array([value for *_, value in self._waiting])
        fifths = np.quantile(values, np.arange(1, _STEPS + 1) / (_STEPS + 1))
        cuts = sorted({float(f"{cut:.4g}") for cut in fifths})
        self._cuts = [cuts[0] - _BELOW, *cuts]  # where most are equal, what is lower must still be seen
        marks, self.table = self.table.marks, Table(tuple(f"at most {cut:.5g}" for cut in self._cuts))
        self.table.marks = [Mark(marks[-1].block, marks[-1].at, self.table.now.copy(), self.table.present.copy())]
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._measure(*one)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "table": self.table.state(),
            "dispersion": self.dispersion.state(),
            "looks": self.looks,
            "cuts": self._cuts,
            "waiting": [[at, segment.hex, list(key), value] for at, segment, key, value in self._waiting],
        }

    @classmethod
    def restore(cls, signal: Signal, settings: DriftSettings, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        watch = cls(signal, settings)
        watch.table, watch.dispersion = Table.restore(state["table"]), Dispersion.restore(state["dispersion"])
        watch.looks, watch._cuts = state["looks"], state["cuts"]
        watch._waiting = [(at, UUID(s), (key[0], key[1]), value) for at, s, key, value in state["waiting"]]
        return watch
