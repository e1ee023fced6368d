"""What a code, or a theme, is now: its events added up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from schemas import CodeEvent
from schemas.codebook import Level

T = TypeVar("T")
_ENDS = ("merged", "split", "retired")
_NOT_OF_LIFE = ("renamed", "defined", "moved")


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
    into: tuple[UUID, ...]
    """What it became, where it was merged or split."""
    last: CodeEvent


def stand(history: Iterable[CodeEvent]) -> Standing:
    """Add up one code's events in the order of their time, without those taken back.

    Args:
        history: All events of one code, at least one, in any order; one that comes twice counts once.
    """
    known: dict[UUID, CodeEvent] = {}
    for event in history:
        known.setdefault(event.id, event)
    events = sorted(known.values(), key=lambda event: (event.at, str(event.id)))
    undone = _undone(events)
    standing = [event for event in events if event.id not in undone]
    first = next((event for event in events if event.kind == "created"), events[0])
    lives = [event for event in standing if event.kind not in _NOT_OF_LIFE]
    ended = bool(lives) and lives[-1].kind in _ENDS and first.code_id not in lives[-1].into
    moves = {event.id for event in events if event.kind == "moved"}
    placed = [event for event in standing if event.id in moves or event.undoes in moves]
    homes = [event for event in standing if event.id in moves] or [first]  # a second creation moves nothing
    return Standing(
        id=first.code_id,
        study=first.study,
        level="theme" if any(event.level == "theme" for event in events) else "code",
        label=events[-1].label,
        created_at=first.at,
        live=not ended,
        parent=homes[-1].parent_id,
        placed_by=placed[-1].author if placed else None,
        definition=_latest(event.definition for event in standing),
        inclusion=_latest(event.inclusion for event in standing),
        exclusion=_latest(event.exclusion for event in standing),
        examples=tuple(_latest(event.examples for event in standing) or ()),
        origin=first.segment_id,
        into=tuple(lives[-1].into) if ended else (),
        last=events[-1],
    )


def _latest(said: Iterable[T | None]) -> T | None:
    """The last of what was said; not to say anything leaves what was said before."""
    return next((one for one in reversed(list(said)) if one is not None), None)


def _undone(events: Sequence[CodeEvent]) -> set[UUID]:
    undone: set[UUID] = set()
    for event in reversed(events):  # the newest first, so that an undo that was itself undone takes nothing back
        if event.undoes is not None and event.id not in undone:
            undone.add(event.undoes)
    return undone


def codebook(events: Iterable[CodeEvent]) -> dict[UUID, Standing]:
    """Every code and theme of a history, in any order of its events."""
    histories: dict[UUID, list[CodeEvent]] = {}
    for event in events:
        histories.setdefault(event.code_id, []).append(event)
    return {code: stand(history) for code, history in histories.items()}
