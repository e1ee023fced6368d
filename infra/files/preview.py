"""What a file would come to, before anything is taken in: its columns, its first segments, what is left out and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from infra.files.row_tally import Source
from infra.files.segments import LeftOut, Rejected
from schemas import Segment

FIRST = 10
"""Segments that are shown."""
_LISTED = 20  # rows that cannot be taken


@dataclass
class Preview:
    """A file as it is understood."""

    source: Source
    good: int = 0
    first: list[Segment] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    rejected_rows: int = 0
    left_out: int = 0

    def understood(self) -> Iterator[str]:
        """How the file is read, and what is in doubt."""
        yield from self.source.options.report.remarks
        yield from (f"warning: {sentence}" for sentence in self.source.options.report.warnings)

    def not_taken(self) -> Iterator[str]:
        """What is left out, and the first of the rows that cannot be taken."""
        yield from self.source.options.report.summaries()
        yield from (f"line {row.line}: {row.reason}" for row in self.rejected)
        if self.rejected_rows > len(self.rejected):
            yield f"{self.rejected_rows - len(self.rejected)} further rows cannot be taken"

    @property
    def sum(self) -> str:
        """One line on all of it."""
        return f"{self.good} segments, {self.rejected_rows} rows rejected, {self.left_out} left out"


def preview(source: Source, study: str) -> Preview:
    """Read a whole file and keep its first segments; nothing is written.

    Raises:
        InputError: As reading it would.
    """
    seen = Preview(source)
    for row in source.rows(study):
        if isinstance(row, Segment):
            seen.good += 1
            seen.first += [row] if len(seen.first) < FIRST else []
        elif isinstance(row, LeftOut):
            seen.left_out += 1
        else:
            seen.rejected_rows += 1
            seen.rejected += [row] if len(seen.rejected) < _LISTED else []
    return seen
