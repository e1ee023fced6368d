"""What became different between two moments of a codebook."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from models.codebook.codebook import CodeState
from models.codebook.edits import Notes

DifferenceKind = Literal["added", "removed", "merged", "split", "renamed", "redefined", "moved"]
KINDS: tuple[DifferenceKind, ...] = ("added", "removed", "merged", "split", "renamed", "redefined", "moved")


@dataclass(frozen=True)
class Difference:
    """One thing that is different about one code or theme."""

    kind: DifferenceKind
    before: CodeState | None
    after: CodeState | None

    @property
    def code(self) -> CodeState:
        """It as it is afterwards, or was where it is no more."""
        state = self.after or self.before
        assert state is not None
        return state


def compare(before: Mapping[UUID, CodeState], after: Mapping[UUID, CodeState]) -> list[Difference]:
    """What is different about codes and themes that live at one of two moments, by kind and label."""
    every = [each for code in {**before, **after} for each in _differences(before.get(code), after.get(code))]
    return sorted(every, key=lambda each: (KINDS.index(each.kind), each.code.label.casefold(), str(each.code.id)))


def _differences(before: CodeState | None, after: CodeState | None) -> Iterator[Difference]:
    was_active, is_active = before is not None and before.active, after is not None and after.active
    if is_active and not was_active:
        yield Difference("added", before, after)
    elif was_active and not is_active:
        ending = after.ending.kind if after and after.ending else None
        yield Difference("merged" if ending == "merged" else "split" if ending == "split" else "removed", before, after)
    if not (before and after and was_active and is_active):
        return
    if before.label != after.label:
        yield Difference("renamed", before, after)
    if Notes.of(before) != Notes.of(after):
        yield Difference("redefined", before, after)
    if before.parent != after.parent:
        yield Difference("moved", before, after)
