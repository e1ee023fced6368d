"""A PostgreSQL of the tests' own: Debian's programs, a cluster in a temporary folder, a free port of 127.0.0.1."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from infra.local.processes import end_with
from infra.local.stack import free_port
from infra.storage.tables import metadata

_ACCOUNT = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this account
_START_S = 60.0
_QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off")  # nothing here has to outlive a power cut


def programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``: of the newest Debian package or on the path; else ``None``."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a PostgreSQL until the block ends; its URL, for a superuser with a password."""
    folder = Path(tempfile.mkdtemp(prefix="qualstream-postgresql-"))
    try:
        if _root():
            shutil.chown(folder, _ACCOUNT)
        with _server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget_what_stays(url: str) -> None:
    """Delete what outlives a reset: accounts, the audit log, and which segments were erased."""
    with psycopg.connect(url, autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        for table in reversed(metadata.sorted_tables):
            if table.info.get("stays") and table.name in there:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    bin_, password, port = programs(), secrets.token_hex(8), free_port()
    assert bin_ is not None, "PostgreSQL is not installed; on Debian: apt-get install postgresql"
    data, words = folder / "data", folder / "password"
    words.write_text(password, encoding="ascii")
    words.chmod(0o644)
    users = ("--username", "tests", "--pwfile", str(words), "--auth", "scram-sha-256")
    making = _start([str(bin_ / "initdb"), "-D", str(data), "--encoding", "UTF8", "--no-sync", *users], folder)
    assert making.wait() == 0, f"initdb failed: {_log(folder)}"
    listening = ("-h", "127.0.0.1", "-p", str(port), "-k", "")
    server = _start([str(bin_ / "postgres"), "-D", str(data), *listening, *_QUICK], folder)
    url = f"postgresql://tests:{password}@127.0.0.1:{port}/postgres"
    try:
        _wait(url, server, folder)
        yield url
    finally:
        server.terminate()
        server.wait()


def _start(command: Sequence[str], folder: Path) -> "subprocess.Popen[bytes]":
    account = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if _root() else {}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one prctl, nothing that could take a lock
            **account,
        )


def _wait(url: str, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"PostgreSQL does not answer: {_log(folder)}") from None
            time.sleep(0.05)


def _root() -> bool:
    return os.geteuid() == 0


def _log(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
