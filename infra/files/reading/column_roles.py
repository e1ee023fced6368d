"""Which column of a table is what, and what only the whole column tells of its cells."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import mean

from pydantic import JsonValue

from infra.files.reading.cells import NO, YES, plain_id, whole_number
from infra.files.reading.columns import (
    CLOCK_NAMES,
    ID_NAMES,
    LANGUAGE_NAMES,
    PERSON_NAMES,
    SOURCE_NAMES,
    TEXT_NAMES,
    TIME_NAMES,
    role_names,
    tool_of,
    usual,
)
from infra.files.reading.items import ReadingOptions, ReadingReport, TableHeader, TableRow
from infra.files.timestamps import DateOrder, TimeColumn, is_date, with_clock

_WORDS = 2.5  # of a column that holds texts, on average
_NOT_SAID = re.compile(
    r"birth|\bdob\b|geburt|naissance|nacimiento|nascimento|nascita|geboorte|urodz|рожд|出生|生年", re.IGNORECASE
)
_EXACT = 1 << 53  # numbers below it are whole in a spreadsheet
_LOST_DIGITS = re.compile(r"^\d(?:[.,]\d+)?E\+\d{2}$", re.IGNORECASE)  # what a spreadsheet makes of a long number


@dataclass(frozen=True)
class RequestedColumns:
    """The columns that the caller named; ``None`` is to be told, an empty id is none at all."""

    texts: tuple[str, ...] = ()
    id: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Roles:
    """Which column is what."""

    texts: tuple[str, ...]
    id: str | None
    time: str | None
    language: str | None
    source: str | None
    clock: str | None = None
    """The time of day, where it stands beside the date."""
    passages: bool = False
    """Whether rows with the same text in one document are one passage with several codes."""

    @property
    def sentence(self) -> str:
        """What is said of them."""
        named = {
            "text" if len(self.texts) == 1 else "texts": ", ".join(f"'{name}'" for name in self.texts),
            **{role: f"'{name}'" for role in ("id", "time", "language", "source") if (name := getattr(self, role))},
        }
        missing = [role for role in ("id", "time") if getattr(self, role) is None]
        none = f"; no column of {' and none of '.join(missing)}" if missing else ""
        return "columns: " + ", ".join(f"{role} {columns}" for role, columns in named.items()) + none


def choose_roles(header: TableHeader, requested: RequestedColumns, *, fixed_text: str | None = None) -> Roles | None:
    """Say which column is what.

    Args:
        header: The columns, and what the survey tool says of them.
        requested: What the caller named.
        fixed_text: The column of the text, where earlier rows have settled it.

    Returns:
        ``None`` where no column has the text.
    """
    names = header.columns
    texts = _texts(header, requested, fixed_text)
    if not texts:
        return None
    others = tuple(name for name in names if name not in texts)
    tool = tool_of(names)
    time = usual(others, role_names(names, "time", TIME_NAMES) if requested.time is None else (requested.time,))
    ids = (*role_names(names, "id", ID_NAMES), *(PERSON_NAMES if tool is None else ()))
    return Roles(
        texts=texts,
        id=usual(others, ids if requested.id is None else (requested.id,)),
        time=time,
        language=usual(others, role_names(names, "language", LANGUAGE_NAMES)),
        source=usual(others, role_names(names, "source", SOURCE_NAMES)),
        clock=usual([name for name in others if name != time], CLOCK_NAMES) if time else None,
        passages=tool is not None and tool.passages,
    )


def _texts(header: TableHeader, requested: RequestedColumns, fixed: str | None) -> tuple[str, ...]:
    names = header.columns
    if fixed is not None:
        return (fixed,) if fixed in names else ()
    if requested.texts:
        named = [usual(names, (text,)) for text in requested.texts]
        return tuple(name for name in named if name is not None) if None not in named else ()
    single = usual(names, role_names(names, "text", TEXT_NAMES))
    return (single,) if single is not None else header.open_questions


@dataclass
class ColumnSurvey:
    """What a first reading of all rows tells: the order of dates, whole numbers among ids, names of persons."""

    options: ReadingOptions
    time: TimeColumn = field(default_factory=TimeColumn)
    whole_ids: bool = True
    _texts: dict[str, int] = field(default_factory=dict)
    shared_ids: int = 0
    """Rows whose id stands at another text too."""
    lost_ids: int = 0
    """Rows whose id is a number that a spreadsheet rounded."""
    _ticked: bool | None = None
    """Whether all cells of the column that is called a time's say yes or no; ``None`` where none says anything."""
    _dates: dict[str, TimeColumn | None] = field(default_factory=dict)
    """By column whose cells are dates so far what they tell; ``None`` where another cell was seen."""

    def see(self, row: TableRow, roles: Roles) -> None:
        """Take a row into account."""
        if roles.time:
            clock = row.cells.get(roles.clock) if roles.clock else None
            self.time.see(with_clock(row.cells.get(roles.time), clock))
            self._see_tick(row.cells.get(roles.time))
        if not roles.time or self._ticked:
            self._see_dates(row, roles)
        key = row.cells.get(roles.id) if roles.id else None
        if key is None or not str(key).strip():
            return
        self.whole_ids = self.whole_ids and whole_number(key)
        self.lost_ids += _rounded(key)
        plain = plain_id(key)
        if plain is not None:
            text = hash(str([row.cells.get(name) for name in roles.texts]))
            self.shared_ids += self._texts.setdefault(plain, text) != text

    def _see_tick(self, cell: JsonValue) -> None:
        word = "" if cell is None else str(cell).strip().casefold()
        if word and self._ticked is not False:
            self._ticked = word in YES or word in NO

    def _see_dates(self, row: TableRow, roles: Roles) -> None:
        for name, cell in row.cells.items():
            if cell is None or cell == "" or name in roles.texts or self._dates.get(name, ()) is None:
                continue
            if not is_date(cell) or name == roles.id or _NOT_SAID.search(name):
                self._dates[name] = None
            elif (column := self._dates.setdefault(name, TimeColumn())) is not None:
                column.see(cell)

    def _without_time(self, roles: Roles) -> Roles:
        """The roles without a time whose column is called so, and has yes and no in it."""
        if roles.time is None or not self._ticked:
            return roles
        self.options.report.remark(f"'{roles.time}' is no column of times: yes and no stand in it")
        return replace(roles, time=None, clock=None)

    def _told_time(self, roles: Roles, names: Iterable[str]) -> Roles:
        """The roles with a column of dates as the time, where none is known by its name."""
        there = [name for name in names if self._dates.get(name) is not None]
        if roles.time is not None or not there:
            return roles
        self.time = self._dates[there[0]] or self.time
        others = f", as are those of {listed(there[1:])}" if len(there) > 1 else ""
        self.options.report.remark(
            f"'{there[0]}' is taken as the time: all its cells are dates{others}; --time-column names another"
        )
        return replace(roles, time=there[0])

    @property
    def order(self) -> DateOrder | None:
        """What comes first in the dates."""
        return self.options.date_order or self.time.order

    def settled(self, roles: Roles, requested: RequestedColumns, names: Iterable[str]) -> Roles:
        """The roles as all rows tell them.

        Args:
            roles: As the names of the columns tell them.
            requested: What the caller named.
            names: The columns.

        Returns:
            Without an id that names persons or lost its digits, for then several texts have the same; with a time
            where a column holds dates only.
        """
        if requested.time is None:
            roles = self._told_time(self._without_time(roles), names)
        if requested.id is not None or roles.id is None or not self.shared_ids:
            return roles
        if self.lost_ids:
            self.options.report.warn(
                f"'{roles.id}' is not taken as the rows' id: a spreadsheet rounded {self.lost_ids} of its numbers (as "
                "in 1.75E+18), so that several texts have the same; export it again as text, or from its source"
            )
        elif usual((roles.id,), PERSON_NAMES) is not None:
            self.options.report.remark(
                f"'{roles.id}' is not taken as the rows' id: {self.shared_ids} of its values stand at several texts; "
                "--id-column takes it all the same"
            )
        else:
            return roles
        return replace(roles, id=None)

    def say(self, roles: Roles) -> None:
        """Put into words how the columns are read."""
        self.options.report.remark(roles.sentence)
        say_times(self.time, roles.time or "", self.order, self.options.report)


def _rounded(key: JsonValue) -> bool:
    """Whether an id has more digits than a spreadsheet keeps."""
    if isinstance(key, str):
        return _LOST_DIGITS.match(key.strip()) is not None
    return isinstance(key, int | float) and abs(key) >= _EXACT


def say_times(time: TimeColumn, column: str, order: DateOrder | None, report: ReadingReport) -> None:
    """Put into words how a column's times are read; a warning where some are not."""
    for sentence in time.sentences(column, order):
        if time.either and order is None:
            report.warn(sentence)
        else:
            report.remark(sentence)


def longest_texts(rows: Iterable[Mapping[str, JsonValue]], most: int = 3) -> list[str]:
    """The columns that hold texts of several words, the longest first."""
    lengths: dict[str, list[int]] = {}
    for row in rows:
        for name, cell in row.items():
            if isinstance(cell, str) and cell.strip():
                lengths.setdefault(name, []).append(len(cell.split()))
    means = {name: mean(each) for name, each in lengths.items()}
    return sorted((name for name in means if means[name] >= _WORDS), key=lambda name: -means[name])[:most]


def listed(names: Iterable[str], most: int = 20) -> str:
    """Columns for a sentence, the first of many."""
    every = list(names)
    more = ", ..." if len(every) > most else ""
    return (", ".join(f"'{name[:40]}'" for name in every[:most]) or "no columns") + more
