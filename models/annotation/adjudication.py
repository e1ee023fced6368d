"""What a lead decides about a segment for all, made into records: where coders disagree, and where a code is split."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.annotation.coding import CodeEntry, CodeLookup, CodingRecords, created_for
from models.codebook.edits import Act
from models.errors import InputError
from models.text.labels import clean_memo
from schemas import Annotation, AnnotationRequest, Assignment, Record, Segment
from schemas.record import later_than

NamedCode = tuple[UUID, str]
"""A code and its label."""

DISPUTED = "a new code where coders disagreed"
"""Why a code is created."""


@dataclass(frozen=True)
class AdjudicationCase:
    """A segment that is to be adjudicated, with what the system and the lead said about it."""

    segment: Segment
    assignment: Assignment | None
    request: AnnotationRequest | None
    adjudication: Annotation | None
    """The lead's own, where it is their last word."""
    coding: Annotation | None
    """What the lead coded, as it counts now beside an adjudication."""

    def after(self, now: datetime) -> datetime:
        """A time that comes after all that the lead said, whatever the clocks say."""
        words = (self.adjudication, self.coding)
        return later_than(now, *(annotation.decided_at for annotation in words if annotation is not None))


@dataclass(frozen=True)
class AdjudicationChoice:
    """What a lead entered."""

    cause: str
    """The id of the form that it came from: sent twice, it makes the same code."""
    codes: Sequence[UUID] = ()
    label: str = ""
    """A code in their own words: one that exists in any spelling, or a new one."""
    none_fits: bool = False
    memo: str = ""


def adjudicate(
    case: AdjudicationCase, choice: AdjudicationChoice, codes: CodeLookup, lead: str, now: datetime
) -> CodingRecords:
    """Make records of a choice; codes that were merged in the meantime become what they were merged into.

    Raises:
        InputError: If nothing was chosen, codes were chosen although none is to fit, or a code is no more.
    """
    study, at = case.segment.study, case.after(now)
    written = [choice.label] if choice.label.strip() else []
    taken, fresh = codes.resolve(study, [codes.living(code) for code in choice.codes], written)
    if bool(taken) == choice.none_fits:
        problem = "codes are chosen, and that none fits" if taken else "no code is chosen"
        raise InputError(f"{problem}; choose codes, write one, or say that none fits")
    created = created_for(case.segment, fresh, lead, at, choice.cause, DISPUTED)
    annotation = Annotation.about(
        case.segment,
        lead,
        {code.id: code.label for code in taken.values()},
        at,
        assignment=case.assignment,
        request=case.request,
        kind="adjudication",
        memo=clean_memo(choice.memo),
        accepted=_accepts(case.assignment, taken, codes),
    )
    return CodingRecords(annotation, created)


def withdraw(case: AdjudicationCase, now: datetime) -> list[Record]:
    """Take an adjudication back: the segment is disputed again, and the lead's own coding, if any, counts again.

    Raises:
        InputError: If the lead has adjudicated nothing here.
    """
    if case.adjudication is None:
        raise InputError("you have settled nothing here that could be undone; who did can undo it, or settle it anew")
    at = case.after(now)
    withdrawn = case.adjudication.model_copy(update={"withdrawn": True, "decided_at": at, "seconds": None})
    if case.coding is None:
        return [withdrawn]
    again = case.coding.model_copy(update={"decided_at": later_than(at, at), "seconds": None})
    return [withdrawn, again]


def move_segment(case: AdjudicationCase, codes: Iterable[NamedCode], of: UUID, to: NamedCode, act: Act) -> Annotation:
    """Put one code in another's place, for all who coded the segment; its other codes stay.

    Args:
        case: The segment.
        codes: Its codes in the end as they are now.
        of: The code that goes.
        to: The code that comes.
        act: Who moves it, and when; the reason becomes the memo.
    """
    moved = dict(to if code == of else (code, label) for code, label in [*codes, to])
    return Annotation.about(
        case.segment,
        act.author,
        moved,
        case.after(act.at),
        assignment=case.assignment,
        request=case.request,
        kind="adjudication",
        memo=act.reason,
        accepted=case.assignment.code_id in moved if case.assignment else None,
    )


def _accepts(assignment: Assignment | None, taken: Mapping[UUID, CodeEntry], codes: CodeLookup) -> bool | None:
    """Whether the system's code, as it is now, is among those chosen."""
    if assignment is None:
        return None
    now = codes.current(assignment.code_id)
    return (now.id if now else assignment.code_id) in taken
