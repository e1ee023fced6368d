"""A codebook as a table: read from other tools' files, and written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from infra.codebook.codebook_import import CodebookNode
from infra.files.labels.code_cells import PATH, is_blank, json_codes, read_code
from infra.files.labels.label_columns import TEXTS
from infra.files.labels.raw_table import RawTable, opened, read_table
from infra.files.reading.columns import usual
from infra.files.reading.items import ReadingOptions, Rejected, TableRow
from infra.files.tables import OutputRow, Shape, write
from models.codebook.codebook import Codebook, CodeState
from models.errors import InputError
from schemas.ids import normalised_label

NAMES = (
    *("code", "subcode", "sub_code", "name", "code_name", "codename", "label", "codes", "node", "tag", "title", "kode"),
    *("código", "codice", "unterkategorie", "subcategory", "sub_category", "subtheme", "sub_theme", "level_2"),
    *("ebene_2",),
)
ABOVE = (
    *("oberkategorie", "hauptkategorie", "obercode", "main_code", "main_category", "level_1", "ebene_1"),
    *("theme", "parent", "parent_code", "category", "group", "folder", "code_group", "parent_name"),
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "definition": (
        "definition",
        "description",
        "memo",
        "meaning",
        "code_memo",
        "comment",
        "note",
        "notes",
        "beschreibung",
        "bedeutung",
        "définition",
        "descripción",
        "definición",
        "descrição",
        "descrizione",
    ),
    "inclusion": ("inclusion", "when_to_use", "include", "inclusion_criteria", "use"),
    "exclusion": ("exclusion", "when_not_to_use", "exclude", "exclusion_criteria", "do_not_use"),
    "examples": ("examples", "example", "quotes", "quote", "example_quote"),
    "color": ("color", "colour", "code_color", "farbe"),
}
_SHAPE = Shape(
    ("code", "level", "theme", "definition", "inclusion", "exclusion", "examples", "color", "id", "segments"),
    {"examples": "json", "segments": "number"},
)


_NO_TEXTS = ("definition", "description", "meaning", "code_memo", "example", "examples", "example_quote")
"""Columns that say what codes mean, where no other column has texts."""


def is_codebook(table: RawTable) -> bool:
    """Whether a table is a codebook: each code once, with what it means or stands under, and nothing that is coded."""
    name = usual(table.names, NAMES)
    texts = [each for each in TEXTS if each not in _NO_TEXTS]
    others = [column for columns in (*COLUMNS.values(), ABOVE) for column in columns]
    if name is None or usual(table.names, texts) is not None or usual(table.names, others) is None:
        return False
    codes = [normalised_label(str(cell)) for row in table.rows if not is_blank(cell := row.cells.get(name))]
    return len(codes) == len(set(codes))


def read_codebook_table(
    path: Path, fmt: str | None = None, options: ReadingOptions | None = None
) -> list[CodebookNode]:
    """Read a table with a row a code: its name or path, what it stands under, what it means.

    Raises:
        InputError: If there is no column with codes, or no row that can be taken.
    """
    with opened(path) as stream:
        table = read_table(stream, path.name, fmt, options)
    name = usual(table.names, NAMES)
    if name is None:
        raise InputError(
            f"{path.name}: no column with codes among {', '.join(table.names)[:200]}; one of {', '.join(NAMES)} is "
            "expected"
        )
    above = usual([each for each in table.names if each != name], ABOVE)
    columns = {
        note: usual([n for n in table.names if n not in (name, above)], names) for note, names in COLUMNS.items()
    }
    nodes = list(_nodes(table.rows, name, above, columns))
    if not nodes:
        raise InputError(f"{path.name}: no row has a code under '{name}'; a row a code is expected")
    return _nested(nodes)


def _nodes(
    rows: Iterable[TableRow | Rejected], name: str, above: str | None, columns: Mapping[str, str | None]
) -> Iterator[CodebookNode]:
    for row in rows:
        cell = row.cells.get(name) if isinstance(row, TableRow) else None
        if not isinstance(row, TableRow) or is_blank(cell):
            continue
        level = row.cells.get("level")  # as an export of this project says: then a name is no path
        parts = _whole if level in ("code", "theme") else _path
        path = [*parts(row.cells.get(above) if above else None), *parts(cell)]
        notes = {note: _note(note, row.cells.get(column)) for note, column in columns.items() if column}
        yield CodebookNode(path[-1], tuple(path[:-1]), notes, codable=level != "theme", used=level == "code")


def _path(cell: Any) -> list[str]:
    return [] if is_blank(cell) else [read_code(name) for name in PATH.split(str(cell).strip()) if name.strip()]


def _whole(cell: Any) -> list[str]:
    return [] if is_blank(cell) else [read_code(cell)]


def _note(note: str, cell: Any) -> Any:
    if is_blank(cell):
        return None
    if note != "examples":
        return str(cell).strip()
    listed = json_codes(cell)
    return [str(each) for each in listed] if listed is not None else [str(cell).strip()]


def _nested(nodes: Sequence[CodebookNode]) -> list[CodebookNode]:
    """Nodes under a name that stands under another one itself are put under both."""
    by_name = {node.name: node for node in nodes}
    nested = []
    for node in nodes:
        above, seen = list(node.above), {node.name}
        while above and above[0] in by_name and by_name[above[0]].above and above[0] not in seen:
            seen.add(above[0])
            above = [*by_name[above[0]].above, *above]
        nested.append(CodebookNode(node.name, tuple(above), node.notes, node.codable, node.used))
    return nested


def write_codebook_table(codebook: Codebook, study: str, segments: Mapping[Any, int], fmt: str, out: BinaryIO) -> int:
    """Write a study's active codes and themes, a row each; returns how many."""
    states = [state for state in codebook.values() if state.active and state.study == study]
    ordered = sorted(states, key=lambda state: (state.level != "theme", state.label.casefold()))
    return write(_SHAPE, (_row(state, codebook, segments) for state in ordered), fmt, out)


def _row(state: CodeState, codebook: Codebook, segments: Mapping[Any, int]) -> OutputRow:
    theme = codebook.theme_of(state.id)
    return {
        "code": state.label,
        "level": state.level,
        "theme": codebook.label(theme) if theme else None,
        "definition": state.definition,
        "inclusion": state.inclusion,
        "exclusion": state.exclusion,
        "examples": list(state.examples) or None,
        "color": state.color,
        "id": str(state.id),
        "segments": segments.get(state.id, 0),
    }
