"""The rows of a Parquet file, as an export writes it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from infra.files.rows import TableHeader, TableRow
from models.errors import InputError

PARQUET = b"PAR1"
"""What such a file begins with."""


def parquet_rows(stream: BinaryIO) -> Iterator[TableHeader | TableRow]:
    """Read a Parquet file: its columns, then its rows, numbered from 1; times are ISO 8601.

    Raises:
        InputError: If it is broken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(stream.read()))
        names = tuple(file.schema_arrow.names)
        yield TableHeader(0, names)
        rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield TableRow(number, {name: _plain(cell) for name, cell in row.items()}, typed=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a Parquet file that can be read ({str(error)[:100]}); write it again") from error


def _plain(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, datetime) else cell
