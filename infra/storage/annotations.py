"""Who coded what, people and models alike: each coder's last word on each segment, in today's codes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)

from infra.storage.database import Database, chunks
from infra.storage.tables import annotations, assignments, codes, decisions, locks, requests
from models.annotation.human_decision import chosen_codes
from schemas import Annotation
from schemas.annotation import AnnotationKind
from schemas.ids import code_id, normalised_label

SYSTEM = "Qualstream"
"""The coder's name under which the system's own assignments go."""
KINDS: tuple[AnnotationKind, ...] = ("coding", "adjudication")


@dataclass(frozen=True)
class Coding:
    """One coder's codes for one segment, as they stand."""

    segment_id: UUID
    coder: str
    code_ids: tuple[UUID, ...]
    """What the chosen codes are now: themselves, or what they were merged into. One that was retired or split stands
    for itself, because that is what the coder said. None where the coder found that no code fits."""
    labels: tuple[str, ...]
    """The codes' present labels, in the same order; as written where the codebook has no such code."""
    kind: AnnotationKind
    at: datetime
    memo: str = ""
    unsure: bool = False
    by_model: bool = False
    blind: bool = False
    """Whether a person chose before the system's code was shown."""

    @property
    def named(self) -> dict[UUID, str]:
        """The codes with their labels."""
        return dict(zip(self.code_ids, self.labels, strict=True))


def current_annotations(
    study: str | None = None, *where: ColumnElement[bool], kind: AnnotationKind | None = None
) -> Subquery:
    """Each person's last word per segment, withdrawn ones out; the columns are those of ``annotations``.

    Args:
        study: Only of this study; ``None``: of all.
        where: What else narrows the rows of ``annotations`` that are looked at; no column that a second thought may
            change, or an earlier word would pass for the last.
        kind: Look at words of this kind only, so that somebody who settled a segment is still known to have coded it;
            ``None``: the last word of any kind.
    """
    back = func.row_number().over(
        partition_by=(annotations.c.segment_id, annotations.c.annotator), order_by=annotations.c.decided_at.desc()
    )
    query = select(annotations, back.label("back")).where(*where)
    if study is not None:
        query = query.where(annotations.c.study == study)
    if kind is not None:
        query = query.where(annotations.c.kind == kind)
    ranked = query.subquery()
    columns = [ranked.c[column.name] for column in annotations.c]
    return select(*columns).where(and_(ranked.c.back == 1, ranked.c.withdrawn.is_(False))).subquery("current")


def standing_words(connection: Connection, segments: Collection[UUID]) -> dict[UUID, list[Annotation]]:
    """Each person's last word on these segments, the latest last; withdrawn ones are left out."""
    standing: dict[UUID, list[Annotation]] = {}
    for chunk in chunks(segments):
        current = current_annotations(None, annotations.c.segment_id.in_(chunk))
        rows = select(current.c.record).order_by(current.c.decided_at, current.c.annotator)
        for raw in connection.execute(rows).scalars():
            annotation = Annotation.from_bytes(raw)
            standing.setdefault(annotation.segment_id, []).append(annotation)
    return standing


def codings(
    database: Database, study: str, include_models: bool = True, *, segment: UUID | None = None
) -> list[Coding]:
    """The codings of a study as they stand, by segment and coder.

    Who adjudicated is still known to have coded; an adjudication counts where it is its author's last word.

    The models' are given for segments that a person coded, so that all coders are compared on the same ones. The
    system's assignment goes as coder ``Qualstream``, a member's usable proposal under the member's name.

    Args:
        database: The read model.
        study: The study.
        include_models: Whether models count as coders.
        segment: Only of this one, and then the models' too where no person coded it.
    """
    with database.reading() as connection:
        codes_now = CurrentCodes.read(connection, study)
        coded = [coding for kind in KINDS for coding in _people(connection, study, kind, codes_now, segment)]
        if include_models:
            people = {coding.coder for coding in coded}
            ids = {coding.segment_id for coding in coded} if segment is None else {segment}
            for coding in _models(connection, study, codes_now, segment):
                if coding.segment_id in ids:
                    coded.append(_told_apart(coding, people))
    return sorted(
        coded,
        key=lambda coding: (str(coding.segment_id), coding.by_model, coding.kind != "coding", coding.coder),
    )


@dataclass(frozen=True)
class CurrentCodes:
    """A study's codes as the read model has them, to say what an earlier code or a written label is by now."""

    study: str
    current: Mapping[UUID, UUID | None]
    """Code to the one that it is by now; see ``infra.storage.derived.successors``."""
    labels: Mapping[UUID, str]
    by_label: Mapping[str, UUID]
    """Normalised label to the active code."""

    @classmethod
    def read(cls, connection: Connection, study: str) -> "CurrentCodes":
        """Read the codes of a study, themes left out."""
        query = select(codes.c.id, codes.c.label, codes.c.final, codes.c.retired)
        rows = connection.execute(query.where(codes.c.study == study, codes.c.level == "code")).all()
        return cls(
            study,
            {row.id: row.final for row in rows},
            {row.id: row.label for row in rows},
            {normalised_label(row.label): row.id for row in rows if not row.retired},
        )

    def resolve(self, ids: Iterable[UUID], written: Iterable[str] = ()) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
        """Codes and labels as they are now, each code once.

        Args:
            ids: Codes as they were chosen.
            written: Their labels at that time, for those that the codebook does not know.
        """
        labels: dict[UUID, str] = {}
        earlier = list(written)
        for n, code in enumerate(ids):
            current = self.current.get(code) or code
            labels.setdefault(current, self.labels.get(current) or (earlier[n] if n < len(earlier) else str(current)))
        return tuple(labels), tuple(labels.values())

    def id_of(self, label: str) -> UUID:
        """The code that goes by a label, or was made under it; where there is none, the id that it would have."""
        return self.by_label.get(normalised_label(label)) or code_id(self.study, label)


def _people(
    connection: Connection, study: str, kind: AnnotationKind, codes_now: CurrentCodes, segment: UUID | None
) -> Iterator[Coding]:
    narrow = [] if segment is None else [annotations.c.segment_id == segment]
    current = current_annotations(study, *narrow, kind="coding" if kind == "coding" else None)
    for raw in connection.execute(select(current.c.record).where(current.c.kind == kind)).scalars():
        annotation = Annotation.from_bytes(raw)
        if annotation.within is not None:
            continue  # parts of segments are compared by their characters: models.annotation.span_agreement
        by_id = chosen_codes(annotation)
        now, labels = codes_now.resolve(by_id, by_id.values())
        yield Coding(
            segment_id=annotation.segment_id,
            coder=annotation.annotator,
            code_ids=now,
            labels=labels,
            kind=annotation.kind,
            at=annotation.decided_at,
            memo=annotation.memo,
            unsure=annotation.unsure,
            blind=annotation.blind,
        )


def _models(connection: Connection, study: str, codes_now: CurrentCodes, segment: UUID | None) -> Iterator[Coding]:
    done, decision = assignments.c, decisions.c
    assigned = select(done.segment_id, done.code_id, done.label, done.assigned_at).where(done.study == study)
    decided = select(decision.segment_id, decision.proposals, decision.at).where(decision.study == study)
    if segment is None:
        read = select(current_annotations(study).c.segment_id)
        assigned, decided = assigned.where(done.segment_id.in_(read)), decided.where(decision.segment_id.in_(read))
    else:
        assigned, decided = assigned.where(done.segment_id == segment), decided.where(decision.segment_id == segment)
    for row in connection.execute(assigned):
        yield _model(row.segment_id, SYSTEM, row.assigned_at, codes_now.resolve([row.code_id], [row.label]))
    for segment_id, proposals, at in connection.execute(decided):
        for proposal in proposals:
            if label := usable_label(proposal):
                yield _model(segment_id, proposal["member"], at, codes_now.resolve([codes_now.id_of(label)], [label]))


def _model(segment: UUID, coder: str, at: datetime, resolved: tuple[tuple[UUID, ...], tuple[str, ...]]) -> Coding:
    return Coding(segment, coder, *resolved, kind="coding", at=at, by_model=True)


def usable_label(proposal: Mapping[str, Any]) -> str | None:
    """A member's label; none where it gave nothing usable or was not asked, which is no coding."""
    return None if proposal.get("fault") else proposal.get("label") or None


def _told_apart(coding: Coding, people: set[str]) -> Coding:
    """A model that goes by a person's name gets another."""
    return replace(coding, coder=f"{coding.coder} (model)") if coding.coder in people else coding


_ALL = 99  # an adjudication stands for every coder


def update_open_slots(connection: Connection, segments: Collection[UUID]) -> None:
    """Bring the requests of these segments up to what people have said, inside the connection's transaction."""
    for chunk in chunks(sorted(segments)):
        in_chunk = requests.c.segment_id.in_(chunk)
        if connection.dialect.name == "postgresql":  # two decisions at once: the second counts when the first is in
            connection.execute(
                select(requests.c.segment_id).where(in_chunk).order_by(requests.c.segment_id).with_for_update()
            ).all()
        current = current_annotations(None, annotations.c.segment_id.in_(chunk))
        settles = func.max(case((current.c.kind == "adjudication", 1), else_=0)) == 1
        answers = (
            select(case((settles, _ALL), else_=func.count()))
            .where(current.c.segment_id == requests.c.segment_id, answered_by(current))
            .correlate(requests)
            .scalar_subquery()
        )
        open_slots = case((requests.c.coders > answers, requests.c.coders - answers), else_=0)
        connection.execute(update(requests).where(in_chunk).values(lacks=open_slots))
        decided = exists().where(
            annotations.c.segment_id == locks.c.segment_id,
            annotations.c.annotator == locks.c.annotator,
            annotations.c.decided_at >= locks.c.since,
            annotations.c.withdrawn.is_(False),
        )
        connection.execute(delete(locks).where(locks.c.segment_id.in_(chunk), locks.c.kind == "locked", decided))


def abstaining(of: FromClause) -> ColumnElement[bool]:
    """``models.annotation.human_decision.abstains`` in SQL: somebody was unsure and gave no code."""
    given = (cast(of.c[name], String) for name in ("code_ids", "labels"))
    return and_(of.c.unsure, *(column == "[]" for column in given))


def answered_by(current: Subquery) -> ColumnElement[bool]:
    """Whether an annotation answers its segment's request: asked again, only what was said since does."""
    return or_(requests.c.reason != "asked again", current.c.decided_at > requests.c.requested_at)


# What is to be read blind: pages keep the system's code of these to themselves


def unread(database: Database, study: str, segments: Collection[UUID], *, every: bool = False) -> frozenset[UUID]:
    """Which of these segments wait for a blind reading.

    Args:
        database: The read model's.
        study: Whose.
        segments: Those that are about to be shown; at most a few hundred.
        every: Whether the study is coded blind throughout: then whatever is asked about counts.
    """
    query = waiting(study, every=every).where(requests.c.segment_id.in_(list(segments)))
    with database.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def waiting(study: str, *, every: bool = False) -> Select[UUID]:
    """The ids of all of a study's segments that wait for a blind reading; see ``unread``."""
    asked = requests.c
    blind = true() if every else asked.blind
    return select(asked.segment_id).where(asked.study == study, asked.lacks > 0, blind)
