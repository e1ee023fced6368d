"""What became different between two moments of a codebook."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from models.codebook.codebook import Standing
from models.codebook.edits import Notes

DifferenceKind = Literal["added", "removed", "merged", "split", "renamed", "redefined", "moved"]
KINDS: tuple[DifferenceKind, ...] = ("added", "removed", "merged", "split", "renamed", "redefined", "moved")


@dataclass(frozen=True)
class Difference:
    """One thing that is different about one code or theme."""

    kind: DifferenceKind
    before: Standing | None
    after: Standing | None

    @property
    def code(self) -> Standing:
        """It as it is afterwards, or was where it is no more."""
        found = self.after or self.before
        assert found is not None
        return found


def compare(before: Mapping[UUID, Standing], after: Mapping[UUID, Standing]) -> list[Difference]:
    """What is different about codes and themes that live at one of two moments, by kind and label."""
    found = [each for code in {**before, **after} for each in _differences(before.get(code), after.get(code))]
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.code.label.casefold(), str(one.code.id)))


def _differences(before: Standing | None, after: Standing | None) -> Iterator[Difference]:
    lived, lives = before is not None and before.live, after is not None and after.live
    if lives and not lived:
        yield Difference("added", before, after)
    elif lived and not lives:
        end = after.end.kind if after and after.end else None
        yield Difference("merged" if end == "merged" else "split" if end == "split" else "removed", before, after)
    if not (before and after and lived and lives):
        return
    if before.label != after.label:
        yield Difference("renamed", before, after)
    if Notes.of(before) != Notes.of(after):
        yield Difference("redefined", before, after)
    if before.parent != after.parent:
        yield Difference("moved", before, after)
