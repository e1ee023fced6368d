"""Which column of a table is what, and what only the whole column tells of its cells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import mean

from pydantic import JsonValue

from infra.files.reading.cells import plain_id, whole_number
from infra.files.reading.columns import (
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
from infra.files.timestamps import DateOrder, TimeColumn

_WORDS = 2.5  # of a column that holds texts, on average


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
    ids = (*role_names(names, "id", ID_NAMES), *(PERSON_NAMES if tool is None else ()))
    return Roles(
        texts=texts,
        id=usual(others, ids if requested.id is None else (requested.id,)),
        time=usual(others, role_names(names, "time", TIME_NAMES) if requested.time is None else (requested.time,)),
        language=usual(others, role_names(names, "language", LANGUAGE_NAMES)),
        source=usual(others, role_names(names, "source", SOURCE_NAMES)),
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

    def see(self, row: TableRow, roles: Roles) -> None:
        """Take a row into account."""
        if roles.time:
            self.time.see(row.cells.get(roles.time))
        key = row.cells.get(roles.id) if roles.id else None
        if key is None or not str(key).strip():
            return
        self.whole_ids = self.whole_ids and whole_number(key)
        plain = plain_id(key)
        if plain is not None:
            text = hash(str([row.cells.get(name) for name in roles.texts]))
            self.shared_ids += self._texts.setdefault(plain, text) != text

    @property
    def order(self) -> DateOrder | None:
        """What comes first in the dates."""
        return self.options.date_order or self.time.order

    def settled(self, roles: Roles, requested: RequestedColumns) -> Roles:
        """The roles without an id that names persons: several texts have the same."""
        named = requested.id is not None or roles.id is None or usual((roles.id,), PERSON_NAMES) is None
        if named or not self.shared_ids:
            return roles
        self.options.report.remark(
            f"'{roles.id}' is not taken as the rows' id: {self.shared_ids} of its values stand at several texts; "
            "--id-column takes it all the same"
        )
        return replace(roles, id=None)

    def say(self, roles: Roles) -> None:
        """Put into words how the columns are read."""
        self.options.report.remark(roles.sentence)
        say_times(self.time, roles.time or "", self.order, self.options.report)


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
