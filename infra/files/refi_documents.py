"""A project's texts as rows, whoever coded them or not, with what it says of their documents as attributes."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from infra.files.reading.documents import document_rows
from infra.files.reading.items import LeftOut, ReadingOptions, Rejected, TableRow
from infra.files.refi_archive import RefiProject, folded_guid, read_project

CASE = "case"
"""The attribute that says whose a document, or a part of it, is."""


@dataclass(frozen=True)
class _Reach:
    """What a case says of a document, or of a part of it."""

    source: str
    start: int
    end: float
    attributes: Mapping[str, Any]


def project_rows(stream: io.BufferedReader, file: str, options: ReadingOptions) -> Iterator[TableRow | Rejected]:
    """The texts of a project (.qdpx), each cut as a document is, at their places.

    Variables of a document, its cases and their variables are attributes of its rows; a case of a part of a document is
    that of the rows in which the part lies.

    Raises:
        InputError: If it cannot be read.
        SettingError: If the package that knows the standard is not installed.
    """
    refi = read_project(io.BytesIO(stream.read()))
    names = _variables(refi)
    reaches = list(_reaches(refi, names))
    options.report.remark("a REFI-QDA project: its texts; `qualstream teach` takes its codes, passages and notes")
    for source, text in _texts(refi):
        own = _values(source.variable_value, names)
        name = " ".join((source.name or "document").split())
        for row in _rows(text, name, options):
            if isinstance(row, TableRow):
                row.cells.update(_added(row.cells, {"source": name} | own | _of_cases(row, source, reaches)))
            yield row


def _texts(refi: RefiProject) -> Iterator[tuple[Any, str]]:
    for source, holder in refi.documents():
        text = refi.text(holder.plain_text_path, holder.plain_text_content) if holder is not None else None
        if text is not None and text.strip():
            yield source, text


def _rows(text: str, name: str, options: ReadingOptions) -> Iterator[TableRow | Rejected]:
    """A text's rows, with places in it as it is: a line's end may be two characters there."""
    places = [n for n, letter in enumerate(text) if letter != "\r" or text[n + 1 : n + 2] != "\n"]
    for row in document_rows(text.encode(), "transcript", name, options, "utf-8"):
        if isinstance(row, TableRow):
            start, end = _position(row)
            if end:
                row.cells["position"] = [places[start], places[end - 1] + 1]
            yield row
        elif isinstance(row, LeftOut | Rejected):
            yield row


def _variables(refi: RefiProject) -> dict[str, str]:
    variables = refi.project.variables.variable if refi.project.variables else []
    return {folded_guid(each.guid): each.name for each in variables}


def _values(values: list[Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Variables by name, as JSON has them."""
    known: dict[str, Any] = {}
    for each in values:
        name = names.get(folded_guid(each.variable_ref.target_guid))
        kinds = ("text_value", "boolean_value", "integer_value", "float_value", "date_value", "date_time_value")
        value = next((given for kind in kinds if (given := getattr(each, kind)) is not None), None)
        if name and value is not None:
            known[name] = value if isinstance(value, str | bool | int) else _plain(value)
    return known


def _plain(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _reaches(refi: RefiProject, names: Mapping[str, str]) -> Iterator[_Reach]:
    """What each case says, and of which documents or parts."""
    places = _places(refi)
    for case in refi.project.cases.case if refi.project.cases else []:
        own = ({CASE: case.name} if case.name else {}) | _values(case.variable_value, names)
        for ref in case.source_ref:
            yield _Reach(folded_guid(ref.target_guid), 0, float("inf"), own)
        for ref in case.selection_ref:
            if place := places.get(folded_guid(ref.target_guid)):
                yield _Reach(*place, own)


def _places(refi: RefiProject) -> dict[str, tuple[str, int, int]]:
    """By selection, its source, and from where to where it goes."""
    known = {}
    for source, holder in refi.documents():
        for each in holder.plain_text_selection if holder is not None else []:
            known[folded_guid(each.guid)] = (folded_guid(source.guid), each.start_position, each.end_position)
    return known


def _of_cases(row: TableRow, source: Any, reaches: list[_Reach]) -> dict[str, Any]:
    """What the cases say whose part a row is in; where several name one attribute, all that they say."""
    start, end = _position(row)
    known: dict[str, list[Any]] = {}
    for reach in reaches:
        if reach.source == folded_guid(source.guid) and reach.start < max(end, 1) and start < reach.end:
            for name, value in reach.attributes.items():
                listed = known.setdefault(name, [])
                listed.extend([] if value in listed else [value])
    return {name: each[0] if len(each) == 1 else "; ".join(map(str, each)) for name, each in known.items()}


def _position(row: TableRow) -> tuple[int, int]:
    """From where to where a row goes in its text; nowhere where it does not say."""
    start, end = cast(list[int], row.cells.get("position") or [0, 0])
    return start, end


def _added(cells: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"attribute {name}" if name in cells else name: value for name, value in attributes.items()}
