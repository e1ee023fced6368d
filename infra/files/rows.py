"""Rows out of files: tables, JSON, documents and plain lines, in order, with faults told row by row."""

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, cast, get_args

from infra.files.reading.bounds import bounded
from infra.files.reading.columns import TEXT_NAMES
from infra.files.reading.delimited import Dialect, Line, lines_of, raw_rows, tell_dialect, width
from infra.files.reading.documents import document_rows, is_node_text, is_transcript
from infra.files.reading.encodings import PEEK, Encoding, survey, told_by_mark
from infra.files.reading.headers import Table
from infra.files.reading.items import RawRow, ReadingOptions, ReadingReport, Rejected, TableHeader, TableRow
from infra.files.reading.json_rows import json_rows
from infra.files.reading.sheets import sheet_rows
from infra.files.refi_documents import project_rows
from models.errors import InputError

__all__ = [
    "FORMATS",
    "PEEK",
    "Format",
    "ReadingOptions",
    "ReadingReport",
    "Rejected",
    "TableHeader",
    "TableRow",
    "read_rows",
    "tell_format",
]

Item = TableHeader | TableRow | Rejected
Format = Literal["csv", "tsv", "jsonl", "xlsx", "lines", "docx", "rtf", "pdf", "vtt", "srt", "transcript", "qdpx"]
FORMATS: tuple[Format, ...] = get_args(Format)
DOCUMENTS = ("docx", "rtf", "pdf", "vtt", "srt", "transcript")
"""Formats that are cut into turns or paragraphs."""

_ENDINGS: dict[str, Format] = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
    "docx": "docx",
    "rtf": "rtf",
    "pdf": "pdf",
    "vtt": "vtt",
    "srt": "srt",
    "qdpx": "qdpx",
}
_SRT = re.compile(r"^\d+\s*\n\d\d:\d\d:\d\d,\d{3} --> ")
_STARTS: tuple[tuple[bytes, Format], ...] = ((b"%PDF-", "pdf"), (b"{\\rtf", "rtf"), (b"WEBVTT", "vtt"))
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_OTHERS: Mapping[str, str] = {
    **dict.fromkeys(("doc", "odt", "pages"), "save it as .docx"),
    **dict.fromkeys(("xls", "ods", "numbers"), "save it as .xlsx or CSV"),
    **dict.fromkeys(("html", "htm", "xml"), "save it as .docx, or as CSV if it is a table"),
    **dict.fromkeys(("sav", "dta", "rds"), "export it as CSV"),
    **dict.fromkeys(("mp3", "mp4", "m4a", "wav", "mov"), "have it transcribed first"),
    **dict.fromkeys(("png", "jpg", "jpeg", "tif", "tiff"), "have its text recognised first"),
    **dict.fromkeys(("zip", "gz", "7z", "rar"), "unpack it"),
    "qdc": "it is a codebook: `qualstream codebook import` takes it",
}
"""Formats that are known and not read, and what to do with them."""


def tell_format(name: str | None, head: bytes) -> Format:
    """Tell a format from a file's name, or else from its first bytes; what is nothing else is plain lines.

    Raises:
        InputError: If it is a format that is known and not read; says what to do with it.
    """
    ending = (name or "").rpartition(".")[2].casefold() if "." in (name or "") else ""
    if ending in ("csv", "tsv", "tab") and head.startswith(b"PK\x03\x04"):
        return "xlsx"  # a workbook that somebody called so
    if ending == "xls" and not head.startswith((_OLD_OFFICE, b"<", b"\xef\xbb\xbf<")):
        return "xlsx" if head.startswith(b"PK\x03\x04") else "csv"  # a table that some program called so
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    if ending in _OTHERS or head.startswith(_OLD_OFFICE):
        way_out = _OTHERS.get(ending, "save it as .docx, .xlsx or CSV")
        raise InputError(f"{name or 'standard input'}: a format that is not read ({ending or 'old Office'}); {way_out}")
    if head.startswith(b"PK\x03\x04"):
        return "docx" if b"word/" in head else "xlsx"
    start = head.decode(told_by_mark(head) or "utf-8", "replace").lstrip("\ufeff \t\r\n")
    return next((fmt for mark, fmt in _STARTS if start.encode().startswith(mark)), None) or _text_format(start)


def _text_format(start: str) -> Format:
    if start.startswith(("{", "[{")):
        return "jsonl"
    plain = start.replace("\r\n", "\n")
    return "srt" if _SRT.match(plain) else "transcript" if is_node_text(plain) or is_transcript(plain) else "lines"


def read_rows(
    stream: io.BufferedReader,
    fmt: Format,
    file: str,
    encoding: str | None = None,
    options: ReadingOptions | None = None,
) -> Iterator[Item]:
    """Read a file's rows in order; memory does not grow with the file (but for JSON arrays and XLSX's shared strings).

    A table out of a pipe is kept in a file meanwhile, for its encoding and dialect are told from all of it; JSON lines
    and plain lines are read as they come.

    Args:
        stream: At the file's start; stays open.
        fmt: What it holds.
        file: Its name, for errors.
        encoding: ``None`` to tell it from the bytes.
        options: What is not to be told from the file, and what takes the words about how it was read.

    Raises:
        InputError: If the whole cannot be read; one row that cannot is a ``Rejected``.
    """
    options = options or ReadingOptions()
    options = replace(options, text_names=options.text_names or TEXT_NAMES, encoding=encoding or options.encoding)
    yield from bounded(_items(stream, fmt, file, options), file, options)


def _items(stream: io.BufferedReader, fmt: Format, file: str, options: ReadingOptions) -> Iterator[Item]:
    if fmt == "xlsx":
        yield from Table(file, options).read(sheet_rows(cast(Any, stream), file, options))
    elif fmt == "qdpx":
        yield from project_rows(stream, file, options)
    elif fmt in DOCUMENTS:
        yield from _document(stream, fmt, file, options)
    elif fmt in ("csv", "tsv"):
        with _twice(stream) as whole:
            yield from _delimited(whole, fmt, file, options)
    else:
        own = _encoding(stream, options)
        lines = _remarked(lines_of(stream, own), own, options.report)
        yield from json_rows(lines, file) if fmt == "jsonl" else _plain_rows(lines)


def _remarked(lines: Iterable[Line], encoding: Encoding, report: ReadingReport) -> Iterator[Line]:
    """The lines as they are; the report says where one is in another encoding than was expected."""
    for line in lines:
        if line.encoding and not encoding.fallback:
            report.warn(
                f"some lines are not {encoding.name}: they are read as {line.encoding}; --encoding names another"
            )
        yield line


def _plain_rows(lines: Iterable[Line]) -> Iterator[TableRow]:
    for line in lines:
        if line.text.strip():
            yield TableRow(line.number, {"text": line.text.rstrip("\r\n")}, line.encoding)


def _delimited(stream: Any, fmt: Format, file: str, options: ReadingOptions) -> Iterator[Item]:
    encoding, start = _encoding(stream, options), stream.tell()
    sample = stream.read(PEEK)
    stream.seek(start)
    text = sample.decode(encoding.name, "replace").removeprefix("\ufeff")
    if len(sample) == PEEK and "\n" in text:
        text = text[: text.rindex("\n") + 1]  # the last line is cut in the middle
    dialect = tell_dialect(text, options.text_names, "\t" if fmt == "tsv" else None)
    if dialect.sentence:
        options.report.remark(dialect.sentence)
    table = Table(file, options, lambda row, columns: _swallowed(row, columns, dialect))
    yield from table.read(raw_rows(lines_of(stream, encoding), dialect, file))


def _document(stream: io.BufferedReader, fmt: Format, file: str, options: ReadingOptions) -> Iterator[Item]:
    with _twice(stream) as whole:
        encoding = _encoding(whole, options).name if fmt in ("vtt", "srt", "transcript") else "utf-8"
        yield from document_rows(whole.read(), fmt, file, options, encoding)


def _swallowed(row: RawRow, columns: int, dialect: Dialect) -> bool:
    """Whether a line inside a row's cells has as many cells as a row."""
    inner = [line for cell in row.cells if isinstance(cell, str) for line in cell.splitlines()[1:]]
    return any(width(line, dialect) >= columns > 1 for line in inner)


def _encoding(stream: Any, options: ReadingOptions) -> Encoding:
    """The encoding of a stream from where it stands, where it then stands again."""
    named, report = options.encoding, options.report
    encoding = Encoding(named.lower(), 1.0, named=True) if named else _surveyed(stream)
    if encoding.name != "utf-8" or encoding.fallback or named:
        report.remark(f"encoding: {encoding.sentence}")
    if encoding.doubtful:
        other = f"lines that are not UTF-8 are read as {encoding.fallback}" if encoding.fallback else encoding.name
        report.warn(
            f"the encoding is in doubt ({other}): look at the texts, and name it with --encoding if they are wrong"
        )
    return encoding


def _surveyed(stream: Any) -> Encoding:
    if not stream.seekable():
        return Encoding(told_by_mark(stream.peek(PEEK)[:PEEK]) or "utf-8", 1.0)
    start = stream.tell()
    encoding = survey(stream)
    stream.seek(start)
    return encoding


@contextmanager
def _twice(stream: io.BufferedReader) -> Iterator[Any]:
    """A stream that can be read again: itself, or its copy."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        while block := stream.read(1 << 20):
            copy.write(block)
        copy.seek(0)
        yield copy


def known_format(fmt: str | None) -> None:
    """Refuse a format that is not known.

    Raises:
        InputError: With those that are.
    """
    if fmt is not None and fmt not in FORMATS:
        raise InputError(f"format '{fmt}' is not known; {', '.join(FORMATS)} are")


def known_encoding(encoding: str | None) -> None:
    """Refuse an encoding that Python does not know.

    Raises:
        InputError: With some that are usual.
    """
    if encoding is None:
        return
    try:
        "".encode(encoding)
    except LookupError:
        raise InputError(
            f"encoding '{encoding}' is not known; utf-8, utf-16, cp1252, shift_jis, gb18030 and the like are"
        ) from None
