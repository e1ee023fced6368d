"""Made streams for the detectors of what is large, slow, rare or short, and which of them raised an alarm when."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from benchmarks.drift.arms import SETTINGS
from benchmarks.drift.streams import DRAW, Item
from models.drift.monitor import Monitor
from models.drift.observation import Observed

START = datetime(2026, 1, 1, tzinfo=UTC)
_COMMON = 64
"""Words that every text draws from."""
_A_TEXT = 8
"""Words of a text."""
Random = np.random.Generator
Draw = Callable[[float, Random], str]


@dataclass(frozen=True)
class MadeStream:
    """A stream whose codes are drawn one by one."""

    name: str
    what: str
    days: int
    a_day: float
    code: Draw
    """The code of a segment, by its day (with a fraction)."""
    changes: float | None = None
    """The day from which on something is another; none where nothing ever is."""

    @property
    def length(self) -> int:
        """Segments."""
        return int(self.days * self.a_day)

    @property
    def changes_at(self) -> int:
        """Segments before the change."""
        return self.length if self.changes is None else int(self.changes * self.a_day)

    def items(self, seed: int) -> list[Item]:
        """The segments of one draw."""
        random = np.random.default_rng([DRAW, seed, *self.name.encode()])
        drawn = []
        for n in range(self.length):
            day = n / self.a_day
            source = f"source {random.integers(2)}"
            drawn.append(Item(START + timedelta(days=day), n, source, self.code(day, random)))
        return drawn


def rising(share: Callable[[float], float], codes: int = 8, name: str = "rising") -> Draw:
    """One code has a share that goes by the day; the others are as frequent as each other."""

    def draw(day: float, random: Random) -> str:
        return name if random.random() < share(day) else f"code {random.integers(codes)}"

    return draw


def spoken(items: Sequence[Item], seed: int, word: str = "rising") -> Iterator[Observed]:
    """The same segments as texts without codes: eight common words each, and the rising code as a word."""
    random = np.random.default_rng([DRAW, seed, _COMMON])
    for n, item in enumerate(items):
        common = [f"common{each}" for each in random.choice(_COMMON, _A_TEXT, replace=False)]
        words = (*common, word) if item.code == word else tuple(common)
        yield Observed(item.at, UUID(int=n + 1), item.source, "(not coded)", words=words)


def coded(items: Sequence[Item]) -> Iterator[Observed]:
    """The segments as they are coded, without texts."""
    for n, item in enumerate(items):
        yield Observed(item.at, UUID(int=n + 1), item.source, str(item.code))


def alarms(observed: Iterator[Observed]) -> list[int]:
    """How many segments had come at each of the monitor's alerts, at its defaults."""
    monitor, seen, came = Monitor("benchmark", SETTINGS), [], 0
    for segment in observed:
        came += 1
        seen += [came] * len(monitor.update(segment))
    return seen + [came] * len(monitor.finish())
