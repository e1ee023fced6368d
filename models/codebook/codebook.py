"""What a code, or a theme, is now: its events added up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from schemas import CodeEvent
from schemas.codebook import Level

T = TypeVar("T")
_ENDS = ("merged", "split", "retired")
_RANKS = {"created": 0, "merged": 2, "split": 2, "retired": 2, "restored": 3}
"""Which of two events of the same time comes first; all other kinds stand between."""


@dataclass(frozen=True)
class Standing:
    """A code or theme after all of its events."""

    id: UUID
    study: str
    level: Level
    label: str
    created_at: datetime
    live: bool
    parent: UUID | None
    placed_by: str | None
    """Who last moved it, or took a move back; none where nobody did."""
    definition: str | None
    inclusion: str | None
    exclusion: str | None
    examples: tuple[str, ...]
    origin: UUID | None
    """The segment that it was created for, the last time that it was."""
    into: tuple[UUID, ...]
    """What it became, where it was merged or split."""
    end: CodeEvent | None
    """What ended it; none while it lives, or where its creation was taken back."""
    last: CodeEvent
    relabelled: bool
    """Whether any of its events calls it otherwise."""


def stand(history: Iterable[CodeEvent]) -> Standing:
    """Add up one code's events in the order of their time, without those taken back.

    An event that takes another one back does nothing else. A label comes from the creation or a renaming alone: any
    other event may have been written by somebody who had not heard of the newest name.

    Args:
        history: All events of one code, at least one, in any order; one that comes twice counts once.
    """
    events = in_order(history)
    undone = taken_back(events)
    standing = [event for event in events if event.id not in undone]
    said = [event for event in standing if event.undoes is None]
    first = next((event for event in events if event.kind == "created"), events[0])
    life = _Life.of(said, first)
    moves = {event.id for event in events if event.kind == "moved"}
    placed = [event for event in standing if event.id in moves or event.undoes in moves]
    homes = [event for event in said if event.kind == "moved"] or [first]  # a second creation moves nothing
    unmade = not life.stood and any(event.kind == "created" for event in events)
    label = life.label or (first if unmade else events[-1]).label
    return Standing(
        id=first.code_id,
        study=first.study,
        level="theme" if any(event.level == "theme" for event in events) else "code",
        label=label,
        created_at=first.at,
        live=life.end is None and not unmade,
        parent=homes[-1].parent_id,
        placed_by=placed[-1].author if placed else None,
        definition=_latest(event.definition for event in said) or None,
        inclusion=_latest(event.inclusion for event in said) or None,
        exclusion=_latest(event.exclusion for event in said) or None,
        examples=tuple(_latest(event.examples for event in said) or ()),
        origin=(life.begun or first).segment_id,
        into=tuple(life.end.into) if life.end else (),
        end=life.end,
        last=events[-1],
        relabelled=any(event.label != label for event in events),
    )


@dataclass
class _Life:
    """What became of a code so far."""

    begun: CodeEvent | None = None
    end: CodeEvent | None = None
    stood: bool = False
    label: str | None = None

    @classmethod
    def of(cls, said: Iterable[CodeEvent], first: CodeEvent) -> "_Life":
        life = cls()
        for event in said:
            if event.kind == "renamed":
                life.label = event.label
            elif event.kind == "created" and (life.begun is None or life.end is not None):
                # Another refiner may create a code again, in another spelling: while it lives, that says nothing new.
                life.label = event.label if life.end is not None or life.label is None else life.label
                life.begun, life.end, life.stood = event, None, True
            elif event.kind == "restored":
                life.end, life.stood = None, True
            elif event.kind in _ENDS:
                life.end = None if first.code_id in event.into else event
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


def _latest(said: Iterable[T | None]) -> T | None:
    """The last of what was said; not to say anything leaves what was said before, to say nothing ("") clears it."""
    return next((one for one in reversed(list(said)) if one is not None), None)


def replay(events: Iterable[CodeEvent]) -> dict[UUID, Standing]:
    """Every code and theme of a history, in any order of its events."""
    histories: dict[UUID, list[CodeEvent]] = {}
    for event in events:
        histories.setdefault(event.code_id, []).append(event)
    return {code: stand(history) for code, history in histories.items()}


def heirs(code: UUID, into: Callable[[UUID], Iterable[UUID]], counts: Callable[[UUID], bool]) -> set[UUID]:
    """The living codes that one which has ended was merged or split into, over however many steps.

    Args:
        code: The one that has ended.
        into: What a code became; nothing, where it lives.
        counts: Whether one lives, and is of the kind that is looked for.
    """
    found: set[UUID] = set()
    seen, open_ = {code}, [code]
    while open_:
        for each in into(open_.pop()):
            if counts(each):
                found.add(each)
            elif each not in seen:  # codes merged into each other have no heir
                seen.add(each)
                open_.append(each)
    return found


def final(code: UUID, into: Callable[[UUID], Iterable[UUID]], lives: Callable[[UUID], bool]) -> UUID | None:
    """The one living code that a code is by now; none where it ended in none, or in several."""
    if lives(code):
        return code
    found = heirs(code, into, lives)
    return next(iter(found)) if len(found) == 1 else None
