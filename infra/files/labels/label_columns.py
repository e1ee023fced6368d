"""Which columns of a file of labels hold what: named by somebody, or known by their usual names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.files.labels.code_cells import CODE_NAMES, WEAK_CODE_NAMES, is_blank, json_codes
from infra.files.reading.cells import NO, YES
from infra.files.reading.column_roles import listed
from infra.files.reading.columns import ID_NAMES, MEMO_NAMES, TEXT_NAMES, folded, role_names, usual
from infra.files.reading.items import TableRow
from models.errors import InputError
from models.text.labels import clean_code

CODER_NAMES = ("annotator", "coder", "coded_by", "rater", "created_by", "author", "user")
TIME_NAMES = ("decided_at", "coded_at", "annotated_at", "labelled_at")
UNSURE_TIME_NAMES = ("time", "at", "date")
"""Where somebody said who coded, these are when the text was said."""
QUOTE_NAMES = (
    "quotation_content",
    "quotation",
    "coded_segment",
    "coded_text",
    "segment",
    "quote",
    "excerpt",
    "data",
    "zitatinhalt",
    "zitat",
    "cita",
    "citation",
    "citazione",
    "extrait",
    "codingtext",
    "highlight",
)
"""Coded pieces of documents; beside them a column called comment holds the coder's memos."""
TEXTS = (*QUOTE_NAMES, *TEXT_NAMES)
SOURCE_NAMES = ("source", "document_name", "document", "file_name", "file", "case")
THEME_NAMES = ("theme", "parent", "parent_code", "main_code", "oberkategorie", "hauptkategorie", "obercode")
SUBCODE_NAMES = (
    "subcode",
    "sub_code",
    "subcodes",
    "subtheme",
    "sub_theme",
    "subcategory",
    "unterkode",
    "unterkategorie",
)
"""What the codes of the lower of two levels are called, where those of the upper are the codes."""
_OTHERS = ("unsure", "withdrawn", "kind", "blind", "seconds", "own_id", "within")
_OF_A_CODER = ("id", "ids", "name", "names", "email", "e_mail", "number", "count", "type", "role", "group", "notes")
"""What a column says of a coder: ``annotator_id`` is no column of codes of somebody called Id."""
_PREFIXES = ("coder_", "annotator_", "rater_")
_CODES_OF = re.compile(
    r"^(?:(?:codes?|codings?|labels?|themes?|rating)_(?:by_|of_)?(?P<behind>.+)"
    r"|(?P<before>.+?)(?:'s|’s)?_(?:codes?|codings?|labels?))$"
)
_NO_CODERS = (
    *("id", "memo", "name", "book", "color", "colour", "note", "notes", "weight", "system", "path", "group", "all"),
    *("error", "product", "postal", "item", "status", "currency", "promo", "discount", "voucher", "store", "region"),
    *("state", "city", "order", "customer", "phone", "hex", "sku", "model", "department", "course", "diagnosis", "job"),
    *("qr", "bar", "zip", "post", "source", "country", "language", "area", "app_version", "version", "final"),
)
_NUMBERED = re.compile(
    r"^(?:codes?|labels?|themes?|tags?|kodes?|códigos?|codierung|category|kategorie|topic|thema|thème|tema)_?\d{1,2}$"
)
_OWN_OF_TOOLS = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "sentiment_id")
_CODED_AT = "time of coding"
_LEAST_ROWS, _MOST_DISTINCT, _LONGEST_CODE = 4, 0.5, 40  # of a column that may be proposed for the codes


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
    theme: str | None = None
    """What the codes of a row stand under, in a column of its own."""
    instead: str | None = None
    """A column whose code counts where a row has none of a lower level."""
    indicators: Sequence[str] = ()
    """Columns that are codes themselves, with yes or no in them."""
    others: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def other(self, name: str) -> str | None:
        """The column of a further field, if there is one."""
        return self.others.get(name)

    @property
    def sentence(self) -> str:
        """What the columns are read as."""
        codes = [*self.codes_by_coder, *self.indicators]
        roles = {"text": self.text, "id": self.id, "coder": self.coder, _CODED_AT: self.time}
        roles |= {"source": self.source, "memo": self.memo, "theme": self.theme}
        named = [f"codes {listed(codes)}", *(f"{role} '{name}'" for role, name in roles.items() if name)]
        return f"columns: {', '.join(named)}" + ("" if self.time else f"; no column of {_CODED_AT}")

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
        by_coder = {codes: ""} if codes else {} if named.codes else _of_question(text, rest)
        if not by_coder and not named.codes:
            by_coder = _numbered(rest, rows) or _of_coders(rest, rows)
        by_coder = {} if named.indicators else by_coder
        coders = role_names(names, "coder", CODER_NAMES[:-2] if named.coder_given else CODER_NAMES)
        times = role_names(names, "coded_at", TIME_NAMES if named.coder_given else (*TIME_NAMES, *UNSURE_TIME_NAMES))
        taken = {
            "coder": named_or_usual(rest, named.coder, coders),
            "time": _unless_ticked(named_or_usual(rest, named.time, times), rows),
            "source": usual(rest, role_names(names, "source", SOURCE_NAMES)),
            "memo": usual(rest, role_names(names, "memo", MEMO_NAMES)),
        }
        indicators = () if by_coder or named.codes else _indicators(rest, rows, {id_, *taken.values()})
        if named.indicators:
            indicators = tuple(name for each in named.indicators if (name := usual(rest, (each,))))
        if not by_coder and not indicators and not named.codes:
            by_coder = _other_codes([name for name in rest if name not in {id_, *taken.values()}], rows)
        if not by_coder and not indicators:
            raise _without_codes(place, names, named.codes, rows)
        theme = usual([name for name in rest if name not in by_coder], THEME_NAMES) if codes in by_coder else None
        below = usual(rest, SUBCODE_NAMES) if codes in by_coder and not named.codes else None
        if below is not None and below != codes:
            by_coder, theme = {below: ""}, codes
        notes = [f"'{text}' is the text"] if text and folded(text) not in ("text", folded(named.text)) else []
        notes += [f"the codes are the columns {', '.join(indicators)}, with yes or no in them"] if indicators else []
        fields = (usual(rest, (name,)) for name in _OTHERS)
        others = {name: column for name, column in zip(_OTHERS, fields, strict=True) if column}
        several = [name for name, coder in by_coder.items() if not coder]
        if len(several) > 1 or (several and several[0] != codes):
            notes.append(f"the codes stand in {', '.join(several)}")
        return cls(
            text,
            id_,
            **taken,
            codes_by_coder=by_coder,
            theme=theme if theme not in {text, id_, *taken.values()} else None,
            instead=codes if below else None,
            indicators=indicators,
            others=others,
            notes=notes,
        )


def _must_be_there(names: Sequence[str], named: SheetColumns, place: str) -> None:
    for column in (named.text, named.id, named.coder, named.time, *named.indicators):
        if column and usual(names, (column,)) is None:
            raise InputError(f"{place}: no column '{column}'; there are {', '.join(names)[:200]}")


def named_or_usual(names: Sequence[str], named: str, expected: Iterable[str]) -> str | None:
    """The column that somebody named, else the first that goes by an expected name."""
    return usual(names, (named,) if named else expected)


def _of_coders(names: Sequence[str], rows: Sequence[TableRow]) -> dict[str, str]:
    """Columns such as ``coder_anna``, with the coder's name; or such as ``code_anna`` and ``Ben's codes``."""
    known = {
        name: name.strip() if coder.isdecimal() else coder
        for name in names
        for prefix in _PREFIXES
        if folded(name).startswith(prefix)
        and (coder := name.strip().lstrip("_")[len(prefix) :].strip())
        and folded(coder) not in _OF_A_CODER
    }
    if known:
        return known
    of = _codes_of(names)
    others = [folded(name) for name in names if name not in of]
    likely = {
        name: " ".join(whose.split("_")).strip(" ()")
        for name, whose in of.items()
        if whose.strip("()") not in _NO_CODERS
        and not _all_numbers_or_truths(name, rows)
        and not any(other.startswith(f"{whose}_") for other in others)  # then it is a question
    }
    return likely if len(likely) > 1 and not any(coder.isdecimal() for coder in likely.values()) else {}


def _codes_of(names: Sequence[str]) -> dict[str, str]:
    """Columns such as ``code_anna`` and ``Q1_code``, with whose codes they have: a coder's, or a question's."""
    matches = {name: match for name in names if (match := _CODES_OF.match(folded(name)))}
    return {name: match["before"] or match["behind"] for name, match in matches.items()}


def _of_question(text: str | None, names: Sequence[str]) -> dict[str, str]:
    """The column of codes of the text's question, where several have one: ``Q1_code`` beside ``Q1_like``."""
    of = _codes_of(names) if text else {}
    mine = [name for name, whose in of.items() if folded(text or "").startswith(f"{whose}_")]
    return {mine[0]: ""} if len(mine) == 1 < len(of) else {}


def _all_numbers_or_truths(name: str, rows: Sequence[TableRow]) -> bool:
    return all(str(row.cells.get(name) or "").strip().casefold() in ("", "0", "1", "true", "false") for row in rows)


def _numbered(names: Sequence[str], rows: Sequence[TableRow]) -> dict[str, str]:
    """Columns such as ``Code 1`` and ``Code 2``, a code in each."""
    numbered = [name for name in names if _NUMBERED.match(folded(name))]
    filled = [name for name in numbered if not _all_numbers_or_truths(name, rows)]
    return dict.fromkeys(numbered, "") if len(numbered) > 1 and filled else {}


def _other_codes(names: Sequence[str], rows: Sequence[TableRow]) -> dict[str, str]:
    """Columns of codes by what stands in them, or by names that are seldom meant so."""
    objects = [name for name in names if _holds_objects(name, rows)]
    if objects:
        return dict.fromkeys(objects, "")
    there = {folded(name) for name in names}
    rest = [name for name in names if folded(name) not in _OWN_OF_TOOLS]
    if {"annotation_id", "lead_time"} <= there and len(rest) == 1:
        return {rest[0]: ""}
    weak = usual(names, WEAK_CODE_NAMES)
    return {weak: ""} if weak else {}


def _holds_objects(name: str, rows: Sequence[TableRow]) -> bool:
    """Whether a column has a labelling tool's objects, such as ``{"choices": [...]}``."""
    cells = [cell for row in rows if not is_blank(cell := row.cells.get(name))]
    return any('"choices"' in str(cell).replace("'", '"') and json_codes(cell) is not None for cell in cells)


def _indicators(names: Sequence[str], rows: Sequence[TableRow], taken: set[str | None]) -> tuple[str, ...]:
    """Columns in which every cell is a yes or a no, at least two of them, or else none."""
    columns = []
    for name in names:
        if name in taken or folded(name) in _OTHERS:
            continue
        if _all_yes_or_no(name, rows) and _is_code(name):
            columns.append(name)
    return tuple(columns) if len(columns) > 1 else ()


def _is_code(name: str) -> bool:
    try:
        return bool(clean_code(name))
    except InputError:
        return False


def _unless_ticked(name: str | None, rows: Sequence[TableRow]) -> str | None:
    """A column that is called a time's, unless yes and no stand in it: then it may be a code of that name."""
    return None if name is None or _all_yes_or_no(name, rows) else name


def _all_yes_or_no(name: str, rows: Sequence[TableRow]) -> bool:
    cells = [row.cells.get(name) for row in rows]
    return any(not is_blank(cell) for cell in cells) and all(yes_or_no(cell, name) is not None for cell in cells)


def yes_or_no(cell: Any, name: str) -> bool | None:
    """What a cell says of its column; a survey writes the column's own name for yes. ``None``: something else."""
    if is_blank(cell) or isinstance(cell, bool):
        return cell is True
    word = " ".join(str(cell).split()).casefold()
    if word in YES or word == " ".join(name.split()).casefold():
        return True
    return False if word in NO else None


def _likely(names: Iterable[str], rows: Sequence[TableRow]) -> list[str]:
    """Columns with a few short texts that come again and again."""
    likely = []
    for name in names:
        cells = [str(cell) for row in rows if not is_blank(cell := row.cells.get(name))]
        short = all(len(cell) <= _LONGEST_CODE for cell in cells)
        if len(cells) >= _LEAST_ROWS and short and len(set(cells)) <= _MOST_DISTINCT * len(cells):
            likely.append(name)
    return likely[:3]


def _without_codes(place: str, names: Sequence[str], codes: str, rows: Sequence[TableRow]) -> InputError:
    expected = f"'{codes}'" if codes else f"one of {', '.join(CODE_NAMES[1:10])}"
    likely = _likely(names, rows)
    hint = f" ({', '.join(likely)} may be it)" if likely else ""
    return InputError(
        f"{place}: no column with codes among {', '.join(names)[:200]}; {expected} is expected; name it with "
        f"--codes-column{hint}, or columns of yes and no with --code-columns"
    )
