"""Rows out of XLSX workbooks: the sheet that has the texts, and cells as people see them."""

import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Any, BinaryIO, cast
from zipfile import BadZipFile

from pydantic import JsonValue

from infra.files.reading.columns import usual
from infra.files.reading.headers import LOOKED_AT, column_names
from infra.files.reading.items import RawRow, ReadingOptions
from models.errors import InputError

_WORDS = 2.5  # of a column that holds texts, on average
BROKEN = (BadZipFile, ValueError, OSError, EOFError, RuntimeError, SyntaxError, zlib.error)
"""What is raised over the parts of a broken archive; ``SyntaxError`` is what parsers of XML raise."""
_ALSO_OF_CODEBOOKS = ("description", "remark", "remarks")
"""Names of columns that a sheet about the data may have as well."""
ERRORS = ("#NAME?", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#FIELD!")
"""What a spreadsheet writes where a formula came to nothing; ``-good`` is one to it."""


def sheet_rows(stream: BinaryIO, file: str, options: ReadingOptions) -> Iterator[RawRow]:
    """The rows of one sheet: the one that was named, or the first with a column of text, or the first with rows.

    A column of text is known by its name, or else by the length of what stands in it.

    Raises:
        InputError: If it is no workbook or has no such sheet; the sheets are named.
    """
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    with _workbook(stream, file) as book:
        sheets = [sheet for sheet in book.worksheets if any(True for _ in _raw(sheet, 1))]
        if not sheets:
            return
        sheet = _chosen(sheets, book.worksheets, file, options)
        if len(book.worksheets) > 1:
            names = ", ".join(f"'{each.title}'" for each in book.worksheets)
            options.report.remark(f"sheet '{sheet.title}' of {names} is read; --sheet names another")
            _say_alike(sheet, sheets, options)
        options.report.days_from_1904 = book.epoch == CALENDAR_MAC_1904
        yield from _raw(sheet)


def _say_alike(chosen: Any, sheets: Sequence[Any], options: ReadingOptions) -> None:
    """Warn of further sheets with the same columns: each is a part of the same data."""
    names_of = {sheet.title: column_names(list(_raw(sheet, LOOKED_AT)), options) for sheet in sheets}
    alike = [title for title, names in names_of.items() if title != chosen.title and names == names_of[chosen.title]]
    if alike:
        names = ", ".join(f"'{title}'" for title in alike)
        options.report.warn(f"{names}: the same columns as '{chosen.title}', and not read; read each with --sheet")


@contextmanager
def _workbook(stream: BinaryIO, file: str) -> Iterator[Any]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with tempfile.SpooledTemporaryFile(max_size=1 << 24) as whole, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's about styles and extensions that it leaves out
        while part := stream.read(1 << 20):
            whole.write(part)
        whole.seek(0)
        try:
            book = load_workbook(cast(BinaryIO, whole), read_only=True, data_only=True)
        except (InvalidFileException, KeyError, *BROKEN) as error:
            raise InputError(f"{file}: not an XLSX workbook ({str(error)[:100]}); an .xlsx file is expected") from error
        try:
            yield book
        except BROKEN as error:
            raise InputError(f"{file}: a broken XLSX workbook ({str(error)[:100]}); save it anew") from error
        finally:
            book.close()


def _chosen(sheets: Sequence[Any], every: Sequence[Any], file: str, options: ReadingOptions) -> Any:
    if options.sheet is None:
        shown = [sheet for sheet in sheets if sheet.sheet_state == "visible"] or sheets
        sure = [name for name in options.text_names if name not in _ALSO_OF_CODEBOOKS]
        named = (sheet for names in (sure, options.text_names) for sheet in shown if _names_text(sheet, names))
        return next(named, None) or next(filter(_holds_texts, shown), shown[0])
    plain = options.sheet.strip().casefold()
    by_name = [sheet for sheet in every if sheet.title.strip().casefold() == plain]
    by_number = every[int(plain) - 1 : int(plain)] if plain.isdecimal() and int(plain) else []
    for sheet in [*by_name, *by_number]:
        return sheet
    names = ", ".join(f"'{sheet.title}'" for sheet in every)
    raise InputError(f"{file}: no sheet '{options.sheet[:60]}'; it has {names}, give one of them with --sheet")


def _names_text(sheet: Any, text_names: Sequence[str]) -> bool:
    rows = _raw(sheet, LOOKED_AT)
    return any(usual([str(cell or "") for cell in row.cells], text_names) is not None for row in rows)


def _holds_texts(sheet: Any) -> bool:
    """Whether one of several columns has texts of several words, whatever it is called."""
    rows = list(_raw(sheet, LOOKED_AT))
    columns = list(zip_longest(*(row.cells for row in rows[1:])))
    words = ([len(cell.split()) for cell in column if isinstance(cell, str) and cell.strip()] for column in columns)
    return len(columns) > 1 and any(len(each) > 1 and sum(each) >= _WORDS * len(each) for each in words)


def _raw(sheet: Any, most: int | None = None) -> Iterator[RawRow]:
    sheet.reset_dimensions()  # some writers state a wrong size, by which rows would be cut
    for number, values in enumerate(sheet.iter_rows(values_only=True, max_row=most and most * 2), 1):
        cells = [_plain(value) for value in values]
        while cells and cells[-1] in (None, ""):
            cells.pop()
        if cells:
            yield RawRow(number, number, cells, typed=True)


def _plain(value: object) -> JsonValue:
    """A cell's value as JSON has it."""
    if isinstance(value, str):
        return _unescaped(value) if "_x" in value or "\r" in value else value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return value if isinstance(value, int | float | bool | None) else str(value)


def _unescaped(text: str) -> str:
    from openpyxl.utils.escape import unescape  # here, for no command that reads no workbook should wait for it

    plain: str = unescape(text)
    return plain.replace("\r\n", "\n").replace("\r", "\n")
