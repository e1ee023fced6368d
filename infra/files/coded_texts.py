"""Files of texts that people coded, where nothing else is known about the texts: a file alone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from infra.files.labels.code_cells import distinct
from infra.files.labels.equal_texts import keyed
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import Labelled, LabelSheet, read_label_file
from infra.files.reading.cells import readable
from models.errors import InputError
from models.masking.findings import numberless
from models.moderation.precedents import CodedText
from schemas import Segment
from schemas.feedback import LONGEST_SOURCE
from schemas.ids import segment_id


@dataclass(frozen=True)
class HumanCoded:
    """A segment with the codes that a person gave it."""

    segment: Segment
    codes: tuple[str, ...]

    @property
    def coded(self) -> CodedText:
        """As precedents are learnt."""
        return CodedText(self.segment.study, str(self.segment.id), self.segment.text, self.codes)


def read_human_coded(
    source: Path,
    study: str,
    codes_column: str | None = None,
    *,
    fmt: str | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
) -> list[HumanCoded]:
    """Read a file of texts with codes; texts without any are left out.

    Several codes of a text stand in a list, are parted by what ``CodeColumn`` tells, or stand in rows with the same id.

    Args:
        source: A table or JSON lines.
        study: Whose.
        codes_column: The column of the codes; guessed from usual names where not given.
        fmt: The file's format; told from its name where not given.
        text_column: The column of the texts.
        id_column: The column of the ids.

    Raises:
        InputError: If the file cannot be read, or holds no coded text.
    """
    columns = SheetColumns(text=text_column or "", id=id_column or "", codes=codes_column or "")
    sheet = read_label_file(source, "somebody", columns, fmt)
    texts: dict[UUID, HumanCoded] = {}
    for row, place in keyed(row for row in sheet.rows if row.text and row.codes):
        id_ = own_id(row, place.together, study, sheet.name)
        before = texts[id_].codes if id_ in texts else ()
        segment = Segment(id=id_, study=study, text=row.text or "", source=row.source or sheet.name[:200])
        texts[id_] = HumanCoded(segment, distinct([*before, *row.codes]))
    if not texts:
        raise nothing_coded(sheet)
    return list(texts.values())


def nothing_coded(sheet: LabelSheet) -> InputError:
    """For a file in which no row is coded."""
    rejected = f" (line {sheet.rejected[0].line}: {sheet.rejected[0].reason})" if sheet.rejected else ""
    return InputError(f"{sheet.name} holds no coded text; expected a text and its codes in each row{rejected}")


def own_id(row: Labelled, place: int, study: str, file: str, source: str | None = None) -> UUID:
    """The id that a row's text has, or would have, as a segment of a source.

    Args:
        row: The row.
        place: Which of the texts equal to its own it means, from 0.
        study: The study.
        file: What the source is called where neither the row nor ``source`` says.
        source: In place of the row's own.
    """
    digest = hashlib.sha256(numberless(readable(row.text or "")).encode("utf-8", "replace")).hexdigest()
    return segment_id(study, (source or row.source or file)[:LONGEST_SOURCE], row.key or f"{digest}:{place + 1}")
