"""Segments that somebody has yet to read blind: pages keep the system's code of these to themselves."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Select, select, true

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
    query = waiting(study, every=every).where(requests.c.segment_id.in_(list(segments)))
    with database.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def waiting(study: str, *, every: bool = False) -> Select[UUID]:
    """The ids of all of a study's segments that wait for a blind reading; see ``unread``."""
    asked = requests.c
    blind = true() if every else asked.blind
    return select(asked.segment_id).where(asked.study == study, asked.lacks > 0, blind)
