"""Sessions that are open, in SQL: a cookie is worth something only as long as the server knows its session."""

import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, select

from infra.storage.database import Database
from infra.storage.tables import sessions
from models.ports import Clock

LONGEST = timedelta(days=7)
"""How long a session lasts, whatever is done in it."""


class OpenSessions:
    """Which sessions are open, and whose; only the hash of a session's id is kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock

    def open(self, session: str, account: UUID) -> None:
        """Remember a session; those that are too old are forgotten."""
        now = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.since < now - LONGEST))
            connection.execute(sessions.insert().values(sha256=_sha256(session), account_id=account, since=now))

    def holds(self, session: str, account: UUID) -> bool:
        """Whether this account's session is still open."""
        mine = (sessions.c.sha256 == _sha256(session), sessions.c.account_id == account)
        with self._database.reading() as connection:
            return connection.execute(select(sessions.c.sha256).where(*mine)).one_or_none() is not None

    def end(self, session: str) -> None:
        """End one session for good, whoever has a copy of its cookie."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.sha256 == _sha256(session)))

    def end_all(self, connection: Connection, account: UUID) -> None:
        """End every session of an account, inside a transaction."""
        connection.execute(delete(sessions).where(sessions.c.account_id == account))


def _sha256(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
