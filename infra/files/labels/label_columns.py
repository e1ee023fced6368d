"""Which columns of a file of labels hold what: named by somebody, or known by their usual names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.files.labels.code_cells import CODE_NAMES, is_blank
from infra.files.reading.columns import ID_NAMES, MEMO_NAMES, TEXT_NAMES, folded, role_names, usual
from infra.files.reading.items import TableRow
from models.errors import InputError
from models.text.labels import clean_code

CODER_NAMES = ("annotator", "coder", "coded_by", "rater", "created_by", "author", "user")
TIME_NAMES = ("decided_at", "coded_at", "annotated_at", "labelled_at", "time", "at")
QUOTE_NAMES = ("quotation_content", "quotation", "coded_segment", "coded_text", "segment", "quote", "excerpt", "data")
"""Coded pieces of documents; beside them a column called comment holds the coder's memos."""
TEXTS = (*QUOTE_NAMES, *TEXT_NAMES)
SOURCE_NAMES = ("source", "document_name", "document", "file_name", "file", "case")
_OTHERS = ("unsure", "withdrawn", "kind", "blind", "seconds")
_PREFIXES = ("coder_", "annotator_", "rater_")
_YES_NO = ("0", "1", "0.0", "1.0", "true", "false", "yes", "no", "x", "")


@dataclass(frozen=True)
class SheetColumns:
    """The columns that somebody named; those that are empty are told by their usual names."""

    text: str = ""
    id: str = ""
    codes: str = ""
    coder: str = ""
    time: str = ""
    separator: str | None = None
    """What parts several codes in a cell; ``None``: told from the column."""
    indicators: tuple[str, ...] = ()
    """Columns that are codes themselves, with yes or no in them."""
    coder_given: bool = False
    """Whether somebody said who coded: then a column such as author, which may be the text's, names no coder."""


@dataclass(frozen=True)
class LabelColumns:
    """A file's columns."""

    text: str | None
    id: str | None
    coder: str | None
    time: str | None
    source: str | None
    memo: str | None
    codes_by_coder: Mapping[str, str]
    """Columns of codes, with the coder that a column is of, or an empty name."""
    indicators: Sequence[str] = ()
    """Columns that are codes themselves, with yes or no in them."""
    others: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def other(self, name: str) -> str | None:
        """The column of a further field, if there is one."""
        return self.others.get(name)

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[TableRow], named: SheetColumns, place: str) -> "LabelColumns":
        """Tell the columns.

        Args:
            names: All there are.
            rows: From which columns of yes and no are told.
            named: Those that somebody named.
            place: For errors.

        Raises:
            InputError: If there is none with codes, or neither text nor ids.
        """
        _must_be_there(names, named, place)
        text = named_or_usual(names, named.text, role_names(names, "text", TEXTS))
        rest = [name for name in names if name != text]
        id_ = named_or_usual(rest, named.id, ("segment_id", *role_names(names, "id", ID_NAMES)))
        if text is None and id_ is None:
            raise InputError(f"{place}: neither a column with text nor one with ids among {', '.join(names)[:200]}")
        codes = named_or_usual(rest, named.codes, role_names(names, "codes", CODE_NAMES))
        by_coder = {} if named.indicators else {codes: ""} if codes else {} if named.codes else _of_coders(rest)
        coders = role_names(names, "coder", CODER_NAMES[:-2] if named.coder_given else CODER_NAMES)
        times = role_names(names, "coded_at", TIME_NAMES[:-2] if named.coder_given else TIME_NAMES)
        taken = {
            "coder": named_or_usual(rest, named.coder, coders),
            "time": named_or_usual(rest, named.time, times),
            "source": usual(rest, role_names(names, "source", SOURCE_NAMES)),
            "memo": usual(rest, role_names(names, "memo", MEMO_NAMES)),
        }
        indicators = () if by_coder or named.codes else _indicators(rest, rows, {id_, *taken.values()})
        if named.indicators:
            indicators = tuple(name for each in named.indicators if (name := usual(rest, (each,))))
        if not by_coder and not indicators:
            raise _without_codes(place, names, named.codes)
        notes = [f"'{text}' is the text"] if text and folded(text) not in ("text", folded(named.text)) else []
        notes += [f"the codes are the columns {', '.join(indicators)}, with yes or no in them"] if indicators else []
        fields = (usual(rest, (name,)) for name in _OTHERS)
        others = {name: column for name, column in zip(_OTHERS, fields, strict=True) if column}
        return cls(text, id_, **taken, codes_by_coder=by_coder, indicators=indicators, others=others, notes=notes)


def _must_be_there(names: Sequence[str], named: SheetColumns, place: str) -> None:
    for column in (named.text, named.id, named.coder, named.time, *named.indicators):
        if column and usual(names, (column,)) is None:
            raise InputError(f"{place}: no column '{column}'; there are {', '.join(names)[:200]}")


def named_or_usual(names: Sequence[str], named: str, expected: Iterable[str]) -> str | None:
    """The column that somebody named, else the first that goes by an expected name."""
    return usual(names, (named,) if named else expected)


def _of_coders(names: Iterable[str]) -> dict[str, str]:
    """Columns such as ``coder_anna``, with the coder's name."""
    return {
        name: name.strip()[len(prefix) :].strip()
        for name in names
        for prefix in _PREFIXES
        if folded(name).startswith(prefix) and name.strip()[len(prefix) :].strip()
    }


def _indicators(names: Sequence[str], rows: Sequence[TableRow], taken: set[str | None]) -> tuple[str, ...]:
    """Columns in which every cell is a yes or a no, at least two of them, or else none."""
    columns = []
    for name in names:
        if name in taken or folded(name) in _OTHERS:
            continue
        cells = [row.cells.get(name) for row in rows]
        if any(not is_blank(cell) for cell in cells) and all(_yes_or_no(cell) for cell in cells) and _is_code(name):
            columns.append(name)
    return tuple(columns) if len(columns) > 1 else ()


def _is_code(name: str) -> bool:
    try:
        return bool(clean_code(name))
    except InputError:
        return False


def _yes_or_no(cell: Any) -> bool:
    return is_blank(cell) or isinstance(cell, bool) or str(cell).strip().casefold() in _YES_NO


def _without_codes(place: str, names: Sequence[str], codes: str) -> InputError:
    expected = f"'{codes}'" if codes else f"one of {', '.join(CODE_NAMES[1:])}"
    return InputError(
        f"{place}: no column with codes among {', '.join(names)[:200]}; {expected} is expected; name it with "
        "--codes-column"
    )
