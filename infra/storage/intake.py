"""Segments on their way in: those erased stay away, those known stay as they are, and the rest is masked and kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection

from infra.storage.database import Database
from infra.storage.erasures import erased_of
from infra.storage.projections import insert_segments, texts_kept
from models.masking.masker import LookedThrough
from schemas import Segment

OnSegment = Callable[[Segment], None]
OnMasked = Callable[[LookedThrough], None]


class IntakeMask(Protocol):
    """Masks what comes in."""

    def look(self, database: Database, segments: Sequence[Segment]) -> list[LookedThrough] | None:
        """Find what is personal in segments of one study; ``None`` where nothing is to be masked."""
        ...

    def keep(self, connection: Connection, looked: Sequence[LookedThrough]) -> list[Segment]:
        """Segments of one study with placeholders, inside the transaction in which they are kept."""
        ...

    def same(self, segment: Segment, looked: LookedThrough | None, text: str) -> bool:
        """Whether a segment comes again with the text that is kept, masked or not."""
        ...


@dataclass(frozen=True)
class SegmentIntake:
    """Where segments go, who masks them, and who is told of what."""

    database: Database
    mask: IntakeMask | None
    changed: OnSegment | None
    masked: OnMasked | None

    def keep(self, taken: Sequence[Segment]) -> int:
        """Keep some segments in one transaction a study; how many were new."""
        return sum(self._keep_study(segments) for segments in _by_study(taken))

    def _keep_study(self, taken: Sequence[Segment]) -> int:
        looked = self.mask.look(self.database, taken) if self.mask else None  # before anybody waits for the transaction
        with self.database.writing() as connection:
            away = erased_of(connection, [each.id for each in taken])
            kept, new = [each for each in taken if each.id not in away], list[LookedThrough]()
            if self.mask and looked:
                away |= texts_kept(connection, taken).keys()  # what is known gets no numbers
                new = [each for each in _first(looked) if each.segment.id not in away]
                kept = self.mask.keep(connection, new)
            count = insert_segments(connection, kept, datetime.now(UTC))
            texts = texts_kept(connection, taken) if self.changed else {}
        for each in new:
            if self.masked:
                self.masked(each)
        for n, segment in enumerate(taken):
            text = texts.get(segment.id)
            if self.changed and text is not None and not self._same(segment, text, looked[n] if looked else None):
                self.changed(segment)
        return count

    def _same(self, segment: Segment, text: str, looked: LookedThrough | None) -> bool:
        """Whether a segment has the text that is kept under its id."""
        return text == segment.text or bool(self.mask and self.mask.same(segment, looked, text))


def _by_study(taken: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments in their order, apart where the study changes."""
    for _, segments in groupby(taken, lambda segment: segment.study):
        yield list(segments)


def _first(looked: Iterable[LookedThrough]) -> list[LookedThrough]:
    """Each segment once."""
    return list({each.segment.id: each for each in reversed(list(looked))}.values())[::-1]
