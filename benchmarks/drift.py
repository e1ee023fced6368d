"""Whether changes are found soon and false alarms are rare: `python -m benchmarks.drift [--write] [--million]`."""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_arms import Watched, adwin, evidently_version, watch
from benchmarks.drift_cells import DELTAS, REPEATS, SHUFFLES, STREAMS, Cells, jobs, key, shuffle_key
from benchmarks.drift_streams import (
    AIRLINE,
    CONTROL,
    LENGTH,
    NEWCOMER,
    PLANTS,
    RISING,
    UNCHANGED,
    Plant,
    Stream,
    planted,
    real,
    rows,
)
from models.risk import error_rate

ARMS = ("ours", "adwin", "evidently")
ALLOWED = 0.05
MILLION = Path("build/drift/million.json")
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
    """The loosest setting of another arm at which at most 5% of the unchanged streams raise an alarm."""
    if arm == "adwin":
        for delta in DELTAS:
            raised = sum(bool(cells.get(key(arm, UNCHANGED, n))[str(delta)]) for n in range(STREAMS))
            if raised <= ALLOWED * STREAMS:
                return delta
        return DELTAS[-1]
    lowest = sorted(min(p for _, p in cells.get(key(arm, UNCHANGED, n))) for n in range(STREAMS))
    return lowest[int(ALLOWED * STREAMS)]  # strictly below it lie as many as may


def alarms(cells: Cells, arm: str, plant: Plant, seed: int, setting: float) -> list[int]:
    """How many segments had come at each alarm."""
    found = cells.get(key(arm, plant, seed))
    if arm == "ours":
        return [one["seen"] for one in found]
    if arm == "adwin":
        return list(found[str(setting)])
    return [n for n, p in found if p < setting]


def raised(cells: Cells, arm: str, setting: float) -> int:
    """Unchanged streams in which there was any alarm."""
    return sum(bool(alarms(cells, arm, UNCHANGED, n, setting)) for n in range(STREAMS))


def arm_on(cells: Cells, arm: str, plant: Plant, setting: float) -> Arm:
    """How soon an arm found a planted change."""
    delays, found = [], 0
    for n in range(REPEATS):
        changes_at = planted(plant, n).changes_at
        assert changes_at is not None
        later = [seen - changes_at for seen in alarms(cells, arm, plant, n, setting) if seen > changes_at]
        found += bool(later)
        delays.append(float(min(later, default=LENGTH - changes_at)))
    return Arm(found, REPEATS, delays)


def ahead(ours: Arm, other: Arm) -> tuple[float, float, float]:
    """By how many segments ours was sooner in the mean, with a 95% bootstrap interval over the streams."""
    gaps = np.array(other.delays) - np.array(ours.delays)
    draws = np.random.default_rng(11).integers(len(gaps), size=(_RESAMPLES, len(gaps)))
    low, high = np.quantile(gaps[draws].mean(axis=1), [0.025, 0.975])
    return float(gaps.mean()), float(low), float(high)


def shuffles(cells: Cells, name: str) -> dict[str, Any]:
    """How many shuffled copies of a set raised any alert, with an exact interval."""
    found = [cells.get(shuffle_key(name, n)) for n in range(SHUFFLES)]
    rate = error_rate(sum(bool(one) for one in found), SHUFFLES)
    kinds = [kind for one in found for kind, _, _ in one]
    return {**asdict(rate), "copies": SHUFFLES, "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))}}


def write_coded(path: Path, count: int) -> None:
    """Coded segments as JSON lines, thirty a day and minute; the texts are real, one code rises on the way."""
    texts = [row["text"] for row in rows(AIRLINE)]
    codes = [f"code {n}" for n in range(40)]
    random = np.random.default_rng(5)
    start = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    shares = np.array([1 / (n + 2) for n in range(len(codes))])
    with path.open("w", encoding="utf-8") as file:
        for first in range(0, count, 10_000):
            risen = shares * np.where(np.arange(len(codes)) == 9, 3.0 if first >= 0.6 * count else 1.0, 1.0)
            drawn = random.choice(len(codes), 10_000, p=risen / risen.sum())
            rest = random.random((10_000, 3))
            for n in range(min(10_000, count - first)):
                row = {"id": f"s{first + n}", "text": texts[(first + n) % len(texts)], "code": codes[drawn[n]]}
                row["timestamp"] = (start + timedelta(seconds=20 * (first + n))).isoformat()
                row |= {"source": "abc"[int(rest[n, 0] * 3)], "confidence": round(1 - rest[n, 1] ** 2, 4)}
                file.write(json.dumps(row | {"agreement": round(1 - rest[n, 2] ** 2, 4)}) + "\n")


def measure_million() -> dict[str, Any]:
    """Seconds and peak memory of `qualstream drift scan` on a hundred thousand and a million coded segments."""
    found: dict[str, Any] = {}
    for count in (100_000, 1_000_000):
        path = Path(f"build/drift/coded-{count}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coded(path, count)
        started, load = time.perf_counter(), os.getloadavg()[0]
        child = [sys.executable, "-c", _CHILD, "drift", "scan", str(path), "--json", "--no-embed"]
        done = subprocess.run(child, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - started
        *alerts, cost = done.stdout.splitlines()
        found[str(count)] = {"seconds": seconds, "load": load, "alerts": len(alerts), **json.loads(cost)}
        path.unlink()
    MILLION.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


_CHILD = """
import json, resource, sys
from infra.cli import cli
cli(standalone_mode=False)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"peak_mib": used.ru_maxrss / 1024, "cpu_s": used.ru_utime + used.ru_stime}))
"""


def main() -> None:
    """Do what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="also write docs/results/drift.md, .json and plots")
    parser.add_argument("--million", action="store_true", help="only scan a million coded segments")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.million:
        print(json.dumps(measure_million(), indent=1))
        return
    from benchmarks.drift_page import publish

    cells = Cells()
    cells.fill(jobs([*ARMS, "shuffled"]), given.workers)
    million = json.loads(MILLION.read_text(encoding="utf-8")) if MILLION.exists() else measure_million()
    publish(cells, million, write=given.write)


if __name__ == "__main__":
    main()
