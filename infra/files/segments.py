"""Segments out of files: which column is what, which key names a row, and what cannot be taken."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from infra.files.rows import (
    FORMATS,
    PEEK,
    Format,
    Rejected,
    TableHeader,
    TableRow,
    read_rows,
    tell_encoding,
    tell_format,
)
from infra.files.timestamps import read_time
from models.errors import InputError
from schemas import Segment
from schemas.ids import segment_id
from schemas.record import Study, describe

__all__ = ["Rejected", "read_segments"]

TEXT_NAMES = (
    *("text", "review", "content", "comment", "body", "feedback", "message", "answer", "segment", "quote"),
    *("review_text", "reviewtext", "review_body", "comment_text", "comments", "response", "excerpt", "verbatim"),
    *("sentence", "post", "tweet", "utterance"),
)
ID_NAMES = ("id", "segment_id", "review_id", "reviewid", "comment_id", "response_id", "key", "uuid", "guid", "_id")
TIME_NAMES = (
    *("timestamp", "datetime", "date", "time", "created_at", "at", "created", "submitted_at", "posted_at"),
    *("published_at", "review_date", "date_time"),
)
LANGUAGE_NAMES = ("language", "lang", "locale")
SOURCE_NAMES = ("source",)

_LONGEST_SOURCE, _LONGEST_LANGUAGE = 200, 20
_ROWS_BEFORE_GIVING_UP = 100  # JSON objects without any text field
_MOST_SHAPES = 1000  # of JSON objects whose columns are remembered
_MOST_NAMED = 20  # columns that an error lists


@dataclass(frozen=True)
class _RequestedColumns:
    """The columns that the caller named; ``None`` is to be guessed, an empty id is none at all."""

    text: str | None
    id: str | None
    time: str | None


@dataclass(frozen=True)
class _Columns:
    text: str
    id: str | None
    time: str | None
    language: str | None
    source: str | None


def read_segments(
    source: Path | BinaryIO,
    *,
    study: str,
    fmt: str | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    source_name: str | None = None,
    encoding: str | None = None,
) -> Iterator[Segment | Rejected]:
    """Read a file or an open stream as segments, in order, without holding it in memory.

    A row without an id is named by its text and how often that text came before, so that a second reading gives
    the same ids and equal texts stay apart; for that, a short hash a row is kept.

    Args:
        source: A file, or a binary stream that stays open.
        study: The study the segments belong to.
        fmt: ``csv``, ``tsv``, ``jsonl``, ``xlsx`` or ``lines``; told from name or content where not given.
        text_column: The column of the text; guessed from usual names where not given.
        id_column: The column of the source's own key; guessed where not given, none where empty.
        time_column: The column of the time; guessed where not given.
        source_name: What the segments come from; else the row's own ``source`` column, else the file's name.
        encoding: Told from the bytes where not given.

    Returns:
        Segments, and in their places the rows that could not be taken.

    Raises:
        InputError: At once if the file is missing, empty or not readable or an argument is wrong; while reading if
            there is no column of text or the whole cannot be read.
    """
    _check(study, fmt, encoding)
    file = source.name if isinstance(source, Path) else (source_name or "standard input")
    if isinstance(source, Path):
        _check_file(source)
    builder = _Builder(study, file, source_name, _RequestedColumns(text_column, id_column, time_column))
    return _read(source, file, cast(Format | None, fmt), encoding, builder)


def _read(
    source: Path | BinaryIO, file: str, fmt: Format | None, encoding: str | None, builder: "_Builder"
) -> Iterator[Segment | Rejected]:
    with _opened(source) as stream:
        head = stream.peek(PEEK)
        if not head:
            raise InputError(f"{file}: empty; rows of text are expected")
        fmt = fmt or tell_format(source.name if isinstance(source, Path) else None, head)
        if fmt == "lines" and not isinstance(source, Path) and _starts_with_header(head, builder.text_names):
            fmt = "csv"
        for item in read_rows(stream, fmt, file, encoding):
            if isinstance(item, TableHeader):
                builder.see_header(item)
            elif isinstance(item, Rejected):
                yield item
            else:
                yield builder.build(item)
    builder.finish()


class _Builder:
    """Makes segments of rows, and remembers which keys were used."""

    def __init__(self, study: str, file: str, source_name: str | None, requested: _RequestedColumns) -> None:
        self._study, self._file, self._source_name, self._requested = study, file, source_name, requested
        self._by_names: dict[tuple[str, ...], _Columns] = {}
        self._text, self._text_seen = requested.text, False
        self._without_text, self._first_error = 0, cast(InputError | None, None)
        self._texts: dict[bytes, int] = {}  # source and text -> times seen
        self._keys: dict[bytes, bytes] = {}  # source and key -> text

    @property
    def text_names(self) -> tuple[str, ...]:
        """What the column of the text may be called."""
        return (self._text,) if self._text else TEXT_NAMES

    def see_header(self, header: TableHeader) -> None:
        """Settle the columns of a table."""
        columns = self._choose(header.columns)
        if columns is None:
            raise self._no_text(header.line, header.columns)
        for requested, name, option in (
            (self._requested.id, columns.id, "--id-column"),
            (self._requested.time, columns.time, "--time-column"),
        ):
            if requested and name is None:
                among = _listed(header.columns)
                raise InputError(
                    f"{self._file}, line {header.line}: no column '{requested}' among {among}; see {option}"
                )
        self._by_names[header.columns] = columns

    def finish(self) -> None:
        """Refuse a file in which no row had a text column."""
        if self._first_error is not None and not self._text_seen:
            raise self._first_error

    def build(self, row: TableRow) -> Segment | Rejected:
        """Make a segment of a row, or say why not."""
        try:
            return self._segment(row, self._columns_of(row))
        except _Unfit as unfit:
            reason = str(unfit)
        except ValidationError as error:
            reason = describe(error)
        except UnicodeEncodeError:
            reason = "half of a surrogate pair found; whole characters are expected"
        return Rejected(self._file, row.line, reason)

    def _segment(self, row: TableRow, columns: _Columns) -> Segment:
        text, notes = self._text_of(row, columns.text)
        source = self._source_name or _short(row, columns.source, _LONGEST_SOURCE)
        language = _short(row, columns.language, _LONGEST_LANGUAGE)
        timestamp = read_time(_cell(row, columns.time))
        own_key = _own_key(row, columns.id)
        used = {
            columns.text,
            columns.source if source and not self._source_name else None,
            columns.language if language else None,
            columns.time if timestamp else None,
            columns.id if own_key else None,
        }
        source = source or self._file[:_LONGEST_SOURCE]
        return Segment(
            id=segment_id(self._study, source, self._key(own_key, source, text)),
            study=self._study,
            text=text,
            source=source,
            timestamp=timestamp,
            language=language,
            metadata={name: value for name, value in row.cells.items() if name not in used} | notes,
        )

    def _text_of(self, row: TableRow, column: str) -> tuple[str, dict[str, JsonValue]]:
        """The text, and what was done to it. PostgreSQL takes no NUL, so that none goes on from here."""
        text = row.cells[column]
        if isinstance(text, int | float) and not isinstance(text, bool) and row.typed:
            text = str(text)  # a spreadsheet makes a number of an answer such as 10
        if not isinstance(text, str):
            raise _Unfit(f"'{column}' is {_kind(text)}; text is expected")
        notes: dict[str, JsonValue] = {"_encoding": row.encoding} if row.encoding else {}
        if "\0" in text:
            text = text.replace("\0", "")
            notes["_nul_removed"] = True
        if not text.strip():
            raise _Unfit(f"'{column}' is empty; text is expected")
        return text, notes

    def _key(self, own: str | None, source: str, text: str) -> str:
        """The source's own key, or the text's hash and occurrence."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if own is None:
            place = _hash(f"{source}\0{digest}")
            count = self._texts[place] = self._texts.get(place, 0) + 1
            return f"{digest}:{count}"
        if self._keys.setdefault(_hash(f"{source}\0{own}"), _hash(digest)) != _hash(digest):
            raise _Unfit(f"id '{own[:60]}' already stands for another text; name the right column with --id-column")
        return own

    def _columns_of(self, row: TableRow) -> _Columns:
        names = tuple(row.cells)
        columns = self._by_names.get(names) or self._choose(names)
        if columns is None:
            self._without_text += 1
            error = self._no_text(row.line, names)
            if not self._text_seen and self._without_text >= _ROWS_BEFORE_GIVING_UP:
                raise error
            self._first_error = self._first_error or error
            raise _Unfit(f"no text: '{self._text or 'text'}' is expected among {_listed(names)}")
        if len(self._by_names) < _MOST_SHAPES:
            self._by_names[names] = columns
        return columns

    def _choose(self, names: tuple[str, ...]) -> _Columns | None:
        """Say which column is what. The text is the same column in all rows: the first that was found."""
        text = _usual(names, self.text_names)
        if text is None:
            return None
        self._text, self._text_seen = text, True
        others = tuple(name for name in names if name != text)
        requested = self._requested
        return _Columns(
            text=text,
            id=_usual(others, ID_NAMES if requested.id is None else (requested.id,)),
            time=_usual(others, TIME_NAMES if requested.time is None else (requested.time,)),
            language=_usual(others, LANGUAGE_NAMES),
            source=_usual(others, SOURCE_NAMES),
        )

    def _no_text(self, line: int, names: tuple[str, ...]) -> InputError:
        missing = f"no column '{self._text}'" if self._text else "no column of text"
        return InputError(f"{self._file}, line {line}: {missing} among {_listed(names)}; name it with --text-column")


class _Unfit(Exception):
    """A row that cannot be taken, and why."""


def _usual(names: tuple[str, ...], usual: tuple[str, ...]) -> str | None:
    """The first of the usual names that is there, whatever its case and the marks between its words."""
    folded = {_folded(name): name for name in reversed(names)}
    return next((folded[_folded(name)] for name in usual if _folded(name) in folded), None)


def _starts_with_header(head: bytes, text_names: tuple[str, ...]) -> bool:
    """Whether the first line of a stream names a column of text: a table then, not plain lines."""
    first = head.decode(tell_encoding(head) or "utf-8", "replace").lstrip("\ufeff").split("\n", 1)[0]
    return any(_usual(tuple(cell.strip('" \r') for cell in first.split(d)), text_names) for d in ",;\t|")


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _listed(names: tuple[str, ...]) -> str:
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return (", ".join(f"'{name[:40]}'" for name in names[:_MOST_NAMED]) or "no columns") + more


def _cell(row: TableRow, column: str | None) -> JsonValue:
    return row.cells.get(column) if column is not None else None


def _short(row: TableRow, column: str | None, longest: int) -> str | None:
    value = _cell(row, column)
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= longest else None


def _own_key(row: TableRow, column: str | None) -> str | None:
    value = _cell(row, column)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _kind(value: JsonValue) -> str:
    kinds = {list: "a list", dict: "an object", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "empty")


def _check(study: str, fmt: str | None, encoding: str | None) -> None:
    try:
        TypeAdapter(Study).validate_python(study)
    except ValidationError:
        raise InputError(f"study '{study[:60]}': 1 to 80 letters, digits, spaces and . _ - are expected") from None
    if fmt is not None and fmt not in FORMATS:
        raise InputError(f"format '{fmt}' is not known; {', '.join(FORMATS)} are")
    if encoding is not None:
        try:
            "".encode(encoding)
        except LookupError:
            raise InputError(f"encoding '{encoding}' is not known; utf-8, utf-16, cp1252 and the like are") from None


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: a folder found; a file is expected")
        with path.open("rb") as file:
            if not file.peek(1):
                raise InputError(f"{path}: empty; rows of text are expected")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a CSV, TSV, JSONL, XLSX or text file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[io.BufferedReader]:
    if isinstance(source, Path):
        with source.open("rb", buffering=PEEK) as stream:
            yield cast(Any, stream)
        return
    if isinstance(source, io.BufferedReader):
        yield cast(Any, source)
        return
    wrapped = io.BufferedReader(cast(Any, source), PEEK)
    try:
        yield wrapped
    finally:
        wrapped.detach()  # else the caller's stream would be closed with it
