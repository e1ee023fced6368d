"""Labels that were made elsewhere, matched with a study's segments and codes, and told as records.

Nothing is written here: a plan is shown first, and its records are kept when somebody says so. The same file
planned again changes nothing; of a corrected one, what changed takes the place of what the same coder said before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, select

from infra.annotation.label_matching import KnownSegment, Match, by_own_ids, match
from infra.annotation.memos import Memo
from infra.annotation.span_matching import match_parts
from infra.annotation.study_codes import StudyCodes
from infra.files.labels.label_sheet import Labelled, LabelSheet
from infra.files.labels.masked_labels import Placeholders, mask_labels
from infra.files.rows import Rejected
from infra.masking.intake import Masking
from infra.storage.database import Database, chunks
from infra.storage.tables import annotations
from models.annotation.spans import part_of, placed
from models.codebook.edits import Act
from schemas import Annotation, CodeEvent, Record, Segment
from schemas.annotation import AnnotationKind
from schemas.feedback import LONGEST_SOURCE
from schemas.ids import normalised_label
from schemas.record import later_than

Outcome = TypeVar("Outcome")
_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Unmatched:
    """A row that belongs to no segment of the study."""

    line: int
    text: str
    """Or the id, where the row has no text."""
    taught: bool
    """Whether its codes are kept all the same, with its text."""


@dataclass(frozen=True)
class Plan:
    """What an import comes to."""

    rows: int
    annotations: Sequence[Annotation]
    """Those that the study lacks."""
    kept: Sequence[Annotation]
    """All that the file says, with those that the study has."""
    already: int
    """Labels that the study has already."""
    known: Sequence[str]
    new: Sequence[str]
    events: Sequence[CodeEvent]
    unmatched: Sequence[Unmatched]
    rejected: Sequence[Rejected]
    changed: int = 0
    """How many of the annotations take the place of other codes by the same coder."""
    taken_back: int = 0
    """How many take back what the coder said before, whose cell is empty now."""
    uncoded: int = 0
    """Rows that have no codes yet, and had none."""
    columns: str = ""
    """What the file's columns are read as."""
    notes: Sequence[str] = ()
    memos: Sequence[Memo] = ()
    """On codes and documents, which the study lacks."""
    placeholders: Placeholders | None = None
    """What those of the file stand for, where something was masked."""

    @property
    def changes(self) -> int:
        """How many records are to be written."""
        return len(self.events) + len(self.annotations)

    def write(self, keep: Callable[[list[Record]], Outcome]) -> Outcome:
        """Write what the import comes to: which placeholders its texts hold, then its records.

        Args:
            keep: Keeps records; it gets them all, the codes first.

        Returns:
            What ``keep`` says.
        """
        if self.placeholders is not None:
            self.placeholders.keep(self.annotations)
        return keep([*self.events, *self.annotations])


@dataclass(frozen=True)
class Importing:
    """Who imports into which study, and when."""

    study: str
    author: str
    at: datetime
    teach_unmatched: bool = False
    masking: Masking | None = None
    """Masks texts and memos where the study wants it."""


def plan(database: Database, sheet: LabelSheet, who: Importing) -> Plan:
    """Say what a file comes to in a study.

    A row without a time speaks now, and only where it says something else than the file that it corrects, or than the
    coder's last word where no file said anything: a file's own date and name count for nothing. A row whose cell of
    codes is empty takes back what a file had said for the same coder, and else says nothing. Which segment a row is
    about, ``label_matching.match`` says; which code a label means, ``StudyCodes``.
    """
    with database.reading() as connection:
        sheet = replace(sheet, rows=by_own_ids(connection, sheet.rows, who.study))
    masked = mask_labels(database, sheet, who.study, who.masking)
    sheet, rejected = masked.sheet, list(sheet.rejected)
    rows = [row for row in sheet.rows if not _ahead(row, sheet.name, who.at, rejected)]
    with database.reading() as connection:
        matches = match(connection, rows, who.study, sheet.name)
        labels = dict.fromkeys(label for row in rows for label in row.codes)
        book = StudyCodes.read(connection, who.study, labels, sheet.themes)
        planned = _annotations(connection, rows, matches, book, who, sheet.name)
    labels_kept = [label for annotation in planned.kept for label in annotation.labels]
    new = book.new(label for annotation in planned.fresh for label in annotation.labels)
    notes = [*_about_texts(rows, matches), *book.about(labels_kept)]
    return Plan(
        rows=len(sheet.rows) + len(sheet.rejected),
        annotations=planned.fresh,
        kept=planned.kept,
        already=len(planned.kept) - len(planned.fresh),
        known=book.known(labels_kept),
        new=sorted(new),
        events=book.events(labels_kept, Act(who.author, who.at, f"imported from {sheet.name}", "imported")),
        unmatched=planned.unmatched,
        rejected=sorted(rejected, key=lambda row: row.line),
        changed=planned.changed,
        taken_back=planned.taken_back,
        uncoded=planned.uncoded,
        columns=sheet.columns,
        notes=[*sheet.notes, *([str(masked.tally)] if masked.tally.segments else []), *notes],
        placeholders=masked.placeholders,
    )


def _about_texts(rows: Sequence[Labelled], matches: Mapping[int, Match]) -> Iterator[str]:
    """Ids that stand for other texts than the file has."""
    for n, each in matches.items():
        if each.other_text:
            yield f"line {rows[n].line}: the segment with this id has another text"
        if each.by_text_alone:
            yield f"line {rows[n].line}: the segment with this id has another text; the one with this text is taken"
    elsewhere = sum(each.other_elsewhere for each in matches.values())
    if elsewhere:
        yield f"{elsewhere} rows have ids that stand for other texts in another file: they are texts of their own"


def _ahead(row: Labelled, name: str, now: datetime, rejected: list[Rejected]) -> bool:
    """A time to come would stay the last word whatever people say until then."""
    if row.at is None or row.at <= now + _AHEAD:
        return False
    rejected.append(Rejected(name, row.line, f"the time {row.at.isoformat()} is still to come; a past one is expected"))
    return True


@dataclass(frozen=True)
class _Planned:
    kept: Sequence[Annotation]
    """Everything that the file says, what the study knows already included."""
    fresh: Sequence[Annotation]
    unmatched: Sequence[Unmatched]
    changed: int
    taken_back: int
    uncoded: int


def _annotations(
    connection: Connection,
    rows: Sequence[Labelled],
    matches: Mapping[int, Match],
    book: StudyCodes,
    who: Importing,
    file: str,
) -> _Planned:
    unmatched: list[Unmatched] = []
    together: dict[tuple[UUID, str, datetime | None], Annotation] = {}
    written: dict[tuple[UUID, str, datetime | None], list[str]] = {}
    empty: dict[tuple[UUID, str], KnownSegment] = {}
    uncoded = 0
    parts = match_parts(connection, rows, who.study)
    for n, row in enumerate(rows):
        known, part = matches[n].known, parts.get(n)
        if part is not None and row.coded and (part.sure or known is None):
            end = part.start + len(row.text or "")
            known = KnownSegment(part_of(part.segment, part.start, end, row.annotator))
        else:
            part = None
        if known is None:
            taught = row.coded and who.teach_unmatched and matches[n].id is not None
            if not row.coded and row.text is not None:
                uncoded += 1
                continue
            unmatched.append(Unmatched(row.line, row.text or f"id {row.key}", taught))
            if not taught:
                continue
            known = _taught_segment(matches[n], row, who.study, file)
        if not row.coded:
            empty[known.segment.id, row.annotator] = known
            continue
        annotation = _annotation(row, known, book, who, file)
        annotation = annotation if part is None else placed(annotation, part.segment, part.start)
        key = (annotation.segment_id, row.annotator, row.at)
        together[key] = _joined(together[key], annotation) if key in together else annotation
        written.setdefault(key, []).extend(row.codes)
    spoken = {(segment, annotator) for segment, annotator, _ in together}
    empty = {key: known for key, known in empty.items() if key not in spoken}
    before = _history(connection, {segment for segment, _ in [*spoken, *empty]})
    fresh = [_dated(annotation, written[key], key[2], before) for key, annotation in together.items()]
    new = [annotation for annotation in fresh if annotation is not None]
    back = [_taken_back(known, annotator, before, who) for (_, annotator), known in empty.items()]
    taken_back = [annotation for annotation in back if annotation is not None]
    return _Planned(
        [*together.values(), *taken_back],
        [*new, *taken_back],
        unmatched,
        sum((annotation.segment_id, annotation.annotator) in before for annotation in new),
        len(taken_back),
        uncoded + len(back) - len(taken_back),
    )


def _taught_segment(match: Match, row: Labelled, study: str, file: str) -> KnownSegment:
    assert match.id is not None
    source = (row.source or file)[:LONGEST_SOURCE]
    return KnownSegment(Segment(id=match.id, study=study, text=row.text or "", source=source), coded_only=True)


def _annotation(row: Labelled, known: KnownSegment, book: StudyCodes, who: Importing, file: str) -> Annotation:
    chosen = dict(book.code(label) for label in row.codes)
    kind: AnnotationKind = "adjudication" if row.adjudicates else "coding"
    judges = known.assignment is not None and not row.withdrawn and (chosen or not row.unsure)
    segment = known.segment
    if known.coded_only and row.text is not None:
        segment = segment.model_copy(update={"text": row.text})  # a corrected file may correct the text too
    return Annotation.about(
        segment,
        row.annotator,
        chosen,
        row.at or who.at,
        assignment=known.assignment,
        kind=kind,
        memo=row.memo,
        unsure=row.unsure,
        withdrawn=row.withdrawn,
        accepted=known.assignment.code_id in chosen if known.assignment and judges else None,
        blind=row.blind,
        seconds=row.seconds,
        own_id=row.key if known.coded_only else None,
        start=row.start,
        source=(known.segment.source if not known.coded_only else row.source or known.segment.source)[:LONGEST_SOURCE],
    )


def _joined(first: Annotation, more: Annotation) -> Annotation:
    """Several rows for one segment by one person at one time are several codes."""
    chosen = dict(zip([*first.code_ids, *more.code_ids], [*first.labels, *more.labels], strict=True))
    accepted = None if first.accepted is None else bool(first.accepted or more.accepted)
    memo = first.memo if more.memo in first.memo else f"{first.memo}\n{more.memo}".strip()
    update = {"code_ids": list(chosen), "labels": list(chosen.values()), "accepted": accepted, "memo": memo}
    return first.model_copy(update=update)


_Histories = Mapping[tuple[UUID, str], Sequence[Annotation]]
"""By segment and person what they said, the latest last."""


def _history(connection: Connection, ids: Iterable[UUID]) -> _Histories:
    """What each person said about these segments."""
    histories: dict[tuple[UUID, str], list[Annotation]] = {}
    for chunk in chunks(list(ids)):
        query = select(annotations.c.record).where(annotations.c.segment_id.in_(chunk))
        for raw in connection.execute(query.order_by(annotations.c.decided_at)).scalars():
            annotation = Annotation.from_bytes(raw)
            histories.setdefault((annotation.segment_id, annotation.annotator), []).append(annotation)
    return histories


def _dated(
    annotation: Annotation, written: Sequence[str], at: datetime | None, histories: _Histories
) -> Annotation | None:
    """The annotation with its time; ``None`` where the study has it already."""
    words = histories.get((annotation.segment_id, annotation.annotator), ())
    if at is not None:
        same_time = [word for word in words if word.decided_at == at]
        if not same_time:
            return annotation
        if any(_same(annotation, word) or _as_written(written, annotation, word) for word in same_time):
            return None
    elif words and any(_same(annotation, word) for word in (words[-1], *_filed(words)[-1:])):
        return None
    if any(_same(annotation, word) for word in words[-1:]):
        return None
    return annotation.model_copy(
        update={"decided_at": later_than(annotation.decided_at, *(word.decided_at for word in words))}
    )


def _taken_back(known: KnownSegment, annotator: str, histories: _Histories, who: Importing) -> Annotation | None:
    """Take back what a file said for a coder whose cell is empty now; nothing where no file said anything."""
    words = histories.get((known.segment.id, annotator), ())
    filed = _filed(words)
    if not filed or filed[-1].withdrawn or words[-1].withdrawn:
        return None
    at = later_than(who.at, *(word.decided_at for word in words))
    return words[-1].model_copy(update={"withdrawn": True, "decided_at": at, "seconds": None})


def _filed(words: Sequence[Annotation]) -> list[Annotation]:
    """Those that came from files; older versions did not write it down, but nobody was asked or timed for them."""
    return [word for word in words if word.source is not None or (word.reason is None and word.seconds is None)]


def _as_written(written: Sequence[str], annotation: Annotation, word: Annotation) -> bool:
    """Whether a row is an exported word as its codes were called then."""
    labels = ({normalised_label(label) for label in each} for each in (written, word.labels))
    return len(set(map(frozenset, labels))) == 1 and annotation.withdrawn == word.withdrawn


def _same(annotation: Annotation, word: Annotation) -> bool:
    """Whether they say the same; a file without memos says nothing against those there are."""
    return (
        set(annotation.code_ids) == set(word.code_ids)
        and annotation.withdrawn == word.withdrawn
        and annotation.kind == word.kind
        and (annotation.unsure == word.unsure or not annotation.unsure)
        and (annotation.memo in ("", word.memo))
    )
