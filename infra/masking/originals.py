"""What is kept of masked segments: which placeholders each holds, and its original, encrypted."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from infra.masking.keys import MaskingKey
from infra.storage.database import Database, chunks
from infra.storage.projections import insert
from infra.storage.tables import masked_values, originals
from models.errors import InputError
from models.masking.findings import Value, numbered

_LOCK = 7_305_803


def give_numbers(
    connection: Connection, study: str, values: Sequence[Value], key: MaskingKey | None
) -> dict[Value, int]:
    """The number of each value in a study: with a key the one that it had before, else the next ones.

    Args:
        connection: Inside a transaction that writes; others that give numbers wait until it ends.
        study: Whose.
        values: In the order in which they are met.
        key: Without one nothing is kept by which a value would be known again.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    columns = masked_values.c
    query = select(columns.kind, func.max(columns.number)).where(columns.study == study).group_by(columns.kind)
    highest = {kind: number for kind, number in connection.execute(query)}
    return numbered(values, _known(connection, study, values, key), highest)


def _known(connection: Connection, study: str, values: Iterable[Value], key: MaskingKey | None) -> dict[Value, int]:
    if key is None:
        return {}
    by_digest = {digest: value for value in values for digest in key.digests(study, value)}
    known: dict[Value, int] = {}
    for chunk in chunks(by_digest):
        query = select(masked_values.c.digest, masked_values.c.number)
        rows = connection.execute(query.where(masked_values.c.study == study, masked_values.c.digest.in_(chunk)))
        known |= {by_digest[digest]: number for digest, number in rows}
    return known


def keep_values(
    connection: Connection, study: str, segment: UUID, numbers: Mapping[Value, int], key: MaskingKey | None
) -> None:
    """Keep which placeholders a segment holds; what is kept already stays."""
    rows = [
        {
            "segment_id": segment,
            "study": study,
            "kind": value.kind,
            "number": number,
            "digest": key.digests(study, value)[0] if key else None,
        }
        for value, number in numbers.items()
    ]
    if rows:
        connection.execute(insert(masked_values, connection.dialect.name).on_conflict_do_nothing(), rows)


def keep_original(
    connection: Connection, study: str, segment: UUID, fields: Mapping[str, Any], key: MaskingKey, at: datetime
) -> None:
    """Encrypt and keep what masking took out of a segment; what is kept already stays."""
    plain = json.dumps({"segment": str(segment), "fields": fields}, ensure_ascii=False)
    sealed = key.seal(plain.encode("utf-8", "surrogatepass"))
    row = {"segment_id": segment, "study": study, "sealed": sealed, "at": at}
    connection.execute(insert(originals, connection.dialect.name).on_conflict_do_nothing(), [row])


def read_original(database: Database, study: str, segment: UUID, key: MaskingKey) -> dict[str, Any]:
    """What masking took out of a segment: its fields as they came.

    Raises:
        InputError: If nothing is kept, or it was encrypted with another key.
    """
    query = select(originals.c.sealed).where(originals.c.segment_id == segment, originals.c.study == study)
    with database.reading() as connection:
        sealed = connection.execute(query).scalar_one_or_none()
    if sealed is None:
        raise InputError("no original is kept of this segment: there was no key when it was masked, or nothing to mask")
    kept = json.loads(key.open(sealed))
    if kept["segment"] != str(segment):
        raise InputError("the original that is kept here is another segment's; the table was changed by hand")
    fields: dict[str, Any] = kept["fields"]
    return fields


def masked_in(database: Database, segment: UUID) -> tuple[dict[str, int], bool]:
    """How many values of each kind are masked in a segment, and whether its original is kept."""
    counted = select(masked_values.c.kind, func.count()).where(masked_values.c.segment_id == segment)
    kept = select(func.count()).select_from(originals).where(originals.c.segment_id == segment)
    with database.reading() as connection:
        rows = connection.execute(counted.group_by(masked_values.c.kind).order_by(masked_values.c.kind)).all()
        return {kind: count for kind, count in rows}, bool(connection.execute(kept).scalar_one())


def masked_in_study(database: Database, study: str) -> tuple[int, Counter[str]]:
    """How many segments of a study have something masked, and how many different values there are by kind."""
    columns = masked_values.c
    segments = select(func.count(func.distinct(columns.segment_id))).where(columns.study == study)
    values = select(columns.kind, func.count(func.distinct(columns.number))).where(columns.study == study)
    with database.reading() as connection:
        kinds = connection.execute(values.group_by(columns.kind)).all()
        return connection.execute(segments).scalar_one(), Counter({kind: count for kind, count in kinds})


def segments_with(database: Database, study: str | None, plain: Iterable[str], key: MaskingKey) -> set[UUID]:
    """The segments in which one of these values was masked, told by the key.

    Args:
        database: The read model's.
        study: Only this study's; ``None``: all.
        plain: Names, addresses or ids, folded.
        key: The operator's.
    """
    columns, kinds = masked_values.c, ("name", "mail", "id", "phone")
    with database.reading() as connection:
        studies = [study] if study else connection.execute(select(columns.study).distinct()).scalars().all()
        digests = [
            digest
            for name in studies
            for word in plain
            for kind in kinds
            for digest in key.digests(name, Value(kind, word))  # type: ignore[arg-type]  # kinds of Kind
        ]
        ids: set[UUID] = set()
        for chunk in chunks(digests):
            ids |= set(connection.execute(select(columns.segment_id).where(columns.digest.in_(chunk))).scalars())
    return ids
