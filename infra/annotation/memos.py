"""Memos on codes and documents: what a person noted, with their name and when; only they change it.

Memos on segments and on marked parts are fields of their annotations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update

from infra.masking.intake import Masking
from infra.storage.annotations import waiting
from infra.storage.database import Database
from infra.storage.outcomes import is_or_became
from infra.storage.projections import insert
from infra.storage.tables import codes, memos, segments
from models.errors import InputError
from models.text.labels import needed_words
from schemas import Segment


@dataclass(frozen=True)
class Memo:
    """What somebody noted about a code or a document."""

    id: UUID
    author: str
    text: str
    at: datetime
    code: UUID | None = None
    """The code that it is about, as it was written: a merged one stays named."""
    document: str | None = None
    changed_at: datetime | None = None


def memos_of_code(database: Database, study: str, code: UUID) -> list[Memo]:
    """The memos on a code, and on those that were merged into it; the oldest first."""
    return _memos(database, study, is_or_became(memos.c.code_id, study, code))


def memos_of_document(database: Database, study: str, document: str) -> list[Memo]:
    """The memos on a document, the oldest first."""
    return _memos(database, study, memos.c.document == document)


def study_memos(database: Database, study: str) -> list[Memo]:
    """Every memo on a code or a document of the study, the oldest first."""
    return _memos(database, study)


def blind_documents(database: Database, study: str, hides: str) -> frozenset[str]:
    """Documents of which a segment waits for a blind reading: their memos may say what others made of it.

    Args:
        database: The read model's.
        study: Whose.
        hides: What the reader may not see yet: nothing (empty), ``blind`` or ``all``.
    """
    if not hides:
        return frozenset()
    unread = waiting(study, every=hides == "all")
    query = select(segments.c.source).where(segments.c.study == study, segments.c.id.in_(unread)).distinct()
    with database.reading() as connection:
        return frozenset(connection.scalars(query))


def add_memo(database: Database, study: str, memo: Memo) -> None:
    """Keep a memo; the same once more changes nothing.

    Raises:
        InputError: If it is empty or too long, or is about nothing, or about what the study does not have.
    """
    row = _row(study, memo)
    _check_subject(database, study, memo)
    statement = insert(memos, database.dialect).on_conflict_do_nothing()
    with database.writing() as connection:
        connection.execute(statement, row)


def keep_memos(database: Database, study: str, brought: Sequence[Memo], masking: Masking | None = None) -> None:
    """Keep memos that were made elsewhere, masked as the study wants it; one that is there is written anew.

    Args:
        database: The read model's.
        study: Whose.
        brought: Each about a code or a document that the study has.
        masking: How; ``None``: nothing is masked.
    """
    looked = masking.look(database, [_as_segment(memo, study) for memo in brought]) if masking else None
    rows = [_row(study, memo) for memo in brought]
    statement = insert(memos, database.dialect)
    anew = {name: statement.excluded[name] for name in ("text", "changed_at")}
    with database.writing() as connection:
        if masking and looked:
            rows = [row | {"text": each.text} for row, each in zip(rows, masking.keep(connection, looked), strict=True)]
        for row in rows:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=anew), row)


def change_memo(database: Database, study: str, memo: UUID, author: str, text: str, at: datetime) -> Memo | None:
    """Write one's own memo anew; ``None`` where one has none of this id.

    Raises:
        InputError: If the text is empty or too long.
    """
    own = _own(study, memo, author)
    changed = update(memos).where(*own).values(text=needed_words(text, "memo"), changed_at=at)
    with database.writing() as connection:
        connection.execute(changed)
        row = connection.execute(select(memos).where(*own)).one_or_none()
    return None if row is None else _memo(row)


def remove_memo(database: Database, study: str, memo: UUID, author: str) -> Memo | None:
    """Delete one's own memo; ``None`` where one has none of this id."""
    own = _own(study, memo, author)
    with database.writing() as connection:
        row = connection.execute(select(memos).where(*own)).one_or_none()
        connection.execute(delete(memos).where(*own))
    return None if row is None else _memo(row)


def _row(study: str, memo: Memo) -> dict[str, Any]:
    about = {"study": study, "code_id": memo.code, "document": memo.document}
    words = {"author": memo.author, "text": needed_words(memo.text, "memo"), "at": memo.at}
    return {"id": memo.id, **about, **words, "changed_at": memo.changed_at}


def _as_segment(memo: Memo, study: str) -> Segment:
    """A memo as a segment is looked through."""
    return Segment(id=memo.id, study=study, text=memo.text, source="memo")


def _memos(database: Database, study: str, *where: ColumnElement[bool]) -> list[Memo]:
    query = select(memos).where(memos.c.study == study, *where).order_by(memos.c.at, memos.c.id)
    with database.reading() as connection:
        return [_memo(row) for row in connection.execute(query)]


def _memo(row: Any) -> Memo:
    return Memo(row.id, row.author, row.text, row.at, row.code_id, row.document, row.changed_at)


def _own(study: str, memo: UUID, author: str) -> tuple[ColumnElement[bool], ...]:
    return memos.c.id == memo, memos.c.study == study, memos.c.author == author


def _check_subject(database: Database, study: str, memo: Memo) -> None:
    """See that the study has what a memo is about."""
    if (memo.code is None) == (memo.document is None):
        raise InputError("a memo is about a code or a document, and about one of the two; open the page of one")
    if memo.code is not None:
        query = select(codes.c.id).where(codes.c.id == memo.code, codes.c.study == study)
    else:
        query = select(segments.c.id).where(segments.c.source == memo.document, segments.c.study == study).limit(1)
    with database.reading() as connection:
        if connection.execute(query).one_or_none() is None:
            what = f"code {memo.code}" if memo.code else f"document '{str(memo.document)[:80]}'"
            raise InputError(f"study '{study}' has no {what}; open one that it has")
