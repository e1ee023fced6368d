"""Labels that were made elsewhere, read from a file: whose, when, which codes, and for what text."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast

from infra.files.coded_texts import CODE_NAMES, distinct, parted, read_code
from infra.files.rows import Rejected, TableHeader, TableRow, read_rows, tell_format
from infra.files.segments import ID_NAMES, TEXT_NAMES
from infra.files.tables import parts, unguarded
from infra.files.timestamps import read_time
from models.errors import InputError

CODER_NAMES = ("annotator", "coder", "coded_by", "rater", "author", "user")
TIME_NAMES = ("decided_at", "coded_at", "annotated_at", "labelled_at", "time", "at")
_LONGEST_CODER = 120
_TRUE, _FALSE = ("true", "1", "yes", "x"), ("false", "0", "no", "")


@dataclass(frozen=True)
class SheetColumns:
    """The columns that somebody named; those that are empty are told by their usual names."""

    text: str = ""
    id: str = ""
    codes: str = ""
    coder: str = ""
    time: str = ""


@dataclass(frozen=True)
class Labelled:
    """One row: somebody's codes for a text."""

    line: int
    key: str | None
    """The segment's id, or the source's own."""
    source: str | None
    text: str | None
    codes: tuple[str, ...]
    annotator: str
    at: datetime | None
    memo: str = ""
    unsure: bool = False
    withdrawn: bool = False
    adjudicates: bool = False
    blind: bool = True
    seconds: float | None = None


@dataclass(frozen=True)
class LabelSheet:
    """A file that was read."""

    name: str
    rows: Sequence[Labelled]
    rejected: Sequence[Rejected]


def read_labels(
    stream: BinaryIO,
    name: str,
    coder: str = "",
    columns: SheetColumns | None = None,
    most: tuple[int, int] | None = None,
) -> LabelSheet:
    """Read a file of texts or ids with codes.

    Args:
        stream: At the file's start.
        name: Its name, by which its format is told: CSV, TSV, JSON lines or XLSX.
        coder: Who coded the rows that name nobody.
        columns: Those that do not go by their usual names.
        most: How many rows and cells are read; a file with more is refused. By default all are.

    Raises:
        InputError: If the file as a whole cannot be read; rows that cannot are in ``rejected``.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
    head = buffered.peek(1 << 16)
    if not head:
        raise InputError(f"{name}: empty; rows of text or ids with codes are expected")
    fmt = tell_format(name, head)
    if fmt == "lines":
        raise InputError(
            f"{name}: plain lines found; CSV, JSON lines or XLSX with columns of text and codes is expected"
        )
    reader = _Reader(columns or SheetColumns(), coder, guarded=fmt in ("csv", "tsv"))
    rows: list[Labelled] = []
    rejected: list[Rejected] = []
    for item in _bounded(read_rows(buffered, fmt, name, None), name, most):
        if isinstance(item, Rejected):
            rejected.append(item)
        elif isinstance(item, TableHeader):
            reader.see(item.columns, f"{name}, line {item.line}")
        else:
            try:
                rows.append(reader.read(item))
            except InputError as error:
                rejected.append(Rejected(name, item.line, str(error)))
    if isinstance(stream, io.BytesIO):
        buffered.detach()
    return LabelSheet(name, rows, rejected)


Item = Rejected | TableHeader | TableRow


def _bounded(items: Iterable[Item], name: str, most: tuple[int, int] | None) -> Iterable[Item]:
    """The rows, as long as there are no more of them, and of their cells, than may be read."""
    cells = 0
    for rows, item in enumerate(items, 1):
        cells += len(item.cells) if isinstance(item, TableRow) else 0
        if most is not None and (rows > most[0] or cells > most[1]):
            raise InputError(
                f"{name}: more than {most[0]:,} rows or {most[1]:,} cells; take a part of it, or `qualstream teach`"
            )
        yield item


class _Reader:
    """Makes labels of rows."""

    def __init__(self, columns: SheetColumns, coder: str, *, guarded: bool) -> None:
        self._columns, self._coder, self._guarded = columns, " ".join(coder.split()), guarded

    def see(self, names: Sequence[str], place: str) -> None:
        """Refuse a table that lacks a column."""
        if self._name(names, self._columns.codes, CODE_NAMES) is None:
            expected = f"'{self._columns.codes}'" if self._columns.codes else f"one of {', '.join(CODE_NAMES)}"
            raise InputError(f"{place}: no column with codes among {', '.join(names)[:200]}; {expected} is expected")
        if self._name(names, self._columns.text, TEXT_NAMES) is None and self._id(names) is None:
            raise InputError(f"{place}: neither a column with text nor one with ids among {', '.join(names)[:200]}")

    def read(self, row: TableRow) -> Labelled:
        """One row's codes and what they belong to; raises ``InputError`` that says why it cannot be taken."""
        names = tuple(row.cells)
        text = self._text(row, self._name(names, self._columns.text, TEXT_NAMES))
        key = self._text(row, self._id(names))
        if text is None and key is None:
            raise InputError("neither text nor id; one of them is expected")
        unsure, withdrawn = self._truth(row, "unsure"), self._truth(row, "withdrawn")
        codes = self._codes(row, self._name(names, self._columns.codes, CODE_NAMES))
        kind = self._text(row, "kind") or "coding"
        if kind not in ("coding", "adjudication"):
            raise InputError(f"kind '{kind[:40]}' found; coding or adjudication is expected")
        if not codes and not (unsure or withdrawn or kind == "adjudication"):
            raise InputError("no codes; at least one is expected")
        return Labelled(
            line=row.line,
            key=key,
            source=self._text(row, self._name(names, "", ("source",))),
            text=text,
            codes=codes,
            annotator=self._annotator(row, names),
            at=self._time(row, self._name(names, self._columns.time, TIME_NAMES)),
            memo=self._text(row, "memo") or "",
            unsure=unsure,
            withdrawn=withdrawn,
            adjudicates=kind == "adjudication",
            blind=self._truth(row, "blind") if self._cell(row, "blind") is not None else True,
            seconds=self._seconds(row),
        )

    def _id(self, names: Sequence[str]) -> str | None:
        return self._name(names, self._columns.id, ("segment_id", *ID_NAMES))

    @staticmethod
    def _name(names: Sequence[str], named: str, usual: Iterable[str]) -> str | None:
        folded = {_folded(name): name for name in reversed(names)}
        candidates = (_folded(name) for name in ((named,) if named else usual))
        return next((folded[name] for name in candidates if name in folded), None)

    def _cell(self, row: TableRow, name: str | None) -> Any:
        value = None if name is None else row.cells.get(name)
        return unguarded(value) if self._guarded and isinstance(value, str) else value

    def _text(self, row: TableRow, name: str | None) -> str | None:
        value = self._cell(row, name)
        if isinstance(value, bool | list | dict) or value is None:
            return None
        return str(value).replace("\0", "") if str(value).strip() else None

    def _truth(self, row: TableRow, name: str) -> bool:
        value = self._cell(row, name)
        if isinstance(value, bool) or value is None:
            return bool(value)
        word = str(value).strip().casefold()
        if word not in _TRUE + _FALSE:
            raise InputError(f"{name} '{word[:40]}' found; true or false is expected")
        return word in _TRUE

    def _codes(self, row: TableRow, name: str | None) -> tuple[str, ...]:
        value = self._cell(row, name)
        if isinstance(value, str):
            value = parts(value) or value
        listed = value if isinstance(value, list) else parted(value)
        return distinct([read_code(code, "codes") for code in listed if code is not None and str(code).strip()])

    def _annotator(self, row: TableRow, names: Sequence[str]) -> str:
        annotator = self._text(row, self._name(names, self._columns.coder, CODER_NAMES)) or self._coder
        name = " ".join(annotator.split())
        if not 0 < len(name) <= _LONGEST_CODER:
            raise InputError(f"nobody is named as its coder; 1 to {_LONGEST_CODER} characters are expected")
        return name

    def _time(self, row: TableRow, name: str | None) -> datetime | None:
        value = self._cell(row, name)
        if value is None or not str(value).strip():
            return None
        time = read_time(value)
        if time is None:
            raise InputError(f"time '{str(value)[:40]}' cannot be read; 2026-03-01T12:00:00Z is how it is expected")
        return time

    def _seconds(self, row: TableRow) -> float | None:
        value = self._text(row, "seconds")
        try:
            seconds = None if value is None else float(value)
        except ValueError:
            return None
        return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
