"""What the codebook's pages are sent, and how its changes are put into words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, field_validator

from infra.annotation.codebook_view import Listed
from infra.web.language.speech import N_, gettext
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
        """What the code means, and when to use it."""
        examples = _plain(self.examples).split("\n")
        return Notes(_plain(self.definition), _plain(self.inclusion), _plain(self.exclusion), examples)


class NewForm(_Change):
    """A new code, or a new theme."""

    level: Level = "code"
    parent: UUID | None = None
    theme: str = ""
    """A theme that is made with it, or one by its name; it counts before ``parent``."""

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
        places = {}
        for entry in self.place:
            segment, _, place = entry.partition("=")
            if place:
                places[_uuid(segment, "a segment")] = place
        return places


@dataclass(frozen=True)
class HistoryLine:
    """An event of the history, in words."""

    event: CodeEvent
    description: str
    taken_back: bool
    by_refiner: bool
    into: frozenset[UUID]
    """What the code became by it, or by what it takes back."""

    def touches(self, code: UUID) -> bool:
        """Whether a code is changed by it, or is what another one became."""
        return code == self.event.code_id or code in self.into


class OvertakenError(InputError):
    """Somebody else has changed the code since the form was drawn."""

    def __init__(self, code: CodeState) -> None:
        """Say who it was, and what they did."""
        last = code.last_event
        super().__init__(
            f"{code.label!r} was changed by {last.author} while you had it open ({last.kind}); nothing of yours is "
            "kept, look at how it stands now and try again"
        )


def created(curation: Curation, form: NewForm) -> list[CodeEvent]:
    """The events of a new code or theme, the last one its own; before it that of a theme that is made with it."""
    name = " ".join(form.theme.split())
    if form.level == "theme" or not name:
        return curation.create(form.label, form.level, parent=form.parent, notes=form.notes)
    known = curation.codebook.named(name, curation.study, "theme")
    if known is not None:
        return curation.create(form.label, parent=known.id, notes=form.notes)
    (theme,) = curation.create(name, "theme")
    (code,) = curation.create(form.label, notes=form.notes)
    return [theme, code.model_copy(update={"parent_id": theme.code_id})]


def edit(curation: Curation, code: UUID, action: Action, form: CodeForm) -> list[CodeEvent]:
    """The events that a form comes to.

    Raises:
        OvertakenError: If somebody else was faster.
        InputError: If it cannot be done.
    """
    if curation.codebook[code].last_event.id != form.last:
        raise OvertakenError(curation.codebook[code])
    match action:
        case "rename":
            events = curation.rename(code, form.label)
        case "define":
            events = curation.define(code, form.notes)
        case "move":
            events = curation.move(code, _uuid(form.theme, "a theme") if form.theme else None)
        case "merge":
            events = curation.merge([code], _required(form.into, "what it is merged into"))
        case "split":
            events = curation.split(code, part_names(form.parts))
        case "retire":
            events = curation.retire(code)
        case "restore":
            events = curation.restore(code)
        case "undo":
            events = curation.undo(_required(form.event, "what to take back"))
    return events


def part_names(lines: str) -> list[str]:
    """The names of a code's parts, one a line, each once."""
    names = [" ".join(line.split()) for line in lines.splitlines()]
    return list({normalised_label(name): name for name in reversed(names) if name}.values())[::-1]


def already_applied(events: Iterable[CodeEvent], code: UUID, cause: UUID) -> bool:
    """Whether a form has been sent before."""
    ids = {code_event_id(code, kind, str(cause)) for kind in _KINDS}
    return any(event.id in ids for event in events)


def matching(every: Iterable[Listed], words: str, *, live: bool = True) -> list[Listed]:
    """Those whose label or definition has each of the words, in the order in which they are given."""
    terms = words.casefold().split()
    codes = (code for code in every if code.live == live)
    return [code for code in codes if all(t in f"{code.label} {code.definition or ''}".casefold() for t in terms)]


def history_lines(events: Iterable[CodeEvent]) -> list[HistoryLine]:
    """A study's history in words, in the order of its time."""
    ordered = in_order(events)
    by_code: dict[UUID, list[CodeEvent]] = {}
    for event in ordered:
        by_code.setdefault(event.code_id, []).append(event)
    undone = set[UUID]().union(*(taken_back(history) for history in by_code.values()))
    names = {event.code_id: event.label for event in ordered}
    known = {event.id: event for event in ordered}
    return [
        HistoryLine(e, _description(e, names, known), e.id in undone, _by_refiner(e), _became(e, known))
        for e in ordered
    ]


def _became(event: CodeEvent, known: Mapping[UUID, CodeEvent]) -> frozenset[UUID]:
    """What an event, or the one that it takes back, made of its code."""
    while event.undoes is not None and event.undoes in known:
        event = known[event.undoes]
    return frozenset(event.into)


_SENTENCES = {
    "theme created": N_("theme created"),
    "theme created under": N_("theme created under %(parent)s"),
    "created": N_("code created"),
    "created under": N_("code created under %(parent)s"),
    "renamed": N_("renamed to “%(label)s”"),
    "defined": N_("%(fields)s changed"),
    "moved": N_("taken out of its theme"),
    "moved under": N_("moved under %(parent)s"),
    "merged": N_("merged into %(into)s"),
    "split": N_("split into %(into)s"),
}


def _description(event: CodeEvent, names: Mapping[UUID, str], known: Mapping[UUID, CodeEvent]) -> str:
    if event.undoes is not None:
        before = known.get(event.undoes)
        if before is None:
            return gettext("took an event back")
        return gettext("took back: %(what)s") % {"what": _description(before, names, known)}
    values = {
        "into": ", ".join(f"“{names.get(each, str(each))}”" for each in event.into),
        "parent": f"“{names.get(event.parent_id, str(event.parent_id))}”" if event.parent_id else "",
        "label": event.label,
        "fields": _defined(event),
    }
    return _sentence(event) % values


def _sentence(event: CodeEvent) -> str:
    """What happened, with places for the names that it is about."""
    kind = f"{event.kind} under" if event.parent_id is not None and event.kind in ("created", "moved") else event.kind
    return gettext(_SENTENCES.get(f"{event.level} {kind}") or _SENTENCES.get(kind, kind))


def _defined(event: CodeEvent) -> str:
    names = {
        "definition": gettext("definition"),
        "inclusion": gettext("inclusion"),
        "exclusion": gettext("exclusion"),
        "examples": gettext("examples"),
    }
    return ", ".join(text for name, text in names.items() if getattr(event, name) is not None) or gettext("definition")


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


def _required(value: UUID | None, what: str) -> UUID:
    if value is None:
        raise InputError(f"it is not said {what}; choose one")
    return value
