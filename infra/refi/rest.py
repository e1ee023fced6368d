"""What a project says that a study has no place for, put back when the study is written: nothing of it is lost."""

import io
import zipfile
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from infra.files.refi_archive import RefiProject, folded_guid, read_project, to_xml
from infra.refi.notes import ProjectNotes
from infra.refi.writing import PROJECT_SPACE
from schemas.ids import normalised_label

_GROUPS = ("variables", "cases", "notes", "links", "sets", "graphs")
_MEDIA = ("picture_source", "audio_source", "video_source")
_OWN = ("description", "note_ref", "base_path", "creating_user_guid", "creation_date_time")


def with_the_rest(archive: bytes, original: Path) -> tuple[bytes, str]:
    """A study's project with what the project that it came from says beside it.

    Codes, coders and codings are the study's, as they are now. Variables, cases, notes, links, sets, graphs, pictures,
    recordings, texts that were not taken in, and memos on documents are the original's, as they were; what they name is
    named by its id in the new project. A text that both have is the original's whole text, with the study's passages
    at their places; a passage whose words the original does not have stays in a text of its own.

    Args:
        archive: The study's own project.
        original: The project that was taken in (.qdpx).

    Returns:
        The archive, and what of the original is in it, in words.

    Raises:
        InputError: If the original cannot be read.
    """
    ours, base = read_project(io.BytesIO(archive)), read_project(original)
    merge = _Merge(ours, base)
    merge.run()
    with zipfile.ZipFile(original) as kept, zipfile.ZipFile(io.BytesIO(archive)) as own:
        return _packed(ours.project, kept, own, merge.own_files), merge.says()


def _packed(project: Any, kept: zipfile.ZipFile, own: zipfile.ZipFile, own_files: Iterable[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.qde", to_xml(project, PROJECT_SPACE))
        for entry in kept.infolist():
            if not entry.is_dir() and not entry.filename.casefold().endswith(".qde"):
                content = kept.read(entry)
                unmarked = content.removeprefix(BOM_UTF8) if entry.filename.casefold().endswith(".txt") else content
                archive.writestr(entry.filename, unmarked)
        for name in own_files:
            archive.writestr(f"sources/{name}", own.read(f"sources/{name}"))
    return buffer.getvalue()


@dataclass
class _Merge:
    """One project in the making, with what each id of the original has become."""

    ours: RefiProject
    base: RefiProject
    own_files: list[str] = field(default_factory=list)
    _now: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Put all of the original that the study has no place for into the study's project."""
        project, kept = self.ours.project, self.base.project
        self._users()
        self._codes()
        self._notes()
        self._sources()
        for name in (*_GROUPS, *_OWN):
            if getattr(kept, name) and name != "notes":
                setattr(project, name, getattr(kept, name))
        self._codes_that_are_named()
        _renamed(project, self._now)
        _name_once(project)

    def says(self) -> str:
        """How many of what is in it."""
        kept, counts = self.base.project, []
        for name in _GROUPS:
            group = getattr(kept, name)
            each = next((value for value in vars(group).values() if isinstance(value, list)), []) if group else []
            counts += [f"{len(each)} {name}"] if each else []
        media = sum(len(getattr(kept.sources, name)) for name in _MEDIA) if kept.sources else 0
        counts += [f"{media} pictures, recordings and films"] if media else []
        return f"kept from the original: {', '.join(counts)}" if counts else "the original says nothing else"

    def _users(self) -> None:
        users = self.ours.project.users.user
        by_name = {" ".join((user.name or "").split()): user.guid for user in users}
        for user in self.base.project.users.user if self.base.project.users else []:
            name = " ".join((user.name or user.id or "").split())
            if name in by_name:
                self._now[folded_guid(user.guid)] = by_name[name]
            else:
                users.append(user)

    def _codes(self) -> None:
        own = {path: code for path, code in _walk(self.ours.project.code_book)}
        by_leaf: dict[str, list[Any]] = {}
        for path, code in own.items():
            by_leaf.setdefault(path[-1], []).append(code)
        for path, code in _walk(self.base.project.code_book):
            alike = by_leaf.get(path[-1], [])
            same = own.get(path) or (alike[0] if len(alike) == 1 else None)
            if same is not None:
                self._now[folded_guid(code.guid)] = same.guid
                same.note_ref.extend(code.note_ref)

    def _notes(self) -> None:
        """Beside the study's memos, those notes that are none of them."""
        project, kept = self.ours.project, self.base.project
        own = project.notes.note if project.notes else []
        same = {(who, words): note.guid for note, (who, text) in _noted(self.ours) for words in (text, _unquoted(text))}
        rest = []
        for note, signed in _noted(self.base):
            if signed in same:
                self._now[folded_guid(note.guid)] = same[signed]
            else:
                rest.append(note)
        if kept.notes:
            project.notes = kept.notes
            project.notes.note = [*own, *rest]

    def _codes_that_are_named(self) -> None:
        """Codes that the study does not have any more, as far as what is kept names them."""
        named = {folded_guid(value) for value in _texts_of(self.ours.project, skip="code_book")}
        lost = [code for _, code in _walk(self.base.project.code_book) if folded_guid(code.guid) not in self._now]
        for code in lost:
            if folded_guid(code.guid) in named:
                code.code = []
                self.ours.project.code_book.codes.code.append(code)

    def _sources(self) -> None:
        kept, own = self.base.project.sources, self.ours.project.sources
        if kept is None:
            self.own_files = [_file(source) for source in own.text_source]
            return
        by_name = {_name(source): source for source in own.text_source}
        for source, holder in self.base.documents():
            mine = by_name.pop(_name(source), None) if holder is not None else None
            if mine is not None:
                source.note_ref.extend(mine.note_ref)
                mine.note_ref = []
                rest = self._placed(mine, holder)
                source.coding = []
                if rest:
                    mine.plain_text_selection = rest
                    by_name[f"{_name(source)}\n"] = mine
        for name in (*_MEDIA, "pdfsource"):
            setattr(own, name, getattr(kept, name))
        self.own_files = [_file(source) for source in by_name.values()]
        own.text_source = [*kept.text_source, *by_name.values()]

    def _placed(self, mine: Any, holder: Any) -> list[Any]:
        """Put the study's passages where they stand in the original's text.

        Returns:
            Those whose words do not stand there.
        """
        text = self.base.text(holder.plain_text_path, holder.plain_text_content) or ""
        own_text = self.ours.text(mine.plain_text_path, mine.plain_text_content) or ""
        placed: dict[tuple[int, int], list[Any]] = {}
        rest = []
        for selection in mine.plain_text_selection:
            words = own_text[selection.start_position : selection.end_position]
            start = _place(words, text, selection.start_position)
            if start is None:
                rest.append(selection)
                continue
            selection.start_position, selection.end_position = start, start + len(words)
            placed.setdefault((start, start + len(words)), []).append(selection)
        kept = []
        for selection in holder.plain_text_selection:
            same = placed.get((selection.start_position, selection.end_position))
            if same:
                self._now[folded_guid(selection.guid)] = same[0].guid
                same[0].note_ref.extend(selection.note_ref)
            else:
                selection.coding = []
                kept.append(selection)
        holder.plain_text_selection = [*kept, *chain.from_iterable(placed.values())]
        return rest


def _noted(refi: RefiProject) -> Iterator[tuple[Any, tuple[str, str]]]:
    """The notes of a project, each with its author and its text as a memo has it."""
    notes = ProjectNotes(refi)
    for note in refi.project.notes.note if refi.project.notes else []:
        yield note, (notes.author(note.creating_user or note.modifying_user), " ".join(notes.text(note).split()))


def _unquoted(text: str) -> str:
    """A memo's text without the words of the passage that it is about."""
    return text.partition("” ")[2] if text.startswith("“") else text


def _name_once(value: Any) -> None:
    """Have every element refer to a note once."""
    if isinstance(value, list):
        for each in value:
            _name_once(each)
    if not isinstance(value, BaseModel):
        return
    if refs := getattr(value, "note_ref", None):
        once = list({folded_guid(ref.target_guid): ref for ref in refs}.values())
        setattr(value, "note_ref", once)  # noqa: B010 - not every element has it
    for name in type(value).model_fields:
        _name_once(getattr(value, name))


def _place(words: str, text: str, start: int) -> int | None:
    """Where words stand in a text: where they are said to, or the one place where they do."""
    if text[start : start + len(words)] == words:
        return start
    return text.index(words) if words and text.count(words) == 1 else None


def _walk(book: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All codes of a codebook, with their paths."""
    codes = book.codes.code if book and getattr(book, "codes", None) else getattr(book, "code", None) or []
    for code in codes:
        path = (*above, normalised_label(code.name))
        yield path, code
        yield from _walk(code, path)


def _texts_of(value: Any, skip: str = "") -> Iterator[str]:
    """Every text that an element and those in it hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name != skip:
                yield from _texts_of(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            yield from _texts_of(each)


def _renamed(value: Any, now: Mapping[str, str]) -> None:
    """Give every id in an element, and in those in it, the one that it has become."""
    if isinstance(value, list):
        for each in value:
            _renamed(each, now)
    if not isinstance(value, BaseModel):
        return
    for name in type(value).model_fields:
        each = getattr(value, name)
        if isinstance(each, str) and folded_guid(each) in now:
            setattr(value, name, now[folded_guid(each)])
        else:
            _renamed(each, now)


def _name(source: Any) -> str:
    return " ".join((source.name or "").split())


def _file(source: Any) -> str:
    return str(source.plain_text_path).removeprefix("internal://")
