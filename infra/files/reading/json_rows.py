"""Rows out of JSON: an object a line, one array, or one object that holds an array."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from infra.files.reading.annotation_tools import flattened
from infra.files.reading.delimited import Line
from infra.files.reading.items import Rejected, TableRow
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
    if _is_whole(first.text):
        yield from _whole_rows("".join(line.text for line in chain([first], rest)), file)
        return
    for line in chain([first], rest):
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


def _objects(value: Any, file: str) -> list[Any]:
    if isinstance(value, list):
        return value
    lists = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
    if len(lists) > 1:
        raise InputError(f"{file}: an object with {len(lists)} arrays found; one array of objects is expected")
    return lists[0] if lists else [value]


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
        yield from _rows(value, line, file)


def _rows(value: Any, line: Line, file: str) -> Iterator[TableRow | Rejected]:
    if not isinstance(value, dict):
        yield Rejected(file, line.number, f"a JSON {_kind(value)} found; an object is expected")
        return
    for cells in flattened(value):
        yield TableRow(line.number, cells, line.encoding)


def _kind(value: Any) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")
