"""From the runs to the figures on the page on drift."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.drift.alarms import STEADY, wrong, wrong_adwin
from benchmarks.drift.alarms import STREAMS as UNEVEN
from benchmarks.drift.arms import SETTINGS, Watched
from benchmarks.drift.cells import DELTAS, LOOSER, REPEATS, SHUFFLES, STREAMS, STRICTER, Cells, key, shuffle_key
from benchmarks.drift.streams import AIRLINE, LENGTH, NEWCOMER, RISING, UNCHANGED, Plant, Stream, change_in, rows
from models.routing.risk_control import error_rate

ALLOWED = 0.05
"""Share of unchanged streams that may raise any alarm."""
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Known:
    """A change that is known to be in a real stream, and how it was found."""

    what: str
    at: datetime
    seen: datetime | None
    segments: int | None
    """Segments between the change and its alert."""
    cause: str
    kind: str
    interval: str


@dataclass(frozen=True)
class Arm:
    """How an arm did on a planted change."""

    found: int
    streams: int
    delays: Sequence[float]
    """Segments until the first alarm after the change; what was not found counts as the rest of the stream."""

    @property
    def mean(self) -> float:
        """Mean delay in segments."""
        return float(np.mean(self.delays))


def change_point(stream: Stream, hit: Sequence[bool], first: datetime, last: datetime) -> int:
    """Where a share changed once between two moments: the place of the largest likelihood, as an index."""
    inside = [n for n, item in enumerate(stream.items) if first <= item.at < last]
    flags = np.array([hit[n] for n in inside], dtype=float)
    total, count = flags.sum(), len(flags)
    before = np.cumsum(flags)[:-1]
    n = np.arange(1, count)
    gain = _likelihood(before, n) + _likelihood(total - before, count - n)
    return inside[int(gain.argmax()) + 1]


def _likelihood(hits: Any, of: Any) -> Any:
    share = np.clip(hits / of, 1e-12, 1 - 1e-12)
    return hits * np.log(share) + (of - hits) * np.log(1 - share)


def known_changes(stream: Stream, found: Watched) -> list[Known]:
    """The two changes that the airline tweets are known to have, beside the first alert that names each."""
    day = rows(AIRLINE)[1]["moment"].replace(hour=0, minute=0)
    rise = change_point(stream, [one.code == RISING for one in stream.items], *_days(day, 2, 6))
    entry = change_point(stream, [one.source == NEWCOMER for one in stream.items], *_days(day, 2, 8))
    told = list(zip(found.alerts, found.seen_at, strict=True))
    of_code = [(one, n) for one, n in told if RISING in one.codes and n > rise and one.cause == "input"]
    of_source = [(one, n) for one, n in told if NEWCOMER in one.sources and n > entry and one.cause == "volume"]
    return [
        _known(stream, f"'{RISING}' rises", rise, of_code),
        _known(stream, f"'{NEWCOMER}' enters as a source", entry, of_source),
    ]


def _days(day: datetime, first: int, last: int) -> tuple[datetime, datetime]:
    return day + timedelta(days=first), day + timedelta(days=last)


def _known(stream: Stream, what: str, at: int, told: Sequence[tuple[Any, int]]) -> Known:
    moment = stream.items[at].at
    if not told:
        return Known(what, moment, None, None, "", "", "")
    one, n = told[0]
    return Known(what, moment, one.detected_at, n - at, one.cause, one.kind, f"{one.earliest} to {one.latest}")


def tuned(cells: Cells, arm: str) -> float:
    """The loosest setting of an arm at which at most 5% of the unchanged streams raise an alarm."""
    choices: dict[str, Sequence[float]] = {
        "tuned": (*LOOSER, SETTINGS.false_alarms),
        "adwin": DELTAS,
        "evidently": [n / STREAMS for n in range(int(ALLOWED * STREAMS), 0, -1)],
    }
    return _loosest(choices[arm], lambda setting: raised(cells, arm, setting))


SETTABLE = (SETTINGS.false_alarms, *STRICTER)
"""From loose to strict: on uneven streams nothing looser than the default is tried."""


def tuned_to_uneven(uneven: Cells, arm: str) -> float:
    """The same on streams that have days, bursts and repeats."""
    told, choices = (wrong_adwin, DELTAS) if arm == "adwin" else (wrong, SETTABLE)
    return _loosest(choices, lambda setting: [one for kind in STEADY for one in told(uneven, kind, UNEVEN, setting)])


def _loosest(settings: Sequence[float], alarmed: Callable[[float], Sequence[bool]]) -> float:
    """Of settings from loose to strict, the first at which few enough streams raise an alarm; the last if none is."""
    few = (one for one in settings if sum(told := alarmed(one)) <= ALLOWED * len(told))
    return next(few, settings[-1])


def alarms(cells: Cells, arm: str, plant: Plant, seed: int, setting: float) -> list[int]:
    """How many segments had come at each alarm."""
    other = arm == "tuned" and setting != SETTINGS.false_alarms
    found = cells.get(key(f"ours {setting:g}" if other else "ours" if arm == "tuned" else arm, plant, seed))
    if arm in ("ours", "tuned"):
        return [one["seen"] for one in found]
    if arm == "adwin":
        return list(found[str(setting)])
    limits = column_limits(cells, setting)
    return [n for n, drifts in found if any(drift > limits[column] for column, drift in drifts.items())]


@lru_cache(maxsize=16)
def column_limits(cells: Cells, share: float) -> dict[str, float]:
    """For Evidently: what each column alone passes in so many of the unchanged streams."""
    highest: dict[str, list[float]] = {}
    for n in range(STREAMS):
        looks = cells.get(key("evidently", UNCHANGED, n))
        for column in looks[0][1]:
            highest.setdefault(column, []).append(max(drifts.get(column, 0.0) for _, drifts in looks))
    return {column: sorted(values)[-1 - round(share * STREAMS)] for column, values in highest.items()}


def raised(cells: Cells, arm: str, setting: float) -> list[bool]:
    """By unchanged stream, whether there was any alarm."""
    return [bool(alarms(cells, arm, UNCHANGED, n, setting)) for n in range(STREAMS)]


def arm_on(cells: Cells, arm: str, plant: Plant, setting: float) -> Arm:
    """How soon an arm found a planted change."""
    delays, found = [], 0
    for n in range(REPEATS):
        changes_at = change_in(plant, n)
        later = [seen - changes_at for seen in alarms(cells, arm, plant, n, setting) if seen > changes_at]
        found += bool(later)
        delays.append(float(min(later, default=LENGTH - changes_at)))
    return Arm(found, REPEATS, delays)


def rightly_named(cells: Cells, plant: Plant) -> tuple[int, int]:
    """Of the streams in which the monitor, at its default, found the change, how many first named its cause rightly."""
    right = found = 0
    for n in range(REPEATS):
        changes_at = change_in(plant, n)
        later = [one for one in cells.get(key("ours", plant, n)) if one["seen"] > changes_at]
        found += bool(later)
        right += bool(later) and later[0]["cause"] in plant.causes
    return right, found


def ahead(ours: Arm, other: Arm) -> tuple[float, float, float]:
    """By how many segments ours was sooner in the mean, with a 95% bootstrap interval over the streams."""
    gaps = np.array(other.delays) - np.array(ours.delays)
    draws = np.random.default_rng(11).integers(len(gaps), size=(_RESAMPLES, len(gaps)))
    low, high = np.quantile(gaps[draws].mean(axis=1), [0.025, 0.975])
    return float(gaps.mean()), float(low), float(high)


def shuffles(cells: Cells, name: str) -> dict[str, Any]:
    """How many shuffled copies of a set raised any alert, with an exact interval."""
    found = [cells.get(shuffle_key(name, n)) for n in range(SHUFFLES)]
    share, low, high = error_rate(sum(bool(one) for one in found), SHUFFLES)
    kinds = [kind for one in found for kind, _, _ in one]
    return {
        "share": share,
        "low": low,
        "high": high,
        "copies": SHUFFLES,
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }
