"""What a REFI-QDA project or codebook says, as a tree of codes, a sheet of labels, and memos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.codebook.codebook_import import CodebookNode, folded_path, joined_path, parents_of, written
from infra.files.labels.code_cells import CodeTree, WrittenCode, distinct
from infra.files.labels.label_sheet import Labelled, LabelSheet, must_fit
from infra.files.refi_archive import CODEBOOK, RefiProject, folded_guid, read_codebook, read_project
from infra.files.rows import Rejected
from infra.refi.code_notes import ORIGIN, notes_of
from infra.refi.notes import Note, ProjectNotes, time_of
from infra.storage.annotations import SYSTEM
from models.errors import InputError
from models.text.labels import LONGEST_LABEL, clean_code
from schemas.codebook import Level
from schemas.feedback import LONGEST_SOURCE

SEPARATE = "\n"
"""Between several memos on one passage."""
_UNTAKEN = {
    "cases": ("cases", "case"),
    "variables": ("variables", "variable"),
    "sets": ("sets", "set"),
    "links": ("links", "link"),
    "graphs": ("graphs", "graph"),
}


@dataclass(frozen=True)
class Noted:
    """A note on a code or a document."""

    note: Note
    code: tuple[Level, str] | None = None
    """The code's, or the theme's, label."""
    document: str | None = None


@dataclass(frozen=True)
class RefiContent:
    """A file's codes, and where it is a project its coded passages and what is noted of codes and documents."""

    nodes: Sequence[CodebookNode]
    sheet: LabelSheet
    memos: Sequence[Noted] = ()


def read_refi(path: Path, coder: str = "", name: str | None = None) -> RefiContent:
    """Read a project (.qdpx) or a codebook (.qdc).

    Args:
        path: The file.
        coder: Who coded what names nobody.
        name: What the file is called, where that is not its path's name.

    Raises:
        InputError: If it cannot be read.
        SettingError: If the package that knows the standard is not installed.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; give the path of a .qdpx or .qdc file")
    name = name or path.name
    if name.casefold().endswith(CODEBOOK):
        book = read_codebook(path)
        nodes, _, notes = _nodes(book.codes.code if book.codes else [], set())
        return RefiContent(nodes, LabelSheet(name, [], [], {}, notes))
    refi = read_project(path)
    project_notes = ProjectNotes(refi)
    passages = list(_passages(refi, project_notes))
    used = {ref for passage in passages for ref in passage.codes}
    listed = refi.project.code_book.codes.code if refi.project.code_book and refi.project.code_book.codes else []
    nodes, by_guid, notes = _nodes(listed, used)
    codes = _Codes(nodes, by_guid)
    memos = [*_on_codes(listed, codes, project_notes), *_on_documents(refi, project_notes)]
    notes += [*_untaken(refi, project_notes), *_beyond(refi)]
    return RefiContent(nodes, _sheet(name, refi, passages, codes, coder, notes), memos)


def _nodes(codes: Sequence[Any], used: set[str]) -> tuple[list[CodebookNode], dict[str, CodebookNode], list[str]]:
    """All codes of a tree, those by their guids, and what could not be taken as it is."""
    nodes: list[CodebookNode] = []
    by_guid: dict[str, CodebookNode] = {}
    notes: list[str] = []

    def walk(code: Any, above: tuple[str, ...]) -> None:
        name = _name(code.name, notes)
        if name is None:
            return
        kept = {**notes_of(code.description or ""), "color": code.color}
        guid = folded_guid(code.guid)
        node = CodebookNode(name, above, kept, bool(code.is_codable) or guid in used, guid in used)
        nodes.append(node)
        by_guid[guid] = node
        for child in code.code:
            walk(child, node.path)

    for code in codes:
        walk(code, ())
    return nodes, by_guid, notes


def _name(name: str, notes: list[str]) -> str | None:
    try:
        return clean_code(name)
    except InputError as error:
        if len(name) <= LONGEST_LABEL:
            notes.append(f"{error}; left out")
            return None
        notes.append(f"the code '{name[:40]}...' has {len(name)} characters; it is cut to {LONGEST_LABEL}")
        return clean_code(f"{' '.join(name.split())[: LONGEST_LABEL - 1].rstrip()}…")


class _Codes:
    """What the codes of passages are called."""

    def __init__(self, nodes: Sequence[CodebookNode], by_guid: Mapping[str, CodebookNode]) -> None:
        self._parents = parents = parents_of(nodes)
        self._nodes = by_guid
        self._codes: dict[str, WrittenCode] = {guid: written(node, parents) for guid, node in by_guid.items()}
        self._tree = CodeTree()
        self._tree.see(
            code
            for guid, code in self._codes.items()
            if by_guid[guid].used or (by_guid[guid].codable and folded_path(by_guid[guid].path) not in parents)
        )

    def label(self, guid: str) -> str | None:
        """A code's label; none where the codebook has no such code."""
        return self._tree.label(self._codes[guid]) if guid in self._codes else None

    def named(self, guid: str) -> tuple[Level, str] | None:
        """What a code is in a study: a theme, or a code, by its label."""
        node = self._nodes.get(guid)
        if node is None:
            return None
        is_theme = folded_path(node.path) in self._parents or not node.codable
        return ("theme", joined_path(node.path)) if is_theme else ("code", self._tree.label(self._codes[guid]))


@dataclass
class _Passage:
    """Coded text: all codings of one place, whoever made them."""

    source: str
    start: int
    text: str
    guid: str
    codes: set[str] = field(default_factory=set)
    by_coder: dict[str, list[tuple[str, datetime | None]]] = field(default_factory=dict)
    memos: dict[str, list[str]] = field(default_factory=dict)


def _on_codes(codes: Sequence[Any], named: _Codes, notes: ProjectNotes) -> Iterator[Noted]:
    for code in codes:
        about = named.named(folded_guid(code.guid))
        yield from (Noted(note, code=about) for note in notes.about(code) if about is not None)
        yield from _on_codes(code.code, named, notes)


def _on_documents(refi: RefiProject, notes: ProjectNotes) -> Iterator[Noted]:
    for source, holder in refi.documents():
        name = (source.name or "document").strip()[:LONGEST_SOURCE] or "document"
        yield from (Noted(note, document=name) for note in notes.on_document(source, holder))


def _passages(refi: RefiProject, notes: ProjectNotes) -> Iterator[_Passage]:
    for name, text, selections in _texts(refi):
        places: dict[tuple[int, int], _Passage] = {}
        for selection in selections:
            start, end = _span(selection, text)
            if not selection.coding or not text[start:end].strip():
                continue
            passage = places.setdefault(
                (start, end), _Passage(name, start, text[start:end], folded_guid(selection.guid))
            )
            for coding in selection.coding:
                coder = _coder(coding, selection)
                at = time_of(coding.creation_date_time or selection.creation_date_time)
                code = folded_guid(coding.code_ref.target_guid)
                passage.codes.add(code)
                passage.by_coder.setdefault(coder, []).append((code, at))
            for coder, memo in _memos(selection, notes):
                passage.memos.setdefault(coder, []).append(memo)
        yield from places.values()


def _memos(selection: Any, notes: ProjectNotes) -> Iterator[tuple[str, str]]:
    """What each coder of a selection notes there: what is said of it, and the notes on it and on their codings."""
    coders = dict.fromkeys(_coder(coding, selection) for coding in selection.coding)
    whole = hasattr(selection, "start_position")  # else it is a source, whose notes are the document's
    description = (selection.description or "").strip() if whole else ""
    shared = notes.about(selection) if whole else []
    own = {notes.author(coder): coder for coder in coders}
    for coder in coders:
        yield from ((coder, memo) for memo in [description] if memo)
        yield from ((coder, _by(note, coder, own)) for note in shared if own.get(note.author, coder) == coder)
    for coding in selection.coding:
        coder = _coder(coding, selection)
        yield from ((coder, _by(note, coder, own)) for note in notes.about(coding))


def _coder(coding: Any, selection: Any) -> str:
    return folded_guid(coding.creating_user or selection.creating_user or "")


def _by(note: Note, coder: str, own: Mapping[str, str]) -> str:
    """A note as the memo of a coder; where another person wrote it, with their name."""
    return f"{note.author}: {note.text}" if note.author and own.get(note.author) != coder else note.text


def _span(selection: Any, text: str) -> tuple[int, int]:
    """Where a selection begins and ends; a source that is coded as a whole is all of its text."""
    if not hasattr(selection, "start_position"):
        return 0, len(text)
    start, end = sorted((selection.start_position, selection.end_position))
    return start, end


def _beyond(refi: RefiProject) -> Iterator[str]:
    """Coded passages that end beyond their text: it has changed since, or its characters are counted otherwise."""
    for name, text, selections in _texts(refi):
        ends = sorted(end for each in selections if each.coding and (end := _span(each, text)[1]) > len(text))
        if ends:
            yield (
                f"'{name}': coded passages end beyond its text ({len(ends)}; the last at {ends[-1]} of {len(text)} "
                "characters): what lies beyond is left out, and others may lie elsewhere too; compare them"
            )


def _texts(refi: RefiProject) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """Every plain text of the project, with its name and what is selected in it."""
    for source, holder in refi.documents():
        text = None if holder is None else refi.text(holder.plain_text_path, holder.plain_text_content)
        if text is not None:
            name = (source.name or "document").strip()[:LONGEST_SOURCE] or "document"
            whole = [source] if holder is source and source.coding else []
            yield name, text, [*holder.plain_text_selection, *whole]


def _sheet(
    file: str, refi: RefiProject, passages: Sequence[_Passage], codes: _Codes, coder: str, notes: Sequence[str]
) -> LabelSheet:
    own = refi.project.origin == ORIGIN
    rows: list[Labelled] = []
    rejected: list[Rejected] = []
    for line, passage in enumerate(passages, 1):
        for guid in passage.by_coder:
            who = " ".join((refi.people.get(guid) or coder).split())[:120]
            if own and who == SYSTEM:
                continue  # what the system gave is no person's coding
            row = _row(line, passage, guid, who, codes)
            lacks = _lacks(row)
            if lacks is None:
                rows.append(replace(row, key=passage.guid if own else row.key))
            else:
                rejected.append(Rejected(file, line, f"'{passage.text[:40]}': {lacks}"))
    return LabelSheet(file, rows, rejected, {}, notes)


def _lacks(row: Labelled) -> str | None:
    """What keeps a coding from being taken."""
    if not row.annotator:
        return "nobody is named as its coder; --coder names one"
    if not row.codes:
        return "its code is in no codebook"
    try:
        must_fit(row.text)
    except InputError as error:
        return str(error)
    return None


def _row(line: int, passage: _Passage, guid: str, coder: str, codes: _Codes) -> Labelled:
    """What one person said of a passage, as a row of its own."""
    codings = passage.by_coder[guid]
    times = [at for _, at in codings if at is not None]
    return Labelled(
        line=line,
        key=f"{passage.start}-{passage.start + len(passage.text)}",
        source=passage.source,
        text=passage.text,
        codes=distinct([label for code, _ in codings if (label := codes.label(code)) is not None]),
        annotator=coder,
        at=max(times) if times else None,
        memo=_joined(passage.memos.get(guid, [])),
        start=passage.start,
    )


def _joined(memos: Sequence[str]) -> str:
    """Several memos as one; what stands in one before it is not said again."""
    whole = ""
    for memo in memos:
        whole = whole if f"{SEPARATE}{memo}{SEPARATE}" in f"{SEPARATE}{whole}{SEPARATE}" else f"{whole}{SEPARATE}{memo}"
    return whole.strip(SEPARATE)


def _untaken(refi: RefiProject, notes: ProjectNotes) -> Iterator[str]:
    """What the project says beside codes and coded passages, which a study has no place for."""
    counts = {}
    for name, (part, listed) in _UNTAKEN.items():
        group = getattr(refi.project, part)
        counts[name] = len(getattr(group, listed)) if group else 0
    counts["notes about nothing of these"] = notes.others
    sources = refi.project.sources
    if sources is not None:
        media = [*sources.picture_source, *sources.audio_source, *sources.video_source]
        counts["pictures, recordings and films"] = len(media)
        texts = [*sources.text_source, *sources.pdfsource]
        counts["texts outside the file"] = len(texts) - len(list(_texts(refi)))
    taken = [f"{count} {name}" for name, count in counts.items() if count]
    if taken:
        yield f"not taken from the project: {', '.join(taken)}"
