"""The runs behind the page on drift, cell by cell: what is done is kept in a file, so that a broken run goes on."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.drift_arms import adwin, evidently, evidently_version, monitored, watch
from benchmarks.drift_streams import AIRLINE, CONTROL, PLANTS, UNCHANGED, Plant, planted, shuffled

CELLS = Path("build/drift/cells.jsonl")
SHUFFLES, STREAMS, REPEATS = 200, 100, 50
"""Copies of each set; streams in which nothing changes; streams of each planted change."""
DELTAS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)
_AT_ONCE = 5  # streams that one process of Evidently takes
Cell = tuple[str, Any]


class Cells:
    """What is done, by key."""

    def __init__(self, path: Path = CELLS) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._found: dict[str, Any] = dict(json.loads(line) for line in lines)

    def get(self, key: str) -> Any:
        """What a cell found, or nothing."""
        return self._found.get(key)

    def fill(self, jobs: dict[str, Callable[[], list[Cell]]], workers: int) -> None:
        """Do what is not done."""
        waiting = {keys: job for keys, job in jobs.items() if any(key not in self._found for key in keys.split("\n"))}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers) as pool, self._path.open("a", encoding="utf-8") as file:
            running = [pool.submit(job) for job in waiting.values()]
            for n, done in enumerate(as_completed(running), 1):
                for key, value in done.result():
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
    """The name of a cell."""
    version = f"|{monitored()}" if arm == "ours" else ""
    return f"{arm}|{plant.name}|{seed}{version}"


def shuffle_key(name: str, seed: int) -> str:
    """The name of a shuffled copy's cell."""
    return f"shuffled|{name}|{seed}|{monitored()}"


def jobs(arms: Sequence[str]) -> dict[str, Callable[[], list[Cell]]]:
    """What there is to do, by the keys of the cells that it fills."""
    found: dict[str, Callable[[], list[Cell]]] = {}
    if "ours" in arms:
        found |= {key("ours", plant, n): partial(_ours, plant, n) for plant, n in streams()}
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


def _ours(plant: Plant, seed: int) -> list[Cell]:
    found = watch(planted(plant, seed))
    told = [
        {"seen": n, "kind": one.kind, "cause": one.cause, "at": one.at.isoformat(), "codes": one.codes[:3]}
        for n, one in zip(found.seen_at, found.alerts, strict=True)
    ]
    return [(key("ours", plant, seed), told)]


def _shuffled(name: str, seed: int) -> list[Cell]:
    found = watch(shuffled(name, seed))
    return [(shuffle_key(name, seed), [[one.kind, one.cause, one.p] for one in found.alerts])]


def _adwin(plant: Plant, seed: int) -> list[Cell]:
    stream = planted(plant, seed)
    return [(key("adwin", plant, seed), {str(delta): adwin(stream, delta) for delta in DELTAS})]


def _evidently(part: Sequence[tuple[Plant, int]]) -> list[Cell]:
    found = evidently([(key("evidently", plant, n), planted(plant, n)) for plant, n in part])
    return list(found.items())


if __name__ == "__main__":
    import sys

    wanted = sys.argv[2:]
    Cells().fill(jobs(wanted), int(sys.argv[1]))
