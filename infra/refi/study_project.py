"""A study's texts as a REFI-QDA project, with their codes: what people said, and what the system gave."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from infra.annotation.memos import Memo, study_memos
from infra.files.export import labels
from infra.refi.writing import CodedPassage, PartPlace, SourceText, project_archive
from infra.storage.annotations import SYSTEM
from infra.storage.database import CHUNK
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
    texts = {text.segment: text for text in _texts(store, study)}
    people = list(_of_people(store, study, texts))
    order = {id_: n for n, id_ in enumerate(texts)}
    passages = [_as_now(passage, codebook) for passage in (*people, *_of_the_system(store, study))]
    passages.sort(key=lambda passage: order.get(passage.segment, len(order)))
    memos = [_on_current(memo, codebook) for memo in study_memos(store.database, study)]
    return project_archive(codebook, study, passages, now, memos, texts.values()), len(people)


def _as_now(passage: CodedPassage, codebook: Codebook) -> CodedPassage:
    """A passage with what its codes became; one that ended in none or in several stands for itself."""
    return replace(passage, codes=list(dict.fromkeys(codebook.current_code(code) or code for code in passage.codes)))


def _on_current(memo: Memo, codebook: Codebook) -> Memo:
    """A memo on the code that its own became."""
    if memo.code is None:
        return memo
    return replace(memo, code=codebook.current_code(memo.code) or codebook.current_theme(memo.code) or memo.code)


def _of_people(store: Store, study: str, texts: Mapping[UUID, SourceText]) -> Iterator[CodedPassage]:
    for row in labels(store, study):
        within = texts.get(row["within"])
        if row["codes"] and row["text"] and (within or row["within"] is None):  # else it was never taken in here
            yield CodedPassage(
                segment=row["segment_id"],
                source=within.source if within else row["source"] or study,
                text=row["text"],
                coder=row["annotator"],
                codes=[UUID(code) for code in row["code_ids"]],
                at=row["decided_at"],
                memo=row["memo"],
                start=row["start"],
                inside=PartPlace(within.segment, row["offset"] or 0) if within else None,
            )


def _of_the_system(store: Store, study: str) -> Iterator[CodedPassage]:
    for row in store.rows(study):
        if row["code_id"] is not None:
            yield CodedPassage(row["id"], row["source"] or study, row["text"], SYSTEM, [row["code_id"]], None)


def _texts(store: Store, study: str) -> Iterator[SourceText]:
    """The study's segments, in the order that they were said."""
    query = select(segments.c.record).where(segments.c.study == study).order_by(segments.c.order_at, segments.c.seq)
    with store.database.reading() as connection:
        for each in map(Segment.from_bytes, connection.execution_options(yield_per=CHUNK).execute(query).scalars()):
            yield SourceText(each.id, each.source or study, each.text, document_start(each.metadata))
