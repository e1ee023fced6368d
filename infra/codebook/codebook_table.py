"""A codebook as a table: read from other tools' files, and written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from infra.codebook.codebook_import import CodebookNode, folded_path
from infra.files.labels.code_cells import PATH, is_blank, json_codes, read_code
from infra.files.labels.label_columns import TEXTS
from infra.files.labels.raw_table import RawTable, opened, read_table
from infra.files.reading.columns import usual
from infra.files.reading.items import ReadingOptions, ReadingReport, TableRow
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
BETWEEN = (
    *(
        "subcategory",
        "sub_category",
        "subtheme",
        "sub_theme",
        "sub_group",
        "subgroup",
        "unterkategorie",
        "subkategorie",
    ),
    *("level_2", "ebene_2"),
)
"""What stands between a code and what it stands under, where the code has a column of its own."""
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
    "inclusion": (
        *(
            "inclusion",
            "when_to_use",
            "use_when",
            "use_it_when",
            "include",
            "include_when",
            "includes",
            "use",
            "einschluss",
        ),
        *(
            "inclusion_criteria",
            "inclusion_criterion",
            "inclusions",
            "einschlusskriterien",
            "kodierregel",
            "coding_rule",
        ),
    ),
    "exclusion": (
        *("exclusion", "when_not_to_use", "do_not_use_when", "do_not_use_it_when", "don't_use_when", "exclude"),
        *("exclude_when", "excludes", "exclusion_criteria", "exclusion_criterion", "exclusions", "do_not_use"),
        *("ausschluss", "ausschlusskriterien"),
    ),
    "examples": (
        *("examples", "example", "quotes", "quote", "example_quote", "example_quotes", "examples_from_data"),
        *("example_from_data", "examples_from_the_data", "typical_example", "typical_examples", "sample_quote"),
        *("illustrative_quote", "illustrative_quotes", "anchor_example", "ankerbeispiel", "ankerbeispiele"),
        *("beispiel", "beispiele"),
    ),
    "color": ("color", "colour", "code_color", "farbe"),
}
_SHAPE = Shape(
    ("code", "level", "theme", "definition", "inclusion", "exclusion", "examples", "color", "id", "segments"),
    {"examples": "json", "segments": "number"},
)


_NO_TEXTS = ("definition", "description", "meaning", "code_memo", "example", "examples", "example_quote")
"""Columns that say what codes mean, where no other column has texts."""
_OWN = ("level", "id", "segments")
"""Columns of an export of this project that an import has no use for."""


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

    What is not read of it, and what is in doubt, is among the warnings of the options' report.

    Raises:
        InputError: If there is no column with codes, or no row that can be taken.
    """
    options = options or ReadingOptions()
    with opened(path) as stream:
        table = read_table(stream, path.name, fmt, options)
    name = usual(table.names, NAMES)
    if name is None:
        raise InputError(
            f"{path.name}: no column with codes among {', '.join(table.names)[:200]}; one of {', '.join(NAMES)} is "
            "expected"
        )
    columns = _columns_of(table.names, name)
    rows = [row for row in table.rows if not is_blank(row.cells.get(name))]
    _say_unread(table, {name, *columns.above, *columns.notes.values()}, options.report)
    nodes = list(_nodes(_filled_down(rows, columns.above, options.report), name, columns))
    if not nodes:
        raise InputError(f"{path.name}: no row has a code under '{name}'; a row a code is expected")
    return _once(_nested(nodes), options.report)


@dataclass(frozen=True)
class _Columns:
    above: Sequence[str]
    """What a code stands under, the outermost first."""
    notes: Mapping[str, str]
    """By the names of notes, where they stand."""


def _columns_of(names: Sequence[str], name: str) -> _Columns:
    rest = [each for each in names if each != name]
    above = [column for names in (ABOVE, BETWEEN) if (column := usual(rest, names)) is not None]
    rest = [each for each in rest if each not in above]
    notes = {note: column for note, names in COLUMNS.items() if (column := usual(rest, names)) is not None}
    return _Columns(list(dict.fromkeys(above)), notes)


def _say_unread(table: RawTable, read: set[str], report: ReadingReport) -> None:
    unread = [each for each in table.names if each not in read and usual((each,), _OWN) is None]
    unread = [each for each in unread if any(not is_blank(row.cells.get(each)) for row in table.rows)]
    if unread:
        report.warn(f"columns not read: {', '.join(unread)[:300]}")


def _filled_down(rows: Sequence[TableRow], above: Sequence[str], report: ReadingReport) -> list[TableRow]:
    """Rows of a workbook whose empty cells above a code mean the cell before them, as merged cells leave them.

    They do where the first row has one and none comes a second time: then each begins a group of its own.
    """
    filled = list(rows)
    for place, name in enumerate(above):
        outer = above[:place]
        groups = [tuple(row.cells.get(each) for each in (*outer, name)) for row in filled]
        own = [group for group in groups if not is_blank(group[-1])]
        is_merged = rows and all(row.typed for row in rows) and len(own) == len(set(own)) < len(groups)
        if not is_merged or is_blank(groups[0][-1]):
            continue
        count, last = 0, groups[0]
        for n, group in enumerate(groups):
            if is_blank(group[-1]) and group[:-1] == last[:-1]:
                filled[n] = replace(filled[n], cells=filled[n].cells | {name: last[-1]})
                count += 1
            else:
                last = group
        report.warn(f"{count} empty cells under '{name}' are read as the cell above them; fill them in if they are not")
    return filled


def _nodes(rows: Iterable[TableRow], name: str, columns: _Columns) -> Iterator[CodebookNode]:
    for row in rows:
        level = row.cells.get("level")  # as an export of this project says: then a name is no path
        parts = _whole if level in ("code", "theme") else _path
        path = [part for column in (*columns.above, name) for part in parts(row.cells.get(column))]
        notes = {note: _note(note, row.cells.get(column)) for note, column in columns.notes.items()}
        yield CodebookNode(path[-1], tuple(path[:-1]), notes, codable=level != "theme", used=level == "code")


def _once(nodes: Sequence[CodebookNode], report: ReadingReport) -> list[CodebookNode]:
    """Each code once, with all that its rows say; where two say different things, the first one counts."""
    known: dict[tuple[bool, tuple[str, ...]], CodebookNode] = {}
    for node in nodes:
        first = known.setdefault((node.codable, folded_path(node.path)), node)
        notes = {note: value for note, value in node.notes.items() if value}
        differ = [note for note, value in notes.items() if first.notes.get(note) and first.notes[note] != value]
        if differ:
            report.warn(f"the code '{node.name}' has several rows that differ in {', '.join(differ)}; the first counts")
        stands = {note: value for note, value in first.notes.items() if value}
        known[node.codable, folded_path(node.path)] = replace(first, notes={**first.notes, **notes, **stands})
    return list(known.values())


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
