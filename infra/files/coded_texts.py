"""Files of texts that people coded."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.files.segments import Rejected, read_segments
from models.errors import InputError
from models.moderation.precedents import CodedText
from models.text.labels import LONGEST_LABEL, clean_code
from schemas import Segment
from schemas.ids import normalised_label

CODE_NAMES = ("codes", "code", "labels", "label", "themes", "theme")


_SEPARATORS = r"[;|\n]"


@dataclass(frozen=True)
class HumanCoded:
    """A segment with the codes that a person gave it."""

    segment: Segment
    codes: tuple[str, ...]

    @property
    def coded(self) -> CodedText:
        """As precedents are learnt."""
        return CodedText(self.segment.study, str(self.segment.id), self.segment.text, self.codes)


def read_human_coded(source: Path, study: str, codes_column: str | None = None, **columns: Any) -> list[HumanCoded]:
    """Read a file of texts with codes.

    Several codes of a text stand in a list, are parted by ``;`` or ``|``, or stand in rows with the same id.

    Args:
        source: Any file that segments are read from.
        study: Whose.
        codes_column: The column of the codes; guessed from usual names where not given.
        columns: ``fmt``, ``text_column``, ``id_column`` and ``options`` as ``read_segments`` takes them.

    Raises:
        InputError: If the file cannot be read, a row cannot be taken, or there is no column of codes.
    """
    texts: dict[UUID, HumanCoded] = {}
    for number, row in enumerate(read_segments(source, study=study, **columns), 1):
        if isinstance(row, Rejected):
            raise InputError(f"{row.file}, line {row.line}: {row.reason}; correct the row or take it out")
        codes = _codes(row, codes_column, f"{source}, segment {number}")
        if codes:
            before = texts[row.id].codes if row.id in texts else ()
            texts[row.id] = HumanCoded(row, distinct([*before, *codes]))
    if not texts:
        raise InputError(f"{source} holds no coded text; expected a text and its codes in each row")
    return list(texts.values())


def _codes(segment: Segment, column: str | None, place: str) -> tuple[str, ...]:
    by_name: Mapping[str, Any] = {name.casefold(): value for name, value in segment.metadata.items()}
    names = (column.casefold(),) if column else CODE_NAMES
    name = next((name for name in names if name in by_name), None)
    if name is None:
        expected = f"'{column}'" if column else f"one of {', '.join(CODE_NAMES)}"
        raise InputError(
            f"{place}: no column with codes; found {', '.join(segment.metadata) or 'only the text'}, expected "
            f"{expected}; name it with --codes-column"
        )
    codes = by_name[name] if isinstance(by_name[name], list) else parted(by_name[name])
    return distinct([read_code(code, place) for code in codes if code is not None and str(code).strip()])


def parted(value: Any) -> list[Any]:
    """Several codes that stand in one cell."""
    return re.split(_SEPARATORS, value) if isinstance(value, str) else [value]


def read_code(cell: Any, place: str) -> str:
    """A code as it is kept; raises ``InputError`` with the place for what is none."""
    if not isinstance(cell, str | int | float):
        raise InputError(f"{place}: {str(cell)[:40]!r} is no code; at most {LONGEST_LABEL} characters are expected")
    try:
        return clean_code(str(cell))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def distinct(codes: Iterable[str]) -> tuple[str, ...]:
    """Each code once, as it was first spelt."""
    first: dict[str, str] = {}
    for code in codes:
        first.setdefault(normalised_label(code), code)
    return tuple(first.values())
