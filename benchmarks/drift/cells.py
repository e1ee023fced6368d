"""The runs behind the page on drift, cell by cell: what is done is kept in a file, so that a broken run goes on."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.drift.arms import SETTINGS, adwin, evidently, evidently_version, monitored, watch
from benchmarks.drift.streams import AIRLINE, CONTROL, DRAW, PLANTS, UNCHANGED, Plant, planted, shuffled

CELLS = Path("build/drift/cells.jsonl")
SHUFFLES, STREAMS, REPEATS = 200, 100, 50
"""Copies of each set; streams in which nothing changes; streams of each planted change."""
DELTAS = (
    *(0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8),
    *(1e-10, 1e-12, 1e-15, 1e-20),
)
LOOSER = (0.1, 0.08)
STRICTER = (0.01,)
"""Settings of the monitor's false alarms above and below its default."""
_AT_ONCE = 25  # streams that one process of Evidently takes
Job = Callable[[], list[Any]]


class Cells:
    """What is done, by key."""

    def __init__(self, path: Path = CELLS) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._found: dict[str, Any] = dict(json.loads(line) for line in lines)

    def get(self, key: str) -> Any:
        """What a cell found, or nothing."""
        return self._found.get(key)

    def fill(self, jobs: dict[str, Job], workers: int) -> None:
        """Do what is not done."""
        waiting = {keys: job for keys, job in jobs.items() if any(key not in self._found for key in keys.split("\n"))}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers) as pool, self._path.open("a", encoding="utf-8") as file:
            running = {pool.submit(job): keys.split("\n") for keys, job in waiting.items()}
            for n, done in enumerate(as_completed(running), 1):
                for key, value in zip(running[done], done.result(), strict=True):
                    self._found[key] = value
                    file.write(json.dumps([key, value]) + "\n")
                file.flush()
                if n % 20 == 0 or n == len(running):
                    print(f"{n} of {len(running)} jobs", flush=True)


def streams() -> Iterator[tuple[Plant, int]]:
    """Every stream that the arms are compared on."""
    for n in range(STREAMS):
        yield UNCHANGED, n
    for n in range(REPEATS):
        for plant in PLANTS:
            yield plant, n


def key(arm: str, plant: Plant, seed: int) -> str:
    """The name of a cell; that of the monitor at another setting is ``ours 0.2``."""
    version = f"|{monitored()}" if arm.startswith("ours") else f"|{digest(DELTAS)}" if arm == "adwin" else ""
    return f"{arm}|{plant.name}|{DRAW}.{seed}{version}"


def digest(settings: Sequence[float]) -> str:
    """What tells the settings apart at which an arm was run."""
    return hashlib.sha256(repr(tuple(settings)).encode()).hexdigest()[:10]


def shuffle_key(name: str, seed: int) -> str:
    """The name of a shuffled copy's cell."""
    return f"shuffled|{name}|{seed}|{monitored()}"


def jobs(arms: Sequence[str]) -> dict[str, Job]:
    """What there is to do, by the keys of the cells that it fills."""
    found: dict[str, Job] = {}
    if "ours" in arms:
        found |= {key("ours", plant, n): partial(_ours, plant, n) for plant, n in streams()}
    if "looser" in arms:
        found |= {
            key(f"ours {alpha:g}", UNCHANGED, n): partial(_ours, UNCHANGED, n, alpha)
            for alpha in LOOSER
            for n in range(STREAMS)
        }
    if "shuffled" in arms:
        found |= {shuffle_key(s, n): partial(_shuffled, s, n) for n in range(SHUFFLES) for s in (AIRLINE, CONTROL)}
    if "adwin" in arms:
        found |= {key("adwin", plant, n): partial(_adwin, plant, n) for plant, n in streams()}
    if "evidently" in arms and evidently_version():
        every = list(streams())
        for start in range(0, len(every), _AT_ONCE):
            part = every[start : start + _AT_ONCE]
            found["\n".join(key("evidently", plant, n) for plant, n in part)] = partial(_evidently, part)
    return found


def jobs_at(alpha: float) -> dict[str, Job]:
    """The planted changes under the monitor at another setting."""
    plants = ((plant, n) for plant, n in streams() if not plant.unchanged)
    return {key(f"ours {alpha:g}", plant, n): partial(_ours, plant, n, alpha) for plant, n in plants}


def _ours(plant: Plant, seed: int, alpha: float = SETTINGS.false_alarms) -> list[Any]:
    found = watch(planted(plant, seed), alpha)
    told = [
        {"seen": n, "kind": one.kind, "cause": one.cause, "at": one.at.isoformat(), "codes": one.codes[:3]}
        for n, one in zip(found.seen_at, found.alerts, strict=True)
    ]
    return [told]


def _shuffled(name: str, seed: int) -> list[Any]:
    found = watch(shuffled(name, seed))
    return [[[one.kind, one.cause, one.p] for one in found.alerts]]


def _adwin(plant: Plant, seed: int) -> list[Any]:
    stream = planted(plant, seed)
    return [{str(delta): adwin(stream.items, delta) for delta in DELTAS}]


def _evidently(part: Sequence[tuple[Plant, int]]) -> list[Any]:
    found = evidently([(f"{plant.name} {n}", planted(plant, n)) for plant, n in part])
    return [found[f"{plant.name} {n}"] for plant, n in part]


if __name__ == "__main__":
    import sys

    wanted = sys.argv[2:]
    Cells().fill(jobs(wanted), int(sys.argv[1]))
