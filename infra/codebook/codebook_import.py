"""A codebook that was made elsewhere, brought into a study: its codes, their tree, what they mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from infra.files.labels.code_cells import CodeTree, WrittenCode
from models.codebook.codebook import Codebook, CodeState
from models.codebook.edits import Act
from models.codebook.themes import theme_id
from models.text.labels import LONGEST_LABEL
from schemas import CodeEvent
from schemas.codebook import CodeEventKind, Level
from schemas.ids import code_event_id, code_id, normalised_label
from schemas.record import later_than

NOTES = ("definition", "inclusion", "exclusion", "examples", "color")


@dataclass(frozen=True)
class CodebookNode:
    """A name in a tree of codes, as a file has it."""

    name: str
    above: tuple[str, ...] = ()
    """The names that it stands under, the outermost first."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What is said of it, by the names in ``NOTES``."""
    codable: bool = True
    """Whether texts can have it; one that others stand under only has some where ``used``."""
    used: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """Its name and those above."""
        return (*self.above, self.name)


@dataclass(frozen=True)
class CodebookEntry:
    """A code or a theme as the study will have it."""

    label: str
    level: Level = "code"
    theme: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def written(node: CodebookNode, parents: set[tuple[str, ...]]) -> WrittenCode:
    """A node as a code: one that others stand under stands under itself, as a theme."""
    return WrittenCode(node.name, node.path if folded_path(node.path) in parents else node.above)


def folded_path(names: Sequence[str]) -> tuple[str, ...]:
    """A path as it is compared."""
    return tuple(normalised_label(name) for name in names)


def parents_of(nodes: Iterable[CodebookNode]) -> set[tuple[str, ...]]:
    """Every path that a node stands under."""
    return {folded_path(node.above[:n]) for node in nodes for n in range(1, len(node.above) + 1)}


def codebook_entries(nodes: Sequence[CodebookNode]) -> list[CodebookEntry]:
    """The codes and themes that a tree comes to.

    Names that others stand under are themes; a theme within a theme goes by its path, for a study's themes are one
    level. A label that stands in two places is two codes, which go by their paths.
    """
    parents, tree = parents_of(nodes), CodeTree()
    codes = [(node, written(node, parents)) for node in nodes if node.codable]
    codes = [(node, code) for node, code in codes if node.used or folded_path(node.path) not in parents]
    tree.see(code for _, code in codes)
    is_theme = [node for node in nodes if folded_path(node.path) in parents or not node.codable]
    entries = [CodebookEntry(joined_path(node.path), "theme", None, node.notes) for node in is_theme]
    own = {id(node) for node in is_theme}
    return entries + [
        CodebookEntry(tree.label(code), "code", joined_path(code.above) or None, {} if id(node) in own else node.notes)
        for node, code in codes
    ]


def joined_path(names: Sequence[str]) -> str:
    """What a theme is called that stands under others."""
    path = " > ".join(names)
    return path if len(path) <= LONGEST_LABEL else f"{path[: LONGEST_LABEL - 1]}…"


@dataclass(frozen=True)
class ImportedCodebook:
    """What a codebook comes to in a study."""

    events: Sequence[CodeEvent]
    themes: int
    codes: int

    @property
    def summary(self) -> str:
        """In words."""
        kinds = [event.kind for event in self.events]
        changes = [f"{kinds.count(kind)} {kind}" for kind in ("created", "defined", "moved") if kind in kinds]
        return f"{self.codes} codes under {self.themes} themes: " + (", ".join(changes) or "nothing is new")


def import_codebook(
    entries: Sequence[CodebookEntry], history: Iterable[CodeEvent], study: str, act: Act
) -> ImportedCodebook:
    """Say which events bring a study's codebook to what a file says.

    A label means the code that is called so now, else what became of the one that was made under it, else a new one.
    What the file leaves empty stays as it is; nothing is taken out. The same file again comes to nothing.
    """
    book = _Book(Codebook(history), study, act)
    themes = [entry for entry in entries if entry.level == "theme"]
    stated = {normalised_label(entry.label) for entry in themes}
    implied = dict.fromkeys(entry.theme for entry in entries if entry.theme)
    themes += [CodebookEntry(label, "theme") for label in implied if normalised_label(label) not in stated]
    codes = [entry for entry in entries if entry.level == "code"]
    events = [event for entry in (*themes, *codes) for event in book.events(entry)]
    return ImportedCodebook(events, len(themes), len(codes))


class _Book:
    """A study's codebook, and the events that change it."""

    def __init__(self, codebook: Codebook, study: str, act: Act) -> None:
        self._codebook, self._study, self._act = codebook, study, act
        self._themes: dict[str, UUID] = {}
        self._created: set[UUID] = set()

    def events(self, entry: CodebookEntry) -> Iterator[CodeEvent]:
        """What an entry changes."""
        parent = self._themes.get(normalised_label(entry.theme)) if entry.theme else None
        state = self._known(entry)
        identity = state.id if state else self._new_id(entry)
        if entry.level == "theme":
            self._themes[normalised_label(entry.label)] = identity
        notes = {name: value for name in NOTES if (value := entry.notes.get(name))}
        if state is None:
            if identity not in self._created:
                self._created.add(identity)
                yield self._event(identity, "created", entry, None, parent_id=parent, level=entry.level, **notes)
            return
        changed = {name: value for name, value in notes.items() if value != _present(state, name)}
        if changed:
            yield self._event(identity, "defined", entry, state, **changed)
        if parent is not None and state.parent != parent:
            yield self._event(identity, "moved", entry, state, parent_id=parent)

    def _known(self, entry: CodebookEntry) -> CodeState | None:
        state = self._codebook.named(entry.label, self._study, entry.level)
        if state is not None or entry.level == "theme":
            return state
        made = code_id(self._study, entry.label)
        now = self._codebook.current_code(made) if made in self._codebook else None
        return self._codebook[now] if now is not None and now in self._codebook else None

    def _new_id(self, entry: CodebookEntry) -> UUID:
        return (theme_id if entry.level == "theme" else code_id)(self._study, entry.label)

    def _event(
        self, code: UUID, kind: CodeEventKind, entry: CodebookEntry, state: CodeState | None, **more: Any
    ) -> CodeEvent:
        ended = state is None and code in self._codebook  # there was one, which has ended: it comes to life again
        cause = "imported" if kind == "created" and not ended else f"{self._act.cause} {self._act.at.isoformat()}"
        return CodeEvent(
            id=code_event_id(code, kind, cause),
            code_id=code,
            study=self._study,
            kind=kind,
            label=state.label if state else entry.label,
            author=self._act.author,
            at=later_than(self._act.at, *([state.last_event.at] if state else [])),
            reason=self._act.reason[:500],
            **more,
        )


def _present(state: CodeState, name: str) -> Any:
    value = getattr(state, name)
    return list(value) if isinstance(value, tuple) else value
