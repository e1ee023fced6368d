"""What a REFI-QDA project notes about its codes, documents and passages, whichever way a program writes it down.

A note is named by what it is about (``NoteRef``), or a link goes between the two (NVivo); QualCoder names the document,
and the note has the place in it. What is said of a document, or of a passage without a code, is a description (MAXQDA).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from infra.files.refi_archive import RefiProject, folded_guid
from models.text.labels import LONGEST_MEMO

_QUOTED = 200  # characters of a passage that stand before what is noted about it


@dataclass(frozen=True)
class Note:
    """What somebody noted."""

    key: str
    """By which it is known again."""
    text: str
    author: str
    """Empty where nobody is named."""
    at: datetime | None = None
    changed_at: datetime | None = None
    place: tuple[int, int] | None = None
    """From where to where the passage goes that it is about, in its document's text."""


@dataclass
class ProjectNotes:
    """The notes of a project, and which of them were asked for."""

    refi: RefiProject
    taken: set[str] = field(default_factory=set)
    _notes: dict[str, Note] = field(default_factory=dict)
    _linked: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the notes and the links between them and what they are about."""
        project = self.refi.project
        for element in project.notes.note if project.notes else []:
            if text := self.text(element):
                places = [(each.start_position, each.end_position) for each in element.plain_text_selection]
                self._notes[folded_guid(element.guid)] = self._note(element, text, *places[:1])
        for link in project.links.link if project.links else []:
            ends = [folded_guid(end or "") for end in (link.origin_guid, link.target_guid)]
            for note, about in (ends, ends[::-1]):
                if note in self._notes:
                    self._linked.setdefault(about, []).append(note)

    @property
    def others(self) -> int:
        """How many nothing asked for: they have no text, or are about what a study has no memos on."""
        notes = self.refi.project.notes
        return len(notes.note if notes else []) - len(self.taken)

    def about(self, element: Any) -> list[Note]:
        """The notes on a code, a source, a selection or a coding."""
        named = [folded_guid(ref.target_guid) for ref in element.note_ref]
        keys = dict.fromkeys([*named, *self._linked.get(folded_guid(element.guid), [])])
        known = [self._notes[key] for key in keys if key in self._notes]
        self.taken.update(note.key for note in known)
        return known

    def on_document(self, source: Any, holder: Any) -> Iterator[Note]:
        """What is noted about a source, and about its passages without a code, each with its words before it."""
        text = (self.refi.text(holder.plain_text_path, holder.plain_text_content) if holder is not None else "") or ""
        elements = [source] if holder is source or holder is None else [source, holder]
        for element in elements:
            if description := (element.description or "").strip():
                yield self._note(element, description)
            for note in self.about(element):
                yield note if note.place is None else _quoting(note, note.place, text)
        for selection in holder.plain_text_selection if holder is not None else []:
            if not selection.coding:
                description = (selection.description or "").strip()
                place = (selection.start_position, selection.end_position)
                for note in [*([self._note(selection, description)] if description else []), *self.about(selection)]:
                    yield _quoting(note, place, text)

    def author(self, guid: str | None) -> str:
        """Who somebody is; empty where nobody is named."""
        return " ".join(self.refi.people.get(folded_guid(guid or ""), "").split())[:120]

    def text(self, element: Any) -> str:
        """A note's title, unless its text begins with it; what is said of it; and its text."""
        body = (self.refi.text(element.plain_text_path, element.plain_text_content) or "").strip()
        title = " ".join((element.name or "").split())
        description = (element.description or "").strip()
        if not body and not description:
            return ""
        titled = not title or " ".join((body or description).split()).startswith(title)
        return "\n".join(part for part in ("" if titled else title, description, body) if part)

    def _note(self, element: Any, text: str, place: tuple[int, int] | None = None) -> Note:
        who = element.creating_user or element.modifying_user
        changed = time_of(element.modified_date_time)
        at = time_of(element.creation_date_time) or changed
        return Note(folded_guid(element.guid), text, self.author(who), at, changed, place)


def parts_of(text: str) -> list[str]:
    """A text in parts that a memo holds, cut between lines or words where that can be."""
    parts, rest = [], text.strip()
    while len(rest) > LONGEST_MEMO:
        cut = max(rest.rfind("\n", 0, LONGEST_MEMO), 0) or max(rest.rfind(" ", 0, LONGEST_MEMO), 0) or LONGEST_MEMO
        parts.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [part for part in [*parts, rest] if part]


def time_of(at: Any) -> datetime | None:
    """A moment of the standard's; in UTC where it does not say its zone."""
    if at is None:
        return None
    moment: datetime = at.to_datetime()
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _quoting(note: Note, place: tuple[int, int], text: str) -> Note:
    start, end = sorted(place)
    words = " ".join(text[start:end].split())
    quoted = f"“{words[: _QUOTED - 1]}…”" if len(words) > _QUOTED else f"“{words}”"
    return replace(note, text=f"{quoted}\n{note.text}" if words else note.text, place=place)
