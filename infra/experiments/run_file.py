"""A file of finished runs, one a line: what was broken off goes on, and a line that was not finished is left out."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from models.errors import InputError

R = TypeVar("R")


def read_runs(file: Path, parse: Callable[[dict[str, Any]], R]) -> list[R]:
    """The runs in a file, none if there is no file.

    Args:
        file: JSON lines.
        parse: Makes a run of a line's values; a line at which it fails with ``ValueError``, ``TypeError`` or
            ``KeyError``, the last one of a run that was killed or another version's, is left out.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{file}' ({error}); give another folder with --out") from error
    runs = []
    for line in lines:
        try:
            runs.append(parse(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            continue
    return runs


def append_run(file: Path, run: Mapping[str, Any]) -> None:
    """Add a finished run on a line of its own, also where the line before was not finished.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        with file.open("a", encoding="utf-8") as out:
            out.write(("" if whole else "\n") + json.dumps(run, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot write '{file}' ({error.strerror}); give another folder with --out") from error
