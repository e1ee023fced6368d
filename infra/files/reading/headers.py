"""From rows of cells to rows by column: which row names the columns, and rows that only say what was asked."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from statistics import mode
from typing import Any

from infra.files.reading.columns import TIME_NAMES, folded, tool_of, usual
from infra.files.reading.items import RawRow, ReadingOptions, Rejected, TableHeader, TableRow
from models.errors import InputError

LOOKED_AT = 20
"""Rows among which the names of the columns are looked for."""
_OPEN_ENDED = (
    *("open-ended response", "open ended response", "réponse ouverte", "offene antwort", "respuesta abierta"),
    *("resposta aberta", "risposta aperta", "open vraag", "open antwoord", "自由回答"),
)
_DAYS_1904 = 1462  # from 1900-01-01, as spreadsheets count, to 1904-01-01
_TEXT_QUESTION = re.compile(r"QID[\w#]*_TEXT$|_TEXT$")

Width = Callable[[RawRow], int]
RawItem = RawRow | Rejected


@dataclass(frozen=True)
class _Start:
    """A table's header, and how many of the rows after it belong to it."""

    header: TableHeader
    row: int
    skipped: int = 0


@dataclass
class Table:
    """Turns raw rows into rows by column."""

    file: str
    options: ReadingOptions
    swallowed: Callable[[RawRow, int], bool] = field(default=lambda row, width: False)
    """Whether a row's later lines look like rows of their own: a quote was not closed."""
    _path: str | None = None
    """The column of codes that are paths through a tree."""

    def read(self, raw: Iterable[RawItem]) -> Iterator[TableHeader | TableRow | Rejected]:
        """The header, then the rows.

        Raises:
            InputError: If the row that names the columns is broken or not there.
        """
        rest = (item for item in raw if isinstance(item, Rejected) or item.filled)
        first = list(islice(rest, LOOKED_AT))
        if not first:
            return
        start = self._start(first)
        tool = tool_of(start.header.columns)
        if tool is not None:
            self.options.report.remark(f"a table of {tool.name}")
            self._path = usual(start.header.columns, tool.roles.get("codes", ())) if tool.paths else None
        yield start.header
        for item in chain(first[start.row + 1 + start.skipped :], rest):
            if isinstance(item, Rejected):
                yield item
            elif len(item.cells) > 1 and _header(item).columns == start.header.columns:
                self.options.report.remark(f"the names of the columns stand on line {item.line} again; no row")
            else:
                yield self._row(item, start.header)

    def _start(self, first: Sequence[RawItem]) -> _Start:
        place = self._header_place(first)
        row = first[place]
        if isinstance(row, Rejected):
            raise InputError(f"{self.file}, line {row.line}: {row.reason}; a row of column names is expected")
        if place:
            lines = [str(item.line) for item in first[:place]]
            self.options.report.remark(
                f"line {row.line} names the columns; what stands above it is left out (line {', '.join(lines)})"
            )
        after = [item for item in first[place + 1 : place + 4] if isinstance(item, RawRow)]
        return (
            self._qualtrics(row, place, after)
            or self._survey_monkey(row, place, after)
            or self._plain(row, place, after)
        )

    def _plain(self, row: RawRow, place: int, after: Sequence[RawRow]) -> _Start:
        if not after or not _asks(row, after[0]):
            return _Start(_header(row), place)
        self.options.report.remark(f"line {after[0].line} says the names of the columns in words; no row")
        header = _header(row)
        questions = dict(
            zip(header.columns, (" ".join(str(cell or "").split()) for cell in after[0].cells), strict=False)
        )
        return _Start(TableHeader(row.line, header.columns, questions), place, 1)

    def _header_place(self, first: Sequence[RawItem]) -> int:
        if self.options.header_row is not None:
            places = [n for n, item in enumerate(first) if item.line == self.options.header_row]
            if not places:
                raise InputError(
                    f"{self.file}: no row of column names on line {self.options.header_row}; lines "
                    f"{first[0].line} to {first[-1].line} hold the first rows, give one of them with --header-row"
                )
            return places[0]
        rows = {n: item for n, item in enumerate(first) if isinstance(item, RawRow)}
        return _told_place(rows, self.options.text_names)

    def _qualtrics(self, row: RawRow, place: int, after: Sequence[RawRow]) -> _Start | None:
        """Qualtrics writes the questions and an object with the import id below the names."""
        for skipped, later in enumerate(after[:3], 1):
            ids = [_import_id(cell) for cell in later.cells if cell is not None and str(cell).strip()]
            if ids and all(ids):
                header = _header(row)
                by_column = dict(zip(header.columns, map(_import_id, later.cells), strict=False))
                asked = after[0].cells if skipped > 1 else []
                questions = dict(
                    zip(header.columns, (" ".join(str(cell or "").split()) for cell in asked), strict=False)
                )
                open_ones = tuple(name for name, id_ in by_column.items() if _TEXT_QUESTION.search(id_ or ""))
                self.options.report.remark(
                    f"a Qualtrics export: {_among([each.line for each in after[:skipped]])} the questions and import "
                    "ids, no answers"
                )
                return _Start(TableHeader(row.line, header.columns, questions, open_ones), place, skipped)
        return None

    def _survey_monkey(self, row: RawRow, place: int, after: Sequence[RawRow]) -> _Start | None:
        """SurveyMonkey writes the choices of a question, or that it is an open one, below the names."""
        names = {folded(str(cell or "")) for cell in row.cells}
        if not after or not {"respondent_id", "collector_id"} <= names or str(after[0].cells[0] or "").strip():
            return None
        kinds = [str(cell or "").strip() for cell in after[0].cells]
        columns = _columns(list(_choices([str(cell or "").strip() for cell in row.cells], kinds)))
        pairs = zip(columns, kinds, strict=False)
        open_ones = tuple(name for name, kind in pairs if kind.casefold() in _OPEN_ENDED)
        questions = {name: name for name in open_ones}
        self.options.report.remark(
            f"a SurveyMonkey export: line {after[0].line} says what kind of answer each question takes"
        )
        return _Start(TableHeader(row.line, columns, questions, open_ones), place, 1)

    def _row(self, row: RawRow, header: TableHeader) -> TableRow | Rejected:
        cells, width = row.cells, len(header.columns)
        if len(cells) > width and all(cell is None or not str(cell).strip() for cell in cells[width:]):
            cells = cells[:width]
        fault = self._fault(row, len(cells), width)
        if fault:
            return Rejected(self.file, row.line, fault)
        empty = None if row.typed else ""
        padded = [*cells, *[empty] * (width - len(cells))]
        by_column = dict(zip(header.columns, padded, strict=True))
        if self._path is not None:
            by_column[self._path] = tree_path(by_column[self._path])
        if self.options.report.days_from_1904 and row.typed:
            by_column = _from_1900(by_column)
        return TableRow(row.line, by_column, row.encoding, row.typed)

    def _fault(self, row: RawRow, cells: int, width: int) -> str:
        open_quote = row.last_line > row.line and cells != width and self.swallowed(row, width)
        hint = f" (the row goes on to line {row.last_line}: is a quote not closed?)" if row.last_line > row.line else ""
        if cells > width:
            return f"{cells} cells found, {width} expected as in the row of column names{hint}"
        return f"{cells} cells found, {width} expected as in the row of column names{hint}" if open_quote else ""


def column_names(rows: Sequence[RawRow], options: ReadingOptions) -> tuple[str, ...]:
    """What the columns of a table that begins with these rows are called, titles above the names passed over."""
    named = [row for row in rows if row.line == options.header_row]
    return _header(named[0] if named else rows[_told_place(dict(enumerate(rows)), options.text_names)]).columns


def _told_place(rows: dict[int, RawRow], text_names: Sequence[str]) -> int:
    named = _named_place(rows, text_names)
    return _wide_place(rows) if named is None else named


def _from_1900(cells: dict[str, Any]) -> dict[str, Any]:
    """The cells of a workbook that counts days from 1904, those of times as others count them: from 1900."""
    time = usual(list(cells), TIME_NAMES)
    value = cells.get(time) if time else None
    if time is None or isinstance(value, bool) or not isinstance(value, int | float):
        return cells
    return cells | {time: value + _DAYS_1904}


def tree_path(code: Any) -> Any:
    r"""A code's path as it is written here: ``Codes\\Access\Waiting`` is ``Access > Waiting``."""
    if not isinstance(code, str) or "\\" not in code:
        return code
    names = [name.strip() for name in code.split("\\") if name.strip()]
    return " > ".join(names[1:] if len(names) > 1 and names[0].casefold() in ("codes", "nodes") else names)


def _named_place(rows: dict[int, RawRow], text_names: Sequence[str]) -> int | None:
    """The first row that names the text, if it is wider than all before it; ``None`` where there is none."""
    widest = 0
    for place, row in rows.items():
        if usual([str(cell or "") for cell in row.cells], text_names) is not None and (
            not place or row.filled > widest
        ):
            return place
        widest = max(widest, row.filled)
    return None


def _wide_place(rows: dict[int, RawRow]) -> int:
    """The first row as wide as rows usually are, where those before it are titles: a cell or two in a wide table."""
    if not rows or 0 not in rows:
        return 0
    if 1 in rows and _is_of_sections(rows[0], rows[1]):
        return 1
    usual_width = mode(row.filled for row in rows.values())
    if rows[0].filled > max(1, usual_width // 3) or usual_width < 2:
        return 0
    return next((place for place, row in rows.items() if row.filled >= usual_width), 0)


def _is_of_sections(row: RawRow, later: RawRow) -> bool:
    """Whether a row has the same name over several columns, and the one below it a name of its own for each."""
    above = [str(cell).strip() for cell in row.cells if cell is not None and str(cell).strip()]
    names = [str(cell).strip() for cell in later.cells if cell is not None and str(cell).strip()]
    own = len(set(names)) == len(names) >= len(row.cells) and not any(name[:1].isdecimal() for name in names)
    return len(set(above)) < len(above) < len(names) and own


def _choices(names: Sequence[str], kinds: Sequence[str]) -> Iterator[str]:
    """The names of columns, those of a question's choices by question and choice."""
    question = ""
    for name, kind in zip_longest(names, kinds, fillvalue=""):
        question = name or question
        plain = not kind or kind.casefold() in (*_OPEN_ENDED, "response")
        yield name if plain else f"{question}: {kind}"


def _asks(names: RawRow, later: RawRow) -> bool:
    """Whether a row has the names of Qualtrics' own columns in words: ``StartDate`` is ``Start Date`` there."""
    words = [(folded(str(a or "")), folded(str(b or ""))) for a, b in zip(names.cells, later.cells, strict=False)]
    return sum(a != b and a == b.replace("_", "") and len(a) > 1 for a, b in words) > 1


def _header(row: RawRow) -> TableHeader:
    return TableHeader(row.line, _columns(row.cells))


def _columns(cells: Sequence[Any]) -> tuple[str, ...]:
    """Name the columns: an empty name gets its number, a second one of the same name too."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = "" if cell is None else " ".join(str(cell).split())
        names.append(f"{name or 'column'} {number}" if not name or name in names else name)
    return tuple(names)


def _import_id(cell: Any) -> str | None:
    try:
        value = json.loads(cell) if isinstance(cell, str) and "ImportId" in cell else None
    except ValueError:
        return None
    return str(value["ImportId"]) if isinstance(value, dict) and "ImportId" in value else None


def _among(lines: Sequence[int]) -> str:
    return f"line {lines[0]} holds" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]} hold"
