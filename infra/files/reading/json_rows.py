"""Rows out of JSON: an object a line, one array, or one object that holds an array."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from infra.files.reading.annotation_tools import flattened, is_left_away, is_row, lifted, unwrapped
from infra.files.reading.columns import ID_NAMES, TEXT_NAMES, TIME_NAMES, usual
from infra.files.reading.delimited import Line
from infra.files.reading.items import LeftOut, Rejected, TableRow
from models.errors import InputError


def json_rows(lines: Iterable[Line], file: str) -> Iterator[TableRow | Rejected]:
    """The objects of a JSON file, in order; those of annotation tools are flattened.

    An array is read whole; objects of it are counted where others have lines.

    Raises:
        InputError: If an array or an object over several lines is broken.
    """
    rest = iter(lines)
    first = next((line for line in rest if line.text.strip()), None)
    if first is None:
        return
    second = next((line for line in rest if line.text.strip()), None)
    lines = chain([first], [second] if second else [], rest)
    if _is_whole(first.text) or (second is None and _holds_rows(first.text)):
        yield from _whole_rows("".join(line.text for line in lines), file)
        return
    for line in lines:
        if line.text.strip():
            yield from _line_rows(line, file)


def _is_whole(first: str) -> bool:
    """Whether a value goes on beyond its first line, or is an array."""
    start = first.strip()
    return (
        start.startswith("[") or start == "{" or (start.startswith("{") and not _readable(start) and start[-1] in "[{,")
    )


def _readable(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _whole_rows(text: str, file: str) -> Iterator[TableRow | Rejected]:
    try:
        value = json.loads(text, parse_constant=_nothing)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}, line {error.lineno}: not JSON: {error.msg} at column {error.colno}; an array of objects, or one "
            "object a line, is expected"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: JSON that cannot be read ({str(error)[:100]})") from error
    for number, each in enumerate(_objects(value, file), 1):
        yield from _rows(each, Line(number, ""), file)


def _holds_rows(line: str) -> bool:
    """Whether the one object of a file holds an array of objects, and is no row itself."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if _speech(value) is not None:
        return True
    return isinstance(value, dict) and not is_row(value) and (_tabular(value) is not None or any(_lists(value)))


def _tabular(value: Any) -> list[Any] | None:
    """The rows of a table that a program wrote as JSON: texts, rows of cells, columns of cells, or objects by key."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return [{"text": each} for each in value]
    if isinstance(value, list):
        return _of_cells(value[0], value[1:]) if _is_header(value) else None
    return _tabular_object(value) if isinstance(value, dict) and value else None


def _tabular_object(value: dict[str, Any]) -> list[Any] | None:
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _of_cells(value["columns"], value["data"])
    if not all(isinstance(each, dict) for each in value.values()):
        return None
    if all(is_row(each) for each in value.values()):
        return [{"id": key, **each} for key, each in value.items()]
    if usual(tuple(value), TEXT_NAMES) is None:
        return None
    keys = dict.fromkeys(key for column in value.values() for key in column)
    return [{name: column.get(key) for name, column in value.items()} for key in keys]


def _is_header(rows: list[Any]) -> bool:
    return len(rows) > 1 and all(isinstance(row, list) for row in rows) and all(isinstance(c, str) for c in rows[0])


def _of_cells(names: list[Any], rows: list[Any]) -> list[Any]:
    return [dict(zip(map(str, names), row, strict=False)) if isinstance(row, list) else row for row in rows]


def _speech(value: Any) -> list[Any] | None:
    """The stretches of what a program for speech recognised, with their times; beside them stands the whole text."""
    stretches = value.get("segments") if isinstance(value, dict) else None
    if not isinstance(stretches, list) or not stretches:
        return None
    if not all(isinstance(each, dict) and isinstance(each.get("text"), str) and "start" in each for each in stretches):
        return None
    kept = ("speaker", "language")
    return [
        {"text": each["text"].strip(), "start_s": each["start"], "end_s": each.get("end")}
        | {name: each[name] for name in kept if each.get(name)}
        for each in stretches
    ]


def _objects(value: Any, file: str) -> list[Any]:
    """The objects that are rows: of an array, or of the arrays in an object, wherever they lie in it.

    An object with a text of its own that goes by the same name as those in its arrays is a row before these.
    """
    table = _speech(value) or _tabular(value)
    if table is not None:
        return table
    if isinstance(value, list):
        return [row for each in value for row in _members(each, file)] or value
    if is_row(value):
        return [value]
    lists = [*_lists(value)]
    with_text = [each for each in lists if any(is_row(row) or is_row(lifted(row)) for row in each)]
    if len(lists) > 1 and len(with_text) != 1:
        raise InputError(f"{file}: an object with {len(lists)} arrays found; one array of objects is expected")
    rows = _objects((with_text or lists)[0], file) if lists else [value]
    own = lifted(_without_arrays(value)) if isinstance(value, dict) else value
    is_first = is_row(own) and _text_name(own) in map(_text_name, rows)
    return [own, *rows] if is_first else rows


def _members(value: Any, file: str) -> list[Any]:
    """A value of an array, or the rows that it holds."""
    return _below(value, _objects(value, file)) if _is_page(value) else [value]


def _is_page(value: Any) -> bool:
    """Whether an object is none of the rows but holds them, as pages of an interface and threads of comments do."""
    if not isinstance(value, dict) or is_row(value) or is_row(lifted(value)):
        return False
    return any(is_row(row) or is_row(lifted(row)) or _is_page(row) for rows in _lists(value) for row in rows)


def _without_arrays(value: dict[str, Any]) -> dict[str, Any]:
    kept = {name: each for name, each in value.items() if not _is_array(each)}
    return {name: _without_arrays(each) if isinstance(each, dict) else each for name, each in kept.items()}


def _text_name(row: Any) -> str | None:
    row = lifted(row)
    return usual(tuple(row), TEXT_NAMES) if isinstance(row, dict) else None


def _below(above: dict[str, Any], rows: list[Any]) -> list[Any]:
    """The rows of an object's own array with what it says of all of them: its id only where there is one of them."""
    if not any(map(_is_array, above.values())):
        return rows
    shared = {name: each for name, each in above.items() if isinstance(each, str | int | float)}
    for names in (TEXT_NAMES, *([ID_NAMES] if len(rows) > 1 else [])):
        shared = {name: each for name, each in shared.items() if usual((name,), names) is None}
    return [_joined(shared, lifted(unwrapped(row))) if isinstance(row, dict) else row for row in rows]


def _joined(shared: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A row with what is said of it above; its own id and time stand."""
    has = [names for names in (ID_NAMES, TIME_NAMES) if usual(tuple(row), names) is not None]
    return {name: each for name, each in shared.items() if all(usual((name,), names) is None for names in has)} | row


def _is_array(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _lists(value: dict[str, Any]) -> Iterator[list[Any]]:
    """The arrays of objects in an object: its own, or else those of the objects in it."""
    own = [each for each in value.values() if _is_array(each)]
    inner = [each for each in value.values() if isinstance(each, dict)]
    yield from own or (each for part in inner for each in _lists(part))


def _nothing(constant: str) -> None:
    """``NaN`` and its like are how programs write an empty cell."""


def _line_rows(line: Line, file: str) -> Iterator[TableRow | Rejected]:
    try:
        value = json.loads(line.text, parse_constant=_nothing)
    except json.JSONDecodeError as error:
        yield Rejected(file, line.number, f"not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        yield Rejected(file, line.number, f"JSON that cannot be read: {str(error)[:100]}")
    else:
        try:
            members = _members(value, file)
        except InputError as error:
            yield Rejected(file, line.number, str(error).removeprefix(f"{file}: "))
            return
        for each in members:
            yield from _rows(each, line, file)


def _rows(value: Any, line: Line, file: str) -> Iterator[TableRow | Rejected]:
    if not isinstance(value, dict):
        yield Rejected(file, line.number, f"a JSON {_kind(value)} found; an object is expected")
        return
    if is_left_away(value):
        yield LeftOut(file, line.number, "comments that the file does not hold", "comments that the file does not hold")
        return
    for cells in flattened(lifted(unwrapped(value))):
        yield TableRow(line.number, cells, line.encoding)


def _kind(value: Any) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")
