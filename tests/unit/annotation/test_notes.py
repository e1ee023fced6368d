"""Memos and comments as they are kept, on both of the stores that this runs on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from infra.annotation.comments import (
    NewComment,
    add_comment,
    count_unsettled,
    delete_comment,
    settle_thread,
    threads,
)
from infra.annotation.memos import Memo, add_memo, blind_documents, change_memo, remove_memo, study_memos
from infra.erasure.rows import GONE, erase_person, erase_segments
from infra.storage.database import Database
from infra.storage.projections import write
from infra.storage.store import open_store
from schemas import AnnotationRequest, Segment
from schemas.ids import code_id, segment_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = "notes"


@pytest.fixture
def segment():
    """A segment that no earlier run has erased: a server of PostgreSQL remembers those."""
    return Segment(
        id=segment_id(STUDY, "a", str(uuid4())), study=STUDY, text="it is slow again", source="a.txt", timestamp=AT
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path, segment):
    url = f"sqlite:///{tmp_path / 'q.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    store = open_store(url)
    store.reset(None)
    store.record([segment])
    yield store.database
    store.close()


def comment(number: int, author: str, **place: UUID) -> NewComment:
    return NewComment(UUID(int=number), author, f"number {number}", AT + timedelta(minutes=number), **place)


def shown(database: Database, hides: str = "") -> list[list[tuple[str, str]]]:
    return [[(each.author, each.text) for each in one.comments] for one in threads(database, STUDY, hides)]


def asked_blind(segment: Segment) -> AnnotationRequest:
    return AnnotationRequest(
        segment_id=segment.id, study=STUDY, code_id=code_id(STUDY, "slow"), label="slow", confidence=0.3,
        reason="audit", blind=True, requested_at=AT,
    )  # fmt: skip


def test_memos_are_changed_and_deleted_by_their_authors_and_erased_with_them(database, segment):
    for number, author in enumerate(("ana", "ben")):
        add_memo(database, STUDY, Memo(UUID(int=number), author, f"of {author}", AT, document="a.txt"))
    assert change_memo(database, STUDY, UUID(int=0), "ben", "not mine", AT) is None
    assert change_memo(database, STUDY, UUID(int=0), "ana", "of ana\r\nagain", AT).text == "of ana\nagain"
    assert remove_memo(database, STUDY, UUID(int=1), "ana") is None
    assert remove_memo(database, "elsewhere", UUID(int=1), "ben") is None
    assert erase_person(database, "ana", AT)["memos"] == 1
    assert [memo.author for memo in study_memos(database, STUDY)] == ["ben"]
    assert erase_segments(database, [segment.id], AT)["memos"] == 1


def test_threads_are_answered_settled_opened_again_and_emptied(database, segment):
    add_comment(database, STUDY, comment(1, "ana", segment=segment.id))
    add_comment(database, STUDY, comment(2, "ben", thread=UUID(int=1)))
    settle_thread(database, STUDY, UUID(int=1), "ben", AT)
    assert count_unsettled(database, STUDY, "") == 0
    add_comment(database, STUDY, comment(3, "ana", thread=UUID(int=1)))
    assert count_unsettled(database, STUDY, "") == 1
    assert delete_comment(database, STUDY, UUID(int=1), "ana")
    assert shown(database) == [[("ana", ""), ("ben", "number 2"), ("ana", "number 3")]]
    assert erase_person(database, "ana", AT)["comments"] == 2
    assert shown(database) == [[(GONE, ""), ("ben", "number 2")]]
    assert erase_segments(database, [segment.id], AT)["comments"] == 2


def test_what_waits_for_a_blind_reading_hides_its_comments_and_its_document_s_memos(database, segment):
    add_comment(database, STUDY, comment(1, "ana", segment=segment.id))
    assert (blind_documents(database, STUDY, "all"), len(shown(database, "all"))) == (frozenset(), 1)
    with database.writing() as connection:
        write(connection, [asked_blind(segment)], AT)
    for hides in ("blind", "all"):
        assert blind_documents(database, STUDY, hides) == {"a.txt"}
        assert (shown(database, hides), count_unsettled(database, STUDY, hides)) == ([], 0)
    assert (blind_documents(database, STUDY, ""), len(shown(database))) == (frozenset(), 1)
