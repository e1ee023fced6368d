"""How much of a table is read where that is bounded."""

from collections.abc import Iterable, Iterator

from infra.files.reading.items import ReadingOptions, Rejected, TableHeader, TableRow
from models.errors import InputError

TableItem = TableHeader | TableRow | Rejected


def bounded(items: Iterable[TableItem], name: str, options: ReadingOptions) -> Iterator[TableItem]:
    """The rows, as long as there are no more of them, and of their cells, than may be read; then the report says both.

    Raises:
        InputError: With the first row that is too many.
    """
    rows = cells = 0
    most = options.most
    for rows, item in enumerate(items, 1):
        cells += len(item.cells) if isinstance(item, TableRow) else 0
        if most is not None and (rows > most[0] or cells > most[1]):
            beside = f" beside the {options.rows_before:,} rows of the files before it" if options.rows_before else ""
            raise InputError(
                f"{name}: more than {most[0]:,} rows or {most[1]:,} cells{beside}; take a part of it, or "
                "`qualstream teach`"
            )
        yield item
    options.report.size = rows, cells
