"""What was erased, so that it stays so: a message of it that comes again is not recorded."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from infra.storage.database import Database, chunks
from infra.storage.tables import erased_people, erasures
from schemas import Annotation, CodeEvent, Record, Segment


def person_hash(name: str) -> str:
    """What stays of an erased person's name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def erased_of(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Which of these segments were erased."""
    erased: set[UUID] = set()
    for chunk in chunks(ids):
        query = select(erasures.c.segment_id).where(erasures.c.segment_id.in_(chunk))
        erased |= set(connection.execute(query).scalars())
    return erased


def every_erased(database: Database) -> frozenset[UUID]:
    """All segments that were ever erased."""
    with database.reading() as connection:
        return frozenset(connection.execute(select(erasures.c.segment_id)).scalars())


def not_erased(connection: Connection, records: Iterable[Record]) -> list[Record]:
    """The records without those about what was erased."""
    every = list(records)
    erased = erased_of(connection, {id_ for record in every if (id_ := segment_of(record)) is not None})
    people = _erased_people(connection, [record for record in every if isinstance(record, Annotation)])
    return [
        record
        for record in every
        if segment_of(record) not in erased
        and not (isinstance(record, Annotation) and _is_of(record, people.get(person_hash(record.annotator))))
    ]


def _erased_people(connection: Connection, annotations: Sequence[Annotation]) -> dict[str, datetime]:
    people: dict[str, datetime] = {}
    for chunk in chunks({person_hash(annotation.annotator) for annotation in annotations}):
        rows = connection.execute(select(erased_people).where(erased_people.c.sha256.in_(chunk)))
        people |= {row.sha256: row.at for row in rows}
    return people


def _is_of(annotation: Annotation, erased_at: datetime | None) -> bool:
    """Whether it was decided before its coder was erased; somebody else may have the name after that."""
    return erased_at is not None and annotation.decided_at <= erased_at


def segment_of(record: Record) -> UUID | None:
    """The segment that a record is about, of which it would tell something."""
    if isinstance(record, Segment):
        return record.id
    if isinstance(record, CodeEvent):  # a code outlives the segment that it came from
        return None
    segment = getattr(record, "segment", None)
    identity: UUID | None = segment.id if isinstance(segment, Segment) else getattr(record, "segment_id", None)
    return identity
