"""What a segment's page offers to choose from: the system's code, the members' proposals, the nearest codes."""

from dataclasses import dataclass
from uuid import UUID

from infra.annotation.code_search import LEAST, Nearby
from models.annotation.coding import CodeEntry, CodeLookup, Task
from models.errors import InputError
from models.text.labels import clean_code
from schemas.coding import CodeStanding
from schemas.ids import normalised_label

_NEAREST = 6
_KEYS = 9


@dataclass(frozen=True)
class Suggestion:
    """One line that can be ticked."""

    label: str
    code: CodeEntry | None
    """None where it would be a new code."""
    by: tuple[str, ...] = ()
    """The members that proposed it."""
    similarity: float | None = None
    key: int | None = None
    """The digit that ticks it."""


@dataclass(frozen=True)
class System:
    """The system's code as it stands today."""

    id: UUID
    label: str
    definition: str | None
    now: bool
    """Whether it can still be given: it was not retired or split."""
    standing: CodeStanding = "code"
    """Whether it is in the codebook by now, a proposal, or says that none fits."""


def system(task: Task, codes: CodeLookup) -> System | None:
    """The code that accepting means; none where the system has given none."""
    if task.code is None or task.label is None:
        return None
    current = codes.current(task.code)
    if current is not None:
        return System(current.id, current.label, current.definition, True)
    return System(task.code, task.label, None, codes.get(task.code) is None, task.standing)


def proposed(task: Task, codes: CodeLookup) -> list[Suggestion]:
    """What the members proposed, but for the system's code; nothing while it is coded blind."""
    if task.blind or task.decision is None:
        return []
    taken = system(task, codes)
    by_name: dict[str, Suggestion] = {}
    for proposal in task.decision.proposals:
        if proposal.fault or not proposal.label:
            continue
        try:
            label = clean_code(proposal.label)
            code = codes.named(task.segment.study, label)
        except InputError:  # no code that a person could choose either
            continue
        name = normalised_label(code.label if code else label)
        if taken and (name == normalised_label(taken.label) or (code and code.id == taken.id)):
            continue
        before = by_name.get(name)
        by_name[name] = Suggestion(
            code.label if code else label, code, (*(before.by if before else ()), proposal.member)
        )
    return _numbered(list(by_name.values()), 1)


def nearest_suggestions(task: Task, codes: CodeLookup, nearby: Nearby) -> list[Suggestion] | None:
    """The codes near to the segment that are not offered already, none under a floor; ``None`` while none can be told.

    While it is coded blind, only its text says what is near, and a code that it created itself is left out.
    """
    before = proposed(task, codes)
    without = {suggestion.code.id for suggestion in before if suggestion.code}
    given = system(task, codes)
    if not task.blind and given is not None:
        without.add(given.id)
    elif task.assignment is not None and task.assignment.new:
        without.add(task.assignment.code_id)
    label = task.assignment.proposed if task.assignment and task.standing == "none" else task.label
    texts = [task.segment.text, *([label] if label and not task.blind else [])]
    near = nearby.nearest(task.segment.study, texts, _NEAREST, without)
    if near is None:
        return None
    nearest = [
        Suggestion(each.code.label, each.code, similarity=each.similarity) for each in near if each.similarity >= LEAST
    ]
    return _numbered(nearest, 1 + len(before))


def _numbered(suggestions: list[Suggestion], first: int) -> list[Suggestion]:
    return [
        Suggestion(
            suggestion.label, suggestion.code, suggestion.by, suggestion.similarity, key if key <= _KEYS else None
        )
        for key, suggestion in enumerate(suggestions, first)
    ]
