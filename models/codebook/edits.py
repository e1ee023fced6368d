"""What people do to a codebook, made into events; and what they may not do, said in one line."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from models.codebook.codebook import Codebook, CodeState, in_order, taken_back
from models.codebook.themes import theme_id
from models.errors import InputError
from models.text.labels import clean_code
from schemas import CodeEvent
from schemas.codebook import CodeEventKind, Level
from schemas.ids import code_event_id, code_id
from schemas.record import later_than

_TAKEN_BACK_AS: Mapping[CodeEventKind, CodeEventKind] = {
    "created": "retired",
    "restored": "retired",
    "merged": "restored",
    "split": "restored",
    "retired": "restored",
}
"""What an event that takes another back is called; others by the name of what they take back."""
_LONGEST_NOTE = 4_000  # characters
_MOST_EXAMPLES = 50  # segments that a code's notes may give: more than anybody reads before coding


@dataclass(frozen=True)
class Act:
    """Who changes something, when and why."""

    author: str
    at: datetime
    reason: str
    cause: str
    """The id of the form that it came from: sent twice, it makes the same events."""


@dataclass(frozen=True)
class Notes:
    """What a code means, and when to use it."""

    definition: str = ""
    inclusion: str = ""
    exclusion: str = ""
    examples: Sequence[str] = ()

    @classmethod
    def of(cls, code: CodeState) -> "Notes":
        """Those of a code as it is."""
        return cls(code.definition or "", code.inclusion or "", code.exclusion or "", code.examples)


class Curation:
    """One act upon a study's codebook. Every method gives the events that must be added to the history for it."""

    def __init__(self, events: Iterable[CodeEvent], study: str, act: Act) -> None:
        """Look at the codebook.

        Args:
            events: The study's whole history.
            study: Its name.
            act: Dated after all events that are known, whatever the clocks say.
        """
        self._events = {event.id: event for event in in_order(events)}
        self.study = study
        """Whose codebook it is."""
        self._act = act
        self._at = later_than(act.at, *(event.at for event in self._events.values()))
        self.codebook = Codebook(self._events.values())
        """Every code and theme as it is before the act."""

    def create(
        self, label: str, level: Level = "code", *, parent: UUID | None = None, notes: Notes | None = None
    ) -> list[CodeEvent]:
        """A new code, or a new theme."""
        name, checked = clean_code(label), _checked(notes or Notes())
        self._must_be_free(name, level)
        identity = theme_id(self.study, name) if level == "theme" else code_id(self.study, name)
        known = self.codebook.get(identity)
        if known is not None and known.active:
            raise InputError(
                f"{name!r} is what {known.label!r} was called before, and it still gets the segments of that name; "
                "rename it back, or choose another label"
            )
        if known is not None:
            raise InputError(f"there was a {known.level} {name!r}, which has ended; restore it, or choose another name")
        if parent is not None:
            self._active(parent, "theme")
        more = {"level": level, "parent_id": parent, "label": name, **{k: v for k, v in vars(checked).items() if v}}
        return [self._event(identity, "created", **more)]

    def rename(self, code: UUID, label: str) -> list[CodeEvent]:
        """Another label for a code or theme; none that another one has."""
        before, name = self._active(code), clean_code(label)
        if name == before.label:
            raise InputError(f"{name!r} is called that already; choose another label")
        self._must_be_free(name, before.level, besides=code)
        return [self._event(code, "renamed", label=name)]

    def define(self, code: UUID, notes: Notes) -> list[CodeEvent]:
        """Say what a code means; what is left empty is cleared."""
        before, after = vars(Notes.of(self._active(code))), vars(_checked(notes))
        changed = {name: value for name, value in after.items() if value != before[name]}
        if not changed:
            raise InputError("nothing about the code is changed; change a field, or leave it")
        return [self._event(code, "defined", **changed)]

    def move(self, code: UUID, theme: UUID | None) -> list[CodeEvent]:
        """Put a code under a theme, or under none."""
        before = self._active(code, "code")
        if theme is not None:
            self._active(theme, "theme")
        if before.parent == theme:
            raise InputError(f"{before.label!r} stands there already; choose another theme")
        return [self._event(code, "moved", parent_id=theme)]

    def merge(self, codes: Iterable[UUID], into: UUID) -> list[CodeEvent]:
        """Say that codes, or themes, are the same as another one."""
        target = self._active(into)
        merged = [self._active(code, target.level) for code in dict.fromkeys(codes)]
        if not merged or any(code.id == into for code in merged):
            raise InputError(f"{target.label!r} cannot be merged into itself; choose another one")
        return [self._event(code.id, "merged", into=[into]) for code in merged]

    def merge_groups(self, groups: Sequence[Sequence[UUID]]) -> list[CodeEvent]:
        """Say of several groups at once that their codes are the same: each becomes the first of its group."""
        given = [code for group in groups for code in dict.fromkeys(group)]
        twice = next((code for code in given if given.count(code) > 1), None)
        if twice is not None:
            raise InputError(f"{self._known(twice).label!r} is in two groups, one is expected; leave one of them out")
        return [event for group in groups for event in self.merge(group[1:], group[0])]

    def move_all(self, codes: Iterable[UUID], theme: UUID | None) -> list[CodeEvent]:
        """Put codes under a theme, or under none; those that stand there already are left."""
        asked = [self._active(code, "code") for code in dict.fromkeys(codes)]
        events = [event for code in asked if code.parent != theme for event in self.move(code.id, theme)]
        if not events:
            raise InputError("every ticked code stands there already; choose another theme")
        return events

    def split(self, code: UUID, parts: Sequence[UUID | str]) -> list[CodeEvent]:
        """Put several codes in place of one.

        Args:
            code: The one; it stays where it is among the parts.
            parts: Codes that live, and labels of codes that are to be made.
        """
        before, created, into = self._active(code, "code"), list[CodeEvent](), dict[UUID, None]()
        for part in parts:
            if isinstance(part, UUID):
                into[self._active(part, "code").id] = None
            elif (known := self.codebook.named(clean_code(part), self.study)) is not None:
                into[known.id] = None
            else:
                (creation,) = self.create(part, parent=before.parent)
                created += [creation] if creation.code_id not in into else []
                into[creation.code_id] = None
        if len(into) < 2:
            raise InputError(f"{before.label!r} is split into {len(into)} code, at least 2 are expected; name more")
        return [*created, self._event(code, "split", into=list(into))]

    def retire(self, code: UUID) -> list[CodeEvent]:
        """Give a code, or use a theme, no more."""
        self._active(code)
        return [self._event(code, "retired")]

    def restore(self, code: UUID) -> list[CodeEvent]:
        """Let one live again that has ended."""
        before = self._known(code)
        if before.active:
            raise InputError(f"{before.label!r} lives; there is nothing to restore")
        self._must_be_free(before.label, before.level, besides=code)
        return [self._event(code, "restored")]

    def undo(self, event: UUID) -> list[CodeEvent]:
        """Take an event back, with what belongs to it: a split with the codes that were made for it.

        Raises:
            InputError: If the study has no such event, or later ones build on it.
        """
        requested = self._events.get(event)
        if requested is None:
            raise InputError(f"study {self.study!r} has no event {event}; choose one from the history")
        if requested.id in taken_back(self.codebook.history(requested.code_id)):
            raise InputError(f"this change of {requested.label!r} is taken back already; choose another one")
        return self._undone([requested, *self._belonging(requested)])

    def undo_act(self, event: UUID) -> list[CodeEvent]:
        """Take back everything that was done in one act with an event: a merge of many codes, with one word.

        Raises:
            InputError: If the study has no such event, nothing of its act is left, or later events build on it.
        """
        requested = self._events.get(event)
        if requested is None:
            raise InputError(f"study {self.study!r} has no event {event}; choose one from the history")
        act = [e for e in self._events.values() if (e.at, e.author) == (requested.at, requested.author)]
        undone = {id_ for e in act for id_ in taken_back(self.codebook.history(e.code_id))}
        left = [e for e in act if e.id not in undone]
        if not left:
            raise InputError(f"this change of {requested.label!r} is taken back already; choose another one")
        return self._undone(left)

    def _undone(self, undone: Sequence[CodeEvent]) -> list[CodeEvent]:
        """The events that take these back together."""
        undos = [self._event(e.code_id, _TAKEN_BACK_AS.get(e.kind, e.kind), undoes=e.id) for e in undone]
        by_code: dict[UUID, list[CodeEvent]] = {}
        for undo in undos:
            by_code.setdefault(undo.code_id, []).append(undo)
        after = {code: CodeState.replay([*self.codebook.history(code), *each]) for code, each in by_code.items()}
        now = {**self.codebook, **after}
        for each in undone:
            self._must_be_undoable(each, now, after.keys())
        return [undo.model_copy(update=_present(now[undo.code_id], undo.kind)) for undo in undos]

    def restore_version(self, then: datetime) -> list[CodeEvent]:
        """Make the whole codebook what it was at a moment, that moment's own events included."""
        old = Codebook(event for event in self._events.values() if event.at <= then)
        events = [event for code in self.codebook.values() for event in self._back(code, old.get(code.id))]
        if not events:
            raise InputError(f"the codebook is as it was on {then:%Y-%m-%d %H:%M:%S}; there is nothing to restore")
        return events

    def _back(self, now: CodeState, then: CodeState | None) -> list[CodeEvent]:
        """What takes one code back to what it was, or ends one that there was not."""
        if then is None:
            return [self._event(now.id, "retired")] if now.active else []
        events = []
        if then.active != now.active or then.into != now.into:
            kind = "restored" if then.active else then.ending.kind if then.ending else "retired"
            events.append(self._event(now.id, kind, label=then.label, into=list(then.into)))
        if then.label != now.label:
            events.append(self._event(now.id, "renamed", label=then.label))
        if then.parent != now.parent:
            events.append(self._event(now.id, "moved", label=then.label, parent_id=then.parent))
        old, new = vars(Notes.of(then)), vars(Notes.of(now))
        if changed := {name: value for name, value in old.items() if value != new[name]}:
            events.append(self._event(now.id, "defined", label=then.label, **changed))
        return events

    def _belonging(self, event: CodeEvent) -> list[CodeEvent]:
        """What was done in the same act and cannot stand without it: the codes that a split made."""
        root = event
        while root.undoes is not None and root.undoes in self._events:
            root = self._events[root.undoes]
        if root.kind != "split":
            return []
        of_parts = [e for code in root.into for e in self.codebook.history(code) if code != event.code_id]
        kinds = ("created", "retired", "restored")  # or taken back, or made again
        return [e for e in of_parts if e.at == event.at and e.author == event.author and e.kind in kinds]

    def _must_be_undoable(self, event: CodeEvent, now: Mapping[UUID, CodeState], together: Container[UUID]) -> None:
        """Refuse to take back what later events build on."""
        before, after = self.codebook[event.code_id], now[event.code_id]
        if _comparable(before) == _comparable(after):
            raise InputError(
                f"this change of {before.label!r} was overtaken by a later one; take the later one back first"
            )
        if after.active:
            self._must_be_free(after.label, after.level, besides=after.id)
        if not before.active or after.active:
            return
        history = self.codebook.history(event.code_id)
        undone = taken_back(history)
        if event.kind == "created" and any(e.at > event.at and e.id not in undone and not e.undoes for e in history):
            raise InputError(f"{before.label!r} was changed since it was made; take that back first, or retire it")
        merged = (c for c in now.values() if before.id in c.into and c.id not in together and not after.into)
        for other in merged:
            raise InputError(f"{other.label!r} has become {before.label!r}; take that back first, or retire it")
        if after.into and not any(now[each].active for each in after.into if each in now):
            raise InputError(f"what {before.label!r} had become lives no more; restore that first")

    def _must_be_free(self, label: str, level: Level, besides: UUID | None = None) -> None:
        taken = self.codebook.named(label, self.study, level)
        if taken is not None and taken.id != besides:
            raise InputError(
                f"there is a {level} {taken.label!r} already; merge the two instead, or choose another label"
            )

    def _known(self, code: UUID) -> CodeState:
        if code not in self.codebook:
            raise InputError(f"study {self.study!r} has no code {code}; choose one from the codebook")
        return self.codebook[code]

    def _active(self, code: UUID, level: Level | None = None) -> CodeState:
        state = self._known(code)
        if not state.active:
            raise InputError(f"the {state.level} {state.label!r} has ended; restore it first, or choose another")
        if level is not None and state.level != level:
            raise InputError(f"{state.label!r} is a {state.level}, a {level} is expected; choose one")
        return state

    def _event(self, code: UUID, kind: CodeEventKind, **more: Any) -> CodeEvent:
        before = self.codebook.get(code)
        given = {"label": before.label, "level": before.level} if before else {}
        return CodeEvent(
            id=code_event_id(code, kind, self._act.cause),
            code_id=code,
            study=self.study,
            kind=kind,
            author=self._act.author,
            at=self._at,
            reason=self._act.reason,
            **(given | more),
        )


def _checked(notes: Notes) -> Notes:
    """Notes in order: white space at the ends gone, examples a list without empty ones."""
    texts = {name: getattr(notes, name).strip() for name in ("definition", "inclusion", "exclusion")}
    examples = [example.strip() for example in notes.examples if example.strip()]
    for text in (*texts.values(), *examples):
        if len(text) > _LONGEST_NOTE:
            raise InputError(f"{text[:40]!r} has {len(text)} characters, at most {_LONGEST_NOTE} expected; shorten it")
    if len(examples) > _MOST_EXAMPLES:
        raise InputError(f"{len(examples)} examples are given, at most {_MOST_EXAMPLES} expected; take some away")
    return Notes(**texts, examples=tuple(examples))


def _present(code: CodeState, kind: CodeEventKind) -> dict[str, Any]:
    return {"label": code.label, "parent_id": code.parent if kind == "moved" else None}


def _comparable(code: CodeState) -> tuple[object, ...]:
    return code.label, code.active, code.into, code.parent, Notes.of(code)
