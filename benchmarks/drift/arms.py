"""Three ways to watch the same stream: this project's monitor, river's ADWIN alone, and Evidently's tests."""

import ast
import hashlib
import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from benchmarks.drift.streams import Item, Stream, rows, vectors
from benchmarks.pages.layout import ROOT
from infra.drift.scan_file import EMBEDDED, PER_WINDOW, SMALL, UNCODED
from models.drift.monitor import Monitor
from models.drift.observation import KnownChange, Observed
from models.drift.settings import DriftSettings
from models.text.words import distinct_words
from schemas import DriftAlert
from schemas.ids import uniform

_SPACE = UUID("5f0b1b0e-2a9b-5a4e-9d2e-7f6f0a6f3c11")
SETTINGS = DriftSettings(lateness=timedelta())
"""The defaults of ``qualstream drift scan``."""
WINDOW, STEP, REFERENCE = 400, 100, 1_000
"""Evidently compares the newest WINDOW segments, every STEP segments, with the REFERENCE ones before them."""
TESTS = ("jensenshannon", "psi", "chisquare")
"""Evidently's tests of categories that are compared with: its default above 1,000 rows, its most used, its default
below."""
EVIDENTLY = ROOT / "build" / "evidently" / "bin" / "python"


@cache
def monitored() -> str:
    """What tells versions of the monitor apart: a hash of its settings and code, but for comments and docstrings."""
    digest = hashlib.sha256(repr(SETTINGS).encode())
    for path in sorted((ROOT / "models" / "drift").rglob("*.py")):
        digest.update(_without_docstrings(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:10]


def _without_docstrings(source: str) -> str:
    """Code as it is run."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@dataclass(frozen=True)
class Watched:
    """What the monitor said of a stream."""

    alerts: Sequence[DriftAlert]
    seen_at: Sequence[int]
    """By alert, how many segments had come by then."""


def watch(stream: Stream, false_alarms: float = SETTINGS.false_alarms) -> Watched:
    """Let the monitor watch a stream, texts and all."""
    monitor = Monitor("benchmark", replace(SETTINGS, false_alarms=false_alarms))
    length = len(stream.items)
    share = min(1.0, EMBEDDED / length, max(PER_WINDOW / WINDOW, SMALL / length))
    alerts: list[DriftAlert] = []
    seen_at: list[int] = []
    for n, item in enumerate(stream.items):
        if stream.noted and n == stream.changes_at:
            monitor.note(KnownChange(item.at, "codebook", stream.noted))
        found = monitor.update(_observed(stream, item, n, share))
        alerts += found
        seen_at += [n + 1] * len(found)
    found = monitor.finish()
    return Watched([*alerts, *found], [*seen_at, *[len(stream.items)] * len(found)])


def _observed(stream: Stream, item: Item, n: int, share: float) -> Observed:
    id_ = uuid5(_SPACE, f"{n} {item.row}")
    return Observed(
        at=item.at,
        segment=id_,
        source=item.source,
        code=item.code or UNCODED,
        confidence=item.confidence,
        agreement=item.agreement,
        accepted=item.accepted,
        vector=vectors(stream.set)[item.row] if uniform(id_, "embedded") < share else None,
        words=_words(stream.set, item.row),
    )


@cache
def _words(name: str, row: int) -> tuple[str, ...]:
    return distinct_words(rows(name)[row]["text"])


def adwin(items: Iterable[Item | Observed], delta: float) -> list[int]:
    """Where any of river's ADWINs reports a change: one a code, one a source, and one each for what is measured.

    Args:
        items: A stream.
        delta: ADWIN's own setting.
    """
    from river.drift import ADWIN

    stream = list(items)
    of_code = {code: ADWIN(delta) for code in sorted({str(item.code) for item in stream})}
    of_source = {source: ADWIN(delta) for source in sorted({item.source for item in stream})}
    measured = {name: ADWIN(delta) for name in ("confidence", "agreement", "accepted")}
    alarms = []
    for n, item in enumerate(stream, 1):
        fed = [(one, float(str(item.code) == code)) for code, one in of_code.items()]
        fed += [(one, float(item.source == source)) for source, one in of_source.items()]
        fed += [(one, float(v)) for name, one in measured.items() if (v := getattr(item, name)) is not None]
        changed = False
        for one, value in fed:
            one.update(value)
            changed |= one.drift_detected
        if changed:
            alarms.append(n)
    return alarms


Looks = list[tuple[int, dict[str, float]]]
"""At every look, how many segments had come, and by column how far it drifted, higher for more."""


def evidently(streams: Sequence[tuple[str, Stream]]) -> dict[str, Looks]:
    """By stream, at every look what Evidently's tests say of each column.

    Categories are compared by their Jensen-Shannon distance, its own choice above 1,000 rows, numbers by Kolmogorov and
    Smirnov's test.

    Raises:
        FileNotFoundError: If there is no environment with Evidently; ``make results-drift`` makes one.
    """
    table = [(key, [_row(item) for item in stream.items]) for key, stream in streams]
    return evidently_by_test(table, (WINDOW, STEP, REFERENCE), TESTS[:1])["all"]


def evidently_by_test(
    streams: Sequence[tuple[str, list[list[Any]]]], windows: tuple[int, int, int], tests: Sequence[str] = TESTS
) -> dict[str, dict[str, Looks]]:
    """By test and stream, what Evidently says of each column; ``all`` has the highest of all tests.

    Args:
        streams: Rows of code, source, confidence, agreement and acceptance, by name.
        windows: Segments of a window, between two looks, and of a reference at most.
        tests: Of categories, by Evidently's names.
    """
    worker = Path(__file__).parent / "evidently.py"
    lines = "".join(json.dumps({"key": key, "rows": rows_}) + "\n" for key, rows_ in streams)
    command = [str(EVIDENTLY), "-P", str(worker), *map(str, windows), *tests]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Evidently failed: {done.stderr.strip().splitlines()[-1:]}")
    seen: dict[str, dict[str, Looks]] = {test: {} for test in (*tests, "all")}
    for line in map(json.loads, done.stdout.splitlines()):
        for test in tests:
            seen[test][line["key"]] = [(n, drifts.get(test, {})) for n, drifts in line["looks"]]
        seen["all"][line["key"]] = [
            (n, {column: drift for each in drifts.values() for column, drift in each.items()})
            for n, drifts in line["looks"]
        ]
    return seen


def evidently_version() -> str:
    """The version that is compared with, or why there is none."""
    if not EVIDENTLY.exists():
        return ""
    code = "from importlib.metadata import version; print(version('evidently'))"
    return subprocess.run([str(EVIDENTLY), "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _row(item: Item) -> list[Any]:
    return [item.code or UNCODED, item.source, item.confidence, item.agreement, item.accepted]


def since(stream: Stream, moment: datetime) -> int:
    """The first segment that was not said before a moment."""
    return next((n for n, item in enumerate(stream.items) if item.at >= moment), len(stream.items))
