"""The rows of a source that can be taken, with a tally of those that cannot."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from infra.files.segments import Rejected, read_segments
from models.errors import InputError
from schemas import Segment

_SHOWN = 20  # rejected rows that are listed; further ones are counted


@dataclass
class RowTally:
    """What a file held: good rows counted, bad ones listed on standard error."""

    console: Console
    good: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def note(self, row: Segment | Rejected) -> Segment | None:
        """Count a row; returns it if it is good."""
        if isinstance(row, Segment):
            self.good += 1
            return row
        self.rejected.append(row)
        if len(self.rejected) <= _SHOWN:
            self.console.print(
                f"{row.file}, line {row.line}: {row.reason}", markup=False, highlight=False, soft_wrap=True
            )
        elif len(self.rejected) == _SHOWN + 1:
            self.console.print("further rejected rows are counted, not listed")
        return None


def accepted_segments(study: str, source: Path, tally: RowTally, **columns: str | None) -> Iterator[Segment]:
    """The good rows of a source; the bad ones go to the tally.

    Args:
        study: Whose segments they are.
        source: A file, or ``-`` for standard input.
        tally: Counts the rows.
        columns: As ``read_segments`` takes them.

    Raises:
        InputError: If the source cannot be read at all, or holds no good row.
    """
    for row in _rows(study, source, columns):
        segment = tally.note(row)
        if segment is not None:
            yield segment
    if not tally.good:
        raise InputError(
            f"'{_name(source)}' holds no segment that could be taken ({len(tally.rejected)} rows rejected)"
        )


def _rows(study: str, source: Path, columns: Mapping[str, str | None]) -> Iterator[Segment | Rejected]:
    stream: Path | BinaryIO = sys.stdin.buffer if str(source) == "-" else source
    return iter(
        read_segments(
            stream,
            study=study,
            fmt=columns.get("fmt"),
            text_column=columns.get("text_column"),
            id_column=columns.get("id_column"),
            time_column=columns.get("time_column"),
            source_name=None if str(source) != "-" else "stdin",
        )
    )


def _name(source: Path) -> str:
    return "standard input" if str(source) == "-" else str(source)
