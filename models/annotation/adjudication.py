"""What settles a segment that coders disagree on, made into records: the adjudication, and a code that it made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from models.annotation.coding import CodeEntry, CodeLookup, CodingRecords, created_for
from models.codebook.edits import Act
from models.errors import InputError
from models.text.labels import clean_memo
from schemas import Annotation, AnnotationRequest, Assignment, Record, Segment


@dataclass(frozen=True)
class AdjudicationCase:
    """A segment that is to be settled, with what the system and the one who settles it said about it."""

    segment: Segment
    assignment: Assignment | None
    request: AnnotationRequest | None
    ruling: Annotation | None
    """What this person settled before, as it counts now."""
    coding: Annotation | None
    """What this person coded before anything was settled, as it counts now."""

    def after(self, now: datetime) -> datetime:
        """A time that comes after all that this person said, whatever the clocks say."""
        said = [one.decided_at for one in (self.ruling, self.coding) if one is not None]
        return max([now, *(at + timedelta(microseconds=1) for at in said)])


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
    docket: AdjudicationCase, ruling: AdjudicationChoice, codes: CodeLookup, lead: str, now: datetime
) -> CodingRecords:
    """Make records of a ruling; codes that were merged in the meantime become what they were merged into.

    Raises:
        InputError: If nothing was chosen, codes were chosen although none is to fit, or a code is no more.
    """
    study, at = docket.segment.study, docket.after(now)
    written = [ruling.label] if ruling.label.strip() else []
    taken, fresh = codes.resolve(study, [codes.living(code) for code in ruling.codes], written)
    if bool(taken) == ruling.none_fits:
        found = "codes are chosen, and that none fits" if taken else "no code is chosen"
        raise InputError(f"{found}; choose codes, write one, or say that none fits")
    created = created_for(docket.segment, fresh, lead, at, ruling.cause, "a new code where coders disagreed")
    return CodingRecords(_annotation(docket, ruling, taken, codes, lead, at), created)


def withdraw(docket: AdjudicationCase, now: datetime) -> list[Record]:
    """Take a ruling back: the segment is disputed again, and the lead's own coding, if there is one, counts again.

    Raises:
        InputError: If this person has settled nothing here.
    """
    if docket.ruling is None:
        raise InputError("you have settled nothing here that could be undone; who did can undo it, or settle it anew")
    at = docket.after(now)
    taken_back = docket.ruling.model_copy(update={"withdrawn": True, "decided_at": at, "seconds": None})
    if docket.coding is None:
        return [taken_back]
    again = docket.coding.model_copy(update={"decided_at": at + timedelta(microseconds=1), "seconds": None})
    return [taken_back, again]


def _annotation(
    docket: AdjudicationCase,
    ruling: AdjudicationChoice,
    taken: dict[UUID, CodeEntry],
    codes: CodeLookup,
    lead: str,
    at: datetime,
) -> Annotation:
    was, asked = docket.assignment, docket.request
    now = codes.current(was.code_id) if was else None
    return Annotation(
        segment_id=docket.segment.id,
        study=docket.segment.study,
        annotator=lead,
        kind="adjudication",
        code_ids=list(taken),
        labels=[code.label for code in taken.values()],
        text=docket.segment.text,
        memo=clean_memo(ruling.memo),
        shown=was.label if was else None,
        accepted=(now.id if now else was.code_id) in taken if was else None,
        confidence=asked.confidence if asked else was.confidence if was else None,
        signals=asked.signals if asked else was.signals if was else {},
        reason=asked.reason if asked else None,
        sample=asked.sample if asked else False,
        decided_at=at,
    )


NamedCode = tuple[UUID, str]
"""A code and its label."""


def move_segment(
    segment: Segment, assignment: Assignment | None, codes: Iterable[NamedCode], of: UUID, to: NamedCode, act: Act
) -> Annotation:
    """Put one code in another's place; the segment's other codes stay.

    Args:
        segment: The segment.
        assignment: What the system gave it, if it did.
        codes: The segment's codes as they are settled now.
        of: The code that goes.
        to: The code that comes.
        act: Who moves it, and when; the reason becomes the memo.
    """
    chosen = dict(to if code == of else (code, label) for code, label in [*codes, to])
    given = {} if assignment is None else {"shown": assignment.label, "confidence": assignment.confidence}
    return Annotation(
        segment_id=segment.id,
        study=segment.study,
        annotator=act.author,
        kind="adjudication",  # it settles what the segment is, whoever coded it before
        code_ids=list(chosen),
        labels=list(chosen.values()),
        text=segment.text,
        memo=act.reason,
        accepted=assignment.code_id in chosen if assignment else None,
        signals=assignment.signals if assignment else {},
        decided_at=act.at,
        **given,
    )
