"""Work that is done lies in the build folder, under a digest of what it follows from: a broken off run goes on."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas import Decision


def kept_decisions(
    build: Path, name: str, key: str, make: Callable[[], list[Decision | None]]
) -> list[Decision | None]:
    """Decisions as they lie in the build folder under a digest of what they follow from; made where there are none."""
    file = build / f"decisions-{digest(name, key)}.jsonl"
    if not file.exists():
        lines = [decision.to_bytes() if decision else b"" for decision in make()]
        _write(file, b"".join(line + b"\n" for line in lines))
    return [Decision.from_bytes(line) if line else None for line in file.read_bytes().split(b"\n")[:-1]]


def kept_figures(build: Path, name: str, key: str, make: Callable[[], Any]) -> Any:
    """Figures that are JSON, the same way."""
    file = build / f"{name}-{digest(name, key)}.json"
    if not file.exists():
        announce(name)
        _write(file, json.dumps(make(), indent=1).encode())
    return json.loads(file.read_bytes())


def kept_lines(file: Path) -> list[dict[str, Any]]:
    """The objects that were added to a file; none where there is none yet."""
    content = file.read_bytes() if file.exists() else b""
    return [json.loads(line) for line in content.split(b"\n") if line]


def add_lines(file: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Add objects to a file: all of them, or none where the run is broken off."""
    lines = [*kept_lines(file), *objects]
    _write(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())


def announce(part: str) -> None:
    """Say which part of a run begins, and when."""
    print(f"{datetime.now(UTC):%H:%M:%S} {part}", flush=True)


def digest(name: str, key: str) -> str:
    """Sixteen digits for what something follows from."""
    return hashlib.sha256(f"{name} {key}".encode()).hexdigest()[:16]


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)
