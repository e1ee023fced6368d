"""What a study came to, as files: its segments with their codes, and the labels that people gave."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import func, select

from infra.files.segment_export import COLUMNS, INNER, MADE, SegmentChoice, segment_shape, segments_coded
from infra.files.tables import FORMATS, OutputRow, Shape, encoded, write
from infra.storage.database import CHUNK, chunks
from infra.storage.outcomes import names_now
from infra.storage.store import Store
from infra.storage.tables import annotations, segments
from schemas import Annotation

__all__ = ["COLUMNS", "FORMATS", "LABEL_COLUMNS", "export", "export_labels", "labels", "segments_coded", "streamed"]

LABEL_COLUMNS = {
    "study": "The study.",
    "segment_id": "The segment's id.",
    "own_id": "The id that its source gave it.",
    "text": "Its text.",
    "within": "The segment that the text is a part of, where a person marked a part and coded that.",
    "source": "Where it came from.",
    "timestamp": "When it was said, if known.",
    "annotator": "Who decided.",
    "kind": "coding, or adjudication: it settles what coders disagree on.",
    "codes": "The codes that the person chose, as they were called then.",
    "code_ids": "Their ids.",
    "codes_now": "The same codes as they are called now; a merged one by what it became.",
    "memo": "What the person noted.",
    "unsure": "Whether they said that they were not sure.",
    "withdrawn": "Whether they took back what they had said.",
    "current": "Whether this is the person's last word on the segment, and stands.",
    "shown": "The system's code at that time, if there was one.",
    "accepted": "Whether they let the system's code stand: it is among those chosen.",
    "confidence": "The system's confidence when it asked.",
    "reason": "Why the person was asked, if they were.",
    "blind": "Whether the system's code was hidden until the first choice.",
    "sample": "Whether the segment was drawn by chance.",
    "decided_at": "When they decided.",
    "seconds": "How long they took.",
}
"""Each column of the labels, and what stands in it."""

_LABELS = Shape(
    tuple(LABEL_COLUMNS),
    {
        "timestamp": "time",
        "decided_at": "time",
        "codes": "codes",
        "code_ids": "list",
        "codes_now": "codes",
        "unsure": "truth",
        "withdrawn": "truth",
        "current": "truth",
        "accepted": "truth",
        "blind": "truth",
        "sample": "truth",
        "confidence": "number",
        "seconds": "number",
    },
)

Unread = Callable[[Collection[UUID]], Collection[UUID]]
"""Of some segments, those that somebody may still have to read blind."""
_LABELS_MADE = frozenset(LABEL_COLUMNS) - {
    *("segment_id", "study", "own_id", "text", "within", "source", "timestamp"),
    *("annotator", "kind", "decided_at", "sample", "blind"),
}
"""Columns of labels that say what the system or people made of a segment."""
_SEGMENTS_MADE = frozenset({*MADE, *INNER} - {"metadata"})


def export(
    store: Store,
    study: str | None,
    fmt: str,
    out: BinaryIO,
    choice: SegmentChoice = SegmentChoice(),  # noqa: B008
) -> int:
    """Write segments of a study, or of all, with what became of them; see ``segment_export`` for the columns.

    Args:
        store: Where the segments are.
        study: The study, or ``None`` for all.
        fmt: One of ``FORMATS``.
        out: A stream of bytes; it need not be seekable and stays open.
        choice: Which segments, which columns, and what stands where coders differ.

    Returns:
        How many rows were written.

    Raises:
        InputError: If the format is none of the three.
    """
    return write(segment_shape(store, study, choice), segments_coded(store, study, choice), fmt, out)


def export_labels(store: Store, study: str | None, fmt: str, out: BinaryIO, *, history: bool = False) -> int:
    """Write what people decided, with who and when: their last words, or with ``history`` everything they said.

    Returns:
        How many rows were written.

    Raises:
        InputError: If the format is none of the three.
    """
    return write(_LABELS, labels(store, study, history=history), fmt, out)


def streamed(
    store: Store,
    study: str,
    what: str,
    fmt: str,
    *,
    history: bool = False,
    unread: Unread | None = None,
    choice: SegmentChoice = SegmentChoice(),  # noqa: B008
) -> Iterator[bytes]:
    """The same files in pieces: ``segments`` or ``labels``.

    Args:
        store: Where they are.
        study: Whose.
        what: ``segments`` or ``labels``.
        fmt: One of ``FORMATS``.
        history: Whether labels are given with what was said before.
        unread: Says of some segments which of them the reader may still have to read blind: what the system and
            people made of those is left out.
        choice: Which segments, and which columns of them.

    Raises:
        InputError: At once, if the format is none of the three.
    """
    if what == "labels":
        rows = _blinded(labels(store, study, history=history), _read_as, unread, _LABELS_MADE)
        return encoded(_LABELS, rows, fmt)
    shape = segment_shape(store, study, choice)
    return encoded(shape, _blinded(segments_coded(store, study, choice), _own_id, unread, _SEGMENTS_MADE), fmt)


def _own_id(row: OutputRow) -> Any:
    return row["id"]


def _read_as(row: OutputRow) -> Any:
    """The segment that somebody reads who reads a label's text: of a marked part, the one that it is a part of."""
    return row["within"] or row["segment_id"]


def _blinded(
    rows: Iterator[OutputRow], identity: Callable[[OutputRow], Any], unread: Unread | None, made: Collection[str]
) -> Iterator[OutputRow]:
    """Rows without what is made of a segment, where it may still have to be read blind."""
    if unread is None:
        yield from rows
        return
    for chunk in chunks(rows):
        hidden = unread({identity(row) for row in chunk})
        for row in chunk:
            kept = row if identity(row) not in hidden else {name: _emptied(row[name], name in made) for name in row}
            yield kept


def _emptied(value: object, made: bool) -> object:
    return value if not made else [] if isinstance(value, list) else None


def labels(store: Store, study: str | None, *, history: bool = False) -> Iterator[OutputRow]:
    """What people decided, in the order of its time; memory stays flat."""
    place = func.row_number().over(
        partition_by=(annotations.c.segment_id, annotations.c.annotator), order_by=annotations.c.decided_at.desc()
    )
    query = (
        select(
            annotations.c.record,
            segments.c.text,
            segments.c.own_id,
            segments.c.source,
            segments.c.timestamp,
            place.label("place"),
        )
        .join_from(annotations, segments, annotations.c.segment_id == segments.c.id, isouter=True)
        .order_by(annotations.c.decided_at, annotations.c.segment_id, annotations.c.annotator)
    )
    if study is not None:
        query = query.where(annotations.c.study == study)
    with store.database.reading() as connection:
        rows = connection.execution_options(stream_results=True, yield_per=CHUNK).execute(query)
        for chunk in chunks(rows):
            yield from _labels_of(store, chunk, history)


def _labels_of(store: Store, rows: Sequence[Any], history: bool) -> Iterator[OutputRow]:
    parsed = [(row, Annotation.from_bytes(row.record)) for row in rows]
    with store.database.reading() as connection:
        names = names_now(connection, {code for _, annotation in parsed for code in annotation.code_ids})
    for row, annotation in parsed:
        current = row.place == 1 and not annotation.withdrawn
        if not (current or history):
            continue
        now = dict.fromkeys(names[code].label for code in annotation.code_ids if code in names)
        plain = {name: getattr(annotation, name) for name in LABEL_COLUMNS if name in Annotation.model_fields}
        yield plain | {
            "text": row.text if annotation.text is None else annotation.text,
            "own_id": row.own_id or annotation.own_id,
            "source": row.source or annotation.source,
            "timestamp": row.timestamp,
            "codes": list(annotation.labels),
            "code_ids": [str(code) for code in annotation.code_ids],
            "codes_now": list(now) or list(annotation.labels),
            "current": current,
            "start": annotation.start,
            "offset": annotation.offset,
        }
