"""How many people a request still lacks: counted anew whenever one of its records is written.

It is kept beside the request, so that the next segment is found by an index, however many were coded before. Whoever
has decided has the segment on the screen no more.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Subquery, case, delete, exists, func, or_, select, update

from infra.people.codings import current_annotations
from infra.readmodel.database import chunks
from infra.readmodel.tables import annotations, marks, requests

_ALL = 99  # an adjudication stands for every coder


def count_lacking(connection: Connection, segments: Collection[UUID]) -> None:
    """Bring the requests of these segments up to what people have said, inside the connection's transaction."""
    for chunk in chunks(sorted(segments)):
        wanted = requests.c.segment_id.in_(chunk)
        # Two decisions at once: the second counts when the first is in (on SQLite it has waited for that already).
        connection.execute(
            select(requests.c.segment_id).where(wanted).order_by(requests.c.segment_id).with_for_update()
        ).all()
        said = current_annotations(None, annotations.c.segment_id.in_(chunk))
        settles = func.max(case((said.c.kind == "adjudication", 1), else_=0)) == 1
        answers = (
            select(case((settles, _ALL), else_=func.count()))
            .where(said.c.segment_id == requests.c.segment_id, answered_by(said))
            .correlate(requests)
            .scalar_subquery()
        )
        lacks = case((requests.c.coders > answers, requests.c.coders - answers), else_=0)
        connection.execute(update(requests).where(wanted).values(lacks=lacks))
        decided = exists().where(
            annotations.c.segment_id == marks.c.segment_id,
            annotations.c.annotator == marks.c.annotator,
            annotations.c.decided_at >= marks.c.since,
            annotations.c.withdrawn.is_(False),
        )
        connection.execute(delete(marks).where(marks.c.segment_id.in_(chunk), marks.c.kind == "locked", decided))


def answered_by(said: Subquery) -> ColumnElement[bool]:
    """Whether an annotation answers its segment's request: asked again, only what was said since does."""
    return or_(requests.c.reason != "asked again", said.c.decided_at > requests.c.requested_at)
