"""Timestamped texts out of files, in the order of their own time, whatever the file's."""

import heapq
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar, cast

from pydantic import JsonValue

from infra.drift.far_times import FarTimes
from infra.drift.row_codes import LONGEST, row_codes
from infra.files.labels.code_cells import CODE_NAMES as LABEL_NAMES
from infra.files.labels.code_cells import WEAK_CODE_NAMES
from infra.files.reading.answers import is_non_answer
from infra.files.reading.cells import plain_id, readable
from infra.files.reading.column_roles import listed, say_times
from infra.files.reading.columns import ID_NAMES, TEXT_NAMES, TIME_NAMES, folded, role_names, usual
from infra.files.reading.items import LeftOut, ReadingReport
from infra.files.row_tally import RowTally
from infra.files.rows import (
    PEEK,
    Format,
    ReadingOptions,
    Rejected,
    TableHeader,
    TableRow,
    known_encoding,
    known_format,
    read_rows,
    tell_format,
)
from infra.files.timestamps import DateOrder, TimeColumn, is_date, read_time
from models.errors import InputError

CODE_NAMES = (
    *("code", "codes", "label", "labels", "final_code", "category", "categories", "topic", "topics", "tag", "tags"),
    *("reason", "negativereason", "intent", "issue", *LABEL_NAMES, *WEAK_CODE_NAMES),
)
SOURCE_NAMES = (
    *("source", "channel", "platform", "site", "store", "forum", "survey", "brand", "company", "airline"),
    *("hotel", "game", "origin"),
)
"""Of those that are there, the first that tells rows apart is the source."""
THEME_NAMES = ("theme", "themes")
_SIGNALS = ("confidence", "agreement", "similarity", "new", "verdict", "accepted", "agreed", "error", "models")
"""Columns as ``qualstream code`` and ``qualstream export`` name them, and whether people ``agreed``."""

RUN = 20_000
"""Rows that are sorted in memory; longer files are sorted through the disk."""
_TOGETHER = 100
"""Sorted rows in one line on the disk."""
_MOST_SOURCES = 500
_LONGEST_SOURCE = 200
T = TypeVar("T")


class TimestampedText(NamedTuple):
    """One row: when it was said, and all that the file says of it."""

    at: float
    """Seconds since 1970."""
    line: int
    key: str
    """The row's own id, or its line."""
    text: str
    sources: list[str | None]
    """By candidate column; see ``TimestampedTexts.source``."""
    codes: list[str] | None
    """``None`` where the file has no codes at all, empty where this row has none."""
    theme: str | None
    signals: dict[str, Any]

    @property
    def moment(self) -> datetime:
        """When it was said, with its zone."""
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True)
class ReadOptions:
    """The columns that the caller named; those not named are told from usual names."""

    text: str | None = None
    time: str | None = None
    code: str | None = None
    source: str | None = None
    confidence: str | None = None
    fmt: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """How the file is read where that is not told from it."""


@dataclass
class TimestampedTexts:
    """A file's rows, sorted; use it as a context, for what was sorted on disk is deleted at its end."""

    name: str
    options: ReadOptions
    rows: int = 0
    coded: bool = False
    """Whether the file has codes."""
    first: float = 0.0
    last: float = 0.0
    times: FarTimes = field(default_factory=FarTimes)
    """Tells rows whose time is a fault, by the look of it."""
    candidates: list[str] = field(default_factory=list)
    _values: list[set[str]] = field(default_factory=list)
    _chosen: int | None = None
    _runs: list[TextIO] = field(default_factory=list)
    _held: list[TimestampedText] = field(default_factory=list)

    def __enter__(self) -> "TimestampedTexts":
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            run.close()

    @property
    def source_column(self) -> str | None:
        """The column that tells where a row came from."""
        return None if self._chosen is None else self.candidates[self._chosen]

    def source(self, row: TimestampedText) -> str:
        """Where a row came from; the file where no column says."""
        place = self._chosen
        return (row.sources[place] if place is not None and place < len(row.sources) else None) or self.name

    def __iter__(self) -> Iterator[TimestampedText]:
        """The rows by their time, those of one moment in the file's order."""
        if not self._runs:
            yield from self._held
            return
        for run in self._runs:
            run.seek(0)
        yield from heapq.merge(*(_lines(run) for run in self._runs), key=_order)

    def _take(self, row: TimestampedText) -> None:
        self.rows += 1
        self.first = min(self.first, row.at) if self.rows > 1 else row.at
        self.last = max(self.last, row.at)
        self.times.add(row.at, row.line)
        for values, source in zip(self._values, row.sources, strict=False):
            if source is not None and len(values) < _MOST_SOURCES:
                values.add(source)
        self._held.append(row)
        if len(self._held) >= RUN:
            self._spill()

    def _spill(self) -> None:
        self._held.sort(key=_order)
        run = cast(TextIO, tempfile.TemporaryFile("w+", encoding="utf-8", prefix="qualstream-drift-"))  # noqa: SIM115
        self._runs.append(run)
        for n in range(0, len(self._held), _TOGETHER):
            run.write(json.dumps(self._held[n : n + _TOGETHER]))
            run.write("\n")
        self._held.clear()

    def _finish(self) -> None:
        if self._runs and self._held:
            self._spill()
        self._held.sort(key=_order)
        several = (n for n, values in enumerate(self._values) if 1 < len(values) < _MOST_SOURCES)
        self._chosen = next(several, 0 if self._values and len(self._values[0]) == 1 else None)


def read_timestamped(source: Path, options: ReadOptions, tally: RowTally) -> TimestampedTexts:
    """Read a file whole and bring its rows into the order of time; memory does not grow with the file.

    Args:
        source: CSV, TSV, JSONL or XLSX; ``-`` is standard input.
        options: Columns, format and stretch of time.
        tally: Counts rows, and names those without text or time.

    Raises:
        InputError: If the file cannot be read, or a column that is needed is not there.
    """
    name = "standard input" if str(source) == "-" else source.name
    texts = TimestampedTexts(name, options)
    columns = _ColumnRoles(name, options)
    texts.candidates = columns.candidates
    texts._values = columns.values
    try:
        for item in _rows(source, name, options, columns):
            if isinstance(item, TableHeader):
                columns.see(tuple(item.columns), item.line, must=True)
                continue
            row = item if isinstance(item, Rejected) else columns.timed(item)
            if isinstance(row, Rejected):
                tally.note(row)
            elif _within(row, options):
                tally.good += 1
                texts._take(row)
    except BaseException:
        texts.__exit__()
        raise
    texts.coded = columns.coded
    texts._finish()
    columns.say(options.reading.report)
    tally.say(options.reading)
    if not texts.rows:
        raise InputError(
            f"'{name}' holds no row with a text and a time in the stretch asked for "
            f"({len(tally.rejected)} rows rejected){_first_reason(tally)}"
        )
    return texts


class _ColumnRoles:
    """Which column is what, by the names of a row."""

    def __init__(self, file: str, options: ReadOptions) -> None:
        self._file, self._options = file, options
        self._by_names: dict[tuple[str, ...], _Places] = {}
        self.candidates: list[str] = []
        self.values: list[set[str]] = []
        self.coded = False
        self._time = TimeColumn()

    def look(self, item: TableHeader | TableRow | Rejected) -> None:
        """Take a row's time into account before any row is taken: only the whole column tells day from month."""
        if isinstance(item, TableHeader):
            if self._options.time is None and usual(item.columns, role_names(item.columns, "time", TIME_NAMES)) is None:
                return  # the first row tells
            self.see(tuple(item.columns), item.line, must=True)
        elif isinstance(item, TableRow):
            names = tuple(item.cells)
            if not self._by_names and self._options.time is None:
                self._tell_time(item)
            places = self._by_names.get(names) or self.see(names, item.line, must=not self._by_names)
            self._time.see(item.cells.get(places.time or ""))

    def _tell_time(self, row: TableRow) -> None:
        """Take a column as the time whose cell is a date, where none is known by its name."""
        names = tuple(row.cells)
        dated = [name for name in names if is_date(row.cells[name])]
        if dated and usual(names, role_names(names, "time", TIME_NAMES)) is None:
            self._options = replace(self._options, time=dated[0])
            self._options.reading.report.remark(
                f"'{dated[0]}' is taken as the time: it holds dates; --time-column names another"
            )

    @property
    def _order(self) -> DateOrder | None:
        return self._options.reading.date_order or self._time.order

    def say(self, report: ReadingReport) -> None:
        """Put into words how the times are read."""
        time = next((places.time for places in self._by_names.values() if places.time), "")
        say_times(self._time, time, self._order, report)

    def see(self, names: tuple[str, ...], line: int, *, must: bool = False) -> "_Places":
        """Settle the columns of rows with these names.

        Raises:
            InputError: If ``must`` and one that is needed or was named is not there.
        """
        known = self._by_names.get(names)
        if known is not None:
            return known
        options = self._options
        text = usual(names, (options.text,) if options.text else role_names(names, "text", TEXT_NAMES))
        rest = tuple(name for name in names if name != text)
        time = usual(rest, (options.time,) if options.time else role_names(names, "time", TIME_NAMES))
        code = usual(rest, (options.code,) if options.code else role_names(names, "codes", CODE_NAMES))
        source = usual(rest, (options.source,) if options.source else ())
        asked = (
            ("text", text, True),
            ("time", time, True),
            ("code", code, options.code),
            ("source", source, options.source),
        )
        for what, column, needed in asked if must else ():
            if needed and column is None:
                named = getattr(options, what)
                missing = f"no column '{named}'" if named else f"no column of {what}"
                raise InputError(f"{self._file}, line {line}: {missing} among {listed(names)}; see --{what}-column")
        self.coded |= code is not None
        for name in _among(rest, (options.source,) if options.source else SOURCE_NAMES):
            if name not in self.candidates:
                self.candidates.append(name)
                self.values.append(set())
        signals = {signal: place for signal in _SIGNALS if (place := usual(rest, (self._named(signal),))) is not None}
        places = _Places(
            text, time, usual(rest, role_names(names, "id", ID_NAMES)), code, usual(rest, THEME_NAMES), signals
        )
        if len(self._by_names) < 1000:
            self._by_names[names] = places
        return places

    def timed(self, row: TableRow) -> TimestampedText | Rejected:
        """Make a row of its cells, or say why not."""
        cells = row.cells
        places = self._by_names.get(tuple(cells)) or self.see(tuple(cells), row.line, must=not self._by_names)
        text, time = cells.get(places.text or ""), cells.get(places.time or "")
        if not isinstance(text, str) or not text.strip():
            return Rejected(self._file, row.line, f"'{places.text or 'text'}' is empty or missing; text is expected")
        text = readable(text)
        if self._options.reading.leave_out_non_answers and is_non_answer(text):
            self._options.reading.report.count(f"left out: no answer in '{places.text}'", row.line)
            return LeftOut(self._file, row.line, f"{text.strip()[:40]!r} is no answer", "no answer")
        at = read_time(time, self._order)
        if at is None:
            shown = f"is {str(time)[:40]!r}" if time not in (None, "") else "is empty or missing"
            return Rejected(self._file, row.line, f"'{places.time or 'time'}' {shown}; a date or a time is expected")
        theme = cells.get(places.theme) if places.theme else None
        return TimestampedText(
            at.timestamp(),
            row.line,
            (plain_id(cells.get(places.id)) if places.id else None) or str(row.line),
            text,
            [_short(cells.get(name), _LONGEST_SOURCE) for name in self.candidates],
            row_codes(cells.get(places.code), places.code) if places.code else None,
            _short(theme[0] if isinstance(theme, list) and theme else theme, LONGEST),
            {signal: cells[place] for signal, place in places.signals.items() if cells.get(place) not in (None, "")},
        )

    def _named(self, signal: str) -> str:
        return (self._options.confidence if signal == "confidence" else None) or signal


class _Places(NamedTuple):
    text: str | None
    time: str | None
    id: str | None
    code: str | None
    theme: str | None
    signals: dict[str, str]


def _first_reason(tally: RowTally) -> str:
    return f": line {tally.rejected[0].line}: {tally.rejected[0].reason}" if tally.rejected else ""


def _rows(
    source: Path, name: str, options: ReadOptions, columns: "_ColumnRoles"
) -> Iterator[TableHeader | TableRow | Rejected]:
    known_format(options.fmt)
    known_encoding(options.reading.encoding)
    try:
        with sys.stdin.buffer if str(source) == "-" else source.open("rb", buffering=PEEK) as stream:
            head = cast(Any, stream).peek(PEEK)
            if not head:
                raise InputError(f"{name}: empty; rows with a text and a time are expected")
            fmt = options.fmt or tell_format(None if str(source) == "-" else source.name, head)
            if fmt == "lines":
                fmt = "csv"  # plain lines have no time
            reading = replace(options.reading, text_names=(options.text,) if options.text else TEXT_NAMES)
            if stream.seekable():
                for item in read_rows(cast(Any, stream), cast(Format, fmt), name, options=reading):
                    columns.look(item)
                stream.seek(0)
            yield from read_rows(cast(Any, stream), cast(Format, fmt), name, options=reading)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; give the path of a CSV, TSV, JSONL or XLSX file") from None
    except IsADirectoryError:
        raise InputError(f"{source}: a folder found; a file is expected") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error


def _within(row: TimestampedText, options: ReadOptions) -> bool:
    since, until = options.since, options.until
    return (since is None or row.at >= since.timestamp()) and (until is None or row.at < until.timestamp())


def _order(row: TimestampedText) -> tuple[float, int]:
    return row.at, row.line


def _lines(run: TextIO) -> Iterator[TimestampedText]:
    for line in run:
        yield from map(TimestampedText._make, json.loads(line))


def _among(names: tuple[str, ...], expected: tuple[str, ...]) -> list[str]:
    """The expected names that are there, whatever their case and the marks between their words."""
    by_name = {folded(name): name for name in reversed(names)}
    return [by_name[folded(name)] for name in expected if folded(name) in by_name]


def _short(value: JsonValue, longest: int) -> str | None:
    if isinstance(value, str):
        return value.strip()[:longest] or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
