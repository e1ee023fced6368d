"""Codes whose creation the brokers lost before it was recorded, told again from what was recorded of their segments."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select

from infra.storage.database import Database
from infra.storage.tables import assignments, code_events
from models.refinement.refined_records import created_event
from schemas import Assignment, CodeEvent


def lost_creations(database: Database, assigned_before: datetime | None = None) -> list[CodeEvent]:
    """The creations of codes that segments have and no event created.

    A code's creation is on its topic before a segment has it; but topics are recorded one by one, and a broker that
    keeps them in memory takes what was not recorded along. Told from the segment that created the code, the event is
    the lost one, byte for byte; where that segment's record is lost too, the first segment that has the code stands
    for it.

    Args:
        database: The read model.
        assigned_before: Only codes that a segment had before this time; what came since may be under way.

    Returns:
        One a code.
    """
    done, created = assignments.c, code_events.c
    known = exists().where(created.code_id == done.code_id, created.kind == "created")
    query = select(done.record).where(done.standing == "code", ~known)
    if assigned_before is not None:
        query = query.where(done.assigned_at < assigned_before)
    first: dict[UUID, Assignment] = {}
    with database.reading() as connection:
        for (raw,) in connection.execute(query.order_by(done.new.desc(), done.assigned_at, done.segment_id)):
            assignment = Assignment.from_bytes(raw)
            first.setdefault(assignment.code_id, assignment)
    return [created_event(assignment) for assignment in first.values()]
