"""A segment that a person moves from a code that is split to one of its parts, made into an annotation."""

from collections.abc import Iterable
from uuid import UUID

from models.codebook.edits import Act
from schemas import Annotation, Assignment, Segment

NamedCode = tuple[UUID, str]
"""A code and its label."""


def reassigned(
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
