"""How far people's marked parts agree with each other, and with what the models coded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select

from infra.files.tables import OutputRow, Shape, encoded
from infra.storage.analysis.documents import is_passage
from infra.storage.analysis.spans import spans
from infra.storage.annotations import SYSTEM
from infra.storage.database import Database, chunks
from infra.storage.outcomes import Assigned, CurrentNames, names_now
from infra.storage.tables import annotations, assignments, code_events, segments
from models.annotation.span_agreement import Overlap, PairOverlap, SpanAgreement, span_agreement
from models.annotation.span_scores import CHARACTERS, Scores
from models.annotation.span_units import CodedPart, ComparedText
from models.annotation.spans import MarkedPart
from models.evaluation.figure import Figure

OVERLAP_RULES = {
    "any": "they have at least a character in common",
    "half": "they share at least half of what the two cover together (intersection over union from 0.5)",
    "exact": "they begin and end at the same characters",
}
"""When a part counts as marked by the other too: the names and meanings of ``models.annotation.span_scores.RULES``."""
_NUMBERS = ("value", "low", "high", "documents")
_COUNTS = ("coder_marked", "of_those_by_other", "other_marked", "of_those_by_coder")
PARTS = Shape(
    ("coder", "other_coder", "code", "over", "measure", *_NUMBERS, *_COUNTS, "why_there_is_none"),
    dict.fromkeys((*_NUMBERS, *_COUNTS), "number"),
)
"""The columns of the file of these figures."""


@dataclass(frozen=True)
class PartAgreement:
    """The figures of a study, and what to know when reading them."""

    study: str
    with_models: bool
    figures: SpanAgreement
    labels: Mapping[UUID, str]
    parts: int
    """People's marked parts, compared or not."""
    coders: tuple[str, ...]
    """The people who marked them."""
    models: frozenset[str]
    """Names under which models are compared."""

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        figures = self.figures
        return {
            "compared": compared(self.with_models),
            "overlap_rules": OVERLAP_RULES,
            "marked": self.parts,
            "coders": list(self.coders),
            "documents": figures.documents,
            "characters": figures.characters,
            "alpha_u": figures.alpha.to_json(),
            "pairs": [self._pair(pair) for pair in figures.pairs],
        }

    def _pair(self, pair: PairOverlap) -> dict[str, Any]:
        return {
            "coders": list(pair.coders),
            "documents": pair.documents,
            "all_codes": _overlap(pair.whole),
            "boundaries_alpha_u": pair.boundaries.to_json(),
            "coding_alpha_u": pair.coding.to_json(),
            "codes": [
                {"code": str(code), "label": self.labels[code], **_overlap(overlap)}
                for code, overlap in pair.codes.items()
            ],
        }

    def rows(self) -> Iterator[OutputRow]:
        """Every figure as a row of a table with the columns of ``PARTS``."""
        if self.figures.documents:
            yield _row({}, "continuum", "alpha_u", self.figures.alpha)
        for pair in self.figures.pairs:
            about = dict(zip(("coder", "other_coder"), pair.coders, strict=True))
            yield from _rows(about, pair.whole)
            yield _row(about, "continuum", "alpha_u_boundaries", pair.boundaries)
            yield _row(about, "continuum", "alpha_u_coding", pair.coding)
            for code, overlap in pair.codes.items():
                yield from _rows({**about, "code": self.labels[code]}, overlap)

    def to_csv(self) -> bytes:
        """Every figure as a line."""
        return b"".join(encoded(PARTS, self.rows(), "csv"))


def compared(with_models: bool) -> str:
    """What the figures compare, in a sentence or two."""
    people = (
        "Compared are the parts that people marked, in documents in which both marked something: what one of the two "
        "did not mark there counts as read and left unmarked."
    )
    models = (
        f" '{SYSTEM}' is the models' code of each segment, before people changed it; it counts for all characters of "
        "its segment. A segment that the models have not coded is left out; where they found no code of the codebook, "
        "it counts as read and left unmarked."
    )
    return people + models * with_models


def part_agreement(
    database: Database, study: str, *, with_models: bool, hidden: Collection[UUID] = frozenset()
) -> PartAgreement:
    """Compare what a study's people marked; what was computed for the same parts is not computed again.

    Args:
        database: The read model's.
        study: Whose.
        with_models: Whether the models' segments are compared too.
        hidden: Segments left out, because somebody may still have to read them blind.
    """
    return _computed(database, study, with_models, frozenset(hidden), _version(database, study))


def _version(database: Database, study: str) -> tuple[Any, ...]:
    """What changes whenever a part, a code, or a segment's code does."""
    columns = (annotations.c.decided_at, code_events.c.at, assignments.c.assigned_at, segments.c.taken_in_at)
    with database.reading() as connection:
        return tuple(
            tuple(connection.execute(select(func.count(), func.max(at)).where(at.table.c.study == study)).one())
            for at in columns
        )


@lru_cache(maxsize=8)
def _computed(
    database: Database, study: str, with_models: bool, hidden: frozenset[UUID], _version: tuple[Any, ...]
) -> PartAgreement:
    with database.reading() as connection:
        marked = spans(connection, study, hidden)
        rows = _segment_rows(connection, study, marked, hidden)
        named = _named_codes(connection, rows) if with_models else {}
    people = tuple(sorted({part.coder for part in marked}))
    system = f"{SYSTEM} (model)" if SYSTEM in people else SYSTEM
    labels = {code: label for part in marked for code, label in part.codes}
    labels |= {code: label for codes in named.values() for code, label in codes.items()}
    parts = [*_marked_parts(marked, rows), *_whole_segments(rows, named, system)]
    figures = span_agreement(parts, _texts(rows, marked, dict.fromkeys(named, system)), last={system})
    return PartAgreement(study, with_models, figures, labels, len(marked), people, frozenset({system}))


def _marked_parts(marked: Collection[MarkedPart], rows: Collection[Any]) -> Iterator[CodedPart]:
    """People's parts; what reaches beyond its segment, whose text has changed since, is left out."""
    lengths = {row.id: len(row.text) for row in rows}
    for part in marked:
        if part.end <= lengths.get(part.segment, 0):
            yield CodedPart(part.coder, part.segment, part.start, part.end, frozenset(code for code, _ in part.codes))


def _whole_segments(rows: Collection[Any], named: Mapping[UUID, Mapping[UUID, str]], coder: str) -> Iterator[CodedPart]:
    for row in rows:
        if row.text and named.get(row.id):
            yield CodedPart(coder, row.id, 0, len(row.text), frozenset(named[row.id]))


def _segment_rows(
    connection: Connection, study: str, marked: Collection[MarkedPart], hidden: Collection[UUID]
) -> list[Any]:
    """The segments of every document in which somebody marked something, as they are read, with the models' codes."""
    within = {part.segment for part in marked}
    rows: list[Any] = []
    for chunk in chunks({part.source for part in marked}):
        rows += connection.execute(_query(study).where(segments.c.source.in_(chunk)))
    return [row for row in rows if row.id not in hidden and (row.id in within or is_passage(row.metadata))]


def _query(study: str) -> Select[Any]:
    done = assignments.c
    return (
        select(segments.c.id, segments.c.text, segments.c.source, segments.c.metadata)
        .add_columns(done.code_id, done.label, done.standing)
        .join_from(segments, assignments, segments.c.id == done.segment_id, isouter=True)
        .where(segments.c.study == study)
        .order_by(segments.c.order_at, segments.c.seq)
    )


def _named_codes(connection: Connection, rows: Collection[Any]) -> dict[UUID, dict[UUID, str]]:
    """Of each segment that the models have coded its code as it is now; none where no code of the codebook fits."""
    given = {row.id: Assigned(row.code_id, row.label, row.standing) for row in rows if row.code_id is not None}
    names = CurrentNames(names_now(connection, {each.code for each in given.values()}))
    return {
        segment: {code: name.label for code, name in names.named({each.code: each.label}).items()}
        if names.is_code(each)
        else {}
        for segment, each in given.items()
    }


def _texts(rows: Collection[Any], marked: Collection[MarkedPart], system: Mapping[UUID, str]) -> list[ComparedText]:
    """Segments with those who have read them: whoever marked something in a document has read all of it."""
    document = {row.id: row.source if is_passage(row.metadata) else str(row.id) for row in rows}
    readers: dict[str, set[str]] = {}
    for part in marked:
        if part.segment in document:
            readers.setdefault(document[part.segment], set()).add(part.coder)
    return [
        ComparedText(
            row.id,
            document[row.id],
            len(row.text),
            frozenset(readers.get(document[row.id], set()) | ({system[row.id]} if row.id in system else set())),
        )
        for row in rows
    ]


def _overlap(overlap: Overlap) -> dict[str, Any]:
    parts = {rule: _scores(scores) for rule, scores in overlap.parts.items()}
    return {"characters": _scores(overlap.characters), "parts": parts, "alpha_u": overlap.alpha.to_json()}


def _scores(scores: Scores) -> dict[str, Any]:
    figures = {name: getattr(scores, name).to_json() for name in ("precision", "recall", "f1")}
    return {"marked": [scores.first, scores.second], "shared": [scores.first_shared, scores.second_shared], **figures}


def _rows(about: Mapping[str, str], overlap: Overlap) -> Iterator[OutputRow]:
    measured = {CHARACTERS: overlap.characters} | {f"parts, {rule}": scores for rule, scores in overlap.parts.items()}
    for over, scores in measured.items():
        for measure in ("precision", "recall", "f1"):
            counts = (scores.first, scores.first_shared, scores.second, scores.second_shared)
            yield _row(about, over, measure, getattr(scores, measure), counts)
    yield _row(about, "continuum", "alpha_u", overlap.alpha)


def _row(about: Mapping[str, str], over: str, measure: str, figure: Figure, counts: Sequence[int] = ()) -> OutputRow:
    value, low, high, documents, why = figure.to_json().values()
    named = {"value": value, "low": low, "high": high, "documents": documents, "why_there_is_none": why}
    row = {**about, "over": over, "measure": measure, **named, **dict(zip(_COUNTS, counts, strict=False))}
    return {column: row.get(column) for column in PARTS.columns}
