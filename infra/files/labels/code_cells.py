"""Codes as cells hold them: lists, JSON of labelling tools, several in one text; and a code's path through a tree."""

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.errors import InputError
from models.text.labels import LONGEST_LABEL, clean_code
from schemas.ids import normalised_label

CODE_NAMES = (
    *("human_codes", "codes", "code", "labels", "label", "themes", "theme", "coded_with", "tags", "tag"),
    *("codename", "code_name", "coded_as", "coding", "codings", "kode", "kodes", "codierung", "codierungen"),
    *("código", "códigos", "codigo", "codigos", "codice", "codici", "thema", "themen", "thème", "thèmes", "tema"),
    *("temas", "étiquette", "étiquettes", "etiqueta", "etiquetas", "kód", "kódy", "kod", "kody", "код", "коды"),
    *("コード", "编码", "編碼", "代码", "标签", "標籤", "코드", "라벨"),
)
WEAK_CODE_NAMES = (
    *("category", "categories", "topic", "topics", "kategorie", "kategorien", "catégorie", "catégories"),
    *("categoría", "categorías", "categoria", "categorias", "categorie", "class", "classification", "intent"),
    *("annotation", "annotations", "sentiment", "категория", "カテゴリ", "类别", "分类", "類別"),
)
"""Names of columns with codes where nothing else of a table has any."""
ALWAYS = ";|\n；\t"
"""What parts codes in any text."""
DOUBTFUL = ",#，、"
"""What parts codes in some columns and stands inside codes in others: the whole column decides."""
_NAMED_ONLY = "/&+"
"""What stands inside of many codes, and parts them only where somebody says so; the column may propose it."""
NOT_CODED = frozenset(("na", "n/a", "nan", "null", "<na>", "#n/a", "#n/v"))
"""How programs write an empty cell."""
_MARKS = frozenset(("-", "--", "–", "—", "?", "??", ".", "/", "*"))  # how people do
PATH = re.compile(r"\s+>\s+")
"""Between the names of a code's path, as coding tools write it."""
_NAMES = ("choices", "labels", "label", "name", "taxonomy", "answer", "accept")
"""Where an object of a labelling tool has its codes."""
_QUOTED = r"""(?:'[^'\\]*'|"[^"\\]*")"""
_NUMPY = re.compile(rf"\[\s*{_QUOTED}(?:\s+{_QUOTED})+\s*\]")
"""An array of texts as numpy and pandas write it; Python would join its texts to one."""
_GAP = re.compile(r"""(?<=['"])\s+(?=['"])""")
_WHOLE = re.compile(r"-?\d+(\.0+)?")


@dataclass(frozen=True)
class CodeColumn:
    """How a column of codes is understood, told from all of its cells."""

    separators: str = ALWAYS
    whole_numbers: bool = False
    """Whether 2.0 is 2: where all cells are whole numbers."""
    notes: Sequence[str] = ()
    """What was decided, for people."""

    @classmethod
    def of(cls, cells: Iterable[Any], name: str, separator: str | None = None) -> "CodeColumn":
        """Look at a whole column.

        A comma or ``#`` parts codes where at least half of the parts are codes elsewhere in the column:
        ``rent, heating`` beside ``heating``.

        Args:
            cells: As they are in the file.
            name: The column's.
            separator: What parts codes, where somebody said it; empty: nothing does.
        """
        texts = [cell for cell in cells if isinstance(cell, str) and cell.strip() and json_codes(cell) is None]
        if separator is not None:
            return cls(separator, _whole(texts, separator))
        empty = [text.strip() for text in texts if says_nothing(text)]
        notes = [f"cells of '{name}' such as '{empty[0]}' are not coded yet ({len(empty)})"] if empty else []
        texts = [text for text in texts if not says_nothing(text)]
        separators = ALWAYS
        for mark in DOUBTFUL:
            verdict = _parts_codes(texts, separators, mark)
            if verdict:
                separators += mark
                notes.append(
                    f"'{mark}' parts codes in '{name}': its parts are codes in other rows; else --separator ';'"
                )
            elif verdict is None and mark == ",":
                notes.append(f"codes in '{name}' hold ',', which is part of them; if it parts codes, --separator ','")
        several = {mark: [t for t in texts if len([*filter(str.strip, t.split(mark))]) > 1] for mark in _NAMED_ONLY}
        proposed = [mark for mark in _NAMED_ONLY if several[mark] and _parts_codes(texts, separators, mark)]
        notes += [
            f"codes in '{name}' hold '{mark}', whose parts are codes in other rows: --separator ';{mark}' parts them"
            for mark in proposed
        ]
        return cls(separators, _whole(texts, separators), tuple(notes))

    def codes(self, cell: Any) -> tuple["WrittenCode", ...] | None:
        """The codes of a cell; none at all: no code fits; ``None``: the text is not coded, its cell is empty.

        Raises:
            InputError: If something in the cell is no code.
        """
        listed = json_codes(cell)
        if listed is not None:
            return _distinct(WrittenCode(read_code(code)) for code in listed if not is_blank(code))
        if is_blank(cell) or (self.separators and says_nothing(cell)):
            return None
        parts = _split(cell, self.separators) if isinstance(cell, str) and self.separators else [cell]
        return _distinct(self._written(part) for part in parts if not is_blank(part)) or None

    def _written(self, part: Any) -> "WrittenCode":
        if isinstance(part, str) and self.whole_numbers and _WHOLE.fullmatch(part.strip()):
            part = part.strip().split(".")[0]
        names = [name for name in PATH.split(part.strip()) if name] if isinstance(part, str) else []
        if len(names) < 2:
            return WrittenCode(read_code(part))
        return WrittenCode(read_code(names[-1]), tuple(read_code(name) for name in names[:-1]))


@dataclass(frozen=True)
class WrittenCode:
    """A code as a file has it, and the names that it stands under, the outermost first."""

    label: str
    above: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """All of it in one text."""
        return " > ".join((*self.above, self.label))


@dataclass
class CodeTree:
    """Which codes stand under which names, over a whole file.

    A label that stands in two places is two codes; they go by their paths.
    """

    _places: dict[str, dict[tuple[str, ...], str]] = field(default_factory=dict)

    def see(self, codes: Iterable[WrittenCode]) -> None:
        """Take codes in; all of a file must be seen before any is asked for."""
        for code in codes:
            self._places.setdefault(normalised_label(code.label), {}).setdefault(_folded(code.above), code.path)

    def label(self, code: WrittenCode) -> str:
        """What a code is called: its own label, or its path where another code has the same label."""
        placed = [above for above in self._places.get(normalised_label(code.label), {}) if above]
        return clean_code(code.path) if code.above and len(placed) > 1 else code.label

    def theme(self, code: WrittenCode) -> str | None:
        """The theme that a code stands under: the names above it, in one; none where it stands alone."""
        return clean_code(" > ".join(code.above)) if code.above else None


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(normalised_label(name) for name in names)


def _whole(texts: Sequence[str], separators: str) -> bool:
    """Whether all codes of a column are whole numbers."""
    parts = [part for text in texts for part in (_split(text, separators) if separators else [text]) if part.strip()]
    return bool(parts) and all(_WHOLE.fullmatch(part.strip()) for part in parts)


def _split(text: str, separators: str) -> list[str]:
    return re.split(f"[{re.escape(separators)}]", text)


def says_nothing(cell: Any) -> bool:
    """Whether a cell is how a program or a person writes that there is no code: ``NA``, ``-``, ``?``."""
    if not isinstance(cell, str) or not cell.strip():
        return False
    plain = cell.strip().casefold()
    return plain in NOT_CODED or plain in _MARKS


def json_codes(cell: Any) -> list[Any] | None:
    """The codes of a list or an object, or of one that a text holds as JSON; ``None`` for anything else."""
    if isinstance(cell, str):
        if not cell.lstrip().startswith(("[", "{", "(")):
            return None
        cell = _parsed(cell)
    if not isinstance(cell, list | dict):
        return None
    return list(_flattened(cell))


def _parsed(cell: str) -> Any:
    """A text as the JSON that it holds, or as what Python writes: ``['rent', 'heating']``, numpy without the comma."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    written = cell.strip()
    try:
        value = ast.literal_eval(_GAP.sub(", ", written) if _NUMPY.fullmatch(written) else written)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    listed = sorted(value, key=str) if isinstance(value, set) else list(value) if isinstance(value, tuple) else value
    return listed if isinstance(listed, list) and all(isinstance(each, str | int | float) for each in listed) else None


def _flattened(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _flattened(part) if isinstance(part, dict) else (part,)
        return
    name = next((name for name in _NAMES if name in value), None)
    if name is None:
        yield value  # which is no code, and will be refused as such
    else:
        codes = value[name]
        yield from _flattened(codes) if isinstance(codes, list | dict) else (codes,)


def is_blank(cell: Any) -> bool:
    """Whether a cell holds nothing: no value, blanks, or the not-a-number of programs."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def read_code(cell: Any) -> str:
    """A code as it is kept; whole numbers without decimals.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(cell, str | int | float) or isinstance(cell, bool):
        raise InputError(f"{str(cell)[:40]!r} is no code; at most {LONGEST_LABEL} characters are expected")
    return clean_code(str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell))


def distinct(codes: Iterable[str]) -> tuple[str, ...]:
    """Each code once, as it was first spelt."""
    first: dict[str, str] = {}
    for code in codes:
        first.setdefault(normalised_label(code), code)
    return tuple(first.values())


def _distinct(codes: Iterable[WrittenCode]) -> tuple[WrittenCode, ...]:
    first: dict[tuple[str, ...], WrittenCode] = {}
    for code in codes:
        first.setdefault(_folded((*code.above, code.label)), code)
    return tuple(first.values())


def _parts_codes(texts: Sequence[str], separators: str, mark: str) -> bool | None:
    """Whether a mark parts codes; ``False`` where it does not occur, ``None`` where it stands inside codes.

    A part is known as a code where it stands alone elsewhere, once before and once behind the mark, or behind different
    codes: in ``Delivery, late`` and ``Delivery, wrong door`` no part is.
    """
    codes = {code.strip() for text in texts for code in _split(text, separators)}
    marked = [code.split(mark) for code in codes if mark in code]
    if mark == "#" and any(not part or part != part.strip() for parts in marked for part in parts):
        return None  # as in C#
    written = [tuple(folded for part in parts if (folded := normalised_label(part))) for parts in marked]
    lists = list(dict.fromkeys(parts for parts in written if parts))
    if not lists:
        return False
    alone = {normalised_label(code) for code in codes if mark not in code} | {p[0] for p in lists if len(p) == 1}
    before: dict[str, set[str]] = {}
    for parts in lists:
        for n, part in enumerate(parts):
            before.setdefault(part, set()).add(parts[0] if n else "")
    occurrences = [part for parts in lists for part in parts]
    known = sum(part in alone or len(before[part]) > 1 for part in occurrences)
    enough = 2 * known >= len(occurrences) if alone & before.keys() else 2 * known > len(occurrences)
    return True if enough else None
