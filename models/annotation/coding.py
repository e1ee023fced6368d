"""What a person chooses on the page, made into records: an annotation, and the codes that they made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NoReturn
from uuid import UUID

from models.errors import InputError
from models.text.labels import clean_code, clean_memo
from schemas import Annotation, AnnotationRequest, Assignment, CodeEvent, Decision, Record, Segment
from schemas.coding import CodeStanding
from schemas.ids import code_event_id, code_id, normalised_label
from schemas.record import later_than

ADMITTED, OPENED = "admitted: models had proposed it", "a new code for a segment"
"""Why a code is created."""
_MOST_CODES = 20  # of one segment


@dataclass(frozen=True)
class CodeEntry:
    """A code or theme as the page needs it."""

    id: UUID
    label: str
    definition: str | None = None
    final: UUID | None = None
    """Itself while it lives, else the code that it was merged into; none where there is none."""
    theme: str | None = None
    """The label of the theme that it stands under."""
    is_theme: bool = False


class CodeLookup:
    """A study's codebook, to look codes up in."""

    def __init__(self, every: Iterable[CodeEntry]) -> None:
        """Take every code and theme, those that were merged or retired too."""
        self._by_id = {code.id: code for code in every}

    @cached_property
    def live(self) -> tuple[CodeEntry, ...]:
        """The codes that a segment can be given, by label."""
        active = [code for code in self._by_id.values() if code.final == code.id and not code.is_theme]
        return tuple(sorted(active, key=lambda code: (normalised_label(code.label), str(code.id))))

    @cached_property
    def _by_label(self) -> dict[str, CodeEntry]:
        return {normalised_label(code.label): code for code in self.live}

    def get(self, code: UUID) -> CodeEntry | None:
        """A code by its id, living or not."""
        return self._by_id.get(code)

    def current(self, code: UUID) -> CodeEntry | None:
        """What a code has become: itself while it lives, else the one that it was merged into, if any."""
        entry = self._by_id.get(code)
        return None if entry is None or entry.final is None else self._by_id.get(entry.final)

    def named(self, study: str, label: str) -> CodeEntry | None:
        """The code of this label in any spelling, or of this name before it was renamed or merged.

        Raises:
            InputError: If the label is a theme's, or a code's that was retired or split.
        """
        known = self._by_label.get(normalised_label(label))
        if known is not None:
            return known
        before = self._by_id.get(code_id(study, label))
        if before is None:
            return None
        if before.is_theme:
            raise InputError(f"{label!r} is a theme found where a code is expected; choose a code that stands under it")
        return self.current(before.id) or _gone(before.label)

    def living(self, code: UUID) -> CodeEntry:
        """What a code has become, to be given to a segment.

        Raises:
            InputError: If it is no more, or a theme.
        """
        current = self.current(code)
        if current is None:
            known = self.get(code)
            _gone(known.label if known else str(code))
        if current.is_theme:
            raise InputError(f"{current.label!r} is a theme; choose a code that stands under it")
        return current

    def resolve(
        self, study: str, entries: Iterable[CodeEntry], labels: Iterable[str]
    ) -> tuple[dict[UUID, CodeEntry], dict[UUID, str]]:
        """Add what is named in words to the codes that were chosen.

        Args:
            study: Whose codebook it is.
            entries: Living codes.
            labels: As a person wrote them: codes that exist in any spelling, or new ones.

        Returns:
            Every code once, by its id, and the labels of those that are new.

        Raises:
            InputError: If a label is no code.
        """
        taken, fresh = {code.id: code for code in entries}, dict[UUID, str]()
        for written in labels:
            label = clean_code(written)
            known = self.named(study, label)
            if known is not None:
                taken[known.id] = known
            elif (identity := code_id(study, label)) not in taken:
                fresh[identity] = label
                taken[identity] = CodeEntry(identity, label, final=identity)
        return taken, fresh


def _gone(label: str) -> NoReturn:
    raise InputError(f"the code {label!r} is retired, a living one is expected; choose another or restore it first")


@dataclass(frozen=True)
class Task:
    """One segment on one person's screen, with everything that is known about it."""

    segment: Segment
    request: AnnotationRequest | None
    """What people were asked about it; none where nobody was, and somebody codes it all the same."""
    assignment: Assignment | None
    """The system's code; none where it is not recorded yet."""
    decision: Decision | None
    """The members' proposals and the moderator's verdict."""
    last: Annotation | None
    """This person's last word on it, a withdrawn one too."""
    blind: bool
    """Whether the system's code is hidden until a first choice."""
    since: datetime | None
    """When it came on this person's screen; none where it is not."""
    held: bool
    """Whether it is theirs alone now."""
    open_slots: int
    """How many people it still lacks."""
    before: Segment | None = None
    """The one before it in the same source, and after it the next, where they were read."""
    after: Segment | None = None

    @property
    def code(self) -> UUID | None:
        """The system's code, as it was assigned; none before it was coded."""
        given = self.assignment or self.request
        return None if given is None else given.code_id

    @property
    def label(self) -> str | None:
        """That code's label, as it was assigned."""
        given = self.assignment or self.request
        return None if given is None else given.label

    @property
    def standing(self) -> CodeStanding:
        """Whether it is in the codebook, a proposal, or says that none fits."""
        return "code" if self.assignment is None else self.assignment.standing


@dataclass(frozen=True)
class CodingChoice:
    """What a person entered."""

    cause: str
    """The id of the form that it came from: sent twice, it makes the same codes."""
    accept: bool = False
    """The system's: a code, a proposed one, which is admitted with that, or that none fits."""
    codes: Sequence[UUID] = ()
    labels: Sequence[str] = ()
    """In their own words: codes that exist in any spelling, or new ones."""
    unsure: bool = False
    memo: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class CodingRecords:
    """The records that a choice comes to."""

    annotation: Annotation
    created: tuple[CodeEvent, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them, codes first."""
        return (*self.created, self.annotation)


def decide(task: Task, choice: CodingChoice, codes: CodeLookup, annotator: str, now: datetime) -> CodingRecords:
    """Make records of a person's choice; codes that were merged in the meantime become what they were merged into.

    Args:
        task: What they were shown.
        choice: What they entered.
        codes: The study's codebook now.
        annotator: Their name.
        now: The time of the decision; a moment later where their last word is not before it.

    Raises:
        InputError: If nothing was chosen, a label is no code, or a code is no more.
    """
    taken, fresh = _chosen(task, choice, codes)
    none_fits = choice.accept and task.standing == "none"
    if none_fits and taken:
        raise InputError("codes are chosen, and that none fits; take the codes or that away")
    if not taken and not choice.unsure and not none_fits:
        raise InputError("no code is chosen; choose one, write a new one, or say that you are unsure")
    if len(taken) > _MOST_CODES:
        raise InputError(f"{len(taken)} codes are chosen, at most {_MOST_CODES} expected; take some away")
    at = _after(task.last, now)
    admitted = {code: label for code, label in fresh.items() if choice.accept and code == task.code}
    opened = {code: label for code, label in fresh.items() if code not in admitted}
    created = (
        *created_for(task.segment, admitted, annotator, at, choice.cause, ADMITTED),
        *created_for(task.segment, opened, annotator, at, choice.cause, OPENED),
    )
    return CodingRecords(_annotation(task, choice, taken, codes, annotator, at), created)


def _chosen(task: Task, choice: CodingChoice, codes: CodeLookup) -> tuple[dict[UUID, CodeEntry], dict[UUID, str]]:
    """Every chosen code, and the labels of those that are new; a proposed code that is accepted is one."""
    entries, labels = [codes.living(code) for code in choice.codes], list(choice.labels)
    if choice.accept and task.standing == "proposed" and task.label is not None:
        labels.insert(0, task.label)
    elif choice.accept and task.standing == "code":
        entries.insert(0, _accepted(task, codes))
    return codes.resolve(task.segment.study, entries, labels)


def _accepted(task: Task, codes: CodeLookup) -> CodeEntry:
    if task.code is None or task.label is None:
        raise InputError("the system has given this segment no code yet; choose one")
    unrecorded = None if codes.get(task.code) else CodeEntry(task.code, task.label, final=task.code)
    return codes.current(task.code) or unrecorded or _gone(task.label)


def undo(last: Annotation, now: datetime) -> Annotation:
    """Take a decision back: the segment is as if this person had said nothing."""
    return last.model_copy(update={"withdrawn": True, "decided_at": _after(last, now), "seconds": None})


def created_for(
    segment: Segment, fresh: Mapping[UUID, str], author: str, at: datetime, cause: str, reason: str
) -> tuple[CodeEvent, ...]:
    """The codes that a person made for a segment; the same cause makes the same events."""
    return tuple(
        CodeEvent(
            id=code_event_id(code, "created", cause),
            code_id=code,
            study=segment.study,
            kind="created",
            label=label,
            author=author,
            at=at,
            reason=reason,
            segment_id=segment.id,
        )
        for code, label in fresh.items()
    )


def _annotation(
    task: Task, choice: CodingChoice, taken: dict[UUID, CodeEntry], codes: CodeLookup, annotator: str, at: datetime
) -> Annotation:
    current = None if task.code is None else codes.current(task.code)
    shown = task.code if current is None else current.id
    none_fits = choice.accept and task.standing == "none"
    judged = (taken or none_fits) and shown is not None  # unsure and nothing chosen says nothing about the code
    return Annotation.about(
        task.segment,
        annotator,
        {code.id: code.label for code in taken.values()},
        at,
        assignment=task.assignment,
        request=task.request,
        memo=clean_memo(choice.memo),
        unsure=choice.unsure,
        accepted=none_fits or shown in taken if judged else None,
        blind=task.blind,
        seconds=choice.seconds,
    )


def _after(last: Annotation | None, now: datetime) -> datetime:
    """A second thought comes after the first, whatever the clocks say: by its time it is another row."""
    return now if last is None else later_than(now, last.decided_at)
