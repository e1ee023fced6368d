"""Labels that were made elsewhere, with their texts masked as the study's own are, so that both still match."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from infra.files.labels.label_sheet import Labelled, LabelSheet
from infra.masking.intake import Masking, MaskingTally
from infra.masking.keys import MaskingKey
from infra.masking.originals import give_numbers, keep_values
from infra.storage.database import Database
from models.masking.findings import PLACEHOLDER, Value, placeholder
from models.masking.masker import LookedThrough
from schemas import Annotation, Segment

_NOBODY = UUID(int=0)


@dataclass(frozen=True)
class Placeholders:
    """What the placeholders of a masked sheet stand for."""

    database: Database
    """Where that is kept."""
    numbers: Mapping[Value, int]
    key: MaskingKey | None

    def keep(self, annotations: Iterable[Annotation]) -> None:
        """Keep which placeholders imported texts and memos hold, before they are written."""
        by_word = {placeholder(value.kind, number): value for value, number in self.numbers.items()}
        with self.database.writing() as connection:
            for annotation in annotations:
                words = PLACEHOLDER.finditer(f"{annotation.text or ''} {annotation.memo} {annotation.own_id or ''}")
                values = {value: self.numbers[value] for word in words if (value := by_word.get(word[0])) is not None}
                keep_values(connection, annotation.study, annotation.segment_id, values, self.key)


@dataclass(frozen=True)
class MaskedLabels:
    """A sheet with placeholders, and what they stand for, where there are any."""

    sheet: LabelSheet
    placeholders: Placeholders | None = None
    tally: MaskingTally = field(default_factory=MaskingTally)


def mask_labels(database: Database, sheet: LabelSheet, study: str, masking: Masking | None) -> MaskedLabels:
    """Mask texts, ids, sources and memos of a sheet as the study wants it; nothing is written.

    Args:
        database: The read model's.
        sheet: As it was read.
        study: Whose.
        masking: How; ``None``: nothing is masked.
    """
    looked = masking.look(database, [_as_segment(row, study) for row in sheet.rows]) if masking else None
    if not masking or looked is None:
        return MaskedLabels(sheet)
    tally, values = MaskingTally(), [value for each in looked for value in each.values]
    for each in looked:
        tally.add(each)
    with database.reading() as connection:
        numbers = give_numbers(connection, study, values, masking.key)
    rows = [_masked(row, each, numbers) for row, each in zip(sheet.rows, looked, strict=True)]
    placeholders = Placeholders(database, numbers, masking.key) if numbers else None
    return MaskedLabels(replace(sheet, rows=rows, cells={}), placeholders, tally)


def _as_segment(row: Labelled, study: str) -> Segment:
    """A row as a segment is looked through; the memo stands as one of its attributes."""
    return Segment(
        id=_NOBODY,
        study=study,
        text=row.text or "",
        source=row.source or "import",
        own_id=row.key,
        metadata={"memo": row.memo} if row.memo else {},
    )


def _masked(row: Labelled, looked: LookedThrough, numbers: Mapping[Value, int]) -> Labelled:
    if not looked.values:
        return row
    masked = looked.masked(numbers)
    return replace(
        row,
        text=None if row.text is None else masked.text,
        key=masked.own_id,
        source=None if row.source is None else masked.source,
        memo=str(masked.metadata.get("memo", "")),
    )
