"""What is kept is its owner's alone, and what goes to other programs and to logs tells no secret and no text."""

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from infra.local.stack import LocalStack, bare_environment
from infra.settings import ensure_data_dir, load_settings
from infra.storage.store import open_store
from infra.storage.tables import accounts
from infra.telemetry import logs
from tests.web.site import FAKES, fill, make_site, visit

SECRET = "the text that nobody may read"


@pytest.fixture(autouse=True)
def open_mask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))}


def test_a_data_folder_and_all_that_a_page_keeps_in_it_are_their_owner_s_alone(tmp_path):
    folder = tmp_path / "data"
    settings = load_settings(data_dir=folder, profile=str(FAKES))
    ensure_data_dir(settings)
    site = make_site(folder)
    fill(site, 6)
    lea = visit(site, "lead", name="lea")
    sheet = {"file": ("a.csv", b"text,code\nit is slow,slow\n")}
    assert lea.post("/s/reviews/import", data={"coder": "lea"}, files=sheet).status_code == 200
    stack = LocalStack(settings, site.store)
    stack.log_dir.mkdir()
    stack._server = "127.0.0.1:1"
    child = stack.add("a role", [sys.executable, "-c", "print('hello')"])
    child._process.wait(20)
    site.store.close()
    assert {name for name, others in modes(folder).items() if others} == set()
    assert {"qualstream.db", "imports", "logs/a role.log", "web.key"} <= set(modes(folder))


@pytest.mark.parametrize("kept", ["qualstream.db", "web.key", "logs"])
def test_a_data_folder_of_before_is_taken_from_others(tmp_path, kept):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / kept).mkdir() if kept == "logs" else sqlite3.connect(folder / kept).close()
    ensure_data_dir(load_settings(data_dir=folder))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_no_data_folder_keeps_its_rights(tmp_path):
    tmp_path.chmod(0o755)
    ensure_data_dir(load_settings(data_dir=tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_database_of_before_is_taken_from_others(tmp_path):
    path = tmp_path / "qualstream.db"
    sqlite3.connect(path).close()
    path.chmod(0o644)
    open_store(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_broker_s_process_knows_no_setting_and_no_secret(tmp_path, monkeypatch):
    for name in ("QUALSTREAM_WEB_SECRET", "QUALSTREAM_DATABASE_PASSWORD", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x" * 40)
    shown = subprocess.run(
        [sys.executable, "-c", "import os; print(dict(os.environ))"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "x" * 40 not in shown
    assert "PATH" in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_text_comes_into_a_log_by_way_of_a_statement_s_parameters(tmp_path, form, caplog):
    store = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    with pytest.raises(IntegrityError) as raised, store.database.writing() as connection:
        connection.execute(accounts.insert().values(id=None, name=SECRET))
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "it failed: %s", (raised.value,), raised._excinfo)
    formatter = logs.JsonLines("here") if form == "json" else logging.Formatter(logs._TEXT)
    assert SECRET not in formatter.format(record)
    assert SECRET not in str(raised.value)
    with store.database.reading() as connection:
        assert connection.execute(select(accounts.c.name)).all() == []
    store.close()
