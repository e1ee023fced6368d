"""Rows as a file: CSV, JSON lines or Parquet, written as they come."""

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

from infra.files.labels.code_cells import json_codes, says_nothing
from models.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("csv", "jsonl", "parquet")
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
ROW_GROUP = 5_000
_BLANK = r'[ \u00a0\u3000\u200b-\u200d\u2060\ufeff"]*'  # a spreadsheet may skip these before a formula
_BEFORE = rf"((?:^|[;|\t\n\r\v\f\x85\u2028\u2029]){_BLANK})"  # a cell begins, or would where others separate cells
_SIGN = r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]"  # and its full-width and small forms
_FORMULA = re.compile(rf"{_BEFORE}('*{_SIGN})")  # apostrophes before it too: one is taken off where one was put
_GUARDED = re.compile(rf"{_BEFORE}'('*{_SIGN})")
_CONTROL, _GUARDED_CONTROL = re.compile(r"'*[\t\r]"), re.compile(r"''*[\t\r]")
_TAKEN_FOR_MORE = re.compile(r"[;|,#\r\n；，、]|\s>\s|^-?\d+\.0+$")
"""What a reader may take for several codes, for a code's path, or for a whole number."""
_TOGETHER = 200  # rows a chunk
_BLOCK = 1 << 16

OutputRow = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """A file's columns, and those that are not plain text."""

    columns: tuple[str, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    """``number``, ``truth``, ``time``, ``json`` (an object), ``any`` (whatever JSON has, text outside of JSON lines),
    ``list`` (of texts), or ``codes``: a list that says something although it is empty, namely that no code fits."""


def write(shape: Shape, rows: Iterable[OutputRow], fmt: str, out: BinaryIO) -> int:
    """Write rows; the stream need not be seekable and stays open.

    Returns:
        How many.

    Raises:
        InputError: If the format is none of the three.
    """
    counted = _Counted(rows)
    if fmt == "parquet":
        _parquet(shape, counted, out)
    else:
        for chunk in encoded(shape, counted, fmt):
            out.write(chunk)
    return counted.count


def encoded(shape: Shape, rows: Iterable[OutputRow], fmt: str) -> Iterator[bytes]:
    """The file in pieces, read from the rows as they are asked for (Parquet: when all have been read).

    Objects are JSON text in CSV and Parquet. A list is one cell in CSV, its parts between ``; ``, or a JSON array
    where a part could be taken for several, such as one with ``;``, ``|``, ``,`` or a line's end. Text in a CSV cell
    that begins with ``=``, ``+``, ``-``, ``@``, or a form of these that spreadsheets take for them, gets an apostrophe
    before it: it would be run as a formula. So does what follows ``;``, ``|``, a tab or a line's end, where a
    spreadsheet of another language begins a cell.

    Raises:
        InputError: At once, if the format is none of the three.
    """
    if fmt not in FORMATS:
        raise InputError(f"the export format is '{fmt}' but one of {', '.join(FORMATS)} was expected")
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet_blocks}[fmt](shape, rows)


def unguarded(cell: str) -> str:
    """What stood in a CSV cell before it was guarded against spreadsheets."""
    plain = _GUARDED.sub(r"\1\2", cell)
    return plain[1:] if _GUARDED_CONTROL.match(plain) else plain


class _Counted:
    def __init__(self, rows: Iterable[OutputRow]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[OutputRow]:
        for row in self._rows:
            self.count += 1
            yield row


def _csv(shape: Shape, rows: Iterable[OutputRow]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(shape.columns)
    for group in _groups(rows, _TOGETHER):
        writer.writerows([_cell(_flat(shape, name, row[name])) for name in shape.columns] for row in group)
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _jsonl(shape: Shape, rows: Iterable[OutputRow]) -> Iterator[bytes]:
    for group in _groups(rows, _TOGETHER):
        kept = ({name: row[name] for name in shape.columns} for row in group)
        lines = (json.dumps(row, ensure_ascii=False, default=_word) for row in kept)
        yield "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _parquet(shape: Shape, rows: Iterable[OutputRow], out: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(shape)
    with pq.ParquetWriter(pa.PythonFile(out, mode="w"), schema) as writer:
        for group in _groups(rows, ROW_GROUP):
            typed = [{name: _typed(shape, name, row[name]) for name in shape.columns} for row in group]
            writer.write_table(pa.Table.from_pylist(typed, schema=schema))


def _parquet_blocks(shape: Shape, rows: Iterable[OutputRow]) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        _parquet(shape, rows, file)
        file.seek(0)
        while block := file.read(_BLOCK):
            yield block


def _schema(shape: Shape) -> "pa.Schema":
    import pyarrow as pa

    kinds = {
        "number": pa.float64(),
        "truth": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "list": pa.list_(pa.string()),
        "codes": pa.list_(pa.string()),
    }
    return pa.schema([(name, kinds.get(shape.kinds.get(name, ""), pa.string())) for name in shape.columns])


def _groups(rows: Iterable[OutputRow], size: int) -> Iterator[list[OutputRow]]:
    rest = iter(rows)
    while group := list(islice(rest, size)):
        yield group


def _typed(shape: Shape, name: str, value: Any) -> Any:
    """For Parquet: times and lists as they are."""
    return value if shape.kinds.get(name) in ("time", "list", "codes") else _flat(shape, name, value)


def _flat(shape: Shape, name: str, value: Any) -> Any:
    """Ids, times, lists and objects as text; numbers, truth values and ``None`` as they are."""
    if isinstance(value, UUID | datetime):
        return _word(value)
    if value is not None and shape.kinds.get(name) == "any":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if value is not None and shape.kinds.get(name) == "json":
        return json.dumps(value, ensure_ascii=False)
    if value is not None and shape.kinds.get(name) in ("list", "codes"):
        return _listed(value, empty="[]" if shape.kinds[name] == "codes" else "")
    return value


def _listed(parts: Sequence[str], empty: str) -> str:
    """A list as one cell."""
    if not parts:
        return empty
    joined = "; ".join(parts)
    plain = all(part == part.strip() and part and not _TAKEN_FOR_MORE.search(part) for part in parts)
    plain = plain and not any(map(says_nothing, parts))
    return joined if plain and json_codes(joined) is None else json.dumps(list(parts), ensure_ascii=False)


def _word(value: UUID | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    guarded = _FORMULA.sub(r"\1'\2", value)
    return f"'{guarded}" if _CONTROL.match(guarded) else guarded
