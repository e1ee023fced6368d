"""What the codes and themes of a study are by now: the codebook's events added up.

A code ends when it is merged, split or retired. What it became is asked of a ``Codebook`` alone, in one way everywhere:
its *successors* are the active codes that it was merged or split into, over however many steps, and where there is but
one of them, that is what the code is now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from schemas import CodeEvent
from schemas.codebook import Level
from schemas.ids import normalised_label

T = TypeVar("T")
_LEVELS: tuple[Level, ...] = ("code", "theme")
_ENDINGS = ("merged", "split", "retired")
_RANKS = {"created": 0, "merged": 2, "split": 2, "retired": 2, "restored": 3}
"""Which of two events of the same time comes first; all other kinds stand between."""


@dataclass(frozen=True)
class CodeState:
    """A code or theme after all of its events."""

    id: UUID
    study: str
    level: Level
    label: str
    created_at: datetime
    active: bool
    parent: UUID | None
    placed_by: str | None
    """Who last moved it, or took a move back; none where nobody did."""
    definition: str | None
    inclusion: str | None
    exclusion: str | None
    examples: tuple[str, ...]
    color: str | None
    origin: UUID | None
    """The segment that it was created for, the last time that it was."""
    into: tuple[UUID, ...]
    """What it became, where it was merged or split."""
    ending: CodeEvent | None
    """What ended it; none while it is active, or where its creation was taken back."""
    last_event: CodeEvent
    relabelled: bool
    """Whether any of its events calls it otherwise."""

    @property
    def assignable(self) -> bool:
        """Whether segments can get it: it is active, and no theme."""
        return self.active and self.level == "code"

    @classmethod
    def replay(cls, history: Iterable[CodeEvent]) -> "CodeState":
        """Add up one code's events in the order of their time, without those taken back.

        An event that takes another one back does nothing else. A label comes from the creation or a renaming alone:
        any other event may have been written by somebody who had not heard of the newest name.

        Args:
            history: All events of one code, at least one, in any order; one that comes twice counts once.
        """
        events = in_order(history)
        undone = taken_back(events)
        kept = [event for event in events if event.id not in undone]
        changes = [event for event in kept if event.undoes is None]
        first = next((event for event in events if event.kind == "created"), events[0])
        life = _Lifecycle.of(changes, first)
        moves = {event.id for event in events if event.kind == "moved"}
        placements = [event for event in kept if event.id in moves or event.undoes in moves]
        homes = [event for event in changes if event.kind == "moved"] or [first]  # a second creation moves nothing
        unmade = not life.existed and any(event.kind == "created" for event in events)
        label = life.label or (first if unmade else events[-1]).label
        return cls(
            id=first.code_id,
            study=first.study,
            level="theme" if any(event.level == "theme" for event in events) else "code",
            label=label,
            created_at=first.at,
            active=life.ending is None and not unmade,
            parent=homes[-1].parent_id,
            placed_by=placements[-1].author if placements else None,
            definition=_latest(event.definition for event in changes) or None,
            inclusion=_latest(event.inclusion for event in changes) or None,
            exclusion=_latest(event.exclusion for event in changes) or None,
            examples=tuple(_latest(event.examples for event in changes) or ()),
            color=_latest(event.color for event in changes) or None,
            origin=(life.creation or first).segment_id,
            into=tuple(life.ending.into) if life.ending else (),
            ending=life.ending,
            last_event=events[-1],
            relabelled=any(event.label != label for event in events),
        )


@dataclass
class _Lifecycle:
    """What became of a code so far."""

    creation: CodeEvent | None = None
    ending: CodeEvent | None = None
    existed: bool = False
    label: str | None = None

    @classmethod
    def of(cls, changes: Iterable[CodeEvent], first: CodeEvent) -> "_Lifecycle":
        life = cls()
        for event in changes:
            if event.kind == "renamed":
                life.label = event.label
            elif event.kind == "created" and (life.creation is None or life.ending is not None):
                # Another refiner may create a code again, in another spelling: while it is active, that is nothing new.
                life.label = event.label if life.ending is not None or life.label is None else life.label
                life.creation, life.ending, life.existed = event, None, True
            elif event.kind == "restored":
                life.ending, life.existed = None, True
            elif event.kind in _ENDINGS:
                life.ending = None if first.code_id in event.into else event
        return life


def in_order(history: Iterable[CodeEvent]) -> list[CodeEvent]:
    """Events in the order of their time, each once."""
    known: dict[UUID, CodeEvent] = {}
    for event in history:
        known.setdefault(event.id, event)
    return sorted(known.values(), key=lambda event: (event.at, _RANKS.get(event.kind, 1), str(event.id)))


def taken_back(events: Sequence[CodeEvent]) -> set[UUID]:
    """The events of one code that others take back.

    Args:
        events: In the order of their time.
    """
    undone: set[UUID] = set()
    for event in reversed(events):  # the newest first, so that an undo that was itself undone takes nothing back
        if event.undoes is not None and event.id not in undone:
            undone.add(event.undoes)
    return undone


def _latest(values: Iterable[T | None]) -> T | None:
    """The last value that was set; ``None`` leaves what was set before, an empty one clears it."""
    return next((value for value in reversed(list(values)) if value is not None), None)


class Codebook(Mapping[UUID, CodeState]):
    """Every code and theme of a history by its id, grown event by event.

    Events may come in any order and more than once: the same events make the same codebook. A code that no event
    was heard of yet counts as active, because its creation may still be on its way.
    """

    def __init__(self, events: Iterable[CodeEvent] = ()) -> None:
        """Add up a history, of one study or of several."""
        self._histories: dict[UUID, dict[UUID, CodeEvent]] = {}
        self._states: dict[UUID, CodeState] = {}
        self._ended: dict[Level, dict[UUID, tuple[UUID, ...]]] = {level: {} for level in _LEVELS}
        self.add(events)

    def __getitem__(self, code: UUID) -> CodeState:
        return self._states[code]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def add(self, events: Iterable[CodeEvent]) -> list[CodeState]:
        """Take events in; those known already are passed over.

        Returns:
            The codes and themes that came, went or changed their label, as they are now.
        """
        touched: dict[UUID, None] = {}
        for event in events:
            history = self._histories.setdefault(event.code_id, {})
            if event.id not in history:
                history[event.id] = event
                touched[event.code_id] = None
        before = {code: self._states.get(code) for code in touched}
        after = [self._replay(code) for code in touched]
        return [state for state in after if _differs(before[state.id], state)]

    def _replay(self, code: UUID) -> CodeState:
        state = self._states[code] = CodeState.replay(self._histories[code].values())
        for level, ended in self._ended.items():
            if state.active and state.level == level:
                ended.pop(code, None)
            else:
                ended[code] = state.into
        return state

    def copy(self) -> "Codebook":
        """The same codebook as it is now, for a reader beside whoever goes on adding to this one."""
        copied = Codebook()
        copied._histories = {code: dict(history) for code, history in self._histories.items()}
        copied._states = dict(self._states)
        copied._ended = {level: dict(ended) for level, ended in self._ended.items()}
        return copied

    def history(self, code: UUID) -> list[CodeEvent]:
        """A code's events in the order of their time; none of one that is not known."""
        return in_order(self._histories.get(code, {}).values())

    def event(self, code: UUID, event: UUID) -> CodeEvent | None:
        """An event of a code by its id, if it is known."""
        return self._histories.get(code, {}).get(event)

    def is_active(self, code: UUID) -> bool:
        """Whether a code, or a theme, has not ended."""
        return code not in self._states or self._states[code].active

    def label(self, code: UUID) -> str | None:
        """What a code is called now, if it is known."""
        return self._states[code].label if code in self._states else None

    def current_code(self, code: UUID) -> UUID | None:
        """The one code that a code is by now.

        Returns:
            The code itself while it is active, else its only successor; ``None`` where it ended in none or in several,
            and for a theme.
        """
        return current(code, self._ended["code"])

    def current_theme(self, theme: UUID) -> UUID | None:
        """The one theme that a theme is by now, in the same way."""
        return current(theme, self._ended["theme"])

    def theme_of(self, code: UUID) -> UUID | None:
        """The active theme that a code stands under; where its own was merged, the one that it became."""
        home = self._states[code].parent
        return None if home is None else self.current_theme(home)

    def successors(self, code: UUID) -> set[UUID]:
        """The active codes that one which has ended became; none while it is active."""
        return successors(code, self._ended["code"])

    def retired(self, code: UUID) -> bool:
        """Whether a code was retired, and not restored since."""
        state = self._states.get(code)
        return state is not None and state.ending is not None and state.ending.kind == "retired"

    def named(self, label: str, study: str, level: Level = "code") -> CodeState | None:
        """The active code, or theme, of a study that goes by a label in any spelling."""
        folded = normalised_label(label)
        active = (code for code in self.values() if code.active and (code.study, code.level) == (study, level))
        return next((code for code in active if normalised_label(code.label) == folded), None)


def _differs(before: CodeState | None, after: CodeState) -> bool:
    return before is None or (before.label, before.assignable) != (after.label, after.assignable)


def successors(code: UUID, ended: Mapping[UUID, Iterable[UUID]]) -> set[UUID]:
    """The codes that have not ended among those that one became, over however many steps.

    Args:
        code: The one.
        ended: Every code that has ended, with those that it was merged or split into.
    """
    reached: set[UUID] = set()
    seen, left = {code}, [code]
    while left:
        for part in ended.get(left.pop(), ()):
            if part not in ended:
                reached.add(part)
            elif part not in seen:  # codes merged into each other have no successor
                seen.add(part)
                left.append(part)
    return reached


def current(code: UUID, ended: Mapping[UUID, Iterable[UUID]]) -> UUID | None:
    """The one code that a code is by now: itself, or its only successor; see ``Codebook.current_code``.

    Args:
        code: The one.
        ended: Every code that has ended, with those that it was merged or split into.
    """
    if code not in ended:
        return code
    reached = successors(code, ended)
    return reached.pop() if len(reached) == 1 else None
