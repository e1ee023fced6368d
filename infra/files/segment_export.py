"""Segments as rows of a file: their text and attributes, the system's code, what people chose, and the final codes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, select

from infra.files.tables import OutputRow, Shape
from infra.storage.database import chunks
from infra.storage.outcomes import Assigned, Outcome, outcomes
from infra.storage.segment_search import Filters, matching_ids, metadata_names
from infra.storage.store import Store
from infra.storage.tables import codes, segments
from models.annotation.human_decision import Disputed
from schemas.coding import stage_of

_SAID = ("id", "own_id", "study", "text", "source", "timestamp", "language")
MADE = (
    *("final_codes", "final_code_ids", "decided_by", "disputed", "disputed_rule", "theme"),
    *("human_codes", "annotators", "code", "code_id", "confidence", "confidence_stage", "route"),
)
"""What was made of a segment: in the end, by people, by the system."""
COLUMNS = (*_SAID, *MADE)
"""Columns of every file; those of the segments' attributes follow."""
INNER = ("new", "similarity", "verdict", "standing", "proposed", "proposals", "models", "metadata")
"""How the models came to their code, and the attributes as one JSON object: on demand."""
_KINDS = {
    **dict.fromkeys(("similarity", "confidence"), "number"),
    **dict.fromkeys(("proposals", "models", "metadata"), "json"),
    **dict.fromkeys(("human_codes", "annotators", "final_codes", "final_code_ids"), "list"),
    **dict.fromkeys(("new", "disputed"), "truth"),
    "timestamp": "time",
}


@dataclass(frozen=True)
class SegmentChoice:
    """Which segments and columns a file has."""

    filters: Filters = field(default_factory=Filters)
    disputed: Disputed = "majority"
    """What stands as the final code where coders differ and nobody has adjudicated; each row names it."""
    full: bool = False
    """Whether with the columns of ``INNER``."""


def segment_shape(store: Store, study: str | None, choice: SegmentChoice) -> Shape:
    """The columns of a file: each attribute that any segment of the study has is one."""
    with store.database.reading() as connection:
        attributes = attribute_columns(metadata_names(connection, study))
    columns = (*COLUMNS, *(INNER if choice.full else ()), *attributes)
    return Shape(columns, {**dict.fromkeys(attributes, "any"), **_KINDS})


def attribute_columns(names: list[str]) -> dict[str, str]:
    """Column to attribute; one that is named as a column of ours gets ``attribute:`` before it."""
    ours = {*COLUMNS, *INNER}
    return {f"attribute:{name}" if name in ours else name: name for name in names}


def segments_coded(
    store: Store,
    study: str | None,
    choice: SegmentChoice = SegmentChoice(),
) -> Iterator[OutputRow]:
    """The chosen segments with what became of them, in the order they were said; memory stays flat."""
    with store.database.reading() as connection:
        attributes = attribute_columns(metadata_names(connection, study))
        themes = _themes(connection, study)
        narrow = []
        if study is not None and choice.filters != Filters():
            narrow.append(segments.c.id.in_(matching_ids(study, choice.filters, connection)))
    for chunk in chunks(store.rows(study, *narrow)):
        given: dict[UUID, Assigned | None] = {
            row["id"]: None if row["code_id"] is None else Assigned(row["code_id"], row["code"]) for row in chunk
        }
        with store.database.reading() as connection:
            settled = outcomes(connection, given, choice.disputed)
        for row in chunk:
            values = {column: row["metadata"].get(name) for column, name in attributes.items()}
            values["confidence_stage"] = stage_of(row["models"] or {})
            yield {**values, **row, **_outcome_cells(settled[row["id"]], themes), "disputed_rule": choice.disputed}


def _outcome_cells(outcome: Outcome, themes: Mapping[UUID, str]) -> OutputRow:
    above = dict.fromkeys(themes[code.id] for code in outcome.codes if code.id in themes)
    return {
        "human_codes": list(dict.fromkeys(code.label for coding in outcome.people for code in coding.codes)),
        "annotators": [coding.annotator for coding in outcome.people],
        "final_codes": [code.label for code in outcome.codes],
        "final_code_ids": [str(code.id) for code in outcome.codes],
        "decided_by": outcome.by,
        "disputed": outcome.disputed,
        "theme": "; ".join(above) or None,
    }


def _themes(connection: Connection, study: str | None) -> dict[UUID, str]:
    """By code, the living theme that it stands under."""
    parents, themes = codes.alias("parents"), codes.alias("themes")
    query = (
        select(codes.c.id, themes.c.label)
        .join_from(codes, parents, codes.c.parent == parents.c.id)
        .join(themes, parents.c.final == themes.c.id)
    )
    rows = connection.execute(query if study is None else query.where(codes.c.study == study))
    return {row.id: row.label for row in rows}
