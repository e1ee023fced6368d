"""Segments that somebody has yet to read blind: pages keep the system's code of these to themselves."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, true

from infra.storage.database import Database
from infra.storage.tables import requests


def unread(database: Database, study: str, segments: Collection[UUID], *, every: bool = False) -> frozenset[UUID]:
    """Which of these segments wait for a blind reading.

    Args:
        database: The read model's.
        study: Whose.
        segments: Those that are about to be shown; at most a few hundred.
        every: Whether the study is coded blind throughout: then whatever is asked about counts.
    """
    asked = requests.c
    blind = true() if every else asked.blind
    query = select(asked.segment_id).where(
        asked.study == study, asked.segment_id.in_(list(segments)), asked.lacks > 0, blind
    )
    with database.reading() as connection:
        return frozenset(connection.execute(query).scalars())
