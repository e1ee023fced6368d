"""What people do to a codebook, made into events; and what they may not do, said in one line."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from models.codebook.codebook import Standing, in_order, replay, taken_back
from models.codebook.themes import theme_id
from models.errors import InputError
from models.text.labels import clean_code
from schemas import CodeEvent
from schemas.codebook import CodeEventKind, Level
from schemas.ids import code_event_id, code_id, normalised_label

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
    """What is said about a code."""

    definition: str = ""
    inclusion: str = ""
    exclusion: str = ""
    examples: Sequence[str] = ()

    @classmethod
    def of(cls, code: Standing) -> "Notes":
        """What is said about it now."""
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
        self._histories: dict[UUID, list[CodeEvent]] = {}
        for event in in_order(events):
            self._histories.setdefault(event.code_id, []).append(event)
        self._events = {event.id: event for history in self._histories.values() for event in history}
        self._study, self._act = study, act
        self._at = max([act.at, *(event.at + timedelta(microseconds=1) for event in self._events.values())])
        self.codes = replay(self._events.values())
        """Every code and theme as it stands."""

    def create(
        self, label: str, level: Level = "code", *, parent: UUID | None = None, notes: Notes | None = None
    ) -> list[CodeEvent]:
        """A new code, or a new theme."""
        name, said = clean_code(label), _checked(notes or Notes())
        self._must_be_free(name, level)
        identity = theme_id(self._study, name) if level == "theme" else code_id(self._study, name)
        known = self.codes.get(identity)
        if known is not None and known.live:
            raise InputError(
                f"{name!r} is what {known.label!r} was called before, and it still gets the segments of that name; "
                "rename it back, or choose another label"
            )
        if known is not None:
            raise InputError(f"there was a {known.level} {name!r}, which has ended; restore it, or choose another name")
        if parent is not None:
            self._living(parent, "theme")
        more = {"level": level, "parent_id": parent, "label": name, **{k: v for k, v in vars(said).items() if v}}
        return [self._event(identity, "created", **more)]

    def rename(self, code: UUID, label: str) -> list[CodeEvent]:
        """Another label for a code or theme; none that another one has."""
        before, name = self._living(code), clean_code(label)
        if name == before.label:
            raise InputError(f"{name!r} is called that already; choose another label")
        self._must_be_free(name, before.level, besides=code)
        return [self._event(code, "renamed", label=name)]

    def define(self, code: UUID, notes: Notes) -> list[CodeEvent]:
        """Say what a code means; what is left empty is said no more."""
        before, after = vars(Notes.of(self._living(code))), vars(_checked(notes))
        changed = {name: value for name, value in after.items() if value != before[name]}
        if not changed:
            raise InputError("nothing about the code is changed; change a field, or leave it")
        return [self._event(code, "defined", **changed)]

    def move(self, code: UUID, theme: UUID | None) -> list[CodeEvent]:
        """Put a code under a theme, or under none."""
        before = self._living(code, "code")
        if theme is not None:
            self._living(theme, "theme")
        if before.parent == theme:
            raise InputError(f"{before.label!r} stands there already; choose another theme")
        return [self._event(code, "moved", parent_id=theme)]

    def merge(self, codes: Iterable[UUID], into: UUID) -> list[CodeEvent]:
        """Say that codes, or themes, are the same as another one."""
        target = self._living(into)
        merged = [self._living(code, target.level) for code in dict.fromkeys(codes)]
        if not merged or any(code.id == into for code in merged):
            raise InputError(f"{target.label!r} cannot be merged into itself; choose another one")
        return [self._event(code.id, "merged", into=[into]) for code in merged]

    def split(self, code: UUID, parts: Sequence[UUID | str]) -> list[CodeEvent]:
        """Put several codes in place of one.

        Args:
            code: The one; it stays where it is among the parts.
            parts: Codes that live, and labels of codes that are to be made.
        """
        before, created, into = self._living(code, "code"), list[CodeEvent](), dict[UUID, None]()
        for part in parts:
            if isinstance(part, UUID):
                into[self._living(part, "code").id] = None
            elif (known := self._named(clean_code(part), "code")) is not None:
                into[known.id] = None
            else:
                (made,) = self.create(part, parent=before.parent)
                created += [made] if made.code_id not in into else []
                into[made.code_id] = None
        if len(into) < 2:
            raise InputError(f"{before.label!r} is split into {len(into)} code, at least 2 are expected; name more")
        return [*created, self._event(code, "split", into=list(into))]

    def retire(self, code: UUID) -> list[CodeEvent]:
        """Give a code, or use a theme, no more."""
        self._living(code)
        return [self._event(code, "retired")]

    def restore(self, code: UUID) -> list[CodeEvent]:
        """Let one live again that has ended."""
        before = self._known(code)
        if before.live:
            raise InputError(f"{before.label!r} lives; there is nothing to restore")
        self._must_be_free(before.label, before.level, besides=code)
        return [self._event(code, "restored")]

    def undo(self, event: UUID) -> list[CodeEvent]:
        """Take an event back, with what belongs to it: a split with the codes that were made for it.

        Raises:
            InputError: If the study has no such event, or later ones build on it.
        """
        wanted = self._events.get(event)
        if wanted is None:
            raise InputError(f"study {self._study!r} has no event {event}; choose one from the history")
        if wanted.id in taken_back(self._histories[wanted.code_id]):
            raise InputError(f"this change of {wanted.label!r} is taken back already; choose another one")
        some = [wanted, *self._belonging(wanted)]
        made = [self._event(e.code_id, _TAKEN_BACK_AS.get(e.kind, e.kind), undoes=e.id) for e in some]
        after = {undo.code_id: replay([*self._histories[undo.code_id], undo])[undo.code_id] for undo in made}
        now = {**self.codes, **after}
        for each in some:
            self._must_be_undoable(each, now, after.keys())
        return [undo.model_copy(update=_as_it_is(now[undo.code_id], undo.kind)) for undo in made]

    def restore_version(self, then: datetime) -> list[CodeEvent]:
        """Make the whole codebook what it was at a moment, that moment's own events included."""
        old = replay(event for event in self._events.values() if event.at <= then)
        made = [event for code in self.codes.values() for event in self._back(code, old.get(code.id))]
        if not made:
            raise InputError(f"the codebook is as it was on {then:%Y-%m-%d %H:%M:%S}; there is nothing to restore")
        return made

    def _back(self, now: Standing, then: Standing | None) -> list[CodeEvent]:
        """What takes one code back to what it was, or ends one that there was not."""
        if then is None:
            return [self._event(now.id, "retired")] if now.live else []
        made = []
        if then.live != now.live or then.into != now.into:
            kind = "restored" if then.live else then.end.kind if then.end else "retired"
            made.append(self._event(now.id, kind, label=then.label, into=list(then.into)))
        if then.label != now.label:
            made.append(self._event(now.id, "renamed", label=then.label))
        if then.parent != now.parent:
            made.append(self._event(now.id, "moved", label=then.label, parent_id=then.parent))
        old, new = vars(Notes.of(then)), vars(Notes.of(now))
        if changed := {name: value for name, value in old.items() if value != new[name]}:
            made.append(self._event(now.id, "defined", label=then.label, **changed))
        return made

    def _belonging(self, event: CodeEvent) -> list[CodeEvent]:
        """What was done in the same act and cannot stand without it: the codes that a split made."""
        root = event
        while root.undoes is not None and root.undoes in self._events:
            root = self._events[root.undoes]
        if root.kind != "split":
            return []
        found = [e for code in root.into for e in self._histories.get(code, ()) if code != event.code_id]
        made = ("created", "retired", "restored")  # or taken back, or made again
        return [e for e in found if e.at == event.at and e.author == event.author and e.kind in made]

    def _must_be_undoable(self, event: CodeEvent, now: Mapping[UUID, Standing], together: Container[UUID]) -> None:
        """Refuse to take back what later events build on."""
        before, after = self.codes[event.code_id], now[event.code_id]
        if _state(before) == _state(after):
            raise InputError(
                f"this change of {before.label!r} was overtaken by a later one; take the later one back first"
            )
        if after.live:
            self._must_be_free(after.label, after.level, besides=after.id)
        if not before.live or after.live:
            return
        history = self._histories[event.code_id]
        undone = taken_back(history)
        if event.kind == "created" and any(e.at > event.at and e.id not in undone and not e.undoes for e in history):
            raise InputError(f"{before.label!r} was changed since it was made; take that back first, or retire it")
        leaning = (c for c in now.values() if before.id in c.into and c.id not in together and not after.into)
        for other in leaning:
            raise InputError(f"{other.label!r} has become {before.label!r}; take that back first, or retire it")
        if after.into and not any(now[each].live for each in after.into if each in now):
            raise InputError(f"what {before.label!r} had become lives no more; restore that first")

    def _must_be_free(self, label: str, level: Level, besides: UUID | None = None) -> None:
        taken = self._named(label, level)
        if taken is not None and taken.id != besides:
            raise InputError(
                f"there is a {level} {taken.label!r} already; merge the two instead, or choose another label"
            )

    def _named(self, label: str, level: Level) -> Standing | None:
        folded = normalised_label(label)
        every = (code for code in self.codes.values() if code.live and code.level == level)
        return next((code for code in every if normalised_label(code.label) == folded), None)

    def _known(self, code: UUID) -> Standing:
        if code not in self.codes:
            raise InputError(f"study {self._study!r} has no code {code}; choose one from the codebook")
        return self.codes[code]

    def _living(self, code: UUID, level: Level | None = None) -> Standing:
        found = self._known(code)
        if not found.live:
            raise InputError(f"the {found.level} {found.label!r} has ended; restore it first, or choose another")
        if level is not None and found.level != level:
            raise InputError(f"{found.label!r} is a {found.level}, a {level} is expected; choose one")
        return found

    def _event(self, code: UUID, kind: CodeEventKind, **more: Any) -> CodeEvent:
        before = self.codes.get(code)
        given = {"label": before.label, "level": before.level} if before else {}
        return CodeEvent(
            id=code_event_id(code, kind, self._act.cause),
            code_id=code,
            study=self._study,
            kind=kind,
            author=self._act.author,
            at=self._at,
            reason=self._act.reason,
            **(given | more),
        )


def _checked(notes: Notes) -> Notes:
    """Notes in order: white space at the ends gone, examples a list without empty ones."""
    said = {name: getattr(notes, name).strip() for name in ("definition", "inclusion", "exclusion")}
    examples = [one.strip() for one in notes.examples if one.strip()]
    for text in (*said.values(), *examples):
        if len(text) > _LONGEST_NOTE:
            raise InputError(f"{text[:40]!r} has {len(text)} characters, at most {_LONGEST_NOTE} expected; shorten it")
    if len(examples) > _MOST_EXAMPLES:
        raise InputError(f"{len(examples)} examples are given, at most {_MOST_EXAMPLES} expected; take some away")
    return Notes(**said, examples=tuple(examples))


def _as_it_is(code: Standing, kind: CodeEventKind) -> dict[str, Any]:
    return {"label": code.label, "parent_id": code.parent if kind == "moved" else None}


def _state(code: Standing) -> tuple[object, ...]:
    return code.label, code.live, code.into, code.parent, Notes.of(code)
