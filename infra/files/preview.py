"""What a file would come to, before anything is taken in: its columns, its first segments, what is left out and why."""

from collections.abc import Callable
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

    segments: list[Segment] = field(default_factory=list)
    """Those that were kept: by default the first."""
    good: int = 0
    rejected: int = 0
    left_out: int = 0
    understood: list[str] = field(default_factory=list)
    """How the file is read, and what is in doubt."""
    not_taken: list[str] = field(default_factory=list)
    """What is left out, and the first of the rows that cannot be taken."""

    @property
    def first(self) -> list[Segment]:
        """The segments that are shown."""
        return self.segments[:FIRST]

    @property
    def sum(self) -> str:
        """One line on all of it."""
        return f"{self.good} segments, {self.rejected} rows rejected, {self.left_out} left out"


def preview(
    source: Source, study: str, kept: int | None = FIRST, mask: Callable[[Segment], Segment] | None = None
) -> Preview:
    """Read a whole file; nothing is written.

    Args:
        source: What is read.
        study: Whose segments they would be.
        kept: How many segments are kept; ``None``: all.
        mask: Puts placeholders in place of personal data, where that is wanted.

    Raises:
        InputError: As reading it would.
    """
    seen, rejected = Preview(), list[Rejected]()
    for row in source.rows(study):
        if isinstance(row, Segment):
            seen.good += 1
            shown = mask(row) if mask else row
            seen.segments += [shown] if kept is None or len(seen.segments) < kept else []
        elif isinstance(row, LeftOut):
            seen.left_out += 1
        else:
            seen.rejected += 1
            rejected += [row] if len(rejected) < _LISTED else []
    report = source.options.report
    seen.understood = [*report.remarks, *(f"warning: {sentence}" for sentence in report.warnings)]
    seen.not_taken = [*report.summaries(), *(f"line {row.line}: {row.reason}" for row in rejected)]
    if seen.rejected > len(rejected):
        seen.not_taken.append(f"{seen.rejected - len(rejected)} further rows cannot be taken")
    return seen
