"""Opening the read model's database: engine, transactions, migrations, and its errors in our own words."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models.errors import InputError, SettingError, UnavailableError

REVISION = "0015"
"""The newest revision in ``infra/migrations``; a test compares the two."""

CHUNK = 500
"""Rows or ids that are handled at once."""

T = TypeVar("T")
_BUSY_MS = 30_000
_MIGRATION_LOCK = 7_305_801  # any number that nothing else locks in this database
_NOT_A_DATABASE = ("file is not a database", "malformed", "encrypted")
_MUST_BE_MENDED = (
    "unable to open database file",
    "readonly database",
    "authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
)


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Items a few hundred at a time: so many a statement takes on every database, and memory stays flat."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


class Database:
    """Explicit transactions over one engine. Threads may share it; a forked process may not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self.name = engine.url.render_as_string(hide_password=True)
        self.dialect = engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one state of the database throughout."""
        with _own_words(self.name), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; it is committed at the end and rolled back on any error."""
        with _own_words(self.name), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def exclusive(self, lock: int, study: str) -> Iterator[Connection]:
        """A writing transaction beside which, in all processes, no other one with the same lock and study runs."""
        with self.writing() as connection:
            if self.dialect == "postgresql":  # SQLite has one writer anyway
                query = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:study))")
                connection.execute(query, {"lock": lock, "study": study})
            yield connection

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """A writing transaction after which SQLite's files do not hold what it deletes any more."""
        with self.writing() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            yield connection
        if self.dialect == "sqlite":
            raw = self._engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_database(url: str, derive: Callable[[Connection], None] | None = None) -> Database:
    """Connect, and bring the tables to this version's revision.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        derive: Called in the transaction that has brought the tables up, to fill what is derived from their rows.

    Raises:
        SettingError: If the URL, the folder, the login or the revision is not as it must be.
        UnavailableError: If the database does not answer now.
    """
    parsed = _parsed(url)
    database = Database(_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed))
    try:
        if _revision(database) != REVISION:
            _migrate(database, derive or (lambda _connection: None))
    except BaseException:
        database.close()
        raise
    return database


def _parsed(url: str) -> URL:
    expected = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; correct the database URL"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingError(f"the database URL cannot be read; {expected}") from None
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise SettingError(f"the database URL begins with '{parsed.drivername}'; {expected}")
    if parsed.database in {None, "", ":memory:"}:
        raise SettingError(f"the database URL '{url}' names no file, and several processes share one; {expected}")
    return parsed


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingError(
            f"cannot make the folder '{path.parent}' for the database ({error.strerror}); choose a folder that can "
            "be written"
        ) from None
    keep_private(path)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: begin() below does
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")  # what was taken in outlives a power cut
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that turns to writing fails at once when another wrote in between; this one waits.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def keep_private(path: Path) -> None:
    """Have a database file be its owner's alone, before SQLite writes to it; what it writes beside it is then, too."""
    try:
        path.touch(mode=0o600, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError:
        return  # somebody else's file, or one that cannot be made: SQLite says what is wrong with it


def write_ahead(connection: sqlite3.Connection) -> None:
    """Put a SQLite file into write-ahead mode, in which it then stays.

    Processes that ask for it on a new file at the same moment are refused at once, whatever ``busy_timeout`` says:
    each holds what another one waits for. So it is asked for again, after pauses of different lengths.

    Raises:
        sqlite3.OperationalError: If the file stays locked longer than any lock is waited for.
    """
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.001, 0.02))


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10}, hide_parameters=True)
    except (NoSuchModuleError, ImportError):
        raise SettingError("the database URL names PostgreSQL but psycopg is missing; install 'psycopg'") from None


def _revision(database: Database) -> str | None:
    with database.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(database: Database, derive: Callable[[Connection], None]) -> None:
    """Run what is missing in one transaction, which is also the lock: others wait for it, a kill undoes it."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    try:
        with database.writing() as connection:
            if database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            derive(connection)
    except CommandError as error:
        raise SettingError(
            f"the tables in '{database.name}' are not at a revision that this version of Qualstream knows "
            f"(newest: {REVISION}): {error}; upgrade Qualstream or choose another database"
        ) from None


@contextmanager
def _own_words(name: str) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeoutError) as error:
        message = _one_line(error)
        if any(words in message for words in _MUST_BE_MENDED):
            raise SettingError(
                f"the database '{name}' cannot be used: {message}; correct the database URL or its access rights"
            ) from error
        raise UnavailableError(f"the database '{name}' does not answer: {message}") from error
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        raise InputError(f"the database '{name}' cannot hold a value: {_one_line(error)}") from error
    except DatabaseError as error:
        if not any(words in str(error.orig) for words in _NOT_A_DATABASE):
            raise
        raise SettingError(
            f"'{name}' is no readable SQLite database: {_one_line(error)}; move the file away or choose another"
        ) from error


def _one_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())
