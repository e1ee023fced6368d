"""A study's coded segments as a REFI-QDA project: what people said, and what the system gave."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from infra.annotation.memos import Memo, study_memos
from infra.files.export import labels
from infra.files.tables import OutputRow
from infra.refi.writing import CodedPassage, Whole, project_archive
from infra.storage.annotations import SYSTEM
from infra.storage.database import CHUNK, chunks
from infra.storage.store import Store
from infra.storage.tables import segments
from models.annotation.spans import document_start
from models.codebook.codebook import Codebook
from schemas import Segment


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
    placed = (_placed(each, places) for each in passages)
    memos = [_on_current(memo, codebook) for memo in study_memos(store.database, study)]
    return project_archive(codebook, study, placed, now, memos), len(people)


def _on_current(memo: Memo, codebook: Codebook) -> Memo:
    """A memo on the code that its own became."""
    if memo.code is None:
        return memo
    return replace(memo, code=codebook.current_code(memo.code) or codebook.current_theme(memo.code) or memo.code)


def _of_people(store: Store, study: str) -> Iterator[CodedPassage]:
    rows = [row for row in labels(store, study) if row["codes"] and row["text"]]
    wholes = _wholes(store, {row["within"] for row in rows if row["within"]})
    for row in rows:
        if row["within"] is None or row["within"] in wholes:  # else its segment was never taken in here
            yield CodedPassage(
                segment=row["segment_id"],
                source=row["source"] or study,
                text=row["text"],
                coder=row["annotator"],
                codes=[UUID(code) for code in row["code_ids"]],
                at=row["decided_at"],
                memo=row["memo"],
                start=row["start"],
                inside=_inside(row, wholes),
            )


def _wholes(store: Store, ids: Collection[UUID]) -> dict[UUID, Segment]:
    """The segments in which parts are marked."""
    wholes: dict[UUID, Segment] = {}
    with store.database.reading() as connection:
        for chunk in chunks(ids):
            query = select(segments.c.record).where(segments.c.id.in_(chunk))
            wholes |= {each.id: each for each in map(Segment.from_bytes, connection.scalars(query))}
    return wholes


def _inside(row: OutputRow, wholes: Mapping[UUID, Segment]) -> Whole | None:
    if row["within"] is None:
        return None
    whole = wholes[row["within"]]
    return Whole(whole.id, whole.text, document_start(whole.metadata), row["offset"] or 0)


def _of_the_system(store: Store, study: str) -> Iterator[CodedPassage]:
    for row in store.rows(study):
        if row["code_id"] is not None:
            yield CodedPassage(row["id"], row["source"] or study, row["text"], SYSTEM, [row["code_id"]], None)


def _places(store: Store, study: str) -> dict[UUID, int | None]:
    """The study's segments in the order that they were said, with where they begin in their documents."""
    query = select(segments.c.record).where(segments.c.study == study).order_by(segments.c.order_at, segments.c.seq)
    with store.database.reading() as connection:
        read = map(Segment.from_bytes, connection.execution_options(yield_per=CHUNK).execute(query).scalars())
        return {segment.id: document_start(segment.metadata) for segment in read}


def _placed(passage: CodedPassage, places: dict[UUID, int | None]) -> CodedPassage:
    start = places.get(passage.segment, passage.start)
    return CodedPassage(**{**vars(passage), "start": start})
