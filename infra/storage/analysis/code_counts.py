"""How many segments have each code in the end, and of how many of them people decided it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, case, func, select

from infra.storage.annotations import waiting
from infra.storage.tables import codes, final_codes, segments

_MOST_TEXTS = 20_000  # of a code that are read for their words, the newest


@dataclass(frozen=True)
class CodeCount:
    """A code and its segments; a segment with several codes counts for each."""

    id: UUID
    label: str
    """As it is called now."""
    segments: int
    people: int
    """Those of them whose code people decided."""


def code_counts(connection: Connection, study: str | None, limit: int | None = None) -> list[CodeCount]:
    """The codes that segments have in the end, the most used first.

    Args:
        connection: A transaction that reads.
        study: Whose; ``None``: all.
        limit: How many codes at most.
    """
    final = final_codes.c
    label, n = func.coalesce(codes.c.label, func.max(final.label)), func.count()
    people = func.sum(case((final.decided_by == "model", 0), else_=1))
    query = (
        select(final.code_id, label, n, people)
        .join_from(final_codes, codes, final.code_id == codes.c.id, isouter=True)
        .where(final.code_id.is_not(None))
        .group_by(final.code_id, codes.c.label)
        .order_by(n.desc(), label)
        .limit(limit)
    )
    rows = connection.execute(query if study is None else query.where(final.study == study))
    return [CodeCount(*row) for row in rows]


def texts_with(connection: Connection, study: str, code: UUID, hides: str = "") -> list[str]:
    """The texts of the segments that have a code in the end, the newest 20,000.

    Args:
        connection: A transaction that reads.
        study: Whose.
        code: The code.
        hides: Which segments are left out, as for ``infra.storage.segment_search.Filters``.
    """
    final = final_codes.c
    query = (
        select(segments.c.text)
        .join_from(segments, final_codes, segments.c.id == final.segment_id)
        .where(segments.c.study == study, final.study == study, final.code_id == code)
        .order_by(segments.c.order_at.desc(), segments.c.seq.desc())
        .limit(_MOST_TEXTS)
    )
    if hides:
        query = query.where(segments.c.id.not_in(waiting(study, every=hides == "all")))
    return list(connection.scalars(query))
