"""A study as a REFI-QDA project or codebook: codes with their tree and meaning, coded passages, coders, memos."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from infra.annotation.memos import Memo
from infra.files.labels.code_cells import PATH
from infra.files.refi_archive import packed, to_xml
from infra.refi.code_notes import ORIGIN, description_of
from infra.refi.memo_notes import MemoNotes
from models.codebook.codebook import Codebook, CodeState
from schemas.ids import normalised_label

PROJECT_SPACE, CODEBOOK_SPACE = "urn:QDA-XML:project:1.0", "urn:QDA-XML:codebook:1.0"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOR = re.compile(r"#([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})")
_NAMED = 60  # characters of a passage that name it
_GAP = "\n\n"


@dataclass(frozen=True)
class CodedPassage:
    """A text with one coder's codes."""

    segment: UUID
    source: str
    text: str
    coder: str
    codes: Sequence[UUID]
    at: datetime | None
    memo: str = ""
    start: int | None = None
    """Where the text begins in its source, if known."""
    inside: "PartPlace | None" = None
    """Where it stands in a segment, where somebody marked a part."""


@dataclass(frozen=True)
class PartPlace:
    """A part's place in a segment, which is among the texts."""

    segment: UUID
    offset: int
    """In characters."""


@dataclass(frozen=True)
class SourceText:
    """A segment of a study, coded or not."""

    segment: UUID
    source: str
    text: str
    start: int | None
    """Where it begins in its source, if known."""


Sourced = TypeVar("Sourced", SourceText, CodedPassage)


def codebook_xml(codebook: Codebook, study: str) -> bytes:
    """A study's active codes and themes as a codebook of its own (.qdc)."""
    from pyrefiqda.models import codebook as refi

    codes = [_element(node, refi.CodeType) for node in _tree(codebook, study)]
    return to_xml(refi.CodeBook(codes=refi.CodesType(code=codes), origin=ORIGIN), CODEBOOK_SPACE)


def project_archive(
    codebook: Codebook,
    study: str,
    passages: Iterable[CodedPassage],
    now: datetime,
    memos: Sequence[Memo] = (),
    texts: Iterable[SourceText] = (),
) -> bytes:
    """A study as a project (.qdpx).

    The segments of a source are one text in the order they are given, or where they stood if that is known; between
    them, a line's end and blanks stand for what the study does not have.

    Args:
        codebook: The study's; codes that have ended are written where a passage has them.
        study: Its name, which is the project's.
        passages: One per segment and coder; those of one segment name the same text.
        now: When.
        memos: On codes and documents; they are the project's notes.
        texts: Every segment of the study; passages may be of other texts, too, but parts are not.
    """
    from pyrefiqda.models import project as refi

    listed, notes = list(passages), MemoNotes(memos)
    used = {code for passage in listed for code in passage.codes}
    codes = [_noted(node, notes) for node in _tree(codebook, study, used)]
    people = {each.coder for each in listed} | notes.authors
    users = {name: uuid5(NAMESPACE_URL, f"coder:{name}") for name in sorted(people)}
    sources, files, own, coded = [], {}, _by_source(texts), _by_source(listed)
    for name in own | coded:
        file, group = f"{uuid5(NAMESPACE_URL, f'{study}/{name}')}.txt", coded.get(name, [])
        document = _Document([*own.get(name, []), *(each for each in group if each.inside is None)])
        files[file] = document.text
        sources.append(
            refi.TextSourceType(
                guid=str(uuid5(NAMESPACE_URL, f"source:{study}/{name}")),
                name=_legal(name),
                plain_text_path=f"internal://{file}",
                plain_text_selection=[
                    each for coding in _by_segment(group) for each in _selections(document, coding, users)
                ],
                note_ref=notes.of_document(name),
            )
        )
    project = refi.Project(
        name=_legal(study),
        origin=ORIGIN,
        creation_date_time=_xml_time(now),
        users=refi.UsersType(user=[refi.UserType(guid=str(id_), name=_legal(name)) for name, id_ in users.items()]),
        code_book=refi.CodeBookType(codes=refi.CodesType(code=codes)),
        sources=refi.SourcesType(text_source=sources),
        notes=notes.elements(users, _legal, _xml_time),
    )
    return packed(to_xml(project, PROJECT_SPACE), files)


@dataclass
class _Node:
    """A code's element with those below it."""

    name: str
    guid: str
    codable: bool
    codes: list[UUID] = field(default_factory=list)
    """The code and the theme that it stands for; none where it is a part of a theme's path."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    below: "dict[str, _Node]" = field(default_factory=dict)


def _tree(codebook: Codebook, study: str, used: set[UUID] | None = None) -> list[_Node]:
    """Themes with their codes below them, then codes that stand alone."""
    states = [each for each in codebook.values() if each.study == study and (each.active or each.id in (used or ()))]
    themes = {state.id: state for state in states if state.level == "theme"}
    top: dict[str, _Node] = {}
    for theme in sorted(themes.values(), key=lambda state: state.label):
        node = _home(top, theme.label, study)
        node.notes, node.guid = _notes(theme), str(theme.id)
        node.codes.append(theme.id)
    codes = sorted((state for state in states if state.level == "code"), key=lambda state: state.label)
    leaves = [normalised_label(PATH.split(code.label)[-1]) for code in codes]
    for code in codes:
        parent = codebook.theme_of(code.id)
        above = themes[parent].label if parent in themes else None
        home = _home(top, above, study) if above else None
        name = _below(code.label, above, leaves)
        if home is not None and normalised_label(code.label) == normalised_label(home.name):
            home.codable, home.guid = True, str(code.id)  # the theme's own name is a code as well
            home.codes.append(code.id)
            home.notes = home.notes if any(home.notes.values()) else _notes(code)
        else:
            (home.below if home else top)[str(code.id)] = _Node(name, str(code.id), True, [code.id], _notes(code))
    return list(top.values())


def _home(top: dict[str, _Node], theme: str, study: str) -> _Node:
    """A theme's node; a theme that goes by a path stands below the others of the path."""
    level, path = top, ""
    for name in PATH.split(theme):
        path = f"{path} > {name}" if path else name
        key = f"theme:{normalised_label(name)}"
        node = level.setdefault(key, _Node(name, str(uuid5(NAMESPACE_URL, f"theme:{study}/{path}")), False))
        level = node.below
    return node


def _below(label: str, theme: str | None, leaves: Sequence[str]) -> str:
    """A code's name under its theme: without the path that tells it from another code of the same name."""
    leaf = label.removeprefix(f"{theme} > ") if theme else label
    return leaf if leaf != label and leaves.count(normalised_label(leaf)) > 1 else label


def _notes(state: CodeState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("definition", "inclusion", "exclusion", "examples", "color")}


def _element(node: _Node, kind: Any) -> Any:
    color = node.notes.get("color")
    description = description_of(node.notes)
    return kind(
        guid=node.guid,
        name=_legal(node.name),
        is_codable=node.codable,
        color=color if color and _COLOR.fullmatch(color) else None,
        description=_legal(description) if description else None,
        code=[_element(below, kind) for below in node.below.values()],
    )


def _noted(node: _Node, notes: MemoNotes) -> Any:
    """A code of a project, with what refers to its memos; a codebook of its own has no place for those."""
    from pyrefiqda.models import project as refi

    element = _element(node, refi.CodeType)
    return element.model_copy(
        update={
            "note_ref": notes.of_codes(node.codes),
            "code": [_noted(below, notes) for below in node.below.values()],
        }
    )


class _Document:
    """A source's text, put together from its segments."""

    def __init__(self, texts: Iterable[SourceText | CodedPassage]) -> None:
        """Put each segment where it stood, those with a place first; the first that is given of a segment counts."""
        self._letters: list[str | None] = []
        self._places: dict[UUID, tuple[int, int]] = {}
        for each in sorted(texts, key=lambda each: each.start is None):
            if each.segment not in self._places:
                start = self._put(each.text, each.start)
                self._places[each.segment] = start, start + len(each.text)

    @property
    def text(self) -> str:
        """As far as it is known; a line ends where the study lacks something."""
        befores = [None, *self._letters]
        filled = ("\n" if before else " " for before in befores)
        return "".join(fill if letter is None else letter for letter, fill in zip(self._letters, filled, strict=False))

    def place_of(self, passage: CodedPassage) -> tuple[int, int]:
        """From where to where a passage goes."""
        if passage.inside is None:
            return self._places[passage.segment]
        start = self._places[passage.inside.segment][0] + passage.inside.offset
        return start, start + len(passage.text)

    def _put(self, text: str, start: int | None) -> int:
        """Put a text where it stood, unless something else stands there, or else at the end; returns where."""
        if start is None or not self._fits(text, start):
            self._letters.extend(_GAP if self._letters else "")
            start = len(self._letters)
        self._letters.extend([None] * (start + len(text) - len(self._letters)))
        self._letters[start : start + len(text)] = text
        return start

    def _fits(self, text: str, start: int) -> bool:
        there = self._letters[start : start + len(text)]
        return all(a in (None, b) for a, b in zip(there, text, strict=False))


def _by_source(texts: Iterable[Sourced]) -> dict[str, list[Sourced]]:
    groups: dict[str, list[Sourced]] = {}
    for text in texts:
        groups.setdefault(text.source, []).append(text)
    return groups


def _by_segment(passages: Iterable[CodedPassage]) -> list[list[CodedPassage]]:
    groups: dict[UUID, list[CodedPassage]] = {}
    for passage in passages:
        groups.setdefault(passage.segment, []).append(passage)
    return list(groups.values())


def _selections(document: _Document, passages: Sequence[CodedPassage], users: Mapping[str, UUID]) -> Iterator[Any]:
    """A selection a coder, for its description is that coder's memo; the first has the segment's id."""
    from pyrefiqda.models import project as refi

    start, end = document.place_of(passages[0])
    for n, passage in enumerate(passages):
        yield refi.PlainTextSelectionType(
            guid=str(uuid5(passage.segment, passage.coder) if n else passage.segment),
            name=_legal(" ".join(passage.text.split())[:_NAMED]),
            start_position=start,
            end_position=end,
            creating_user=str(users[passage.coder]),
            creation_date_time=_xml_time(passage.at) if passage.at else None,
            description=_legal(passage.memo) or None,
            coding=list(_codings(passage, users[passage.coder])),
        )


def _codings(passage: CodedPassage, user: UUID) -> Iterator[Any]:
    from pyrefiqda.models import project as refi

    for code in passage.codes:
        yield refi.CodingType(
            guid=str(uuid5(NAMESPACE_URL, f"{passage.segment}/{passage.coder}/{code}")),
            code_ref=refi.CodeRefType(target_guid=str(code)),
            creating_user=str(user),
            creation_date_time=_xml_time(passage.at) if passage.at else None,
        )


def _xml_time(at: datetime) -> Any:
    from xsdata.models.datatype import XmlDateTime

    return XmlDateTime.from_datetime(at.astimezone(UTC))


def _legal(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _ILLEGAL.sub("", text)
