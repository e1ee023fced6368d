"""Labels that were made elsewhere, matched with a study's segments and codes, and told as records.

Nothing is written here: a plan is shown first, and its records are kept when somebody says so. The same file
planned again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, select

from infra.files.label_sheet import Labelled, LabelSheet
from infra.files.rows import Rejected
from infra.storage.database import CHUNK, Database, chunks
from infra.storage.final_codes import names_now
from infra.storage.tables import annotations, assignments, codes, segments
from schemas import Annotation, Assignment, CodeEvent, Record, Segment
from schemas.annotation import AnnotationKind
from schemas.ids import code_event_id, code_id, normalised_label, segment_id

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
    already: int
    """Labels that the study has already."""
    known: Sequence[str]
    new: Sequence[str]
    events: Sequence[CodeEvent]
    unmatched: Sequence[Unmatched]
    rejected: Sequence[Rejected]

    @property
    def records(self) -> list[Record]:
        """All that is to be written, the codes first."""
        return [*self.events, *self.annotations]


@dataclass(frozen=True)
class Importing:
    """Who imports into which study, and when."""

    study: str
    author: str
    at: datetime
    teach_unmatched: bool = False


@dataclass(frozen=True)
class _Known:
    """A segment of the study, and what the system made of it."""

    segment: Segment
    assignment: Assignment | None


def plan(database: Database, sheet: LabelSheet, who: Importing) -> Plan:
    """Say what a file comes to in a study.

    A row belongs to the segment with its id, or with its source's own id, or else with its text: the second segment
    with the same text to the second one that was labelled.
    """
    rejected = list(sheet.rejected)
    rows = [row for row in sheet.rows if not _ahead(row, sheet.name, who.at, rejected)]
    with database.reading() as connection:
        matched = _match(connection, rows, who.study, sheet.name)
        book = _Book.read(connection, who.study, {label for row in rows for label in row.codes})
        labels = _annotations(connection, rows, matched, book, who)
    kept = {normalised_label(label) for annotation in labels.kept for label in annotation.labels}
    new = {normalised_label(label): label for annotation in labels.fresh for label in annotation.labels}
    new = {folded: label for folded, label in new.items() if folded not in book.codes}
    return Plan(
        rows=len(sheet.rows) + len(sheet.rejected),
        annotations=labels.fresh,
        already=len(labels.kept) - len(labels.fresh),
        known=sorted({book.codes[folded][1] for folded in kept if folded in book.codes}),
        new=sorted(new.values()),
        events=[_created(label, sheet.name, who) for label in new.values()],
        unmatched=labels.unmatched,
        rejected=sorted(rejected, key=lambda annotation: annotation.line),
    )


def _ahead(row: Labelled, name: str, now: datetime, rejected: list[Rejected]) -> bool:
    """A time to come would stay the last word whatever people say until then."""
    if row.at is None or row.at <= now + _AHEAD:
        return False
    rejected.append(Rejected(name, row.line, f"the time {row.at.isoformat()} is still to come; a past one is expected"))
    return True


def _match(
    connection: Connection, rows: Sequence[Labelled], study: str, file: str
) -> dict[int, "_Known | UUID | None"]:
    """By line, the segment; the id that one would have; or nothing to go by."""
    ids_by_line = {row.line: _ids(row, study, file) for row in rows}
    by_id = _known(connection, study, {id_ for ids in ids_by_line.values() for id_ in ids})
    matched: dict[int, _Known | UUID | None] = {}
    for row in rows:
        known = next((by_id[id_] for id_ in ids_by_line[row.line] if id_ in by_id), None)
        if known is not None:
            matched[row.line] = known
    loose = [row for row in rows if row.line not in matched]
    same = _with_text(connection, study, {row.text for row in loose if row.text is not None})
    by_text = _known(connection, study, {id_ for ids in same.values() for id_ in ids})
    for row, place in _places(loose):
        having = same.get(row.text or "", ())
        if row.text is not None and place < len(having):
            matched[row.line] = by_text[having[place]]
        elif row.text is not None:
            digest = sha256(row.text.encode()).hexdigest()
            matched[row.line] = segment_id(study, file, row.key or f"{digest}:{place + 1}")
        else:
            matched[row.line] = None
    return matched


def _ids(row: Labelled, study: str, file: str) -> list[UUID]:
    """The ids that a row's own id can mean."""
    if row.key is None:
        return []
    try:
        own = [UUID(row.key)]
    except ValueError:
        own = []
    return [*own, *(segment_id(study, source, row.key) for source in dict.fromkeys((row.source or file, file)))]


def _places(rows: Sequence[Labelled]) -> Iterator[tuple[Labelled, int]]:
    """Which of the texts that are equal to its own a row means, from 0: rows with one id mean the same one."""
    seen: dict[str | None, dict[tuple[str, ...], int]] = {}
    times: dict[tuple[str | None, str], int] = {}
    for row in rows:
        slots = seen.setdefault(row.text, {})
        if row.key is not None:
            identity: tuple[str, ...] = (row.source or "", row.key)
        else:
            place = times[row.text, row.annotator] = times.get((row.text, row.annotator), 0) + 1
            identity = (str(place),)
        yield row, slots.setdefault(identity, len(slots))


def _known(connection: Connection, study: str, ids: Iterable[UUID]) -> dict[UUID, _Known]:
    known = {}
    for chunk in chunks(list(ids)):
        query = (
            select(segments.c.record, assignments.c.record.label("assignment"))
            .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
            .where(segments.c.id.in_(chunk))  # by id alone: with the study SQLite would read all of it
        )
        for row in connection.execute(query):
            segment = Segment.from_bytes(row.record)
            if segment.study == study:
                assignment = Assignment.from_bytes(row.assignment) if row.assignment else None
                known[segment.id] = _Known(segment, assignment)
    return known


def _with_text(connection: Connection, study: str, texts: set[str]) -> dict[str, list[UUID]]:
    """The segments with each of these texts, in the order they were said; reads the study once."""
    ids: dict[str, list[UUID]] = {}
    if texts:
        query = select(segments.c.id, segments.c.text).where(segments.c.study == study)
        query = query.order_by(segments.c.order_at, segments.c.seq)
        for row in connection.execution_options(yield_per=CHUNK).execute(query):
            if row.text in texts:
                ids.setdefault(row.text, []).append(row.id)
    return ids


@dataclass(frozen=True)
class _Book:
    """The study's codes by the labels that a file uses."""

    codes: Mapping[str, tuple[UUID, str]]
    """By normalised label, the code that it means now, with its label."""

    @classmethod
    def read(cls, connection: Connection, study: str, labels: Iterable[str]) -> "_Book":
        """Find the codes that go by these labels, or were made under them."""
        query = select(codes.c.id, codes.c.label).where(codes.c.study == study, codes.c.level == "code")
        live = connection.execute(query.where(codes.c.retired.is_(False)).order_by(codes.c.created_at.desc())).all()
        by_label = {normalised_label(row.label): (row.id, row.label) for row in live}
        labels_by_code = {code_id(study, label): normalised_label(label) for label in labels}
        for id_, now in names_now(connection, labels_by_code).items():
            by_label.setdefault(labels_by_code[id_], (now.id, now.label))
        return cls(by_label)

    def code(self, study: str, label: str) -> tuple[UUID, str]:
        """The code that a label means; the one that it would make where there is none."""
        return self.codes.get(normalised_label(label)) or (code_id(study, label), label)


@dataclass(frozen=True)
class _Made:
    kept: Sequence[Annotation]
    """Everything that the file says, what the study knows already included."""
    fresh: Sequence[Annotation]
    unmatched: Sequence[Unmatched]


def _annotations(
    connection: Connection,
    rows: Sequence[Labelled],
    matched: Mapping[int, "_Known | UUID | None"],
    book: _Book,
    who: Importing,
) -> _Made:
    unmatched: list[Unmatched] = []
    together: dict[tuple[UUID, str, datetime | None], Annotation] = {}
    for row in rows:
        target = matched[row.line]
        if not isinstance(target, _Known):
            taught = who.teach_unmatched and target is not None
            unmatched.append(Unmatched(row.line, row.text or f"id {row.key}", taught))
            if target is None or not taught:
                continue
            target = _Known(Segment(id=target, study=who.study, text=row.text or "", source="import"), None)
        annotation = _annotation(row, target, book, who)
        key = (annotation.segment_id, row.annotator, row.at)
        together[key] = _joined(together[key], annotation) if key in together else annotation
    before = _history(connection, {annotation.segment_id for annotation in together.values()})
    fresh = [annotation for (_, _, at), annotation in together.items() if not _there(annotation, at, before)]
    return _Made(list(together.values()), fresh, unmatched)


def _annotation(row: Labelled, known: _Known, book: _Book, who: Importing) -> Annotation:
    chosen = dict(book.code(who.study, label) for label in row.codes)
    kind: AnnotationKind = "adjudication" if row.adjudicates else "coding"
    judges = known.assignment is not None and not row.withdrawn and (chosen or not row.unsure)
    return Annotation.about(
        known.segment,
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
    )


def _joined(first: Annotation, more: Annotation) -> Annotation:
    """Several rows for one segment by one person at one time are several codes."""
    chosen = dict(zip([*first.code_ids, *more.code_ids], [*first.labels, *more.labels], strict=True))
    accepted = None if first.accepted is None else bool(first.accepted or more.accepted)
    return first.model_copy(update={"code_ids": list(chosen), "labels": list(chosen.values()), "accepted": accepted})


_Word = tuple[datetime, set[str], bool]
"""When somebody said something, which codes it had, and whether it was withdrawn."""


def _history(connection: Connection, ids: Iterable[UUID]) -> dict[tuple[UUID, str], list[_Word]]:
    """What each person said about these segments, the latest last."""
    history: dict[tuple[UUID, str], list[_Word]] = {}
    columns = annotations.c
    for chunk in chunks(list(ids)):
        query = select(columns.segment_id, columns.annotator, columns.decided_at, columns.code_ids, columns.withdrawn)
        for row in connection.execute(query.where(columns.segment_id.in_(chunk)).order_by(columns.decided_at)):
            word = (row.decided_at, set(row.code_ids), row.withdrawn)
            history.setdefault((row.segment_id, row.annotator), []).append(word)
    return history


def _there(
    annotation: Annotation,
    at: datetime | None,
    history: Mapping[tuple[UUID, str], Sequence[tuple[datetime, set[str], bool]]],
) -> bool:
    """Whether the study has it: the same time, or where the file has none the same codes as the last word."""
    words = history.get((annotation.segment_id, annotation.annotator), ())
    if at is not None:
        return any(when == at for when, _, _ in words)
    return bool(words) and words[-1][1:] == ({str(code) for code in annotation.code_ids}, annotation.withdrawn)


def _created(label: str, file: str, who: Importing) -> CodeEvent:
    code = code_id(who.study, label)
    return CodeEvent(
        id=code_event_id(code, "created", "imported"),
        code_id=code,
        study=who.study,
        kind="created",
        label=label,
        author=who.author,
        at=who.at,
        reason=f"imported from {file}"[:500],
    )
