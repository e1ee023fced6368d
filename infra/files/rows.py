"""Rows out of files: CSV, TSV, JSON lines, XLSX and plain lines, as a stream, with faults told row by row."""

import codecs
import csv
import io
import json
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, Literal, cast
from zipfile import BadZipFile

from pydantic import JsonValue

from models.errors import InputError

Format = Literal["csv", "tsv", "jsonl", "xlsx", "lines"]
FORMATS: tuple[Format, ...] = ("csv", "tsv", "jsonl", "xlsx", "lines")

PEEK = 1 << 16
"""Bytes from which format, encoding and delimiter are told."""

_ENDINGS: dict[str, Format] = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
}
_BOMS = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_LINES = 1000  # of one CSV row; more means that a quote was never closed
_FALLBACK = "cp1252"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be taken; its neighbours were."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TableHeader:
    """The columns of a table, before its rows."""

    line: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row by column; ``encoding`` where it is not the file's own, ``typed`` where a program chose the types."""

    line: int
    cells: dict[str, JsonValue]
    encoding: str | None = None
    typed: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    encoding: str | None = None


def tell_format(name: str | None, head: bytes) -> Format:
    """Tell a format from a file's name, or else from its first bytes; what is neither JSON nor XLSX is plain lines."""
    ending = (name or "").rpartition(".")[2].casefold()
    if "." in (name or "") and ending in _ENDINGS:
        return _ENDINGS[ending]
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    start = head.decode(tell_encoding(head) or "utf-8", "replace").lstrip("\ufeff \t\r\n")
    return "jsonl" if start.startswith("{") else "lines"


def tell_encoding(head: bytes) -> str | None:
    """Tell UTF-16 and UTF-32 from the first bytes; ``None`` means UTF-8, line by line."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    half = len(head) // 2
    if half and head[1::2].count(0) > 0.4 * half:
        return "utf-16-le"
    return "utf-16-be" if half and head[::2].count(0) > 0.4 * half else None


def read_rows(
    stream: io.BufferedReader, fmt: Format, file: str, encoding: str | None
) -> Iterator[TableHeader | TableRow | Rejected]:
    """Read a file's rows in order; memory does not grow with the file (XLSX: but for its shared strings).

    Args:
        stream: At the file's start; stays open.
        fmt: What it holds.
        file: Its name, for errors.
        encoding: ``None`` to tell it from the bytes; UTF-8 lines that are none are then read as Windows-1252.

    Raises:
        InputError: If the whole cannot be read; one row that cannot is a ``Rejected``.
    """
    if fmt == "xlsx":
        yield from _sheet_rows(stream, file)
        return
    head = stream.peek(PEEK)[:PEEK]
    encoding = encoding or tell_encoding(head)
    lines = _lines(stream, encoding)
    if fmt in ("csv", "tsv"):
        yield from _table_rows(lines, "\t" if fmt == "tsv" else _delimiter(head, encoding), file)
    elif fmt == "jsonl":
        yield from _json_rows(lines, file)
    else:
        for line in lines:
            if line.text.strip():
                yield TableRow(line.number, {"text": line.text.rstrip("\r\n")}, line.encoding)


def _lines(stream: io.BufferedReader, encoding: str | None) -> Iterator[_Line]:
    if encoding is None:
        for number, raw in enumerate(stream, 1):
            line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
            try:
                yield _Line(number, line.decode("utf-8"))
            except UnicodeDecodeError:
                yield _Line(number, line.decode(_FALLBACK, "replace"), _FALLBACK)
        return
    reader = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    try:
        for number, text in enumerate(reader, 1):
            note = f"{encoding} with unreadable bytes" if "\ufffd" in text else None
            yield _Line(number, text.removeprefix("\ufeff") if number == 1 else text, note)
    finally:
        reader.detach()  # else the caller's stream would be closed with it


def _json_rows(lines: Iterator[_Line], file: str) -> Iterator[TableRow | Rejected]:
    for line in lines:
        if not line.text.strip():
            continue
        try:
            value = json.loads(line.text)
        except json.JSONDecodeError as error:
            yield Rejected(file, line.number, f"not JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError) as error:
            yield Rejected(file, line.number, f"JSON that cannot be read: {str(error)[:100]}")
        else:
            if isinstance(value, dict):
                yield TableRow(line.number, value, line.encoding)
            elif isinstance(value, list) and line.number == 1:
                raise InputError(f"{file}, line 1: a JSON array found; one JSON object a line is expected")
            else:
                yield Rejected(file, line.number, f"a JSON {_kind(value)} found; an object is expected")


def _kind(value: Any) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")


def _table_rows(lines: Iterator[_Line], delimiter: str, file: str) -> Iterator[TableHeader | TableRow | Rejected]:
    header: TableHeader | None = None
    for record in _records(lines, delimiter, file):
        if isinstance(record, Rejected):
            if header is None:
                raise InputError(f"{file}, line {record.line}: {record.reason}; a row of column names is expected")
            yield record
            continue
        taken, cells = record
        first, last = taken[0].number, taken[-1].number
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = TableHeader(first, _columns(cells))
            yield header
        elif len(cells) != len(header.columns):
            reason = f"{len(cells)} cells found, {len(header.columns)} expected as in the row of column names"
            swallowed = f" (the row goes on to line {last}: is a quote not closed?)" if last > first else ""
            yield Rejected(file, first, reason + swallowed)
        else:
            encoding = next((line.encoding for line in taken if line.encoding), None)
            yield TableRow(first, dict(zip(header.columns, cast(list[JsonValue], cells), strict=True)), encoding)


def _records(lines: Iterator[_Line], delimiter: str, file: str) -> Iterator[tuple[list[_Line], list[str]] | Rejected]:
    """Put physical lines together to rows. After a fault, reading goes on at the very next line."""
    csv.field_size_limit(sys.maxsize)
    waiting: deque[_Line] = deque()
    while (first := waiting.popleft() if waiting else next(lines, None)) is not None:
        taken, fault = [first], ""
        while not fault:
            if len(taken) == 1 or '"' in taken[-1].text:  # a row that is open can only end where a quote is
                try:
                    cells = next(csv.reader([line.text for line in taken], delimiter=delimiter, strict=True))
                    break
                except csv.Error as error:
                    if str(error) != "unexpected end of data":
                        fault = str(error)
                        continue
            more = waiting.popleft() if waiting else next(lines, None)
            if more is None or len(taken) == _MOST_LINES:
                fault = "a quote is opened and not closed"
                waiting.extendleft([more] if more else [])
            else:
                taken.append(more)
        if fault:
            waiting.extendleft(reversed(taken[1:]))
            yield Rejected(file, first.number, f"broken row: {fault}")
        elif cells:
            yield taken, cells


def _columns(cells: Sequence[object]) -> tuple[str, ...]:
    """Name the columns: an empty name gets its number, a second one of the same name too."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = "" if cell is None else str(cell).strip()
        names.append(f"{name or 'column'} {number}" if not name or name in names else name)
    return tuple(names)


def _delimiter(head: bytes, encoding: str | None) -> str:
    """The delimiter under which most rows are as wide as the first, and of those the one with most columns."""
    lines = head.decode(encoding or "utf-8", "replace").lstrip("\ufeff").splitlines(keepends=True)
    if len(head) >= PEEK and len(lines) > 1:
        lines.pop()  # cut in the middle

    def fit(delimiter: str) -> tuple[float, int]:
        widths: list[int] = []
        with suppress(csv.Error):  # a broken row further on; those before it tell enough
            widths.extend(len(row) for row in csv.reader(lines[:200], delimiter=delimiter) if row)
        if not widths or widths[0] == 1:
            return 0.0, 0
        return widths.count(widths[0]) / len(widths), widths[0]

    return max(",;\t|", key=fit)


def _sheet_rows(stream: io.BufferedReader, file: str) -> Iterator[TableHeader | TableRow | Rejected]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with tempfile.SpooledTemporaryFile(max_size=1 << 24) as whole, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's about styles and extensions that it leaves out
        while part := stream.read(1 << 20):
            whole.write(part)
        whole.seek(0)
        try:
            book = load_workbook(cast(BinaryIO, whole), read_only=True, data_only=True)
        except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
            raise InputError(f"{file}: not an XLSX workbook ({str(error)[:100]}); an .xlsx file is expected") from error
        try:
            yield from _cells(book.worksheets[0], file) if book.worksheets else ()
        finally:
            book.close()


def _cells(sheet: Any, file: str) -> Iterator[TableHeader | TableRow | Rejected]:
    header: TableHeader | None = None
    sheet.reset_dimensions()  # some writers state a wrong size, by which rows would be cut
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = list(values)
        while cells and cells[-1] in (None, ""):
            cells.pop()
        if not cells:
            continue
        if header is None:
            header = TableHeader(number, _columns(cells))
            yield header
        elif len(cells) > len(header.columns):
            yield Rejected(file, number, f"{len(cells)} cells found, at most {len(header.columns)} expected")
        else:
            padded = [_plain(cell) for cell in cells] + [None] * (len(header.columns) - len(cells))
            yield TableRow(number, dict(zip(header.columns, padded, strict=True)), typed=True)


def _plain(value: object) -> JsonValue:
    """A cell's value as JSON has it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
