"""Gold codes and predictions on disk: read as files of labels are, checked, and brought into one order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.files.labels.code_cells import distinct, is_blank
from infra.files.labels.equal_texts import folded_text, keyed
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import Labelled, LabelSheet, plain_key, read_label_file
from infra.files.reading.columns import usual
from models.errors import InputError
from models.evaluation.score_table import GoldRow

Rating = float | None
_SHOWN = 40  # characters of a text that an error repeats
_OWN_ID = "own_id"
"""A segment's id as its source has it, which `code` and the exports write beside the segment's own."""


@dataclass(frozen=True)
class Predicted:
    """One system's codes in the order of the gold rows."""

    codes: list[tuple[str, ...]]
    ratings: list[Rating]
    others: int
    """Rows of the file that no gold row asks for."""
    none_fits: int = 0
    """Of the texts for which people found no code that fits, how many the system gave none either."""
    notes: Sequence[str] = ()

    @property
    def missing(self) -> int:
        """Texts without a code."""
        return sum(not codes for codes in self.codes)


@dataclass(frozen=True)
class _Line:
    """A row of either file."""

    number: int
    codes: tuple[str, ...]
    cells: Mapping[str, Any]
    keys: Mapping[str, str | None]
    """What it can be found by: ``id``, ``own_id`` and ``text``."""

    @classmethod
    def of(cls, row: Labelled, codes: tuple[str, ...], cells: Mapping[str, Any]) -> "_Line":
        keys = {"id": row.key, _OWN_ID: plain_key(cells.get(_OWN_ID)), "text": folded_text(row.text)}
        return cls(row.line, codes, cells, keys)


@dataclass(frozen=True)
class Gold:
    """Texts with people's codes, as their file has them."""

    path: Path
    rows: list[GoldRow]
    lines: list[_Line]
    none_fits: list[_Line] = field(default_factory=list)
    """Texts for which people found no code that fits: an empty list."""
    notes: Sequence[str] = ()
    """What was left out, for people."""

    def ratings(self, column: str, name: str) -> list[Rating]:
        """Ratings that stand in the gold file: an object with one number a prediction's name, or ``null``."""
        ratings = []
        for line in self.lines:
            value = line.cells.get(column)
            if value is not None and not isinstance(value, dict):
                raise InputError(
                    f"{self.path}, line {line.number}: '{column}' is {json.dumps(value)[:_SHOWN]} but a rating is of "
                    'one prediction; give an object such as {"NAME": 4}, or put the column into the prediction files'
                )
            ratings.append(_rating((value or {}).get(name), self.path, line.number, column))
        return ratings


def read_gold(path: Path) -> Gold:
    """Read a file of texts with codes, as ``teach`` reads it.

    Rows with one id, or of one text without an id and with other codes, are one text. An empty list of codes says that
    none fits; a text whose cell of codes is empty is not coded yet and left out.

    Raises:
        InputError: If it cannot be read, or holds no coded text.
    """
    sheet = read_label_file(path, "people")
    joined: dict[tuple[str | None, str | None, int], _Line] = {}
    for row, place in keyed(row for row in sheet.rows if row.coded):
        identity = (row.key, None if row.key else folded_text(row.text), 0 if row.key else place.together)
        before = joined.get(identity)
        codes = distinct([*(before.codes if before else ()), *row.codes])
        joined[identity] = _Line.of(row, codes, before.cells if before else sheet.cells[row.line])
    lines = [line for line in joined.values() if line.codes]
    if not lines:
        rejected = f" (line {sheet.rejected[0].line}: {sheet.rejected[0].reason})" if sheet.rejected else ""
        raise InputError(f"'{path}' holds no text with a code; expected texts or ids with their codes{rejected}")
    rows = [GoldRow(line.keys["text"] or "", line.codes, line.keys["id"] or "", _set(line)) for line in lines]
    return Gold(path, rows, lines, [line for line in joined.values() if not line.codes], _notes(sheet))


def read_predictions(path: Path, gold: Gold, ratings: str | None = None) -> Predicted:
    """Read a file of codes and bring it into the order of the gold rows.

    Rows are matched by id where every gold row has one and some are the same (the source's own id counts too), else by
    text; equal texts are matched in order. Where each such id stands for another text and the same texts are there,
    the ids are not the same: rows were counted anew.

    Args:
        path: What ``qualstream code`` writes: ``id`` or ``text``, and ``code``; or ``codes``, the first of which is
            the code. An export is such a file too.
        gold: The texts to find.
        ratings: A column with people's ratings of the codes.

    Raises:
        InputError: If the file cannot be read, has other columns, has a text more often than the gold and with
            different codes, or lacks texts.
    """
    sheet = _predictions(path)
    lines = [_Line.of(row, _codes(row, sheet.cells[row.line]), sheet.cells[row.line]) for row in sheet.rows]
    asked = [*gold.lines, *gold.none_fits]
    ours, theirs, note = _key(path, lines, gold)
    found = _matched(path, lines, gold, asked, (ours, theirs))
    chosen, none_fits = found[: len(gold.lines)], found[len(gold.lines) :]
    wanted = {line.keys[theirs] for line in asked}
    return Predicted(
        codes=[line.codes for line in chosen],
        ratings=[_rating(line.cells.get(ratings), path, line.number, ratings) if ratings else None for line in chosen],
        others=len({line.keys[ours] for line in lines} - wanted),
        none_fits=sum(not line.codes for line in none_fits),
        notes=[*_notes(sheet, uncoded=False), *note],
    )


def _set(line: _Line) -> str:
    value = line.cells.get("set")
    return "" if is_blank(value) or isinstance(value, dict | list) else str(value).strip()


def _notes(sheet: LabelSheet, *, uncoded: bool = True) -> list[str]:
    notes = list(sheet.notes)
    if uncoded and sheet.uncoded:
        notes.append(f"{sheet.uncoded} texts are not coded yet (an empty list would say that no code fits): left out")
    return [*notes, *(f"line {row.line}: {row.reason}; left out" for row in sheet.rejected)]


def _predictions(path: Path) -> LabelSheet:
    """A file of predictions: a text under ``code`` is one code, whatever stands in it."""
    try:
        sheet = read_label_file(path, "system", SheetColumns(codes="code", separator=""))
    except InputError as error:
        if "no column with codes" not in str(error):
            raise
        sheet = read_label_file(path, "system")
    if not sheet.rows:
        raise InputError(f"{path}, line {sheet.rejected[0].line}: {sheet.rejected[0].reason}; a row a text is expected")
    return sheet


def _codes(row: Labelled, cells: Mapping[str, Any]) -> tuple[str, ...]:
    """All codes of a row whose ``codes`` begin with its ``code``; else the code."""
    column = usual(tuple(cells), ("codes",))
    several = cells.get(column) if column else None
    if isinstance(several, list) and row.codes and several[:1] == list(row.codes):
        return distinct([str(code) for code in several if not is_blank(code)])
    return row.codes


def _key(path: Path, lines: Sequence[_Line], gold: Gold) -> tuple[str, str, Sequence[str]]:
    """By which key of the predictions, and which of the gold, rows are matched; and what is to be said of it."""
    note: list[str] = []
    pairs = [("id", "id"), (_OWN_ID, "id"), ("id", _OWN_ID), (_OWN_ID, _OWN_ID), ("text", "text")]
    for ours, theirs in pairs:
        keys = [line.keys[theirs] for line in [*gold.lines, *gold.none_fits]]
        if None in keys or not set(keys) & {line.keys[ours] for line in lines}:
            continue
        if theirs != "text" and (key := _of_other_texts(lines, gold, ours, theirs)):
            note.append(f"{ours} '{key[:_SHOWN]}' and all that both files have stand for other texts: matched by text")
            continue
        return ours, theirs, note
    has = [name for name in ("id", "text") if all(line.keys[name] is not None for line in lines)]
    raise InputError(
        f"no row of {path} fits a row of {gold.path}: the predictions have {' and '.join(has) or 'neither id nor text'}"
        "; give both files the same `id` or the same `text`"
    )


def _of_other_texts(lines: Sequence[_Line], gold: Gold, ours: str, theirs: str) -> str | None:
    """An id that both files have, where all of those stand for other texts and both have texts in common."""
    texts = {line.keys[ours]: line.keys["text"] for line in lines if line.keys["text"]}
    asked = [line for line in [*gold.lines, *gold.none_fits] if line.keys["text"]]
    both = [line for line in asked if line.keys[theirs] in texts]
    if not both or any(texts[line.keys[theirs]] == line.keys["text"] for line in both):
        return None
    return both[0].keys[theirs] if {line.keys["text"] for line in asked} & {*texts.values()} else None


def _matched(
    path: Path, lines: Sequence[_Line], gold: Gold, asked: Sequence[_Line], keys: tuple[str, str]
) -> list[_Line]:
    """For each gold row its prediction; of equal keys the first for the first, the last for all that are left."""
    ours, theirs = keys
    by_key: dict[str | None, list[_Line]] = {}
    for line in lines:
        by_key.setdefault(line.keys[ours], []).append(line)
    wanted: dict[str | None, list[_Line]] = {}
    for line in asked:
        wanted.setdefault(line.keys[theirs], []).append(line)
    _all_there(path, gold, theirs, [line for key, group in wanted.items() if key not in by_key for line in group])
    found: dict[int, _Line] = {}
    for key, group in wanted.items():
        there = by_key[key]
        if len(there) != len(group) and len({line.codes for line in there}) > 1:
            raise InputError(
                f"{path}, line {there[-1].number}: {ours} '{(key or '')[:_SHOWN]}' was on line {there[0].number} with "
                f"another code, and {len(group)} of {gold.path} ask for it; give each text one row, or an `id`"
            )
        found |= {
            id(line): there[min(n, len(there) - 1)]
            for n, line in enumerate(sorted(group, key=lambda line: line.number))
        }
    return [found[id(line)] for line in asked]


def _all_there(path: Path, gold: Gold, key: str, lacking: Sequence[_Line]) -> None:
    if lacking:
        first = lacking[0]
        raise InputError(
            f"{path} lacks {len(lacking)} of {len(gold.lines) + len(gold.none_fits)} texts of {gold.path}, the first "
            f"on its line {first.number} ({key} '{(first.keys[key] or '')[:_SHOWN]}'); code them too (a null code is "
            "allowed), or take them out of the gold"
        )


def _rating(value: Any, path: Path, number: int, column: str) -> Rating:
    if is_blank(value):
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (ValueError, TypeError):
        raise InputError(
            f"{path}, line {number}: '{column}' is {json.dumps(value)[:_SHOWN]} but a number is expected"
        ) from None
