"""From records to rows: which table each goes to, and what happens when its row is already there.

Every write may come again, and batches may come in any order: each rule gives the same rows whatever the order.
Only a decision has no time to go by; the one that was written last stays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from infra.storage import tables
from infra.storage.annotations import update_open_slots
from infra.storage.database import chunks
from infra.storage.derived.decided_codes import coded_with, update_decided_codes
from infra.storage.derived.successors import update_finals
from infra.storage.erasures import not_erased
from infra.storage.outcomes import names_now
from models.codebook.codebook import CodeState
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    DriftAlert,
    ModelRelease,
    Record,
    Segment,
    StudyRules,
)

SqlRow = dict[str, Any]
_Excluded = Any  # the row that was refused, as the dialect calls it
_CODEBOOK_LOCK = 7_305_802
SKIPPED = "skipped"
"""What stands as the fault of a member that a cascade did not ask."""


@dataclass(frozen=True)
class Projection:
    """How one kind of record becomes rows."""

    table: Table
    row: Callable[[Any, datetime], SqlRow]
    order: tuple[str, ...]  # the columns by which its history is told
    replace: Callable[[Table, _Excluded], ColumnElement[bool]] | None = None  # None: the first row stays


def segment_row(segment: Segment, now: datetime) -> SqlRow:
    """A segment that is taken in now."""
    return {
        "id": segment.id,
        "study": segment.study,
        "text": segment.text,
        "source": segment.source,
        "own_id": segment.own_id,
        "timestamp": segment.timestamp,
        "language": segment.language,
        "metadata": segment.metadata,
        "cut_from": segment.cut_from,
        "taken_in_at": now,
        "order_at": segment.timestamp or now,
        "published_at": None,
        "record": segment.to_bytes(),
    }


def insert_segments(connection: Connection, taken: Sequence[Segment], now: datetime) -> int:
    """Keep segments that are not there yet; how many there were."""
    if not taken:
        return 0
    statement = insert(tables.segments, connection.dialect.name).on_conflict_do_nothing(index_elements=["id"])
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted, [segment_row(segment, now) for segment in taken]).rowcount


def texts_kept(connection: Connection, taken: Iterable[Segment]) -> dict[UUID, str | None]:
    """The texts of those segments that are kept; none of texts that were cut, which are not compared."""
    columns = tables.segments.c
    query = select(columns.id, columns.text, columns.cut_from).where(columns.id.in_([each.id for each in taken]))
    return {row.id: row.text if row.cut_from is None else None for row in connection.execute(query)}


def _decision_row(decision: Decision, now: datetime) -> SqlRow:
    return {
        **_columns(decision, tables.decisions),
        "segment_id": decision.segment.id,
        "study": decision.segment.study,
        "proposals": [proposal.model_dump(mode="json") for proposal in decision.proposals] + skipped_rows(decision),
        "at": now,
    }


def skipped_rows(decision: Decision) -> list[dict[str, Any]]:
    """Members that a cascade did not ask, as they stand among the proposals: without a label, and saying so."""
    return [{"member": name, "label": "", "log_probability": None, "fault": SKIPPED} for name in decision.skipped]


def _assignment_row(assignment: Assignment, now: datetime) -> SqlRow:
    row = _columns(assignment, tables.assignments)
    row["runner_up"] = assignment.runner_up and assignment.runner_up.model_dump(mode="json")
    return row


def _annotation_row(annotation: Annotation, now: datetime) -> SqlRow:
    return {**_columns(annotation, tables.annotations), "code_ids": [str(code) for code in annotation.code_ids]}


def _alert_row(alert: DriftAlert, now: datetime) -> SqlRow:
    return {**_columns(alert, tables.alerts), "raised_at": alert.raised_at or alert.detected_at}


def _dead_letter_row(letter: DeadLetter, now: datetime) -> SqlRow:
    return {**_columns(letter, tables.dead_letters), "replayed_at": None}


def _plain(table: Table) -> Callable[[Record, datetime], SqlRow]:
    return lambda record, _now: _columns(record, table)


def _columns(record: Record, table: Table) -> SqlRow:
    """The columns that are named as the record's fields."""
    row = {name: getattr(record, name) for name in table.c.keys() if name in type(record).model_fields}  # noqa: SIM118
    return {**row, "record": record.to_bytes()}


def _routed_then_newest(table: Table, new: _Excluded) -> ColumnElement[bool]:
    """An assignment without route never takes the place of one with it; among equals the later one stays."""
    gains = and_(new.route.is_not(None), table.c.route.is_(None))
    same = table.c.route.is_(None) == new.route.is_(None)
    return or_(gains, and_(same, table.c.assigned_at <= new.assigned_at))


def _newest(column: str) -> Callable[[Table, _Excluded], ColumnElement[bool]]:
    return lambda table, new: table.c[column] <= new[column]


def _differs(table: Table, new: _Excluded) -> ColumnElement[bool]:
    return table.c.record.is_distinct_from(new.record)


def _failed_again(table: Table, new: _Excluded) -> ColumnElement[bool]:
    """A replayed letter that fails at the same place (a fresh broker counts from 0 again) is open again."""
    return and_(table.c.replayed_at.is_not(None), table.c.replayed_at < new["at"])


PROJECTIONS: Mapping[type[Record], Projection] = {
    Segment: Projection(tables.segments, segment_row, ("order_at", "seq")),
    Decision: Projection(tables.decisions, _decision_row, ("at", "segment_id"), _differs),
    Assignment: Projection(tables.assignments, _assignment_row, ("assigned_at", "segment_id"), _routed_then_newest),
    CodeEvent: Projection(tables.code_events, _plain(tables.code_events), ("at", "id")),
    AnnotationRequest: Projection(
        tables.requests, _plain(tables.requests), ("requested_at", "segment_id"), _newest("requested_at")
    ),
    StudyRules: Projection(tables.study_rules, _plain(tables.study_rules), ("at", "study"), _newest("at")),
    Annotation: Projection(tables.annotations, _annotation_row, ("decided_at", "segment_id", "annotator")),
    ModelRelease: Projection(tables.releases, _plain(tables.releases), ("released_at", "model")),
    DriftAlert: Projection(tables.alerts, _alert_row, ("detected_at", "id"), _newest("detected_at")),
    DeadLetter: Projection(tables.dead_letters, _dead_letter_row, ("at", "id"), _failed_again),
}
"""Every kind of record that is kept; ``Proposals`` are kept inside their decision."""


def write(connection: Connection, records: Iterable[Record], now: datetime) -> None:
    """Write a mixed batch inside the connection's transaction; kinds without a table, and what was erased, are left."""
    batches: dict[type[Record], list[Any]] = {}
    for record in not_erased(connection, records):
        batches.setdefault(type(record), []).append(record)
    if CodeEvent in batches and connection.dialect.name == "postgresql":
        # Two recorders must not each project a code from half of its events.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CODEBOOK_LOCK})
    for kind, projection in PROJECTIONS.items():
        if kind in batches:
            _write_rows(connection, kind, [projection.row(record, now) for record in batches[kind]], now)
    moved = _write_codes(connection, batches[CodeEvent]) if CodeEvent in batches else set()
    decided = {annotation.segment_id for annotation in batches.get(Annotation, ())} | coded_with(connection, moved)
    update_decided_codes(connection, decided)
    touched = {record.segment_id for kind in (AnnotationRequest, Annotation) for record in batches.get(kind, ())}
    if touched:
        update_open_slots(connection, touched)


def _write_codes(connection: Connection, events: Sequence[CodeEvent]) -> set[UUID]:
    """Make the codes of these events anew; returns those, and others, that are another code now than before."""
    ids = {event.code_id for event in events}
    before = _finals(connection, ids)
    _project_codes(connection, ids)
    also = update_finals(connection, {event.study for event in events})
    now = _finals(connection, ids)
    return also | {code for code in ids if before.get(code, code) != now.get(code, code)}


def _finals(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """What codes count as: what they were merged into, else themselves."""
    return {code: named.id for code, named in names_now(connection, ids).items()}


def _write_rows(connection: Connection, kind: type[Record], rows: list[SqlRow], now: datetime) -> None:
    if kind is Segment:  # it came over the topic, so it is published
        for row in rows:
            row["published_at"] = now
    rows.sort(key=_sort_key(PROJECTIONS[kind].table))  # the same order in every process: no deadlock
    connection.execute(_upsert(kind, connection.dialect.name), rows)


def _sort_key(table: Table) -> Callable[[SqlRow], tuple[str, ...]]:
    names = [column.name for column in table.primary_key if column.name != "seq"] or ["id"]
    return lambda row: tuple(str(row[name]) for name in names)


def insert(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upsert(kind: type[Record], dialect: str) -> sqlite.Insert | postgresql.Insert:
    projection = PROJECTIONS[kind]
    table, statement = projection.table, insert(projection.table, dialect)
    new = statement.excluded
    if kind is Segment:
        published = func.coalesce(table.c.published_at, new.published_at)
        return statement.on_conflict_do_update(index_elements=["id"], set_={"published_at": published})
    keys = [column.name for column in table.primary_key]
    if projection.replace is None:
        return statement.on_conflict_do_nothing(index_elements=keys)
    kept = {*keys, "at"} if kind is Decision else set(keys)
    values = {column.name: new[column.name] for column in table.c if column.name not in kept}
    return statement.on_conflict_do_update(index_elements=keys, set_=values, where=projection.replace(table, new))


def _project_codes(connection: Connection, ids: set[UUID]) -> None:
    """Make each code anew from all of its events, which may have come in any order."""
    events: dict[UUID, list[CodeEvent]] = {}
    source, ordered = tables.code_events, sorted(ids)
    for chunk in chunks(ordered):
        query = select(source.c.record).where(source.c.code_id.in_(chunk))
        for raw in connection.execute(query).scalars():
            event = CodeEvent.from_bytes(raw)
            events.setdefault(event.code_id, []).append(event)
    statement = insert(tables.codes, connection.dialect.name)
    values = {column.name: statement.excluded[column.name] for column in tables.codes.c if column.name != "id"}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=values), [code_row(events[id_]) for id_ in ordered]
    )


def code_row(history: Sequence[CodeEvent]) -> SqlRow:
    """What a code is now; see ``models.codebook.codebook.CodeState``.

    Args:
        history: All events of one code, at least one, in any order.
    """
    state = CodeState.replay(history)
    return {
        "id": state.id,
        "study": state.study,
        "level": state.level,
        "label": state.label,
        "created_at": state.created_at,
        "retired": not state.active,
        "parent": state.parent,
        "definition": state.definition,
        "inclusion": state.inclusion,
        "exclusion": state.exclusion,
        "examples": list(state.examples),
        "origin": state.origin,
        "became": [str(each) for each in state.into],
        "final": state.id if state.active else None,
    }
