"""A rating study as files: a sheet a rater to fill in, the key that is kept apart, and the sheets that come back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.experiments.rating_page import rating_page
from infra.files.reading.items import TableRow
from infra.files.rows import read_rows, tell_format
from infra.files.tables import Shape, unguarded, write
from models.errors import InputError
from models.evaluation.rating_study import (
    HIGHEST,
    LETS_STAND,
    LOWEST,
    QUESTIONS,
    SCALES,
    STANDS,
    STEPS,
    Marks,
    RatedItem,
    in_order_for,
)

KEY, INSTRUCTIONS = "key.json", "instructions.txt"
COLUMNS = ("item", "text", "code", *SCALES, STANDS)
YES, NO = ("yes", "y", "true", "1", "1.0"), ("no", "n", "false", "0", "0.0")


def _listed(pairs: Iterable[tuple[object, str]]) -> str:
    """A line each, what they explain in a column of its own."""
    rows = [(str(name), what) for name, what in pairs]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {what}" for name, what in rows)


_WORDS = f"""How to rate

A code is a short phrase that says what matters in a piece of text: what a researcher would write beside it.

Each row has a quote and one code for it. Several rows may have the same quote with other codes; judge each by itself.
Whose a code is you are not told: some may be people's, some machines'. Read the quote, then give three numbers from
{LOWEST} to {HIGHEST}, in the columns of these names:

{_listed(QUESTIONS.items())}

{_listed(enumerate(STEPS, LOWEST))}

In the column "{STANDS}" write yes or no: {LETS_STAND}

Leave a row empty where you cannot tell. Do not change the column "item", and do not talk about rows before all have
rated. Save the file as CSV or Excel workbook. The page of the same name asks the same in a browser, and saves the same
file.
"""


def write_study(folder: Path, items: Sequence[RatedItem], raters: int, seed: int) -> list[Path]:
    """Write instructions, a sheet a rater, the same as a page, and the key.

    Args:
        folder: Made where it is missing.
        items: What is rated.
        raters: How many sheets, each in an order of its own.
        seed: Of the orders.

    Returns:
        The files, the key last.

    Raises:
        InputError: If the folder cannot be written to, or holds a key already: sheets that are out would lose theirs.
    """
    key = folder / KEY
    if key.exists():
        raise InputError(f"'{key}' is there already: its sheets may be with raters; give another folder with --out")
    sheets = {folder / f"rater-{n}.csv": in_order_for(n, items, seed) for n in range(1, raters + 1)}
    kept = {"seed": seed, "items": [item.to_json() for item in items]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INSTRUCTIONS).write_text(_WORDS, encoding="utf-8")
        for path, order in sheets.items():
            _write_sheet(path, order)
            path.with_suffix(".html").write_text(rating_page(path.stem, order), encoding="utf-8")
        key.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to '{folder}' ({error.strerror}); give another folder with --out") from error
    return [folder / INSTRUCTIONS, *sheets, *(path.with_suffix(".html") for path in sheets), key]


def _write_sheet(path: Path, items: Sequence[RatedItem]) -> None:
    rows = [
        {"item": each.item, "text": each.text, "code": each.code, **dict.fromkeys((*SCALES, STANDS), "")}
        for each in items
    ]
    with path.open("wb") as out:
        out.write("\ufeff".encode())  # so that a spreadsheet reads it as UTF-8
        write(Shape(COLUMNS), rows, "csv", out)


def read_key(path: Path) -> tuple[list[RatedItem], int]:
    """Read the key.

    Returns:
        The items, and the seed that drew them.

    Raises:
        InputError: If it cannot be read or is not a key.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        items = [
            RatedItem(row["item"], row["text"], row["code"], tuple(row["gold"]), tuple(row["systems"]))
            for row in kept["items"]
        ]
        return items, int(kept["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is not the key of a rating study ({error}); give the {KEY} beside the sheets"
        ) from error


def read_sheet(path: Path, items: Sequence[RatedItem]) -> dict[str, Marks]:
    """Read a sheet that a rater filled in: CSV of any dialect, or a workbook; rows without any number are left out.

    Whether a code stands may be left open, as in sheets of older studies, which do not ask.

    Raises:
        InputError: If it cannot be read, has an item that is not in the key, a number that is none from 1 to 5, or an
            answer that is neither yes nor no.
    """
    known = {item.item for item in items}
    ratings: dict[str, Marks] = {}
    for number, cells in _cells(path):
        marks = {scale: _mark(cells.get(scale), path, number, scale) for scale in SCALES}
        given = {scale: mark for scale, mark in marks.items() if mark is not None}
        if not given:
            continue
        name = str(cells.get("item") or "").strip()
        if name not in known:
            raise InputError(f"{path}, line {number}: no item '{name}' in the key; sheet and key are of other studies")
        if len(given) < len(SCALES):
            missing = ", ".join(scale for scale in SCALES if scale not in given)
            raise InputError(f"{path}, line {number}: no {missing}; give all of {', '.join(SCALES)}, or none")
        ratings[name] = given | _stands(cells.get(STANDS), path, number)
    return ratings


def _cells(path: Path) -> Sequence[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open("rb") as stream:
            fmt = tell_format(path.name, stream.peek(64))
            rows = [(row.line, row.cells) for row in read_rows(stream, fmt, path.name) if isinstance(row, TableRow)]
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}); give a sheet that was filled in") from error
    return rows


def _stands(cell: Any, path: Path, number: int) -> dict[str, float]:
    text = unguarded(str(cell)).strip().casefold() if cell is not None else ""
    if text and text not in (*YES, *NO):
        raise InputError(f"{path}, line {number}: {STANDS} is '{text}'; yes or no is expected, or nothing")
    return {STANDS: float(text in YES)} if text else {}


def _mark(cell: Any, path: Path, number: int, scale: str) -> float | None:
    text = unguarded(str(cell)).strip().replace(",", ".") if cell is not None else ""
    if not text:
        return None
    try:
        mark = float(text)
    except ValueError:
        mark = float("nan")
    if not LOWEST <= mark <= HIGHEST:
        raise InputError(f"{path}, line {number}: {scale} is '{text}'; a number from {LOWEST} to {HIGHEST} is expected")
    return mark
