"""What people decide on the page, and what the monitor sees: kept in SQL at once, delivered soon, lost never.

A decision and the message about it are written in one transaction, so a person never waits for a broker, and a page
that dies between the two leaves nothing undone: the next one sends what is left. Sent twice, it says the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from infra.storage.database import Database
from infra.storage.projections import write
from infra.storage.tables import outbox
from models.errors import UnavailableError
from schemas import Record
from streams.cluster import in_time
from streams.publish import Outgoing, outgoing

log = logging.getLogger(__name__)
_MOST = 500  # messages delivered at once
_CODEBOOK_EDIT_LOCK = 7_305_804  # any number that nothing else locks in this database
_LONGEST_S = 300.0  # a query that takes longer does not return
_LOOK_S = 0.5  # how often another process's decisions are looked for


class OutboxMessage(NamedTuple):
    """A message that the broker has not confirmed."""

    seq: int
    message: Outgoing


class Outbox:
    """People's records on their way to the broker."""

    def __init__(self, database: Database) -> None:
        """Share the read model's database."""
        self._database = database
        self._kept = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def keep(self, records: Sequence[Record], also: Callable[[Connection], None] | None = None) -> None:
        """Write records into the read model, and messages about them, all or nothing. Any thread may call it.

        Args:
            records: At least one, or nothing is done.
            also: What else is written in the same transaction.

        Raises:
            UnavailableError: If the database does not answer; nothing is kept then.
        """
        if not records:
            return
        with self._database.writing() as connection:
            _keep(connection, records)
            if also is not None:
                also(connection)
        self._wake()

    @contextmanager
    def editing_codebook(self, study: str) -> Iterator[Callable[[Sequence[Record]], None]]:
        """A transaction in which nobody else, in no process, edits the study's codebook: each edit sees the one before.

        Yields:
            What keeps records, as ``keep`` does, when the transaction ends.

        Raises:
            UnavailableError: If the database does not answer; nothing is kept then.
        """
        with self._database.exclusive(_CODEBOOK_EDIT_LOCK, study) as connection:
            yield partial(_keep, connection)
        self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._kept.set)

    def waiting(self, limit: int = _MOST) -> list[OutboxMessage]:
        """The oldest messages that were not confirmed, in their order."""
        query = select(outbox).order_by(outbox.c.seq).limit(limit)
        with self._database.reading() as connection:
            return [OutboxMessage(r.seq, Outgoing(r.topic, r.key, r.value)) for r in connection.execute(query)]

    def backlog(self) -> int:
        """How many messages wait for the broker."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(outbox)).scalar_one()

    def sent(self, batch: Sequence[OutboxMessage]) -> None:
        """The broker has confirmed these."""
        with self._database.writing() as connection:
            connection.execute(delete(outbox).where(outbox.c.seq.in_([waiting.seq for waiting in batch])))

    async def deliver(self, send: Callable[[Sequence[Outgoing]], Awaitable[Any]]) -> None:
        """Deliver what is kept, and what is kept later, until cancelled.

        Args:
            send: Returns when all that it was given has been confirmed.
        """
        self._loop = asyncio.get_running_loop()
        while True:
            self._kept.clear()
            try:
                while batch := await in_time(self.waiting, _LONGEST_S):
                    await send([waiting.message for waiting in batch])
                    await in_time(partial(self.sent, batch), _LONGEST_S)
            except UnavailableError as error:
                log.warning("the outbox cannot be read: %s", error)
            try:
                await asyncio.wait_for(self._kept.wait(), _LOOK_S)
            except TimeoutError:
                continue


def _keep(connection: Connection, records: Sequence[Record]) -> None:
    messages = [outgoing(record) for record in records]
    rows = [{"topic": message.topic, "key": message.key, "value": message.value} for message in messages]
    if rows:
        write(connection, records, datetime.now(UTC))
        connection.execute(insert(outbox), rows)
