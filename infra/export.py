"""The coded segments as a file: CSV, JSON lines or Parquet, written row by row."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

from infra.store import Store
from models.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("csv", "jsonl", "parquet")
COLUMNS = (
    "id",
    "study",
    "text",
    "source",
    "timestamp",
    "language",
    "code",
    "code_id",
    "theme",
    "new",
    "similarity",
    "confidence",
    "route",
    "verdict",
    "proposed",
    "proposals",
    "models",
    "metadata",
)
_JSON_COLUMNS = ("proposals", "models", "metadata")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROW_GROUP = 5_000

Row = dict[str, Any]


def export(store: Store, study: str | None, fmt: str, out: BinaryIO) -> int:
    """Write every segment of a study, or of all, with what became of it.

    ``proposals``, ``models`` and ``metadata`` are objects in JSON lines and JSON text in CSV and Parquet. Text in a
    CSV cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return gets an apostrophe before it: a
    spreadsheet would run it as a formula, and feedback is written by strangers. The other formats keep it as it is.

    Args:
        store: Where the segments are.
        study: The study, or ``None`` for all.
        fmt: One of ``FORMATS``.
        out: A stream of bytes; it need not be seekable and stays open.

    Returns:
        How many rows were written.

    Raises:
        InputError: If the format is none of the three.
    """
    writers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
    if fmt not in writers:
        raise InputError(f"the export format is '{fmt}' but one of {', '.join(FORMATS)} was expected")
    return writers[fmt](({name: row[name] for name in COLUMNS} for row in store.rows(study)), out)


def _csv(rows: Iterable[Row], out: BinaryIO) -> int:
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        count += 1
        writer.writerow([_cell(value) for value in _flat(row).values()])
    text.detach()  # flushes, and leaves the caller's stream open
    return count


def _jsonl(rows: Iterable[Row], out: BinaryIO) -> int:
    count = 0
    for row in rows:
        count += 1
        out.write(json.dumps(row, ensure_ascii=False, default=_word).encode() + b"\n")
    return count


def _parquet(rows: Iterable[Row], out: BinaryIO) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, count = _schema(), 0
    with pq.ParquetWriter(pa.PythonFile(out, mode="w"), schema) as writer:
        for group in _groups(rows):
            flat = [{**_flat(row), "timestamp": row["timestamp"]} for row in group]
            writer.write_table(pa.Table.from_pylist(flat, schema=schema))
            count += len(group)
    return count


def _schema() -> "pa.Schema":
    import pyarrow as pa

    kinds = {"new": pa.bool_(), "similarity": pa.float64(), "confidence": pa.float64()}
    kinds["timestamp"] = pa.timestamp("us", tz="UTC")
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while group := list(islice(rest, _ROW_GROUP)):
        yield group


def _flat(row: Row) -> Row:
    """Ids, times and JSON values as text; numbers, truth values and ``None`` as they are."""
    flat = {name: _word(value) if isinstance(value, UUID | datetime) else value for name, value in row.items()}
    for name in _JSON_COLUMNS:
        if flat[name] is not None:
            flat[name] = json.dumps(flat[name], ensure_ascii=False)
    return flat


def _word(value: UUID | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
