"""The rows of a source that can be taken, with a tally of those that cannot."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from infra.files.segments import LeftOut, ReadingOptions, Rejected, read_segments
from models.errors import InputError
from schemas import Segment
from schemas.ids import segment_id

_SHOWN = 20  # rejected rows that are listed; further ones are counted


@dataclass(frozen=True)
class Source:
    """What is read, and how, as a command's options say."""

    path: Path
    """A file, or ``-`` for standard input."""
    fmt: str | None = None
    text_columns: Sequence[str] = ()
    id_column: str | None = None
    time_column: str | None = None
    options: ReadingOptions = field(default_factory=ReadingOptions)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return "standard input" if str(self.path) == "-" else str(self.path)

    def rows(self, study: str) -> Iterator[Segment | Rejected]:
        """Its rows as segments; see ``read_segments``."""
        stream: Path | BinaryIO = sys.stdin.buffer if str(self.path) == "-" else self.path
        return read_segments(
            stream,
            study=study,
            fmt=self.fmt,
            text_column=self.text_columns,
            id_column=self.id_column,
            time_column=self.time_column,
            source_name=None if str(self.path) != "-" else "stdin",
            options=self.options,
        )


@dataclass
class RowTally:
    """What a file held: good rows counted, bad ones listed on standard error, those with nothing to code counted."""

    console: Console
    good: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    left_out: int = 0
    changed: list[Segment] = field(default_factory=list)
    """Those whose id was known with another text."""
    hidden: bool = False
    """Whether texts are not to be printed: they are masked when they are kept."""

    def note(self, row: Segment | Rejected) -> Segment | None:
        """Count a row; returns it if it is good."""
        if isinstance(row, Segment):
            self.good += 1
            return row
        if isinstance(row, LeftOut):
            self.left_out += 1
            return None
        self.rejected.append(row)
        if len(self.rejected) <= _SHOWN:
            self._print(f"{row.file}, line {row.line}: {row.reason}")
        elif len(self.rejected) == _SHOWN + 1:
            self._print("further rejected rows are counted, not listed")
        return None

    def versions(self) -> list[Segment]:
        """The segments with another text, each as a version of its own beside the old one."""
        return [_version(segment) for segment in self.changed]

    def say_changed(self, kept: str) -> None:
        """Name the segments with another text, and what became of them."""
        for segment in self.changed[:_SHOWN]:
            name = segment.id if self.hidden else segment.own_id or segment.id
            text = "" if self.hidden else f": {segment.text[:60]!r}"
            self._print(f"id '{name}' has another text now{text}; {kept}")
        if len(self.changed) > _SHOWN:
            self._print(f"{len(self.changed) - _SHOWN} further ids have another text now; {kept}")

    def say(self, options: ReadingOptions) -> None:
        """Print how a file was understood, what is in doubt, and what was left out."""
        report = options.report
        for sentence in report.remarks:
            self._print(sentence)
        for sentence in report.warnings:
            self._print(f"warning: {sentence}")
        for sentence in report.summaries():
            self._print(sentence)

    def _print(self, sentence: str) -> None:
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _version(segment: Segment) -> Segment:
    digest = hashlib.sha256(segment.text.encode()).hexdigest()
    identity = segment_id(segment.study, segment.source, f"{segment.own_id or segment.id} {digest}")
    return segment.model_copy(update={"id": identity, "metadata": {**segment.metadata, "_version_of": str(segment.id)}})


def accepted_segments(study: str, source: Source, tally: RowTally) -> Iterator[Segment]:
    """The good rows of a source; the bad ones go to the tally, which then says how the source was understood.

    Args:
        study: Whose segments they are.
        source: What is read.
        tally: Counts the rows.

    Raises:
        InputError: If the source cannot be read at all, or holds no good row.
    """
    for row in source.rows(study):
        segment = tally.note(row)
        if segment is not None:
            yield segment
    tally.say(source.options)
    if not tally.good:
        left_out = f", {tally.left_out} left out" if tally.left_out else ""
        raise InputError(
            f"'{source.name}' holds no segment that could be taken ({len(tally.rejected)} rows rejected{left_out})"
        )
