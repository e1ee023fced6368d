"""What the refiner writes: a code's creation, and assignments as they were before the router saw them."""

from uuid import UUID

from models.codebook.codebook import CodeState
from models.refinement.batch_index import NearCode
from schemas import Assignment, CodeEvent, Neighbour
from schemas.coding import NONE_FITS, CodeStanding
from schemas.ids import code_event_id, code_id, no_code_id


def put_by_its_creator(state: CodeState) -> bool:
    """Whether the refiner that created a code has put it into the index, and nothing has happened to it since.

    A person may create a code for a segment, too; such an event has another cause, and so another id.
    """
    return state.last_event.id == _creation_id(state.id, state.last_event.segment_id)


def _creation_id(code: UUID, segment: UUID | None) -> UUID:
    return code_event_id(code, "created", str(segment))


def created_event(assignment: Assignment) -> CodeEvent:
    """The event of the code that an assignment created."""
    code, study, proposed = assignment.code_id, assignment.study, assignment.proposed
    same = code == code_id(study, proposed)
    return CodeEvent(
        id=_creation_id(code, assignment.segment_id),
        code_id=code,
        study=study,
        kind="created",
        label=proposed if same else assignment.label,  # a replay after a renaming gives the first label again
        author=assignment.models.get("moderator", "moderator"),  # old records do not name it
        at=assignment.assigned_at,
        reason=assignment.why,
        segment_id=assignment.segment_id,
    )


def unrouted(assignment: Assignment) -> Assignment:
    """An assignment as the refiner writes it."""
    if assignment.route is None:
        return assignment
    return assignment.model_copy(update={"route": None, "confidence": None})


def neighbour(near: NearCode | None) -> Neighbour | None:
    """A near code as a record holds it."""
    return None if near is None else Neighbour(code_id=near.id, label=near.label, similarity=near.similarity)


def outside(study: str, label: str, standing: CodeStanding, similarity: float) -> NearCode:
    """What stands for a code where the codebook has none: the label that is proposed, or that none fits.

    Args:
        study: Whose codebook.
        label: What was decided on.
        standing: ``proposed`` or ``none``.
        similarity: Cosine of the label to the nearest code, 0 where there is none.
    """
    if standing == "none":
        return NearCode(no_code_id(study), NONE_FITS, similarity)
    return NearCode(code_id(study, label), label, similarity)
