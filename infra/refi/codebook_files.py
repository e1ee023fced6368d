"""A codebook as a file: a table, Markdown for reading, or a REFI-QDA codebook."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from infra.codebook.codebook_import import codebook_entries, import_codebook
from infra.codebook.codebook_table import read_codebook_table, write_codebook_table
from infra.files.refi_archive import is_refi
from infra.files.tables import MEDIA_TYPES
from infra.refi.reading import read_refi
from infra.refi.writing import codebook_xml
from models.codebook.codebook import Codebook, CodeState
from models.codebook.edits import Act
from schemas import CodeEvent

CODEBOOK_FORMATS: Mapping[str, str] = {**MEDIA_TYPES, "md": "text/markdown; charset=utf-8", "qdc": "application/xml"}
"""The formats, with their media types."""
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_NOTES = (("definition", "Definition"), ("inclusion", "Use it when"), ("exclusion", "Do not use it when"))


def codebook_of_file(source: Path, study: str, *, author: str = "codebook file") -> list[CodeEvent]:
    """A codebook from a table with a row a code, or a file of REFI-QDA, as the history of a study that has no other.

    Raises:
        InputError: If it cannot be read, or holds no code.
    """
    nodes = read_refi(source).nodes if is_refi(source.name) else read_codebook_table(source)
    act = Act(author, _LONG_AGO, f"read from {source.name}", "imported")
    return list(import_codebook(codebook_entries(nodes), (), study, act).events)


def write_codebook(codebook: Codebook, study: str, segments: Mapping[UUID, int], fmt: str, out: BinaryIO) -> None:
    """Write a study's active codes and themes with what they mean.

    Args:
        codebook: All of its history.
        study: Whose codes.
        segments: How many segments have each code in the end.
        fmt: One of ``CODEBOOK_FORMATS``.
        out: A stream of bytes; it stays open.
    """
    if fmt == "qdc":
        out.write(codebook_xml(codebook, study))
    elif fmt == "md":
        out.write(_markdown(codebook, study, segments).encode("utf-8", "replace"))
    else:
        write_codebook_table(codebook, study, segments, fmt, out)


def _markdown(codebook: Codebook, study: str, segments: Mapping[UUID, int]) -> str:
    states = [state for state in codebook.values() if state.active and state.study == study]
    by_label = sorted(states, key=lambda state: state.label.casefold())
    themes = [state for state in by_label if state.level == "theme"]
    codes = [state for state in by_label if state.level == "code"]
    known = {theme.id for theme in themes}
    lines = [f"# Codebook of {_plain(study)}", ""]
    for theme in themes:
        lines += [f"## {_plain(theme.label)}", "", *_notes(theme)]
        lines += _entries([code for code in codes if codebook.theme_of(code.id) == theme.id], segments)
    rest = [code for code in codes if codebook.theme_of(code.id) not in known]
    if rest:
        lines += ["## Without a theme" if themes else "## Codes", "", *_entries(rest, segments)]
    return "\n".join(lines)


def _entries(codes: Sequence[CodeState], segments: Mapping[UUID, int]) -> list[str]:
    lines = []
    for code in codes:
        count = segments.get(code.id, 0)
        lines += [f"### {_plain(code.label)}", "", f"{count} segment{'' if count == 1 else 's'}.", "", *_notes(code)]
    return lines


def _notes(state: CodeState) -> list[str]:
    lines = []
    for name, heading in _NOTES:
        if words := getattr(state, name):
            lines += [f"**{heading}:** {_plain(words)}", ""]
    for example in state.examples:
        lines += [f"> {_plain(example)}", ""]
    return lines


def _plain(words: str) -> str:
    """Words that no reader of Markdown takes for more: in one line, with every sign of its own escaped."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#+-!|" else c for c in " ".join(words.split()))
