"""The audit log: who did what, when and from where. Entries are only ever added; no reset of data empties it."""

import getpass
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, select

from infra.storage.database import CHUNK, Database
from infra.storage.tables import audit_log
from models.ports import Clock

Means = Literal["session", "token", "command"]
NOBODY = "(nobody)"
"""The actor of what was tried without having signed in."""


@dataclass(frozen=True)
class AuditEntry:
    """One thing that somebody did, or tried to do."""

    seq: int
    at: datetime
    actor: str
    by: str
    action: str
    scope: str | None
    """The study, where it was done in one."""
    subject: str
    address: str
    status: int | None
    """Of the answer, where it was done on the page."""


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are looked for; what is not set does not narrow."""

    actor: str = ""
    scope: str = ""
    action: str = ""
    before: int | None = None
    """Only entries of a lower number."""


class AuditLog:
    """Writes and reads the log. Threads may share it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Share the read model's database."""
        self._database = database
        self._clock = clock

    def add(
        self,
        actor: str,
        by: Means,
        action: str,
        *,
        scope: str | None = None,
        subject: str = "",
        address: str = "",
        status: int | None = None,
    ) -> None:
        """Add an entry; what is longer than its column is cut."""
        row = {"actor": actor[:120], "by": by, "action": action[:60], "scope": scope and scope[:80]}
        row |= {"subject": subject[:1000], "address": address[:60]}
        with self._database.writing() as connection:
            connection.execute(audit_log.insert().values(at=self._clock.now(), status=status, **row))

    def add_command(self, action: str, *, scope: str | None = None, subject: str = "") -> None:
        """Add what was done by a command on this machine, under the name of the system's user."""
        self.add(_system_user(), "command", action, scope=scope, subject=subject)

    def newest(self, narrowed: AuditFilter, limit: int) -> list[AuditEntry]:
        """The newest entries that match, newest first."""
        query = _matching(narrowed).order_by(audit_log.c.seq.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def every(self) -> Iterator[AuditEntry]:
        """The whole log, oldest first, read as it is used."""
        query = select(audit_log).order_by(audit_log.c.seq)
        with self._database.reading() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=CHUNK)
            for row in streaming.execute(query).mappings():
                yield _entry(row)


def _matching(narrowed: AuditFilter) -> Select[*tuple[object, ...]]:
    asked = {"actor": narrowed.actor, "scope": narrowed.scope, "action": narrowed.action}
    query = select(audit_log).where(*(audit_log.c[name] == value for name, value in asked.items() if value))
    return query if narrowed.before is None else query.where(audit_log.c.seq < narrowed.before)


def _entry(row: object) -> AuditEntry:
    return AuditEntry(**dict(row))  # type: ignore[call-overload]  # a mapping of the table's columns


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
