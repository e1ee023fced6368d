"""Rows out of CSV and TSV: delimiter, quotes and line ends are told from the text."""

import csv
import io
import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from infra.files.reading.columns import usual
from infra.files.reading.encodings import WINDOWS, Encoding
from infra.files.reading.items import RawRow, Rejected

DELIMITERS = ",;\t|"
NO_DELIMITER = "\x1f"
"""Stands where a table has one column."""
_MOST_LINES = 1000  # of one row; more means that a quote was never closed
_SAMPLED = 200
_STATED = re.compile(r"^\s*\"?sep=(.)\"?\s*$", re.IGNORECASE)  # Excel's own line
_BACKSLASHED = {quote: re.compile(rf"(?<!\\)((?:\\\\)*)\\{quote}") for quote in "\"'"}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""How a file's remarks call them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line; ``encoding`` where it is not the file's own."""

    number: int
    text: str
    encoding: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How a table's cells are parted and quoted."""

    delimiter: str
    backslash: bool = False
    """Whether a quote inside quotes has a backslash before it."""
    mixed: bool = True
    """Whether a row may escape its quotes in the other way."""
    stated_on: int = 0
    """The line that says so, which is no row."""
    quote: str = '"'
    """What stands around a cell that has a delimiter in it."""

    @property
    def sentence(self) -> str | None:
        """What is said of it; nothing of the usual one."""
        parts = [] if self.delimiter in (",", NO_DELIMITER) else [f"cells parted by {_named(self.delimiter)}"]
        parts += ["cells in single quotes"] if self.quote == "'" else []
        return "; ".join(parts + (["quotes escaped by a backslash"] if self.backslash else [])) or None


def lines_of(stream: Any, encoding: Encoding) -> Iterator[Line]:
    r"""The lines of a stream, which stays open; ``\n``, ``\r\n`` and ``\r`` end one.

    Bytes that are not in the encoding are read in its fallback, or else stand as U+FFFD; the line says so.
    """
    reader = io.TextIOWrapper(stream, encoding=encoding.name, errors=_errors(encoding), newline="")
    try:
        for number, text in enumerate(reader, 1):
            plain = text.removeprefix("\ufeff") if number == 1 else text
            yield _line(number, plain, encoding)
    finally:
        with suppress(ValueError):  # the caller has taken its stream away already
            reader.detach()  # else the caller's stream would be closed with it


def _errors(encoding: Encoding) -> str:
    return "surrogateescape" if encoding.name == "utf-8" else "replace"


def _line(number: int, text: str, encoding: Encoding) -> Line:
    if encoding.name != "utf-8":
        return Line(number, text, f"{encoding.name} with unreadable bytes" if "\ufffd" in text else None)
    if text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text):
        return Line(number, text)
    raw, fallback = text.encode("utf-8", "surrogateescape"), encoding.fallback or WINDOWS
    return Line(number, raw.decode(fallback, "replace"), fallback)


def tell_dialect(sample: str, text_names: Sequence[str], fixed: str | None = None) -> Dialect:
    """Tell how cells are parted and quoted from the first rows.

    Args:
        sample: The text's beginning, cut at a line's end.
        text_names: What the column of the text may be called: its name speaks for a delimiter.
        fixed: The delimiter where it is known.
    """
    lines = io.StringIO(sample, newline="").readlines()
    stated = _STATED.match(lines[0]) if lines else None
    body = lines[1:] if stated else lines
    delimiter = fixed or (stated[1] if stated else _delimiter(body, text_names))
    quote = "'" if _in_single_quotes(body, delimiter) else '"'
    return Dialect(delimiter, _backslashed(body, delimiter, quote), stated_on=1 if stated else 0, quote=quote)


def raw_rows(lines: Iterable[Line], dialect: Dialect, file: str) -> Iterator[RawRow | Rejected]:
    """Put physical lines together to rows. After a fault, reading goes on at the very next line."""
    csv.field_size_limit(sys.maxsize)
    rest, waiting = iter(lines), deque[Line]()
    while (first := _next(waiting, rest)) is not None:
        if first.number == dialect.stated_on:
            continue
        taken, cells, fault = _row(first, waiting, rest, dialect)
        if fault:
            waiting.extendleft(reversed(taken[1:]))
            yield Rejected(file, first.number, f"broken row: {fault}")
        elif cells:
            encoding = next((line.encoding for line in taken if line.encoding), None)
            yield RawRow(first.number, taken[-1].number, list(cells), encoding)


def width(line: str, dialect: Dialect) -> int:
    """How many cells a line has if it is read alone."""
    with suppress(csv.Error, StopIteration):
        return len(_cells([line], dialect, strict=False))
    return 0


def _row(
    first: Line, waiting: deque[Line], rest: Iterator[Line], dialect: Dialect
) -> tuple[list[Line], list[str], str]:
    """The lines of one row, its cells, and what is wrong with it."""
    taken = [first]
    while True:
        if len(taken) == 1 or dialect.quote in taken[-1].text:  # a row that is open can only end where a quote is
            try:
                return taken, _cells([line.text for line in taken], dialect), ""
            except csv.Error as error:
                if str(error) != "unexpected end of data":
                    return taken, *_other_quotes(taken, dialect, error)
        more = _next(waiting, rest)
        if more is None or len(taken) == _MOST_LINES:
            waiting.extendleft([more] if more else [])
            return taken, [], "a quote is opened and not closed"
        taken.append(more)


def _other_quotes(taken: list[Line], dialect: Dialect, error: csv.Error) -> tuple[list[str], str]:
    """The cells of a row whose quotes are escaped otherwise than the file's others, or what is wrong."""
    if dialect.mixed and not dialect.backslash and any(f"\\{dialect.quote}" in line.text for line in taken):
        with suppress(csv.Error):
            return _cells([line.text for line in taken], replace(dialect, backslash=True)), ""
    words = str(error).replace("delimiter", "a delimiter")
    return (
        [],
        "text follows a closing quote; write a quote inside a quoted cell twice"
        if "expected after" in words
        else words,
    )


def _cells(lines: list[str], dialect: Dialect, *, strict: bool = True) -> list[str]:
    if dialect.backslash:
        lines = [_BACKSLASHED[dialect.quote].sub(rf"\1{dialect.quote * 2}", line) for line in lines]
    return next(csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=strict), [])


def _next(waiting: deque[Line], rest: Iterator[Line]) -> Line | None:
    return waiting.popleft() if waiting else next(rest, None)


def _delimiter(lines: list[str], text_names: Sequence[str]) -> str:
    """The delimiter under which a row names the text, and most rows are of one width; of those the widest."""
    best = max(DELIMITERS, key=lambda delimiter: _fit(lines, delimiter, text_names))
    if _fit(lines, best, text_names)[1] > 0:
        return best
    first = next((line for line in lines if line.strip()), "")
    return NO_DELIMITER if usual((first.strip().strip('"'),), text_names) else best


def _fit(lines: list[str], delimiter: str, text_names: Sequence[str]) -> tuple[bool, float, int]:
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a broken row further on; those before it tell enough
        rows.extend(row for row in csv.reader(lines[:_SAMPLED], delimiter=delimiter) if any(row))
    widths = Counter(len(row) for row in rows)
    if not widths:
        return False, 0.0, 0
    usual_width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    header = max(rows[:20], key=len)
    named = len(header) > 1 and usual(header, text_names) is not None
    if len(rows[0]) == 1 and not named:
        return False, 0.0, 0
    return named, count / len(rows) if usual_width > 1 or named else 0.0, usual_width


def _backslashed(lines: list[str], delimiter: str, quote: str = '"') -> bool:
    """Whether more of the rows can be read if a backslash escapes a quote."""
    if not any(f"\\{quote}" in line for line in lines):
        return False
    dialects = (Dialect(delimiter, backslash=way, mixed=False, quote=quote) for way in (False, True))
    plain, escaped = (_faults(lines, dialect) for dialect in dialects)
    return escaped < plain


def _in_single_quotes(lines: list[str], delimiter: str) -> bool:
    """Whether single quotes stand around cells: fewer rows have faults then, or all names or every row have such."""
    opening = re.compile(rf"(?:^|{re.escape(delimiter)})'")
    if not any(opening.search(line) for line in lines[:_SAMPLED]):
        return False
    double, single = (_misfits(lines, Dialect(delimiter, quote=quote)) for quote in "\"'")
    around = re.compile(rf"(?:^|{re.escape(delimiter)})'[^']*(?:''[^']*)*'(?={re.escape(delimiter)}|\s*$)")
    rows = [line for line in lines[:_SAMPLED] if line.strip()]
    names = [name.strip() for name in rows[0].split(delimiter)]
    quoted = all(len(name) > 1 and name[0] == name[-1] == "'" for name in names)
    quoted = quoted or (len(rows) > 1 and all(around.search(line) for line in rows[1:]))
    return single < double or (single == double and quoted)


def _misfits(lines: list[str], dialect: Dialect) -> int:
    """Rows that are broken, or wider than the row of names; with single quotes a backslash may escape them."""
    ways = [dialect, replace(dialect, backslash=True)] if dialect.quote == "'" else [dialect]
    return min(_faults(lines, way) + _too_wide(lines, way) for way in ways)


def _too_wide(lines: list[str], dialect: Dialect) -> int:
    numbered = (Line(number, text) for number, text in enumerate(lines[:_SAMPLED], 1))
    rows = [row for row in raw_rows(numbered, dialect, "") if isinstance(row, RawRow)]
    return sum(len(row.cells) > len(rows[0].cells) for row in rows)


def _faults(lines: list[str], dialect: Dialect) -> int:
    numbered = (Line(number, text) for number, text in enumerate(lines[:_SAMPLED], 1))
    return sum(isinstance(row, Rejected) for row in raw_rows(numbered, dialect, ""))


def _named(delimiter: str) -> str:
    return SEPARATORS.get(delimiter, f"'{delimiter}'")
