"""Memos on codes and documents as the notes of a REFI-QDA project, and what refers to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from infra.annotation.memos import Memo

_NAMED = 60  # characters of a memo that name it


@dataclass(frozen=True)
class MemoNotes:
    """The memos of a study for its project."""

    memos: Sequence[Memo]
    """Each with the code that its own became, where that was merged."""

    @property
    def authors(self) -> set[str]:
        """Who wrote them."""
        return {memo.author for memo in self.memos}

    def of_codes(self, codes: Sequence[UUID]) -> list[Any]:
        """References to the notes on any of these codes."""
        return [_reference(memo) for memo in self.memos if memo.code in codes]

    def of_document(self, document: str) -> list[Any]:
        """References to the notes on a document."""
        return [_reference(memo) for memo in self.memos if memo.document == document]

    def elements(self, users: Mapping[str, UUID], legal: Callable[[str], str], time: Callable[..., Any]) -> Any:
        """The notes themselves; ``None`` where there are none.

        Args:
            users: The ids that the project gives to people.
            legal: Takes out of a text what XML cannot hold.
            time: A moment as the standard has it.
        """
        from pyrefiqda.models import project as refi

        notes = [
            refi.TextSourceType(
                guid=str(memo.id),
                name=legal(" ".join(memo.text.split())[:_NAMED]),
                plain_text_content=legal(memo.text),
                creating_user=str(users[memo.author]),
                creation_date_time=time(memo.at),
                modified_date_time=time(memo.changed_at) if memo.changed_at else None,
            )
            for memo in self.memos
        ]
        return refi.NotesType(note=notes) if notes else None


def _reference(memo: Memo) -> Any:
    from pyrefiqda.models import project as refi

    return refi.NoteRefType(target_guid=str(memo.id))
