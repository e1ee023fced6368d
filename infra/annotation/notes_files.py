"""Memos and comments as files: who noted or said what, about what, when."""

from collections.abc import Iterator
from typing import BinaryIO

from infra.annotation.comments import threads
from infra.annotation.memos import blind_documents, study_memos
from infra.files.tables import OutputRow, Shape, encoded, write
from infra.storage.database import Database
from infra.storage.outcomes import names_now

MEMO_COLUMNS = {
    "study": "The study.",
    "about": "What the memo is on: code or document.",
    "code": "The code as it is called now; a merged one by what it became.",
    "code_id": "The id of the code that it was written on.",
    "document": "The document.",
    "author": "Who wrote it.",
    "memo": "What they noted.",
    "written_at": "When.",
    "changed_at": "When they last changed it, if they did.",
}
"""Each column of the file of memos, and what stands in it."""
COMMENT_COLUMNS = {
    "study": "The study.",
    "thread": "The comment that begins the thread; the others answer it.",
    "comment_id": "The comment.",
    "about": "What the thread is on: segment or code.",
    "segment_id": "The segment.",
    "code_id": "The id of the code that it was written on.",
    "subject": "The beginning of the segment's text, or the code as it is called now.",
    "author": "Who wrote it.",
    "comment": "What they said; empty where it was deleted and others had answered.",
    "written_at": "When.",
    "settled_by": "Who marked the thread as settled, if somebody did.",
    "settled_at": "When.",
}
"""Each column of the file of comments, and what stands in it."""
_SHAPES = {
    "memos": Shape(tuple(MEMO_COLUMNS), {"written_at": "time", "changed_at": "time"}),
    "comments": Shape(tuple(COMMENT_COLUMNS), {"written_at": "time", "settled_at": "time"}),
}


def write_notes(database: Database, study: str, kind: str, fmt: str, out: BinaryIO) -> int:
    """Write a study's memos on codes and documents, or the comments between its coders.

    Returns:
        How many rows were written.

    Raises:
        InputError: If the format is none of the three.
    """
    return write(_SHAPES[kind], _rows(database, study, kind, "", ""), fmt, out)


def streamed_notes(database: Database, study: str, kind: str, fmt: str, *, hides: str, reader: str) -> Iterator[bytes]:
    """The same file in pieces.

    Args:
        database: The read model's.
        study: Whose.
        kind: ``memos`` or ``comments``.
        fmt: One of ``infra.files.tables.FORMATS``.
        hides: What the reader may not see yet: nothing (empty), ``blind`` or ``all``. Comments on segments that wait
            for such a reading are left out, and others' memos on their documents.
        reader: Who reads it.

    Raises:
        InputError: At once, if the format is none of the three.
    """
    return encoded(_SHAPES[kind], _rows(database, study, kind, hides, reader), fmt)


def _rows(database: Database, study: str, kind: str, hides: str, reader: str) -> Iterator[OutputRow]:
    if kind == "memos":
        yield from _memo_rows(database, study, hides, reader)
    else:
        yield from _comment_rows(database, study, hides)


def _memo_rows(database: Database, study: str, hides: str, reader: str) -> Iterator[OutputRow]:
    blind = blind_documents(database, study, hides)
    memos = [memo for memo in study_memos(database, study) if memo.author == reader or memo.document not in blind]
    with database.reading() as connection:
        names = names_now(connection, {memo.code for memo in memos if memo.code})
    for memo in memos:
        yield {
            "study": study,
            "about": "code" if memo.code else "document",
            "code": names[memo.code].label if memo.code in names else None,
            "code_id": memo.code,
            "document": memo.document,
            "author": memo.author,
            "memo": memo.text,
            "written_at": memo.at,
            "changed_at": memo.changed_at,
        }


def _comment_rows(database: Database, study: str, hides: str) -> Iterator[OutputRow]:
    for thread in reversed(threads(database, study, hides, most=None)):
        for comment in thread.comments:
            yield {
                "study": study,
                "thread": thread.id,
                "comment_id": comment.id,
                "about": "segment" if thread.segment else "code",
                "segment_id": thread.segment,
                "code_id": thread.code,
                "subject": thread.about,
                "author": comment.author,
                "comment": comment.text,
                "written_at": comment.at,
                "settled_by": thread.settled_by,
                "settled_at": thread.settled_at,
            }
