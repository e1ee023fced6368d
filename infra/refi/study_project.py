"""A study's coded segments as a REFI-QDA project: what people said, and what the system gave."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from infra.files.export import labels
from infra.refi.writing import CodedPassage, project_archive
from infra.storage.annotations import SYSTEM
from infra.storage.database import CHUNK
from infra.storage.store import Store
from infra.storage.tables import segments
from models.codebook.codebook import Codebook
from schemas import Segment

_POSITION = "position"
"""Under which a segment's metadata says from where to where it stands in its document, in characters."""


def study_project(store: Store, study: str, now: datetime) -> tuple[bytes, int]:
    """The project's archive, and how many codings of people it holds.

    What people took back, or coded with no code, is not in it: the standard has no place for either.
    """
    codebook = Codebook(store.code_events(study))
    people = list(_of_people(store, study))
    passages = [*people, *_of_the_system(store, study)]
    places = _places(store, study)
    order = {id_: n for n, id_ in enumerate(places)}
    passages.sort(key=lambda passage: order.get(passage.segment, len(order)))
    return project_archive(codebook, study, (_placed(each, places) for each in passages), now), len(people)


def _of_people(store: Store, study: str) -> Iterator[CodedPassage]:
    for row in labels(store, study):
        if row["codes"] and row["text"]:
            yield CodedPassage(
                segment=row["segment_id"],
                source=row["source"] or study,
                text=row["text"],
                coder=row["annotator"],
                codes=[UUID(code) for code in row["code_ids"]],
                at=row["decided_at"],
                memo=row["memo"],
                start=row["start"],
            )


def _of_the_system(store: Store, study: str) -> Iterator[CodedPassage]:
    for row in store.rows(study):
        if row["code_id"] is not None:
            yield CodedPassage(row["id"], row["source"] or study, row["text"], SYSTEM, [row["code_id"]], None)


def _places(store: Store, study: str) -> dict[UUID, int | None]:
    """The study's segments in the order that they were said, with where they begin in their documents."""
    query = select(segments.c.record).where(segments.c.study == study).order_by(segments.c.order_at, segments.c.seq)
    with store.database.reading() as connection:
        read = map(Segment.from_bytes, connection.execution_options(yield_per=CHUNK).execute(query).scalars())
        return {segment.id: _start(segment) for segment in read}


def _start(segment: Segment) -> int | None:
    position = segment.metadata.get(_POSITION)
    start = position[0] if isinstance(position, list) and position else None
    return start if isinstance(start, int) and not isinstance(start, bool) and start >= 0 else None


def _placed(passage: CodedPassage, places: dict[UUID, int | None]) -> CodedPassage:
    start = places.get(passage.segment, passage.start)
    return CodedPassage(**{**vars(passage), "start": start})
