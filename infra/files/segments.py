"""Segments out of files: which column is what, which key names a row, and what cannot be taken."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import TypeAdapter, ValidationError

from infra.files.reading.column_roles import RequestedColumns, longest_texts
from infra.files.reading.columns import ID_NAMES, TEXT_NAMES, TIME_NAMES, usual
from infra.files.reading.delimited import DELIMITERS
from infra.files.reading.documents import DOCUMENT_COLUMNS
from infra.files.reading.encodings import PEEK, told_by_mark
from infra.files.reading.items import LeftOut, ReadingOptions, Rejected, TableHeader, TableRow
from infra.files.reading.segment_builder import Place, SegmentBuilder
from infra.files.rows import DOCUMENTS, Format, known_encoding, known_format, read_rows, tell_format
from models.errors import InputError
from schemas import Segment
from schemas.record import Study

_ROWS_FOR_PROPOSAL = 200

__all__ = ["ID_NAMES", "TEXT_NAMES", "TIME_NAMES", "LeftOut", "ReadingOptions", "Rejected", "read_segments"]


def read_segments(
    source: Path | BinaryIO,
    *,
    study: str,
    fmt: str | None = None,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    source_name: str | None = None,
    options: ReadingOptions | None = None,
) -> Iterator[Segment | Rejected]:
    """Read a file or an open stream as segments, in order, without holding it in memory.

    A file is read twice where it can be: what only a whole column tells (which of day and month comes first, whether
    ids are whole numbers) is settled before the first segment. A row without an id is named by its text and how often
    that text came before, so that a second reading gives the same ids and equal texts stay apart; for that, a short
    hash a row is kept.

    Args:
        source: A file, or a binary stream that stays open.
        study: The study the segments belong to.
        fmt: One of ``rows.FORMATS``; told from name or content where not given.
        text_column: The column of the text, or several, each a source of its own; told from usual names where not
            given.
        id_column: The column of the source's own id; told where not given, none where empty.
        time_column: The column of the time; told where not given.
        source_name: What the segments come from; else the row's own ``source`` column, else the file's name.
        options: How it is read where that is not told from the file, and what takes the words about it.

    Returns:
        Segments, and in their places the rows that could not be taken; ``LeftOut`` where there is nothing to code.

    Raises:
        InputError: At once if the file is missing, empty or not readable or an argument is wrong; while reading if
            there is no column of text or the whole cannot be read.
    """
    options = options or ReadingOptions()
    _check(study, fmt, options.encoding)
    file = source.name if isinstance(source, Path) else (source_name or "standard input")
    if isinstance(source, Path):
        _check_file(source)
    texts = (text_column,) if isinstance(text_column, str) else tuple(text_column or ())
    options = replace(options, text_names=texts or TEXT_NAMES)
    builder = SegmentBuilder(Place(study, file, source_name), RequestedColumns(texts, id_column, time_column), options)
    return _read(source, file, cast(Format | None, fmt), options, builder)


def _read(
    source: Path | BinaryIO, file: str, fmt: Format | None, options: ReadingOptions, builder: SegmentBuilder
) -> Iterator[Segment | Rejected]:
    with _opened(source) as stream:
        head = stream.peek(PEEK)
        if not head:
            raise InputError(f"{file}: empty; rows of text are expected")
        fmt = fmt or tell_format(source.name if isinstance(source, Path) else None, head)
        if fmt == "lines" and _starts_with_header(head, options.text_names, 2 if isinstance(source, Path) else 1):
            fmt = "csv"
        if fmt in DOCUMENTS:
            builder.keep_columns(DOCUMENT_COLUMNS)
        if stream.seekable():
            _look(stream, fmt, file, options, builder)
        for item in read_rows(stream, fmt, file, options=options):
            if isinstance(item, TableHeader):
                builder.see_header(item)
            elif isinstance(item, Rejected):
                if isinstance(item, LeftOut):
                    options.report.count(f"left out: {item.kind}", item.line)
                yield item
            else:
                yield from builder.build(item)
    builder.finish()


def _look(stream: io.BufferedReader, fmt: Format, file: str, options: ReadingOptions, builder: SegmentBuilder) -> None:
    """Read all rows once for what a whole column tells, and go back."""
    start, rows = stream.tell(), read_rows(stream, fmt, file, options=options)
    for item in rows:
        if isinstance(item, TableHeader):
            _see(item, rows, builder)
        elif not isinstance(item, Rejected):
            builder.look(item)
    builder.settle()
    stream.seek(start)


def _see(header: TableHeader, rows: Iterator[Any], builder: SegmentBuilder) -> None:
    """Settle the columns; where none has the text, say which hold the longest texts."""
    try:
        builder.see_header(header)
    except InputError as error:
        likely = longest_texts(row.cells for row in islice(rows, _ROWS_FOR_PROPOSAL) if isinstance(row, TableRow))
        names = ", ".join(f"'{name}'" for name in likely)
        hint = f" ({names} {'hold' if len(likely) > 1 else 'holds'} the longest texts)" if likely else ""
        if len(header.columns) == 1:
            hint = "; --format lines takes each line as a text"
        raise InputError(f"{error}{hint}") from None


def _starts_with_header(head: bytes, text_names: tuple[str, ...], least: int) -> bool:
    """Whether the first line names a column of text among so many or more: a table then, not plain lines."""
    first = head.decode(told_by_mark(head) or "utf-8", "replace").lstrip("\ufeff").split("\n", 1)[0]
    rows = [[cell.strip("\"' \r") for cell in first.split(each)] for each in DELIMITERS]
    return any(len(row) >= least and usual(row, text_names) is not None for row in rows)


def _check(study: str, fmt: str | None, encoding: str | None) -> None:
    try:
        TypeAdapter(Study).validate_python(study)
    except ValidationError:
        raise InputError(f"study '{study[:60]}': 1 to 80 letters, digits, spaces and . _ - are expected") from None
    known_format(fmt)
    known_encoding(encoding)


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
