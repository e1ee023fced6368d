"""A study's coded segments with their groups: source, language, length, and each attribute with few values."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from infra.storage.analysis.crosstab import WITHOUT
from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.tables import assignments, segments
from models.annotation.human_decision import LatestAnnotations
from models.evaluation.group_rates import MOST_GROUPS, CodedSegment, length_group
from schemas import Annotation
from schemas.feedback import attributes_of

FIXED = ("source", "language", "length")
"""What every segment has; everything else is an attribute of its own metadata."""
_LONGEST_NAME = 60  # characters of a group's name


def coded_segments(database: Database, study: str, by: Sequence[str] = ()) -> list[CodedSegment]:
    """Every segment that the system has coded.

    Args:
        database: The read model.
        study: Whose.
        by: What to look at: any of ``FIXED`` and attributes. None: what there is of ``FIXED`` with more than one group,
            and each attribute with 2 to 12 values.
    """
    columns = (segments.c.id, segments.c.text, segments.c.source, segments.c.language, segments.c.metadata)
    query = (
        select(*columns, assignments.c.new, assignments.c.standing, assignments.c.route)
        .join(assignments, assignments.c.segment_id == segments.c.id)
        .where(segments.c.study == study)
        .order_by(segments.c.seq)
    )
    words = current_annotations(study)
    with database.reading() as connection:
        rows = connection.execute(query).all()
        latest = LatestAnnotations(map(Annotation.from_bytes, connection.scalars(select(words.c.record))))
    looked_at = by or [*(name for name in FIXED if len({_group(row, name) for row in rows}) > 1), *_attributes(rows)]
    return [_coded(row, latest, looked_at) for row in rows]


def _coded(row: Any, latest: LatestAnnotations, by: Sequence[str]) -> CodedSegment:
    decision = latest.decision(row.id)
    return CodedSegment(
        groups={name: _group(row, name) for name in by},
        reused=not row.new and row.standing == "code",
        to_people=None if row.route is None else row.route == "people",
        stands=None if decision is None else decision.accepted,
        drawn=decision is not None and any(annotation.sample for annotation in decision.standing),
    )


def _group(row: Any, name: str) -> str:
    if name == "length":
        return length_group(len(row.text.split()))
    value = {"source": row.source, "language": row.language}.get(name) if name in FIXED else row.metadata.get(name)
    return WITHOUT if value in (None, "") else " ".join(str(value).split())[:_LONGEST_NAME]


def _attributes(rows: Sequence[Any]) -> Iterator[str]:
    """Attributes that make groups: with more than one value, and few."""
    values: Mapping[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, value in attributes_of(row.metadata).items():
            if name not in FIXED and len(values[name]) <= MOST_GROUPS:
                values[name].add(str(value))
    return (name for name, each in sorted(values.items()) if 1 < len(each) <= MOST_GROUPS)
