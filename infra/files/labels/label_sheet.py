"""Labels that were made elsewhere, read from a file: whose, when, which codes, and for what text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from infra.files.labels.code_cells import CodeColumn, CodeTree, WrittenCode, is_blank
from infra.files.labels.label_columns import TEXTS, LabelColumns, SheetColumns, yes_or_no
from infra.files.labels.raw_table import RawTable, opened, read_table
from infra.files.reading.cells import NO, YES, plain_id, whole_number
from infra.files.reading.columns import tool_of
from infra.files.rows import ReadingOptions, Rejected, TableRow
from infra.files.timestamps import DateOrder, TimeColumn, read_time
from models.errors import InputError
from schemas.feedback import LONGEST_OWN_ID, LONGEST_TEXT

_LONGEST_CODER, _LONGEST_SOURCE = 120, 200
_Written = tuple[TableRow, str, tuple[WrittenCode, ...] | None]
"""A row, a coder, and the coder's codes of it."""


@dataclass(frozen=True)
class Labelled:
    """One row: somebody's codes for a text."""

    line: int
    key: str | None
    """The segment's id, or the source's own."""
    source: str | None
    text: str | None
    codes: tuple[str, ...]
    """None at all: that no code fits, where ``coded``."""
    annotator: str
    at: datetime | None
    coded: bool = True
    """Whether the row says anything; not where its cell of codes is empty."""
    memo: str = ""
    unsure: bool = False
    withdrawn: bool = False
    adjudicates: bool = False
    blind: bool = True
    seconds: float | None = None
    start: int | None = None
    """Where the text begins in its source, in characters."""
    own_id: str | None = None
    """The source's own id, where an export has it beside ``key``; none of a marked part, which has none of its own."""


@dataclass(frozen=True)
class LabelSheet:
    """A file that was read."""

    name: str
    rows: Sequence[Labelled]
    rejected: Sequence[Rejected]
    themes: Mapping[str, str] = field(default_factory=dict)
    """By code the theme that it stands under, where the file has a tree."""
    notes: Sequence[str] = ()
    """How the columns were understood, where that was not plain."""
    columns: str = ""
    """What each is read as, in a sentence."""
    cells: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """By line, the row as it stands in the file."""

    @property
    def uncoded(self) -> int:
        """How many rows have no codes yet."""
        return sum(not row.coded for row in self.rows)


def read_label_file(
    path: Path,
    coder: str = "",
    columns: SheetColumns | None = None,
    fmt: str | None = None,
    options: ReadingOptions | None = None,
) -> LabelSheet:
    """Read a file on disk; see ``read_labels``.

    Raises:
        InputError: If the file is missing or cannot be read.
    """
    with opened(path) as stream:
        return read_labels(stream, path.name, coder, columns, fmt, options)


def read_labels(
    stream: BinaryIO,
    name: str,
    coder: str = "",
    columns: SheetColumns | None = None,
    fmt: str | None = None,
    options: ReadingOptions | None = None,
) -> LabelSheet:
    """Read a file of texts or ids with codes.

    Args:
        stream: At the file's start.
        name: Its name, by which its format is told: CSV, TSV, JSON lines, XLSX or Parquet.
        coder: Who coded the rows that name nobody.
        columns: Those that do not go by their usual names.
        fmt: The format, where the name does not tell.
        options: How it is read: encoding, sheet, header, order of dates.

    Raises:
        InputError: If the file as a whole cannot be read; rows that cannot are in ``rejected``.
    """
    named, options = columns or SheetColumns(), options or ReadingOptions()
    options = replace(options, text_names=(named.text,) if named.text else TEXTS)
    table = read_table(stream, name, fmt, options)
    sheet = _sheet(name, table, coder, named, options.date_order)
    return replace(sheet, notes=(*options.report.remarks, *options.report.warnings, *sheet.notes))


def _sheet(name: str, table: RawTable, coder: str, named: SheetColumns, order: DateOrder | None) -> LabelSheet:
    columns = LabelColumns.of(table.names, table.rows, named, f"{name}, line {table.line}")
    reader = _Reader(columns, table.rows, coder, named, order)
    labelled, rejected = reader.read_all(name)
    rejected = sorted([*rejected, *table.rejected], key=lambda row: row.line)
    cells = {row.line: row.cells for row in table.rows}
    return LabelSheet(name, labelled, rejected, reader.themes, reader.notes, columns.sentence, cells)


class _Reader:
    """Makes labels of a table's rows."""

    def __init__(
        self,
        columns: LabelColumns,
        rows: Sequence[TableRow],
        coder: str,
        named: SheetColumns,
        order: DateOrder | None,
    ) -> None:
        self._columns, self._rows, self._coder = columns, rows, " ".join(coder.split())
        tool = tool_of(rows[0].cells) if rows else None
        separator = tool.separator if tool is not None and named.separator is None else named.separator
        self._code_columns = {
            name: CodeColumn.of((row.cells.get(name) for row in rows), name, separator)
            for name in columns.codes_by_coder
        }
        self._tree = CodeTree()
        self._times, self._order = TimeColumn(), order
        for cell in self._cells(columns.time):
            self._times.see(cell)
        self._whole = all(whole_number(cell) for cell in self._cells(columns.id) if not is_blank(cell))
        self.themes: dict[str, str] = {}
        self._untimed: list[int] = []
        self._tree_of_rows: bool | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the columns."""
        times = self._times.sentences(self._columns.time or "", self._order or self._times.order)
        codes = (note for each in self._code_columns.values() for note in each.notes)
        return (*self._columns.notes, *times, *codes, *self._said_of_rows())

    def _said_of_rows(self) -> Iterator[str]:
        if self._untimed:
            lines = ", ".join(map(str, self._untimed[:5])) + (", ..." if len(self._untimed) > 5 else "")
            where = f"in '{self._columns.time}' cannot be read (line {lines})"
            yield f"{len(self._untimed)} times {where}: these rows are taken as coded now"
        if self._tree_of_rows:
            yield f"codes stand under what '{self._columns.theme}' says"
        if self._tree_of_rows is False:
            yield f"a code stands under several names in '{self._columns.theme}': the column is left out"

    def _cells(self, column: str | None) -> Iterator[Any]:
        return (row.cells.get(column) for row in self._rows) if column else iter(())

    def read_all(self, file: str) -> tuple[list[Labelled], list[Rejected]]:
        """Every row that can be read, and what is wrong with the others."""
        written: list[_Written] = []
        rejected: list[Rejected] = []
        for row in self._rows:
            try:
                written += [(row, coder, codes) for coder, codes in self._codes(row)]
            except InputError as error:
                rejected.append(Rejected(file, row.line, str(error)))
        written = self._under_themes(written)
        for _, _, codes in written:
            self._tree.see(codes or ())
        labelled = []
        for row, coder, codes in written:
            try:
                labelled.append(self._labelled(row, coder, codes))
            except InputError as error:
                rejected.append(Rejected(file, row.line, str(error)))
        return labelled, rejected

    def _codes(self, row: TableRow) -> Iterator[tuple[str, tuple[WrittenCode, ...] | None]]:
        """A row's codes by coder; the empty name is whom another column, or nothing, names."""
        if self._columns.indicators:
            yield "", self._indicated(row)
        by_coder: dict[str, tuple[WrittenCode, ...] | None] = {}
        for name, column in self._code_columns.items():
            coder = self._columns.codes_by_coder[name]
            try:
                codes = column.codes(row.cells.get(name))
            except InputError as error:
                raise InputError(f"'{name}': {error}") from None
            if codes is None and self._columns.instead:
                codes = CodeColumn().codes(row.cells.get(self._columns.instead))
            before = by_coder.get(coder)
            by_coder[coder] = before if codes is None else (*(before or ()), *codes)
        yield from by_coder.items()

    def _under_themes(self, written: Sequence[_Written]) -> list[_Written]:
        """The codes under what a column of its own says that they stand under, if it says one thing of each."""
        column = self._columns.theme
        if column is None:
            return list(written)
        above: dict[str, set[str]] = {}
        for row, _, codes in written:
            theme = (_text(row, column) or "").strip()
            if theme and codes and len(codes) == 1 and codes[0].label != theme:  # else a code of the upper level
                above.setdefault(codes[0].label, set()).add(theme)
        self._tree_of_rows = all(len(themes) == 1 for themes in above.values()) if above else None
        if not self._tree_of_rows:
            return list(written)
        return [(row, coder, _placed(codes, above)) for row, coder, codes in written]

    def _indicated(self, row: TableRow) -> tuple[WrittenCode, ...] | None:
        """The codes whose columns say yes; ``None`` where all of them are empty."""
        cells = {name: row.cells.get(name) for name in self._columns.indicators}
        if all(is_blank(cell) for cell in cells.values()):
            return None
        return tuple(WrittenCode(name) for name, cell in cells.items() if _indicates(cell, name))

    def _labelled(self, row: TableRow, coder: str, codes: tuple[WrittenCode, ...] | None) -> Labelled:
        """One row; raises ``InputError`` that says why it cannot be taken."""
        columns = self._columns
        text, key = (
            _text(row, columns.text),
            plain_key(row.cells.get(columns.id), whole=self._whole) if columns.id else None,
        )
        if text is None and key is None:
            raise InputError("neither text nor id; one of them is expected")
        must_fit(text)
        unsure, withdrawn = self._truth(row, "unsure"), self._truth(row, "withdrawn")
        kind = _text(row, columns.other("kind")) or "coding"
        if kind not in ("coding", "adjudication"):
            raise InputError(f"kind '{kind[:40]}' found; coding or adjudication is expected")
        blind = columns.other("blind")
        says_something = codes is not None or unsure or withdrawn or kind == "adjudication"
        return Labelled(
            line=row.line,
            key=key,
            source=(_text(row, columns.source) or "").strip()[:_LONGEST_SOURCE] or None,
            text=text,
            codes=tuple(self._label(code) for code in codes or ()),
            annotator=coder or self._annotator(row, needed=says_something),
            at=self._time(row),
            coded=says_something,
            memo=_text(row, columns.memo) or "",
            unsure=unsure,
            withdrawn=withdrawn,
            adjudicates=kind == "adjudication",
            blind=self._truth(row, "blind") if blind and not is_blank(row.cells.get(blind)) else True,
            seconds=_seconds(_text(row, columns.other("seconds"))),
            own_id=self._own_id(row),
        )

    def _own_id(self, row: TableRow) -> str | None:
        column, within = self._columns.other("own_id"), self._columns.other("within")
        if column is None or column == self._columns.id or (within and not is_blank(row.cells.get(within))):
            return None
        return plain_key(row.cells.get(column))

    def _label(self, code: WrittenCode) -> str:
        label, theme = self._tree.label(code), self._tree.theme(code)
        if theme is not None:
            self.themes.setdefault(label, theme)
        return label

    def _truth(self, row: TableRow, name: str) -> bool:
        column = self._columns.other(name)
        value = row.cells.get(column) if column else None
        if isinstance(value, bool) or is_blank(value):
            return bool(value) and value is True
        word = str(value).strip().casefold()
        if word not in YES + NO:
            raise InputError(f"{name} '{word[:40]}' found; true or false is expected")
        return word in YES

    def _annotator(self, row: TableRow, *, needed: bool) -> str:
        name = " ".join((_text(row, self._columns.coder) or self._coder).split())
        if not name and not needed:
            return ""
        if not 0 < len(name) <= _LONGEST_CODER:
            raise InputError(f"nobody is named as its coder; 1 to {_LONGEST_CODER} characters are expected")
        return name

    def _time(self, row: TableRow) -> datetime | None:
        value = row.cells.get(self._columns.time) if self._columns.time else None
        if is_blank(value):
            return None
        time = read_time(value, self._order or self._times.order)
        if time is None and not any(letter.isdecimal() for letter in str(value)):
            raise InputError(f"time '{str(value)[:40]}' cannot be read; 2026-03-01T12:00:00Z is how it is expected")
        if time is None:
            self._untimed.append(row.line)  # such as 03/02/2026, of which nothing tells the order
        return time


def _indicates(cell: Any, name: str) -> bool:
    """Whether a cell says that its column is a code of the row; a count does where it is above 0."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell > 0
    answer = yes_or_no(cell, name)
    if answer is None and str(cell).strip().isdecimal():
        return int(str(cell)) > 0
    if answer is None:
        raise InputError(f"'{name}' has '{str(cell)[:40]}'; yes or no is expected")
    return answer


def _placed(codes: tuple[WrittenCode, ...] | None, above: Mapping[str, set[str]]) -> tuple[WrittenCode, ...] | None:
    if codes is None:
        return None
    return tuple(
        WrittenCode(code.label, tuple(above[code.label])) if code.label in above and not code.above else code
        for code in codes
    )


def _text(row: TableRow, name: str | None) -> str | None:
    value = row.cells.get(name) if name else None
    if isinstance(value, bool | list | dict) or is_blank(value):
        return None
    return str(value).replace("\0", "")


def must_fit(text: str | None) -> None:
    """Refuse a text that no segment can have.

    Raises:
        InputError: With its length.
    """
    if text is not None and len(text) > LONGEST_TEXT:
        raise InputError(f"a text of {len(text):,} characters; at most {LONGEST_TEXT:,} are expected")


def plain_key(cell: Any, *, whole: bool = True) -> str | None:
    """An id as it is compared, without NUL; see ``plain_id``."""
    key = None if is_blank(cell) else plain_id(cell, whole=whole)
    return key.replace("\0", "")[:LONGEST_OWN_ID] if key else None


def _seconds(value: str | None) -> float | None:
    try:
        seconds = None if value is None else float(value)
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
