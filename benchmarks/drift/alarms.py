"""How often the monitor cries wolf over streams in which nothing changes: `python -m benchmarks.drift.alarms`.

Every stream is made, not real: codes by source, and one thing that real streams have and tests tend to forget.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.drift.arms import adwin, monitored
from benchmarks.drift.cells import DELTAS, Cells, Job, digest
from benchmarks.drift.streams import DRAW
from benchmarks.pages.layout import as_table
from models.drift.monitor import Monitor
from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.routing.risk_control import error_rate

ALARMS = Path("build/drift/alarms.jsonl")
DEFAULT = DriftSettings().false_alarms
LENGTH, A_DAY, CODES, SOURCES = 4_000, 400, 10, 3
STREAMS = 40
"""Of each kind."""
SWING, WEEK_SWING = 0.4, 0.2
_START = datetime(2026, 3, 2, tzinfo=UTC)
_SECONDS = 86_400
Random = np.random.Generator
Floats = np.ndarray[Any, np.dtype[np.float64]]


def independent(random: Random) -> tuple[Floats, Floats]:
    """Every segment for itself."""
    return _codes(random, np.ones((LENGTH, CODES))), _sources(random, np.zeros(LENGTH))


def repeats(random: Random) -> tuple[Floats, Floats]:
    """Every fiftieth segment is said again by three to twelve others, as when a post is shared."""
    codes, sources = independent(random)
    for start in np.flatnonzero(random.random(LENGTH) < 0.02):
        end = start + int(random.integers(3, 13))
        codes[start:end], sources[start:end] = codes[start], sources[start]
    return codes, sources


def runs(random: Random) -> tuple[Floats, Floats]:
    """For some fifteen segments at a time one code comes twice as often as else."""
    topic = np.repeat(random.integers(0, CODES, LENGTH // 15 + 1), 15)[:LENGTH]
    weights = np.ones((LENGTH, CODES))
    weights[np.arange(LENGTH), topic] = 2.0
    return _codes(random, weights), _sources(random, np.zeros(LENGTH))


def day_and_night(random: Random) -> tuple[Floats, Floats]:
    """Every code's share swings by 40% with the hour, each at a time of its own."""
    hour = np.arange(LENGTH) / A_DAY * 2 * np.pi
    weights = 1 + SWING * np.sin(hour[:, None] + random.uniform(0, 2 * np.pi, CODES))
    return _codes(random, weights), _sources(random, np.zeros(LENGTH))


def weekdays(random: Random) -> tuple[Floats, Floats]:
    """Every code's share is up to 20% higher or lower on Saturdays and Sundays."""
    rest = (np.arange(LENGTH) // A_DAY) % 7 >= 5
    weights = 1 + rest[:, None] * random.uniform(-WEEK_SWING, WEEK_SWING, CODES)
    return _codes(random, weights), _sources(random, np.zeros(LENGTH))


def volumes(random: Random) -> tuple[Floats, Floats]:
    """Sources grow and shrink slowly, each with codes of its own: only an alert about the volume is true."""
    return _codes(random, np.ones((LENGTH, CODES))), _sources(random, np.linspace(0, 1.5, LENGTH))


KINDS: dict[str, Callable[[Random], tuple[Floats, Floats]]] = {
    one.__name__: one for one in (independent, repeats, runs, day_and_night, weekdays, volumes)
}


STEADY = tuple(kind for kind in KINDS if kind != "volumes")
"""Where no share moves for good, of no code and no source."""


def _codes(random: Random, weights: Floats) -> Floats:
    """A number per segment that draws its code, once its source is known: where it falls among the codes' weights."""
    usual = 1 / np.arange(2, CODES + 2)
    shares = np.cumsum(usual * weights, axis=1)
    drawn = random.random(len(weights)) * shares[:, -1]
    return np.asarray((drawn[:, None] > shares).sum(axis=1), dtype=np.float64)


def _sources(random: Random, drift: Floats) -> Floats:
    """The sources: the first shrinks while the last grows, by ``exp(drift)``."""
    weights = np.exp(drift[:, None] * np.array([-0.5, 0.0, 0.5]))
    shares = np.cumsum(weights, axis=1)
    drawn = random.random(len(drift)) * shares[:, -1]
    return np.asarray((drawn[:, None] > shares).sum(axis=1), dtype=np.float64)


def observed(kind: str, seed: int) -> Iterator[Observed]:
    """One stream's segments."""
    random = np.random.default_rng([DRAW, seed, *kind.encode()])
    codes, sources = KINDS[kind](random)
    if kind == "volumes":  # each source has codes of its own order
        codes = (codes + 3 * sources) % CODES
    times = np.sort(random.uniform(0, LENGTH / A_DAY, LENGTH)) * _SECONDS
    if kind in {"day_and_night", "weekdays"}:
        times = np.arange(LENGTH) / A_DAY * _SECONDS
    for n, (at, code, source) in enumerate(zip(times, codes, sources, strict=True)):
        moment = _START + timedelta(seconds=float(at))
        yield Observed(moment, UUID(int=n + 1), f"source {source:.0f}", f"code {code:.0f}")


def jobs(streams: int, false_alarms: Sequence[float] = (DEFAULT,), deltas: Sequence[float] = ()) -> dict[str, Job]:
    """What there is to do: for the monitor, and for ADWIN on streams whose shares stand still."""
    every = [(kind, n) for n in range(streams) for kind in KINDS]
    found: dict[str, Job] = {
        key(kind, n, alpha): partial(_monitor, kind, n, alpha) for alpha in false_alarms for kind, n in every
    }
    for kind, n in every:
        if deltas and kind in STEADY:
            found[adwin_key(kind, n, deltas)] = partial(_adwin, kind, n, tuple(deltas))
    return found


def key(kind: str, seed: int, false_alarms: float = DEFAULT) -> str:
    """The name of a cell of the monitor."""
    return f"alarms {false_alarms:g}|{kind}|{DRAW}.{seed}|{monitored()}"


def adwin_key(kind: str, seed: int, deltas: Sequence[float]) -> str:
    """The name of a cell of ADWIN at so many settings."""
    return f"adwin|{kind}|{DRAW}.{seed}|{digest(deltas)}"


def _monitor(kind: str, seed: int, false_alarms: float) -> list[Any]:
    monitor = Monitor("benchmark", DriftSettings(lateness=timedelta(), false_alarms=false_alarms))
    alerts = [*monitor.extend(observed(kind, seed)), *monitor.finish()]
    return [[[one.kind, one.cause, one.codes[:2]] for one in alerts]]


def _adwin(kind: str, seed: int, deltas: Sequence[float]) -> list[Any]:
    stream = list(observed(kind, seed))
    return [{str(delta): bool(adwin(stream, delta)) for delta in deltas}]


def wrong(cells: Cells, kind: str, streams: int, false_alarms: float = DEFAULT) -> list[bool]:
    """By stream, whether the monitor raised an alert that it should not have; those that are not done are left out."""
    told = (cells.get(key(kind, n, false_alarms)) for n in range(streams))
    return [any(kind != "volumes" or cause != "volume" for _, cause, _ in one) for one in told if one is not None]


def wrong_adwin(cells: Cells, kind: str, streams: int, delta: float) -> list[bool]:
    """By stream, whether ADWIN alone raised an alarm at one of DELTAS."""
    return [cells.get(adwin_key(kind, n, DELTAS))[str(delta)] for n in range(streams)]


def table(cells: Cells, streams: int, false_alarms: Sequence[float] = (DEFAULT,), deltas: Sequence[float] = ()) -> str:
    """Streams with any false alarm, of each kind, with exact 95% intervals."""
    header = ["stream", "what it has", "streams", *(f"false alarms set to {alpha:.0%}" for alpha in false_alarms)]
    header += [f"ADWIN alone, delta {delta:g}" for delta in deltas]
    lines = []
    for kind, make in KINDS.items():
        found = [wrong(cells, kind, streams, alpha) for alpha in false_alarms]
        found += [wrong_adwin(cells, kind, streams, delta) if kind in STEADY else [] for delta in deltas]
        what = str(make.__doc__).split(":", maxsplit=1)[0].rstrip(".")
        lines.append([kind.replace("_", " "), what, f"{len(found[0])}", *(_share(one) for one in found)])
    return as_table(header, lines)


def _share(found: Sequence[bool]) -> str:
    if not found:
        return "-"
    share, low, high = error_rate(sum(found), len(found))
    return f"{share:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    """Do what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS, help="of each kind")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    cells = Cells(ALARMS)
    cells.fill(jobs(given.streams), given.workers)
    print(table(cells, given.streams))


if __name__ == "__main__":
    main()
