"""Files in, and the same steps without Kafka: what ``qualstream code`` and ``qualstream ingest`` do."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from infra.factory.pipeline import build_pipeline
from infra.files.coded_texts import read_human_coded
from infra.files.segments import Rejected, read_segments
from infra.settings import Settings
from infra.storage.projections import skipped_rows
from models.errors import InputError
from models.pipeline import Coded, Outcome
from schemas import Proposal, Segment

_SHOWN = 20


@dataclass
class Tally:
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


def segments_of(settings: Settings, source: Path, tally: Tally, **columns: str | None) -> Iterator[Segment]:
    """The good rows of a source; the bad ones go to the tally.

    Raises:
        InputError: If the source cannot be read at all, or holds no good row.
    """
    rows = _open(settings, source, columns)
    for row in rows:
        segment = tally.note(row)
        if segment is not None:
            yield segment
    if not tally.good:
        raise InputError(
            f"'{_name(source)}' holds no segment that could be taken ({len(tally.rejected)} rows rejected)"
        )


def code_source(
    settings: Settings, source: Path, out: TextIO, console: Console, coded: Path | None = None, **columns: str | None
) -> None:
    """Code a file's segments and write one JSON object a segment.

    Args:
        settings: Study and profile.
        source: A file, or ``-``.
        out: Where the lines go.
        console: For progress and rejected rows.
        coded: A file of texts that people coded already: codebook and precedents.
        columns: As ``read_segments`` takes them.

    Raises:
        InputError: If the source cannot be read.
        SettingError: If the profile is not as it must be.
    """
    tally = Tally(console)
    segments: Iterable[Segment] = segments_of(settings, source, tally, **columns)
    if str(source) != "-":
        segments = list(segments)  # a total for the progress bar, and nothing is coded of a file that is broken
    precedents = [one.coded for one in read_human_coded(coded, settings.study)] if coded else []
    pipeline = build_pipeline(settings, coded=precedents)
    uncoded = 0
    with _progress(console, len(segments) if isinstance(segments, list) else None) as advance:
        for outcome in pipeline.run(segments):
            out.write(json.dumps(as_row(outcome), ensure_ascii=False) + "\n")
            out.flush()
            uncoded += not isinstance(outcome, Coded)
            advance()
    rejected = f", {len(tally.rejected)} rows rejected" if tally.rejected else ""
    console.print(f"{tally.good - uncoded} segments coded, {uncoded} could not be{rejected}")


def as_row(outcome: Outcome) -> dict[str, Any]:
    """The line that stands for a segment."""
    segment = outcome.segment
    row: dict[str, Any] = {"id": str(segment.id), "study": segment.study, "text": segment.text}
    row["source"] = segment.source
    row["timestamp"] = segment.timestamp.isoformat() if segment.timestamp else None
    if not isinstance(outcome, Coded):
        return row | {"code": None, "error": outcome.reason}
    assignment, decision = outcome.assignment, outcome.decision
    return row | {
        "code": assignment.label,
        "code_id": str(assignment.code_id),
        "new": assignment.new,
        "similarity": round(assignment.similarity, 4),
        "confidence": None if assignment.confidence is None else round(assignment.confidence, 4),
        "route": assignment.route,
        "proposals": [_proposal(proposal) for proposal in decision.proposals] + skipped_rows(decision),
        "verdict": decision.verdict,
        "proposed": assignment.proposed,
        "why": decision.why,
        "models": assignment.models,
        "metadata": segment.metadata,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    shown: dict[str, Any] = {"member": proposal.member, "label": proposal.label}
    shown |= {"log_probability": proposal.log_probability, "fault": proposal.fault}
    shown |= {"drawn": proposal.drawn} if proposal.drawn else {}
    return shown if proposal.taken_from is None else shown | {"taken_from": str(proposal.taken_from)}


def _open(settings: Settings, source: Path, columns: Mapping[str, str | None]) -> Iterator[Segment | Rejected]:
    stream: Path | BinaryIO = sys.stdin.buffer if str(source) == "-" else source
    return iter(
        read_segments(
            stream,
            study=settings.study,
            fmt=columns.get("fmt"),
            text_column=columns.get("text_column"),
            id_column=columns.get("id_column"),
            time_column=columns.get("time_column"),
            source_name=None if str(source) != "-" else "stdin",
        )
    )


def _name(source: Path) -> str:
    return "standard input" if str(source) == "-" else str(source)


@contextmanager
def _progress(console: Console, total: int | None) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error for the time of a block; call what it gives once a segment."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("coding", total=total)
        yield lambda: progress.advance(task)
