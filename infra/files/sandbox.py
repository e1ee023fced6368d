"""Files of strangers, read in a process of their own: what a file makes its reader do harms nobody else.

The process has no secrets, little memory and little time. A file that needs more is refused, whatever it is: a small
archive with much inside, a table of millions of cells, an object that is nested without end.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic
from typing import Any, cast

from pydantic import TypeAdapter

from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import LabelSheet, read_labels
from infra.files.preview import Preview, TextFile, TextFiles, preview, repeated
from infra.files.reading.items import Unit
from infra.files.row_tally import Source
from infra.files.rows import ReadingOptions
from infra.files.timestamps import DateOrder
from models.errors import InputError, QualstreamError, SettingError

MEMORY = 1_000_000_000
"""Bytes of address space that a reader may take."""
SECONDS = 60
"""How long a file may take to be read."""
UNPACKED = 200_000_000
"""Bytes that an archive may hold."""
RATIO = 200
"""How many times larger than the archive its content may be, from ten million bytes."""
ROWS, CELLS = 100_000, 2_000_000
"""The most of a file, or of all files that are brought in at once, that is read on the page."""
FILES = 100
"""The most files that are read at once."""
_FREE_RATIO = 10_000_000
_MEMBERS = 1_000  # files in an archive
_RESULT = 200_000_000  # bytes
_START_S = 1.0  # of a process, for each further file
_AT_ONCE = 2
_SHEET: TypeAdapter[LabelSheet] = TypeAdapter(LabelSheet)
_TEXTS: TypeAdapter[Preview] = TypeAdapter(Preview)
_TEXT_FILES: TypeAdapter[TextFiles] = TypeAdapter(TextFiles)
_LATER = "bring it in after the others"
_SMALLER = "take a smaller file, or read it with `qualstream teach`"
_slots = BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class TextsAsked:
    """How an upload of texts is to be read, as its form says; what is empty is told from the file."""

    study: str
    text: str = ""
    """The column of the text, or several with commas between."""
    id: str = ""
    time: str = ""
    encoding: str = ""
    sheet: str = ""
    date_order: str = ""
    unit: str = "turn"
    interviewer: str = ""
    """Who asks in a transcript, several with commas between; ``none`` for nobody."""
    non_answers: str = "leave-out"
    most: tuple[int, int] = (ROWS, CELLS)
    """Rows and cells that may be read."""
    rows_before: int = 0
    """Rows of the files that were read before it."""

    def source(self, path: Path) -> Source:
        """What is read, within the bounds of the page."""
        texts = [name.strip() for name in self.text.split(",") if name.strip()]
        options = ReadingOptions(
            encoding=self.encoding or None,
            sheet=self.sheet or None,
            date_order=cast(DateOrder | None, self.date_order or None),
            unit=cast(Unit, self.unit),
            interviewer="" if self.interviewer.casefold() == "none" else self.interviewer or None,
            leave_out_non_answers=self.non_answers == "leave-out",
            most=cast(tuple[int, int], tuple(self.most)),
            rows_before=self.rows_before,
        )
        return Source(path, None, texts, self.id or None, self.time or None, options)


class ReadersBusy(QualstreamError):
    """As many files are being read as may be at once."""


def read_labels_apart(
    path: Path, name: str, coder: str, columns: SheetColumns, options: ReadingOptions | None = None
) -> bytes:
    """Read a file of labels in a process of its own; of the options encoding, sheet and order of dates.

    Returns:
        The sheet as JSON, for ``parse_sheet``.

    Raises:
        InputError: If the file cannot be read, or would take more memory, time or room than it may.
        ReadersBusy: If others' files are being read; try again in a moment.
    """
    return read_apart(path, __name__, ["labels", name, json.dumps({"coder": coder, **_form(columns, options)})])


def read_texts_apart(files: Sequence[tuple[str, Path]], asked: TextsAsked) -> TextFiles:
    """Read files of texts, each in a process of its own; the bounds of one file hold for all of them together.

    Args:
        files: Each file's name and where it lies.
        asked: How they are to be read, which holds for all.

    Returns:
        What each comes to, or why it is refused: it cannot be read, would take more memory, time or room than is left,
        or is there twice.

    Raises:
        InputError: If there are too many files.
        ReadersBusy: If others' files are being read; try again in a moment.
    """
    if len(files) > FILES:
        raise InputError(f"{len(files)} files at once; at most {FILES} are read: bring them in in parts")
    repeats, left = repeated(files), _Left(SECONDS + _START_S * len(files))
    with _slot():
        return TextFiles(
            [
                TextFile(name, refused=repeats[n]) if n in repeats else left.read(name, path, asked)
                for n, (name, path) in enumerate(files)
            ]
        )


@dataclass
class _Left:
    """What is left to files that are read at once."""

    seconds: float
    rows: int = field(default_factory=lambda: ROWS)
    cells: int = field(default_factory=lambda: CELLS)
    size: int = _RESULT

    def read(self, name: str, path: Path, asked: TextsAsked) -> TextFile:
        """Read the next one; a file that is refused takes nothing but time from those after it."""
        began = monotonic()
        try:
            asked = replace(asked, most=(self.rows, self.cells), rows_before=ROWS - self.rows)
            texts = self._read(name, path, asked)
        except InputError as error:
            return TextFile(name, refused=str(error))
        finally:
            self.seconds -= monotonic() - began
        return TextFile(name, texts)

    def _read(self, name: str, path: Path, asked: TextsAsked) -> Preview:
        if self.seconds <= 0:
            raise InputError(f"{name}: not read, since reading files may take {SECONDS} seconds; {_LATER}")
        _check_archive(path, name)
        content = _run(path, __name__, ["texts", name, json.dumps(asdict(asked))], self.seconds)
        if len(content) > self.size:
            raise InputError(f"{name}: more text than is read at once; {_LATER}")
        texts = _TEXTS.validate_json(content)
        self.rows, self.cells = self.rows - texts.size[0], self.cells - texts.size[1]
        self.size -= len(content)
        return texts


def _form(columns: SheetColumns, options: ReadingOptions | None) -> dict[str, Any]:
    reading = {name: getattr(options or ReadingOptions(), name) for name in ("encoding", "sheet", "date_order")}
    return {"columns": asdict(columns), "reading": reading}


def dump_texts(files: TextFiles) -> bytes:
    """What was read, as JSON."""
    return _TEXT_FILES.dump_json(files)


def parse_texts(files: bytes) -> TextFiles:
    """What ``dump_texts`` gave as JSON."""
    return _TEXT_FILES.validate_json(files)


def read_apart(path: Path, module: str, arguments: list[str]) -> bytes:
    """Read a file in a process of its own, and give what it writes.

    Args:
        path: The file; the process has it as its standard input.
        module: What the process runs; it calls ``within_limits``.
        arguments: The kind of file, its name, and what else the module wants.

    Raises:
        InputError: If the file cannot be read, or would take more memory, time or room than it may.
        ReadersBusy: If others' files are being read; try again in a moment.
    """
    _check_archive(path, arguments[1])
    with _slot():
        return _run(path, module, arguments)


@contextmanager
def _slot() -> Iterator[None]:
    """One of the places for readers, for the time of a block."""
    if not _slots.acquire(timeout=5.0):
        raise ReadersBusy("other files are being read just now; try again in a moment")
    try:
        yield
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
        # zipfile raises the last one where it does not know how an archive is packed
        raise InputError(f"{name}: a broken archive; save the table again, as CSV or XLSX") from None
    unpacked, packed = sum(sizes), max(1, path.stat().st_size)
    if unpacked > UNPACKED or len(sizes) > _MEMBERS or (unpacked > _FREE_RATIO and unpacked > RATIO * packed):
        raise InputError(
            f"{name}: {packed:,} bytes that unpack to {unpacked:,} in {len(sizes)} parts; at most {UNPACKED:,} bytes "
            f"in {_MEMBERS} parts and {RATIO} times the file are read here; {_SMALLER}"
        )


def _run(path: Path, module: str, arguments: list[str], seconds: float = SECONDS) -> bytes:
    name = arguments[1]
    clean = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    root = Path(__file__).parents[__name__.count(".")]
    command = [sys.executable, "-m", module, *arguments]
    with path.open("rb") as file:
        try:
            ended = subprocess.run(
                command, stdin=file, capture_output=True, env=clean, cwd=root, timeout=seconds + 5, check=False
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


def within_limits(name: str, read: Callable[[], bytes]) -> None:
    """Read standard input within limits; the result on standard output, a refusal on standard error."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    try:
        result = read()
    except (InputError, SettingError) as error:
        sys.exit(str(error))
    except (MemoryError, RecursionError):
        sys.exit(2)
    if len(result) > _RESULT:
        sys.exit(f"{name}: more text than is read here; {_SMALLER}")
    sys.stdout.buffer.write(result)


def main() -> None:
    """Read labels or texts; see ``within_limits``."""
    kind, name, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    if kind == "labels":
        within_limits(name, lambda: _labels(name, **asked))
    else:
        within_limits(name, lambda: _texts(name, TextsAsked(**asked)))


def _labels(name: str, coder: str, columns: dict[str, Any], reading: dict[str, Any]) -> bytes:
    options = ReadingOptions(most=(ROWS, CELLS), **reading)
    sheet = read_labels(sys.stdin.buffer, name, coder, SheetColumns(**columns), options=options)
    return _SHEET.dump_json(replace(sheet, cells={}))  # the page shows what was made of the rows


def _texts(name: str, asked: TextsAsked) -> bytes:
    with copied_input(name) as path:
        return _TEXTS.dump_json(preview(asked.source(path), asked.study, None))


@contextmanager
def copied_input(name: str) -> Iterator[Path]:
    """Standard input as a file of this name, so that it is read as on the command line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(name).name or "texts")
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield path


if __name__ == "__main__":
    main()
