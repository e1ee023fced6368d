"""Comments between coders: threads on a segment or a code, answered, settled, and deleted by who wrote them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from infra.storage.annotations import waiting
from infra.storage.database import Database, chunks
from infra.storage.outcomes import is_or_became
from infra.storage.projections import insert
from infra.storage.tables import codes, comments, segments
from models.errors import InputError
from models.text.labels import needed_words

MOST_THREADS = 500
"""Threads that are listed at once, the newest."""
_QUOTED = 160  # characters of a segment that say which one is meant


@dataclass(frozen=True)
class Comment:
    """What one person wrote."""

    id: UUID
    author: str
    text: str
    """Empty where it was deleted after others had answered."""
    at: datetime


@dataclass(frozen=True)
class Thread:
    """A comment on a segment or a code, with its answers in the order of their time."""

    id: UUID
    segment: UUID | None
    code: UUID | None
    about: str
    """The segment's text (its beginning), or the code's label as it is now."""
    comments: tuple[Comment, ...]
    settled_by: str | None
    settled_at: datetime | None

    @property
    def settled(self) -> bool:
        """Whether nobody has to look at it any more."""
        return self.settled_at is not None


@dataclass(frozen=True)
class NewComment:
    """A comment as it is to be kept; it answers a thread, or begins one on a segment or a code."""

    id: UUID
    author: str
    text: str
    at: datetime
    thread: UUID | None = None
    segment: UUID | None = None
    code: UUID | None = None


def threads(
    database: Database,
    study: str,
    hides: str,
    *,
    segment: UUID | None = None,
    code: UUID | None = None,
    unsettled: bool = False,
    most: int | None = MOST_THREADS,
) -> list[Thread]:
    """A study's threads, the newest first; those of one segment or code where it is given, the oldest first.

    Args:
        database: The read model's.
        study: Whose.
        hides: What the reader may not see yet: nothing (empty), ``blind`` or ``all``. Comments on segments that wait
            for such a reading are left out.
        segment: Only those on this segment.
        code: Only those on this code, and on codes that were merged into it.
        unsettled: Only those that nobody has settled.
        most: So many of them, the newest; ``None``: all.
    """
    narrow = [*_visible(study, hides)]
    if segment is not None:
        narrow.append(comments.c.segment_id == segment)
    if code is not None:
        narrow.append(is_or_became(comments.c.code_id, study, code))
    if unsettled:
        narrow.append(comments.c.settled_at.is_(None))
    first = select(comments).where(comments.c.id == comments.c.thread, *narrow)
    newest = first.order_by(comments.c.at.desc(), comments.c.id).limit(most)
    with database.reading() as connection:
        rows = connection.execute(newest).all()
        read = [thread for chunk in chunks(rows) for thread in _threads(connection, chunk)]
    return read if segment is None and code is None else read[::-1]


def count_unsettled(database: Database, study: str, hides: str) -> int:
    """How many threads nobody has settled, of those that the reader may see; see ``threads``."""
    first = (comments.c.id == comments.c.thread, comments.c.settled_at.is_(None))
    query = select(func.count()).select_from(comments).where(*first, *_visible(study, hides))
    with database.reading() as connection:
        return connection.execute(query).scalar_one()


def add_comment(database: Database, study: str, comment: NewComment) -> Thread:
    """Keep a comment; the same once more changes nothing. An answer opens a thread again that was settled.

    Returns:
        The thread that it stands in.

    Raises:
        InputError: If it is empty or too long, or about nothing that the study has.
    """
    text = needed_words(comment.text, "comment")
    with database.writing() as connection:
        place = _place(connection, study, comment)
        row = {"id": comment.id, "study": study, "author": comment.author, "text": text, "at": comment.at, **place}
        kept = insert(comments, database.dialect).on_conflict_do_nothing()
        connection.execute(kept, row)
        if comment.thread is not None:
            again = update(comments).where(comments.c.id == comment.thread, comments.c.id != comment.id)
            connection.execute(again.values(settled_by=None, settled_at=None))
        begun = _threads(connection, _first_rows(connection, study, place["thread"]))
    if not begun:
        raise InputError("a comment of this id stands elsewhere already; load the page again and send it once more")
    return begun[0]


def thread_of(database: Database, study: str, comment: UUID) -> Thread | None:
    """The thread that a comment stands in; ``None`` where the study has no such comment."""
    query = select(comments.c.thread).where(comments.c.id == comment, comments.c.study == study)
    with database.reading() as connection:
        thread = connection.execute(query).scalar_one_or_none()
        return None if thread is None else _threads(connection, _first_rows(connection, study, thread))[0]


def settle_thread(database: Database, study: str, thread: UUID, by: str | None, at: datetime) -> None:
    """Mark a thread as settled, or with nobody (``None``) as open again."""
    first = (comments.c.id == thread, comments.c.thread == thread, comments.c.study == study)
    values = {"settled_by": by, "settled_at": at if by else None}
    with database.writing() as connection:
        connection.execute(update(comments).where(*first).values(**values))


def delete_comment(database: Database, study: str, comment: UUID, author: str) -> bool:
    """Delete one's own comment; whether one has such a one.

    What others have answered stays: the first comment of such a thread is emptied and keeps its place.
    """
    own = (comments.c.id == comment, comments.c.study == study, comments.c.author == author, comments.c.text != "")
    with database.writing() as connection:
        if connection.execute(select(comments.c.id).where(*own)).one_or_none() is None:
            return False
        _take_out(connection, [comment])
    return True


def erase_comments_by(connection: Connection, person: str, name: str) -> int:
    """Delete a person's comments inside a transaction; what has to keep its place gets another name and no text.

    Returns:
        How many rows were deleted or emptied.
    """
    settled = update(comments).where(comments.c.settled_by == person).values(settled_by=name)
    connection.execute(settled)
    written = select(comments.c.id, comments.c.thread).where(comments.c.author == person)
    rows = sorted(connection.execute(written).all(), key=lambda row: row.id == row.thread)  # answers before threads
    _take_out(connection, [row.id for row in rows])
    connection.execute(update(comments).where(comments.c.author == person).values(author=name))
    return len(rows)


def _take_out(connection: Connection, ids: Iterable[UUID]) -> None:
    for comment in ids:
        answers = select(func.count()).where(comments.c.thread == comment, comments.c.id != comment)
        if connection.execute(answers).scalar_one():
            connection.execute(update(comments).where(comments.c.id == comment).values(text=""))
            continue
        thread = connection.execute(select(comments.c.thread).where(comments.c.id == comment)).scalar_one_or_none()
        connection.execute(delete(comments).where(comments.c.id == comment))
        _drop_if_empty(connection, thread)


def _drop_if_empty(connection: Connection, thread: UUID | None) -> None:
    """A thread whose deleted beginning nobody answers any more goes as well."""
    if connection.execute(select(comments.c.id).where(comments.c.thread == thread, comments.c.text != "")).first():
        return
    connection.execute(delete(comments).where(comments.c.thread == thread))


def _visible(study: str, hides: str) -> tuple[ColumnElement[bool], ...]:
    if not hides:
        return (comments.c.study == study,)
    read = comments.c.segment_id.not_in(waiting(study, every=hides == "all"))
    return comments.c.study == study, or_(comments.c.segment_id.is_(None), read)


def _place(connection: Connection, study: str, comment: NewComment) -> dict[str, Any]:
    """Where a comment stands: its thread, and what that is about."""
    if comment.thread is not None:
        rows = _first_rows(connection, study, comment.thread)
        if not rows:
            raise InputError(f"study '{study}' has no thread {comment.thread}; load the page again and answer there")
        return {"thread": comment.thread, "segment_id": rows[0].segment_id, "code_id": rows[0].code_id}
    if (comment.segment is None) == (comment.code is None):
        raise InputError("a comment is about a segment or a code, and about one of the two; open the page of one")
    table, subject = (segments, comment.segment) if comment.segment else (codes, comment.code)
    if connection.execute(select(table.c.id).where(table.c.id == subject, table.c.study == study)).first() is None:
        what = "segment" if comment.segment else "code"
        raise InputError(f"study '{study}' has no {what} {subject}; open the page of one that it has")
    return {"thread": comment.id, "segment_id": comment.segment, "code_id": comment.code}


def _first_rows(connection: Connection, study: str, thread: UUID) -> Sequence[Any]:
    first = (comments.c.id == thread, comments.c.thread == thread, comments.c.study == study)
    return connection.execute(select(comments).where(*first)).all()


def _threads(connection: Connection, rows: Sequence[Any]) -> list[Thread]:
    """Threads with all of their comments, from the rows of their first ones."""
    ids = [row.id for row in rows]
    query = select(comments).where(comments.c.thread.in_(ids)).order_by(comments.c.at, comments.c.id)
    by_thread: dict[UUID, list[Comment]] = {}
    for row in connection.execute(query):
        by_thread.setdefault(row.thread, []).append(Comment(row.id, row.author, row.text, row.at))
    texts = _subjects(connection, segments, segments.c.text, {row.segment_id for row in rows} - {None})
    labels = _subjects(connection, codes, codes.c.label, {row.code_id for row in rows} - {None})
    return [
        Thread(
            row.id,
            row.segment_id,
            row.code_id,
            texts.get(row.segment_id, "")[:_QUOTED] if row.segment_id else labels.get(row.code_id, ""),
            tuple(sorted(by_thread[row.id], key=lambda comment: (comment.id != row.id, comment.at))),
            row.settled_by,
            row.settled_at,
        )
        for row in rows
    ]


def _subjects(connection: Connection, table: Any, column: Any, ids: Iterable[UUID]) -> dict[UUID, str]:
    return {row[0]: row[1] for row in connection.execute(select(table.c.id, column).where(table.c.id.in_(list(ids))))}
