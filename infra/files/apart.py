"""Files of strangers, read in a process of their own: what a file makes its reader do harms nobody else.

The process has no secrets, little memory and little time. A file that needs more is refused, whatever it is: a small
archive with much inside, a table of millions of cells, an object that is nested without end.
"""

import json
import os
import resource
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from threading import BoundedSemaphore

from pydantic import TypeAdapter

from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import LabelSheet, read_labels
from infra.files.rows import ReadingOptions
from models.errors import InputError, QualstreamError

MEMORY = 1_000_000_000
"""Bytes of address space that a reader may take."""
SECONDS = 60
"""How long a file may take to be read."""
UNPACKED = 200_000_000
"""Bytes that an archive may hold."""
RATIO = 200
"""How many times larger than the archive its content may be, from ten million bytes."""
ROWS, CELLS = 100_000, 2_000_000
"""The most of a file that is read on the page."""
_FREE_RATIO = 10_000_000
_MEMBERS = 1_000  # files in an archive
_RESULT = 200_000_000  # bytes
_AT_ONCE = 2
_SHEET: TypeAdapter[LabelSheet] = TypeAdapter(LabelSheet)
_SMALLER = "take a smaller file, or read it with `qualstream teach`"
_slots = BoundedSemaphore(_AT_ONCE)


class ReadersBusy(QualstreamError):
    """As many files are being read as may be at once."""


def read_labels_apart(path: Path, name: str, coder: str, columns: SheetColumns) -> bytes:
    """Read a file of labels in a process of its own.

    Returns:
        The sheet as JSON, for ``parse_sheet``.

    Raises:
        InputError: If the file cannot be read, or would take more memory, time or room than it may.
        ReadersBusy: If others' files are being read; try again in a moment.
    """
    _check_archive(path, name)
    if not _slots.acquire(timeout=5.0):
        raise ReadersBusy("other files are being read just now; try again in a moment")
    try:
        return _run(path, [name, coder, json.dumps(asdict(columns))])
    finally:
        _slots.release()


def parse_sheet(sheet: bytes) -> LabelSheet:
    """The sheet that ``read_labels_apart`` gave as JSON."""
    return _SHEET.validate_json(sheet)


def _check_archive(path: Path, name: str) -> None:
    """Refuse an archive by what it says about itself; what lies about it is cut off where it lies."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [member.file_size for member in archive.infolist()]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise InputError(f"{name}: a broken archive; save the table again, as CSV or XLSX") from None
    unpacked, packed = sum(sizes), max(1, path.stat().st_size)
    if unpacked > UNPACKED or len(sizes) > _MEMBERS or (unpacked > _FREE_RATIO and unpacked > RATIO * packed):
        raise InputError(
            f"{name}: {packed:,} bytes that unpack to {unpacked:,} in {len(sizes)} parts; at most {UNPACKED:,} bytes "
            f"in {_MEMBERS} parts and {RATIO} times the file are read here; {_SMALLER}"
        )


def _run(path: Path, arguments: list[str]) -> bytes:
    name = arguments[0]
    clean = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "infra.files.apart", *arguments]
    with path.open("rb") as file:
        try:
            ended = subprocess.run(
                command, stdin=file, capture_output=True, env=clean, cwd=root, timeout=SECONDS + 5, check=False
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{name}: it took longer than {SECONDS} seconds to read; {_SMALLER}") from None
    if ended.returncode == 0:
        return ended.stdout
    if ended.returncode == 1 and ended.stderr:
        raise InputError(ended.stderr.decode("utf-8", "replace").strip()[:2_000])
    raise InputError(
        f"{name}: reading it takes more than {MEMORY // 1_000_000} MB or {SECONDS} seconds, or it is broken; {_SMALLER}"
    )


def main() -> None:
    """Read standard input within limits; the sheet as JSON on standard output, a refusal on standard error."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    name, coder, columns = sys.argv[1:4]
    try:
        options = ReadingOptions(most=(ROWS, CELLS))
        sheet = read_labels(sys.stdin.buffer, name, coder, SheetColumns(**json.loads(columns)), options=options)
        result = _SHEET.dump_json(replace(sheet, cells={}))  # the page shows what was made of the rows
    except InputError as error:
        sys.exit(str(error))
    except (MemoryError, RecursionError):
        sys.exit(2)
    if len(result) > _RESULT:
        sys.exit(f"{name}: more text than is read here; {_SMALLER}")
    sys.stdout.buffer.write(result)


if __name__ == "__main__":
    main()
