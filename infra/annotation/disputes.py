"""What coders disagree on and nobody has settled yet, and one such segment with all that is needed to settle it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from infra.annotation.agreement import readings
from infra.annotation.code_search import read_codes
from infra.storage.annotations import Coding, codings, current_annotations
from infra.storage.database import Database, chunks
from infra.storage.tables import annotations, assignments, codes, requests, segments
from models.annotation.adjudication import AdjudicationCase
from models.annotation.coding import CodeLookup
from models.evaluation.reliability import Dispute, disputes
from schemas import Annotation, AnnotationRequest, Assignment, Segment
from schemas.annotation import AnnotationKind


@dataclass(frozen=True)
class Disagreement:
    """A segment that people coded differently."""

    segment_id: UUID
    text: str
    distance: float
    """0 to 1, see ``models.evaluation.reliability.Dispute``."""
    codings: tuple[Coding, ...]


@dataclass(frozen=True)
class Definition:
    """A code as the codebook defines it."""

    id: UUID
    label: str
    definition: str | None
    inclusion: str | None
    exclusion: str | None
    live: bool


@dataclass(frozen=True)
class DisputedSegment:
    """A segment, who gave it what, and the codes at hand."""

    case: AdjudicationCase
    people: tuple[Coding, ...]
    models: tuple[Coding, ...]
    adjudications: tuple[Coding, ...]
    """The newest last, which counts."""
    at_hand: tuple[Definition, ...]
    """Codes that somebody gave it, or the system did; those that people gave first."""
    codes: CodeLookup


def disagreements(database: Database, study: str, limit: int) -> tuple[list[Disagreement], int]:
    """What people coded differently and nobody has settled, the most disputed first.

    Returns:
        At most ``limit`` of them, and how many there are.
    """
    people = codings(database, study, include_models=False)
    adjudicated = {coding.segment_id for coding in people if coding.kind == "adjudication"}
    by_segment: dict[UUID, list[Coding]] = {}
    for coding in people:
        by_segment.setdefault(coding.segment_id, []).append(coding)
    open_disputes = [coding for coding in disputes(readings(people)) if coding.unit not in adjudicated]
    texts = _texts(database, open_disputes[:limit])
    shown = [
        Disagreement(coding.unit, texts.get(coding.unit, ""), coding.distance, tuple(by_segment[coding.unit]))
        for coding in open_disputes[:limit]
    ]
    return shown, len(open_disputes)


def read_case(database: Database, study: str, segment: UUID, lead: str) -> DisputedSegment | None:
    """One segment as it is to be settled, or ``None`` where the study has no such segment."""
    every = codings(database, study, segment=segment)
    people = tuple(coding for coding in every if coding.kind == "coding" and not coding.by_model)
    models = tuple(coding for coding in every if coding.by_model)
    adjudications = tuple(
        sorted((coding for coding in every if coding.kind == "adjudication"), key=lambda coding: coding.at)
    )
    with database.reading() as connection:
        case = _case(connection, study, segment, lead)
        if case is None:
            return None
        given = dict.fromkeys(code for coding in (*people, *adjudications, *models) for code in coding.code_ids)
        at_hand = tuple(_definitions(connection, list(given)))
        return DisputedSegment(case, people, models, adjudications, at_hand, read_codes(connection, study))


def _texts(database: Database, listed: Sequence[Dispute]) -> dict[UUID, str]:
    texts: dict[UUID, str] = {}
    with database.reading() as connection:
        for chunk in chunks(dispute.unit for dispute in listed):
            query = select(segments.c.id, segments.c.text).where(segments.c.id.in_(chunk))
            texts |= {row.id: row.text for row in connection.execute(query)}
    return texts


def _case(connection: Connection, study: str, segment: UUID, lead: str) -> AdjudicationCase | None:
    query = (
        select(segments.c.record, assignments.c.record.label("assignment"), requests.c.record.label("request"))
        .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
        .join(requests, segments.c.id == requests.c.segment_id, isouter=True)
        .where(segments.c.id == segment, segments.c.study == study)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    last = _own(connection, study, segment, lead)
    return read_adjudication_case(
        row,
        adjudication=last if last and last.kind == "adjudication" else None,
        coding=_own(connection, study, segment, lead, "coding"),
    )


def read_adjudication_case(
    row: Row[*tuple[Any, ...]], adjudication: Annotation | None = None, coding: Annotation | None = None
) -> AdjudicationCase:
    """A segment's records as a row has them, with what a lead said about it."""
    return AdjudicationCase(
        segment=Segment.from_bytes(row.record),
        assignment=Assignment.from_bytes(row.assignment) if row.assignment else None,
        request=AnnotationRequest.from_bytes(row.request) if row.request else None,
        adjudication=adjudication,
        coding=coding,
    )


def _own(
    connection: Connection, study: str, segment: UUID, name: str, kind: AnnotationKind | None = None
) -> Annotation | None:
    """A person's last word on a segment, or their last of a kind."""
    own = (annotations.c.segment_id == segment, annotations.c.annotator == name)
    raw = connection.execute(select(current_annotations(study, *own, kind=kind).c.record)).scalar()
    return None if raw is None else Annotation.from_bytes(raw)


def _definitions(connection: Connection, ids: Sequence[UUID]) -> list[Definition]:
    """The codes that the codebook has, in the order that they are asked for."""
    rows = {row.id: row for row in connection.execute(select(codes).where(codes.c.id.in_(ids)))}
    return [
        Definition(row.id, row.label, row.definition, row.inclusion, row.exclusion, row.final == row.id)
        for row in (rows[code] for code in ids if code in rows)
    ]
