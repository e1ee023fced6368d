"""What the codebook's pages are sent, and how its changes are put into words."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, field_validator

from infra.annotation.codebook_view import Listed
from models.codebook.codebook import CodeState, in_order, taken_back
from models.codebook.edits import Curation, Notes
from models.errors import InputError
from schemas import CodeEvent
from schemas.codebook import Level
from schemas.ids import code_event_id, normalised_label

Action = Literal["rename", "define", "move", "merge", "split", "retire", "restore", "undo"]
_KINDS = ("created", "renamed", "defined", "moved", "merged", "split", "retired", "restored")


class _Change(BaseModel):
    """What every change of the codebook says."""

    cause: UUID
    """The id of the form: sent twice, it is one change."""
    reason: str = ""
    label: str = ""
    definition: str = ""
    inclusion: str = ""
    exclusion: str = ""
    examples: str = ""
    """One a line."""

    @property
    def notes(self) -> Notes:
        """What is said about the code."""
        examples = _plain(self.examples).split("\n")
        return Notes(_plain(self.definition), _plain(self.inclusion), _plain(self.exclusion), examples)


class NewForm(_Change):
    """A new code, or a new theme."""

    level: Level = "code"
    parent: UUID | None = None

    @field_validator("parent", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None


class CodeForm(_Change):
    """A change of one code."""

    last: UUID
    """The last event of the code that the person has seen."""
    theme: str = ""
    into: UUID | None = None
    event: UUID | None = None
    parts: str = ""
    """One a line."""
    place: list[str] = []
    """``SEGMENT=PLACE``: the number of a part, ``again`` to ask people, ``leave``."""
    rest: str = "leave"

    def places(self) -> Mapping[UUID, str]:
        """Where the segments go that were placed by hand."""
        found = {}
        for each in self.place:
            segment, _, place = each.partition("=")
            if place:
                found[_uuid(segment, "a segment")] = place
        return found


@dataclass(frozen=True)
class Told:
    """An event of the history, in words."""

    event: CodeEvent
    said: str
    taken_back: bool
    by_refiner: bool


def made(curation: Curation, code: UUID, action: Action, form: CodeForm) -> list[CodeEvent]:
    """The events that a form comes to.

    Raises:
        InputError: If it cannot be done.
    """
    by_action: Mapping[Action, Callable[[], list[CodeEvent]]] = {
        "rename": lambda: curation.rename(code, form.label),
        "define": lambda: curation.define(code, form.notes),
        "move": lambda: curation.move(code, _uuid(form.theme, "a theme") if form.theme else None),
        "merge": lambda: curation.merge([code], _chosen(form.into, "what it is merged into")),
        "split": lambda: curation.split(code, parts_of(form.parts)),
        "retire": lambda: curation.retire(code),
        "restore": lambda: curation.restore(code),
        "undo": lambda: curation.undo(_chosen(form.event, "what to take back")),
    }
    return by_action[action]()


def parts_of(said: str) -> list[str]:
    """The names of a code's parts, one a line, each once."""
    names = [" ".join(line.split()) for line in said.splitlines()]
    return list({normalised_label(name): name for name in reversed(names) if name}.values())[::-1]


def done_already(events: Iterable[CodeEvent], code: UUID, cause: UUID) -> bool:
    """Whether a form has been sent before."""
    ids = {code_event_id(code, kind, str(cause)) for kind in _KINDS}
    return any(event.id in ids for event in events)


def overtaken(code: CodeState) -> str:
    """That somebody else was faster."""
    last = code.last_event
    return (
        f"{code.label!r} was changed by {last.author} while you had it open ({last.kind}); nothing of yours is kept, "
        "look at how it stands now and try again"
    )


def narrowed(every: Iterable[Listed], words: str, *, live: bool = True) -> list[Listed]:
    """Those whose label or definition has each of the words, in the order in which they are given."""
    wanted = words.casefold().split()
    some = (one for one in every if one.live == live)
    return [one for one in some if all(w in f"{one.label} {one.definition or ''}".casefold() for w in wanted)]


def told(events: Iterable[CodeEvent]) -> list[Told]:
    """A study's history in words, in the order of its time."""
    ordered = in_order(events)
    by_code: dict[UUID, list[CodeEvent]] = {}
    for event in ordered:
        by_code.setdefault(event.code_id, []).append(event)
    undone = set[UUID]().union(*(taken_back(history) for history in by_code.values()))
    names = {event.code_id: event.label for event in ordered}
    known = {event.id: event for event in ordered}
    return [Told(e, _words(e, names, known), e.id in undone, _by_refiner(e)) for e in ordered]


def _words(event: CodeEvent, names: Mapping[UUID, str], known: Mapping[UUID, CodeEvent]) -> str:
    if event.undoes is not None:
        before = known.get(event.undoes)
        return f"took back: {_words(before, names, known)}" if before else "took an event back"
    into = ", ".join(f"“{names.get(each, str(each))}”" for each in event.into)
    parent = f"“{names.get(event.parent_id, str(event.parent_id))}”" if event.parent_id else ""
    said = {
        "created": f"{event.level} created" + (f" under {parent}" if parent else ""),
        "renamed": f"renamed to “{event.label}”",
        "defined": f"{_defined(event)} changed",
        "moved": f"moved under {parent}" if parent else "taken out of its theme",
        "merged": f"merged into {into}",
        "split": f"split into {into}",
    }
    return said.get(event.kind, event.kind)


def _defined(event: CodeEvent) -> str:
    names = ("definition", "inclusion", "exclusion", "examples")
    return ", ".join(name for name in names if getattr(event, name) is not None) or "definition"


def _by_refiner(event: CodeEvent) -> bool:
    return event.id == code_event_id(event.code_id, "created", str(event.segment_id))


def _plain(text: str) -> str:
    """Text as a form sends it, lines ended as everywhere else, without what cannot be printed."""
    lines = re.split(r"\r\n?|\n", text)
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)


def _uuid(value: str, what: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InputError(f"{value[:40]!r} is not {what}; choose one of the list") from None


def _chosen(value: UUID | None, what: str) -> UUID:
    if value is None:
        raise InputError(f"it is not said {what}; choose one")
    return value
