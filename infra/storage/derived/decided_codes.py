"""What people have decided about each segment, kept as rows by the rule of ``models.annotation.human_decision``.

The view ``final_codes`` reads these rows where there are any, else the system's assignment: one answer for every count.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, String, and_, cast, delete, insert, or_, select, text

from infra.storage.annotations import standing_words
from infra.storage.database import chunks
from infra.storage.outcomes import CurrentNames, names_now
from infra.storage.tables import annotations, decided_codes
from models.annotation.human_decision import chosen_codes, human_decision
from schemas import Annotation

_LOCK = 7_305_804  # any number that nothing else locks in this database


def update_decided_codes(connection: Connection, segments: Collection[UUID]) -> None:
    """Decide these segments anew from what people have said, inside the connection's transaction."""
    for chunk in chunks(sorted(segments)):
        if connection.dialect.name == "postgresql":  # two coders of one segment must not each decide from half of it
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        words = standing_words(connection, chunk)
        connection.execute(delete(decided_codes).where(decided_codes.c.segment_id.in_(chunk)))
        ids = {code for each in words.values() for annotation in each for code in chosen_codes(annotation)}
        names = CurrentNames(names_now(connection, ids))
        rows = [row for segment, each in words.items() for row in _rows(segment, each, names)]
        if rows:
            connection.execute(insert(decided_codes), rows)


def update_every_decided_code(connection: Connection) -> None:
    """Decide every segment anew that anybody has coded: for tables that an earlier version wrote."""
    update_decided_codes(connection, set(connection.execute(select(annotations.c.segment_id).distinct()).scalars()))


def coded_with(connection: Connection, codes: Collection[UUID]) -> set[UUID]:
    """Segments for which anybody ever chose one of these codes, or a label without a code."""
    segments: set[UUID] = set()
    ids, labels = cast(annotations.c.code_ids, String), cast(annotations.c.labels, String)
    for few in chunks(codes):
        named = [ids.like(f"%{code}%") for code in few]
        query = select(annotations.c.segment_id).where(or_(and_(ids == "[]", labels != "[]"), *named)).distinct()
        segments |= set(connection.execute(query).scalars())
    return segments


def _rows(segment: UUID, words: Sequence[Annotation], names: CurrentNames) -> Iterator[Mapping[str, Any]]:
    decision = human_decision(words, names)
    if decision is None or decision.last.within is not None:
        return  # a marked part says nothing about its segment as a whole
    by = "undecided" if decision.undecided else "adjudication" if decision.adjudicated else "people"
    about = {"segment_id": segment, "study": decision.last.study, "decided_by": by, "disputed": decision.disputed}
    named = names.named(decision.labels)
    for place, code in enumerate(decision.codes or (None,)):
        yield {**about, "place": place, "code_id": code, "label": None if code is None else named[code].label}
