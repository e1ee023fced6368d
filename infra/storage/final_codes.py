"""What segments are coded in the end, and who says so: the read model's rows by ``models.annotation.latest``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from infra.storage.annotations import current_annotations
from infra.storage.database import chunks
from infra.storage.tables import annotations, codes
from models.annotation.latest import Said, SettledBy, settle
from schemas.ids import code_id

Assigned = tuple[UUID, str]
"""A code as the system gave it: its id, and its label then."""


@dataclass(frozen=True)
class Named:
    """A code as it is now."""

    id: UUID
    label: str


@dataclass(frozen=True)
class Coding:
    """One person's last word on a segment, by the codes as they are now."""

    annotator: str
    codes: tuple[Named, ...]
    kind: str
    unsure: bool


@dataclass(frozen=True)
class Outcome:
    """A segment's codes in the end, whose word that is, and what each person said."""

    codes: tuple[Named, ...]
    by: SettledBy | None
    people: tuple[Coding, ...]


def outcomes(connection: Connection, assigned: Mapping[UUID, Assigned | None]) -> dict[UUID, Outcome]:
    """Settle segments.

    Args:
        connection: A transaction that reads.
        assigned: By segment, the code that the system gave it, if it did.
    """
    said = _said(connection, assigned)
    wanted = {code for rows in said.values() for row in rows for code, _ in _chosen(row)}
    wanted |= {each[0] for each in assigned.values() if each is not None}
    names = names_now(connection, wanted)
    return {segment: _outcome(said.get(segment, ()), model, names) for segment, model in assigned.items()}


def names_now(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Named]:
    """What codes stand for now: a merged one for what it became; ids that no code has are left out."""
    ended, found = codes.alias("ended"), {}
    for chunk in chunks(ids):
        query = (
            select(ended.c.id, ended.c.label.label("own"), codes.c.id.label("final"), codes.c.label)
            .join_from(ended, codes, ended.c.final == codes.c.id, isouter=True)
            .where(ended.c.id.in_(chunk))
        )
        for row in connection.execute(query):
            found[row.id] = Named(row.id, row.own) if row.final is None else Named(row.final, row.label)
    return found


def _said(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, list[Row[Any]]]:
    said: dict[UUID, list[Row[Any]]] = {}
    for chunk in chunks(ids):
        current = current_annotations(None, annotations.c.segment_id.in_(chunk))
        for row in connection.execute(select(current).order_by(current.c.decided_at, current.c.annotator)):
            said.setdefault(row.segment_id, []).append(row)
    return said


def _outcome(rows: Sequence[Row[Any]], model: Assigned | None, names: Mapping[UUID, Named]) -> Outcome:
    people = tuple(Coding(row.annotator, _now(row, names), row.kind, row.unsure) for row in rows)
    said = [Said(one.annotator, tuple(c.id for c in one.codes), one.kind == "adjudication") for one in people]
    known = {code.id: code for one in people for code in one.codes}
    mine = None if model is None else names.get(model[0], Named(*model))
    if mine is not None:
        known[mine.id] = mine
    end = settle(said, None if mine is None else mine.id)
    return Outcome(tuple(known[code] for code in end.codes), end.by, people)


def _now(row: Row[Any], names: Mapping[UUID, Named]) -> tuple[Named, ...]:
    """A person's codes as they are now, each once."""
    found = [names.get(code, Named(code, label)) for code, label in _chosen(row)]
    return tuple({one.id: one for one in found}.values())


def _chosen(row: Row[Any]) -> list[tuple[UUID, str]]:
    """Codes as they were chosen, with their labels then; labels alone where they were made elsewhere."""
    ids = [UUID(str(each)) for each in row.code_ids] or [code_id(row.study, label) for label in row.labels]
    return [(code, row.labels[n] if n < len(row.labels) else str(code)) for n, code in enumerate(ids)]
