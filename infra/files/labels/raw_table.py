"""Files of labels as rows by column, before anything is made of them."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from infra.files.labels.parquet_rows import PARQUET, parquet_rows
from infra.files.reading.bounds import TableItem, bounded
from infra.files.rows import (
    Format,
    ReadingOptions,
    Rejected,
    TableHeader,
    TableRow,
    known_format,
    read_rows,
    tell_format,
)
from infra.files.tables import unguarded
from models.errors import InputError


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file for reading, its faults told in one line.

    Raises:
        InputError: If it is missing, a folder, or not to be read.
    """
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a file of texts with codes") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a file of texts with codes") from error


@dataclass(frozen=True)
class RawTable:
    """A file's columns and rows, before anything is made of them."""

    names: Sequence[str]
    rows: Sequence[TableRow]
    rejected: Sequence[Rejected]
    line: int
    """Where it begins."""


def read_table(stream: BinaryIO, name: str, fmt: str | None = None, options: ReadingOptions | None = None) -> RawTable:
    """Read a file's rows as they are.

    Raises:
        InputError: If it cannot be read, or has no row.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
    try:
        items = _items(buffered, name, fmt, options or ReadingOptions())
    finally:
        if isinstance(stream, io.BytesIO):
            buffered.detach()  # else the caller's stream would be closed with it
    rows = [item for item in items if isinstance(item, TableRow)]
    rejected = [item for item in items if isinstance(item, Rejected)]
    header = next((item for item in items if isinstance(item, TableHeader)), None)
    if header is None and not rows:
        first = f", line {rejected[0].line}: {rejected[0].reason}" if rejected else ": no rows"
        raise InputError(f"{name}{first}; texts or ids with codes are expected")
    names = header.columns if header else tuple(dict.fromkeys(name for row in rows for name in row.cells))
    return RawTable(names, rows, rejected, header.line if header else rows[0].line)


def _items(stream: io.BufferedReader, name: str, fmt: str | None, options: ReadingOptions) -> list[TableItem]:
    head = stream.peek(1 << 16)
    if not head:
        raise InputError(f"{name}: empty; rows of text or ids with codes are expected")
    if head.startswith(PARQUET):
        return list(bounded(parquet_rows(stream), name, options))
    known_format(fmt)
    read_as = cast(Format, fmt) if fmt else tell_format(name, head)
    if read_as == "lines":
        raise InputError(
            f"{name}: plain lines found; CSV, JSON lines or XLSX with columns of text and codes is expected"
        )
    items = list(read_rows(stream, read_as, name, None, options))
    if read_as not in ("csv", "tsv"):
        return items
    return [_unguarded(item) if isinstance(item, TableRow) else item for item in items]


def _unguarded(row: TableRow) -> TableRow:
    """A row as it was before an export guarded it against spreadsheets."""
    cells = {name: unguarded(cell) if isinstance(cell, str) else cell for name, cell in row.cells.items()}
    return TableRow(row.line, cells, row.encoding, row.typed)
