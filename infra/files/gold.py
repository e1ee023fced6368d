"""Gold codes and predictions on disk: read, checked, and brought into one order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.evaluation.score_table import GoldRow

Rating = float | None
_SHOWN = 40  # characters of a text that an error repeats


@dataclass(frozen=True)
class Predicted:
    """One system's codes in the order of the gold rows."""

    codes: list[tuple[str, ...]]
    ratings: list[Rating]
    others: int
    """Rows of the file that no gold row asks for."""

    @property
    def missing(self) -> int:
        """Texts without a code."""
        return sum(not codes for codes in self.codes)


@dataclass(frozen=True)
class _GoldLine:
    number: int
    values: Mapping[str, Any]

    def get(self, key: str) -> str | None:
        """The text under a key; numbers are taken as text, so that 7 and "7" are the same id."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return " ".join(str(value).split()) or None


@dataclass(frozen=True)
class Gold:
    """Texts with people's codes, as their file has them."""

    path: Path
    rows: list[GoldRow]
    lines: list[_GoldLine]

    def ratings(self, column: str, name: str) -> list[Rating]:
        """Ratings that stand in the gold file: an object with one number a prediction's name, or ``null``."""
        ratings = []
        for line in self.lines:
            value = line.values.get(column)
            if value is not None and not isinstance(value, dict):
                raise InputError(
                    f"{self.path}, line {line.number}: '{column}' is {json.dumps(value)[:_SHOWN]} but a rating is of "
                    'one prediction; give an object such as {"NAME": 4}, or put the column into the prediction files'
                )
            ratings.append(_rating((value or {}).get(name), self.path, line.number, column))
        return ratings


def read_gold(path: Path) -> Gold:
    """Read a JSONL file of texts with ``codes``.

    Raises:
        InputError: If it cannot be read, or a line has no ``id`` or ``text``, no codes, or comes twice.
    """
    rows, lines = [], []
    seen: dict[tuple[str, str], int] = {}
    for line in _lines(path):
        key = "id" if line.get("id") else "text"
        value = line.get(key)
        if value is None:
            raise InputError(f"{path}, line {line.number}: neither `id` nor `text`; give one of them")
        first = seen.setdefault((key, value), line.number)
        if first != line.number:
            raise InputError(
                f"{path}, line {line.number}: {key} '{value[:_SHOWN]}' was on line {first} already; give each text one "
                "row with all its codes, or rows of equal texts an `id` each"
            )
        rows.append(GoldRow(line.get("text") or "", _human(line, path), line.get("id") or "", line.get("set") or ""))
        lines.append(line)
    return Gold(path, rows, lines)


def read_predictions(path: Path, gold: Gold, ratings: str | None = None) -> Predicted:
    """Read a JSONL file of codes and bring it into the order of the gold rows.

    Rows are matched by ``id`` where every row of both files has one and some are the same, else by ``text``; gold rows
    of equal text then have the same code.

    Args:
        path: What ``qualstream code`` writes: ``id`` or ``text``, and ``code``; or ``codes``, the first of which is
            the code.
        gold: The texts to find.
        ratings: A column with people's ratings of the codes.

    Raises:
        InputError: If the file cannot be read, has other columns, has a text twice with different codes, or lacks
            texts.
    """
    lines = list(_lines(path))
    key = _key(path, lines, gold)
    by_key: dict[str, tuple[_GoldLine, tuple[str, ...]]] = {}
    for line in lines:
        codes, value = _codes(line, path), line.get(key)
        assert value is not None
        if value in by_key and by_key[value][1] != codes:
            raise InputError(
                f"{path}, line {line.number}: {key} '{value[:_SHOWN]}' was on line {by_key[value][0].number} with "
                "another code; give each text one row"
            )
        by_key.setdefault(value, (line, codes))
    keys = [str(line.get(key)) for line in gold.lines]
    _all_there(path, gold, key, keys, by_key)
    chosen = [by_key[value] for value in keys]
    return Predicted(
        codes=[codes for _, codes in chosen],
        ratings=[
            _rating(line.values.get(ratings), path, line.number, ratings) if ratings else None for line, _ in chosen
        ],
        others=len(by_key.keys() - set(keys)),
    )


def _human(line: _GoldLine, path: Path) -> tuple[str, ...]:
    codes = line.values.get("codes")
    if not isinstance(codes, list) or not codes or not all(isinstance(code, str) and code.strip() for code in codes):
        raise InputError(
            f"{path}, line {line.number}: `codes` is {json.dumps(codes)[:_SHOWN]} but a list with at least one code is "
            f"expected; the line has {', '.join(line.values) or 'nothing'}"
        )
    return tuple(dict.fromkeys(" ".join(code.split()) for code in codes))


def _key(path: Path, lines: Sequence[_GoldLine], gold: Gold) -> str:
    """Which of ``id`` and ``text`` both files can be matched by."""
    for key in ("id", "text"):
        theirs = [line.get(key) for line in gold.lines]
        ours = [line.get(key) for line in lines]
        if None in theirs or None in ours or not set(theirs) & set(ours):
            continue
        return key
    has = [name for name in ("id", "text") if all(line.get(name) is not None for line in lines)]
    raise InputError(
        f"no row of {path} fits a row of {gold.path}: the predictions have {' and '.join(has) or 'neither id nor text'}"
        "; give both files the same `id` or the same `text`"
    )


def _all_there(path: Path, gold: Gold, key: str, keys: Sequence[str], by_key: Mapping[str, Any]) -> None:
    lacking = [n for n, value in enumerate(keys) if value not in by_key]
    if lacking:
        first = gold.lines[lacking[0]]
        raise InputError(
            f"{path} lacks {len(lacking)} of {len(keys)} texts of {gold.path}, the first on its line {first.number} "
            f"({key} '{keys[lacking[0]][:_SHOWN]}'); code them too (a null code is allowed), or take them out of the "
            "gold"
        )


def _codes(line: _GoldLine, path: Path) -> tuple[str, ...]:
    several = line.values.get("codes")
    if "code" in line.values:
        code = line.values["code"]
        if code is None or isinstance(code, str):
            several = several if isinstance(several, list) and several[:1] == [code] else [code or ""]
        else:
            several = None
    if not isinstance(several, list) or not all(isinstance(code, str) for code in several):
        raise InputError(
            f"{path}, line {line.number}: expected `code`, text or null (or `codes`, a list of text); the line has "
            f"{', '.join(line.values) or 'nothing'}"
        )
    return tuple(dict.fromkeys(" ".join(code.split()) for code in several if code.strip()))


def _rating(value: Any, path: Path, number: int, column: str) -> Rating:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}, line {number}: '{column}' is {json.dumps(value)[:_SHOWN]} but a number is expected")
    return float(value)


def _lines(path: Path) -> Iterator[_GoldLine]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}' ({error}); give a UTF-8 JSONL file") from error
    several = [(number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    if not several:
        raise InputError(f"'{path}' holds no row; expected one JSON object a line")
    for number, line in several:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error}); expected one object a line") from error
        if not isinstance(values, dict):
            raise InputError(f"{path}, line {number}: {line[:_SHOWN]} is not an object; expected one object a line")
        yield _GoldLine(number, values)
