"""What files would come to, before anything is taken in: their columns, first segments, what is left out and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path

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
    size: tuple[int, int] = (0, 0)
    """Rows and cells of the file, however many of them can be taken."""

    @property
    def first(self) -> list[Segment]:
        """The segments that are shown."""
        return self.segments[:FIRST]

    @property
    def sum(self) -> str:
        """One line on all of it."""
        return f"{self.good} segments, {self.rejected} rows rejected, {self.left_out} left out"


@dataclass(frozen=True)
class TextFile:
    """One of several files: what it comes to, or why it cannot be read."""

    name: str
    texts: Preview | None = None
    refused: str = ""


@dataclass(frozen=True)
class TextFiles:
    """Files that were brought in at once; what one is refused for loses no other."""

    files: Sequence[TextFile]

    @property
    def read(self) -> list[tuple[str, Preview]]:
        """Those that could be read, by name."""
        return [(file.name, file.texts) for file in self.files if file.texts is not None]

    @property
    def refused(self) -> list[TextFile]:
        """Those that could not."""
        return [file for file in self.files if file.texts is None]

    @property
    def segments(self) -> list[Segment]:
        """What all of them hold, file by file."""
        return [segment for _, texts in self.read for segment in texts.segments]

    @property
    def first(self) -> list[Segment]:
        """The first segments of each."""
        return [segment for _, texts in self.read for segment in texts.first]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Segments, rows that cannot be taken, and what is left out."""
        each = [(texts.good, texts.rejected, texts.left_out) for _, texts in self.read]
        good, rejected, left_out = (sum(column) for column in zip(*each, strict=True)) if each else (0, 0, 0)
        return good, rejected, left_out


def repeated(files: Sequence[tuple[str, Path]]) -> dict[int, str]:
    """Files that are not read beside the others, by their place, and why: a document has a name of its own.

    Args:
        files: Each file's name and where it lies; what lies nowhere is not compared.
    """
    names: dict[str, int] = {}
    contents: dict[bytes, str] = {}
    why: dict[int, str] = {}
    for place, (name, path) in enumerate(files):
        if names.setdefault(name, place) != place:
            why[place] = f"{name}: another file of this name is among them; give one of the two another name"
        elif path.is_file():
            same = contents.setdefault(_digest(path), name)
            if same != name:
                why[place] = f"{name}: it is the same as '{same}', which is taken"
    return why


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


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
    seen.size = report.size
    seen.understood = [*report.remarks, *(f"warning: {sentence}" for sentence in report.warnings)]
    seen.not_taken = [*report.summaries(), *(f"line {row.line}: {row.reason}" for row in rejected)]
    if seen.rejected > len(rejected):
        seen.not_taken.append(f"{seen.rejected - len(rejected)} further rows cannot be taken")
    return seen
