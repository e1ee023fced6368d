"""Whether changes are found soon and false alarms are rare: `python -m benchmarks.drift [--write] [--million]`."""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift.alarms import ALARMS, STREAMS
from benchmarks.drift.alarms import jobs as alarms
from benchmarks.drift.arms import SETTINGS, monitored
from benchmarks.drift.cells import DELTAS, Cells, jobs, jobs_at
from benchmarks.drift.figures import SETTABLE, tuned, tuned_to_uneven
from benchmarks.drift.page import publish
from benchmarks.drift.streams import AIRLINE, rows

ARMS = ("ours", "looser", "shuffled", "adwin", "evidently")
MILLION = Path(f"build/drift/million-{monitored()}.json")


def write_coded(path: Path, count: int) -> None:
    """Coded segments as JSON lines, three a minute; the texts are real, one code rises on the way."""
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
    cells, uneven = Cells(), Cells(ALARMS)
    cells.fill(jobs(ARMS), given.workers)
    uneven.fill(alarms(STREAMS, SETTABLE, DELTAS), given.workers)
    for alpha in {tuned(cells, "tuned"), tuned_to_uneven(uneven, "tuned")} - {SETTINGS.false_alarms}:
        cells.fill(jobs_at(alpha), given.workers)
    million = json.loads(MILLION.read_text(encoding="utf-8")) if MILLION.exists() else measure_million()
    publish(cells, uneven, million, write=given.write)


if __name__ == "__main__":
    main()
