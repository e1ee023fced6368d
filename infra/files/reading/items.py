"""What reading a file gives: a header, rows, rows that cannot be taken, and words about how it was read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import JsonValue

from infra.files.timestamps import DateOrder

Unit = Literal["turn", "paragraph", "sentence"]
_PLACES = 20  # lines that are named of what was left out for one reason


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be taken; its neighbours were."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut(Rejected):
    """A row with nothing to code in it: no answer, or an interviewer's question. It is counted apart, by its kind."""

    kind: str = "no text"


@dataclass(frozen=True, slots=True)
class TableHeader:
    """The columns of a table, before its rows."""

    line: int
    columns: tuple[str, ...]
    questions: Mapping[str, str] = field(default_factory=dict)
    """What a survey asked, by column, where the file says so."""
    open_questions: tuple[str, ...] = ()
    """Columns that the survey tool marks as answers in the respondent's own words."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row by column; ``encoding`` where it is not the file's own, ``typed`` where a program chose the types."""

    line: int
    cells: dict[str, JsonValue]
    encoding: str | None = None
    typed: bool = False


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row before its columns are known: its cells, and the lines that it stands on."""

    line: int
    last_line: int
    cells: list[Any]
    encoding: str | None = None
    typed: bool = False

    @property
    def filled(self) -> int:
        """How many cells hold something."""
        return sum(cell is not None and bool(str(cell).strip()) for cell in self.cells)


@dataclass
class ReadingReport:
    """How a file was understood, in sentences, and what of it was not taken."""

    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)
    """By reason, the first lines."""
    size: tuple[int, int] = (0, 0)
    """How many rows and cells the file has, once all of it was read."""
    days_from_1904: bool = False
    """Whether a workbook counts its days from 1904, as old ones of a Mac do."""

    def remark(self, sentence: str) -> None:
        """Say how the file was understood; the same sentence is kept once."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def warn(self, sentence: str) -> None:
        """Say what a person should look at; the same sentence is kept once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def count(self, reason: str, line: int) -> None:
        """Count a row by what happened to it."""
        self.counts[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < _PLACES:
            places.append(line)

    def count_alike(self, start: str, reason: str, line: int) -> None:
        """Count a row with those whose reason begins alike; the first one's reason stands for them."""
        self.count(next((each for each in self.counts if each.startswith(start)), reason), line)

    def summaries(self) -> list[str]:
        """What was counted, a sentence a reason."""
        return [f"{count} x {reason} ({_lines(self.places[reason], count)})" for reason, count in self.counts.items()]


def _lines(places: list[int], count: int) -> str:
    shown = ", ".join(map(str, places[:5]))
    return ("line " if count == 1 else "lines ") + shown + (", ..." if count > len(places[:5]) else "")


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is to be read where that is not told from the file, and where it is said how it was read."""

    encoding: str | None = None
    sheet: str | None = None
    """A sheet's name, or its number from 1."""
    header_row: int | None = None
    """The line with the names of the columns."""
    text_names: tuple[str, ...] = ()
    """What the column of the text may be called: the header is looked for by them."""
    date_order: DateOrder | None = None
    """What comes first in 03/04/2026; told from the whole column where not given."""
    leave_out_non_answers: bool = False
    most: tuple[int, int] | None = None
    """How many rows and cells are read; a file with more is refused. By default all are."""
    rows_before: int = 0
    """Rows of the files that are read before it, where what is read of all of them is bounded."""
    unit: Unit = "turn"
    """What a document is cut into."""
    interviewer: str | None = None
    """Who asked, in a transcript; told from usual names where not given, nobody where empty."""
    report: ReadingReport = field(default_factory=ReadingReport)
