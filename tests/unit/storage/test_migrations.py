"""Databases that every earlier revision wrote, with rows in each of their tables, come up to this version's tables."""

import ast
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from infra.storage.database import REVISION
from infra.storage.store import open_store
from infra.storage.tables import final_codes, metadata
from schemas import CodeEvent

MIGRATIONS = Path(__file__).parents[3] / "infra" / "storage" / "migrations"
EARLIER = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
)
Row = dict[str, Any]
Rows = dict[str, list[Row]]

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STUDY = "app"
MERGED, ALIVE, RETIRED = UUID(int=1), UUID(int=2), UUID(int=3)
ANSWERED, WAITING = UUID(int=11), UUID(int=12)
ACCOUNT, ALERT = UUID(int=21), UUID(int=31)


def event(number: int, code: UUID, kind: str, label: str, **more: object) -> Row:
    identity, at = UUID(int=number), AT.replace(minute=number - 40)
    record = {"id": str(identity), "code_id": str(code), "study": STUDY, "kind": kind, "label": label}
    record |= {"schema_version": 1, "author": "lea", "at": at.isoformat(), **more}
    row = {"id": identity, "code_id": code, "study": STUDY, "kind": kind, "label": label, "author": "lea", "at": at}
    return row | {"record": json.dumps(record).encode()}


def code(identity: UUID, label: str, *, retired: bool) -> Row:
    row = {"id": identity, "study": STUDY, "label": label, "created_at": AT, "retired": retired}
    return row | {"parent": None, "definition": f"what {label} is", "origin": ANSWERED}


def segment(seq: int, identity: UUID) -> Row:
    row = {"seq": seq, "id": identity, "study": STUDY, "text": f"text {seq}", "source": "mail", "timestamp": AT}
    row |= {"language": "en", "metadata": {"stars": seq}, "cut_from": None, "taken_in_at": AT, "order_at": AT}
    return row | {"published_at": AT if seq == 1 else None, "record": b"{}"}


def request(identity: UUID) -> Row:
    row = {"segment_id": identity, "study": STUDY, "code_id": ALIVE, "label": "slow", "confidence": 0.25}
    return row | {"reason": "low confidence", "blind": False, "requested_at": AT, "record": b"{}"}


def release(version: str) -> Row:
    return {"model": "m", "version": version, "uri": "data:m", "sha256": "0" * 64, "released_at": AT, "record": b"{}"}


ANNOTATION = {"schema_version": 1, "segment_id": str(ANSWERED), "study": STUDY, "annotator": "ana", "labels": ["slow"]}
ANNOTATION |= {"decided_at": AT.isoformat(), "unsure": True, "code_ids": [str(MERGED)]}

WRITTEN: dict[str, Rows] = {
    "0001": {
        "segments": [segment(1, ANSWERED), segment(2, WAITING)],
        "decisions": [
            {"segment_id": ANSWERED, "study": STUDY, "label": "slow", "verdict": "picked", "why": "w", "agreement": 0.5}
            | {"log_probability": -1.5, "moderator": "consensus", "proposals": [{"label": "slow"}], "at": AT}
            | {"record": b"{}"}
        ],
        "assignments": [
            {"segment_id": ANSWERED, "study": STUDY, "code_id": MERGED, "label": "slow", "proposed": "slow"}
            | {"new": True, "similarity": 1.0, "runner_up": None, "verdict": "picked", "signals": {"agreement": 0.5}}
            | {"models": {"a": "m@1"}, "confidence": 0.25, "route": "people", "assigned_at": AT, "record": b"{}"}
        ],
        "codes": [
            code(MERGED, "slowness", retired=True),
            code(ALIVE, "slow", retired=False),
            code(RETIRED, "colours", retired=True),
        ],
        "code_events": [
            event(41, MERGED, "created", "slowness"),
            event(42, ALIVE, "created", "slow"),
            event(43, RETIRED, "created", "colours"),
            event(44, MERGED, "merged", "slowness", into=[str(ALIVE)]),
            event(45, RETIRED, "retired", "colours"),
        ],
        "requests": [request(ANSWERED), request(WAITING)],
        "annotations": [
            {"segment_id": ANSWERED, "annotator": "ana", "decided_at": AT, "study": STUDY, "labels": ["slow"]}
            | {"unsure": True, "record": json.dumps(ANNOTATION).encode()}
        ],
        "releases": [release("1")],
        "alerts": [
            {"id": ALERT, "study": STUDY, "kind": "codes", "cause": "input", "at": AT, "detected_at": AT, "p": 0.01}
            | {"record": b"{}"}
        ],
        "dead_letters": [
            {"id": UUID(int=51), "reason": "not UTF-8", "role": "coders", "topic": "feedback", "partition": 0}
            | {"offset": 7, "key": b"k", "raw": b"\xff", "study": STUDY, "segment_id": None, "at": AT}
            | {"replayed_at": None, "record": b"{}"}
        ],
        "workers": [
            {"role": "coders", "instance": "a", "pid": 1, "host": "here", "started_at": AT, "seen_at": AT, "read": 3}
            | {"written": 2, "dead_lettered": 1, "errors": 0, "last_error": None, "last_commit_at": AT}
        ],
    },
    "0002": {},
    "0003": {
        "study_rules": [{"study": STUDY, "at": AT, "record": b"{}"}],
        "marks": [
            {"segment_id": WAITING, "annotator": "ana", "study": STUDY, "kind": "locked", "since": AT, "until": AT}
        ],
        "outbox": [{"seq": 1, "topic": "annotation.labels", "key": b"k", "value": b"v"}],
        "accounts": [{"id": ACCOUNT, "name": "ana", "password": None, "epoch": 2, "disabled": False, "created_at": AT}],
        "grants": [{"account_id": ACCOUNT, "scope": "*", "role": "lead"}],
        "tokens": [
            {"id": UUID(int=61), "account_id": ACCOUNT, "kind": "api", "name": "t", "sha256": "1" * 64}
            | {"created_at": AT, "expires_at": AT, "used_at": AT}
        ],
        "attempts": [{"who": "ana", "failures": 2, "last_at": AT}],
    },
    "0004": {},
    "0005": {
        "drift_states": [{"study": STUDY, "since": AT, "state": {"seen": 1}, "at": AT}],
        "alert_marks": [
            {"alert_id": ALERT, "study": STUDY, "kind": "muted", "author": "ana", "at": AT, "until": None, "note": "n"}
        ],
        "alert_deliveries": [
            {"alert_id": ALERT, "hook": "mail", "study": STUDY, "attempts": 1, "delivered_at": AT, "last_error": None}
        ],
        "recodings": [
            {"replay": "r", "segment_id": ANSWERED, "study": STUDY, "profile": "tiny", "label": "slow"}
            | {"proposed": "slow", "at": AT}
        ],
    },
    "0006": {},
    "0007": {
        "erased_people": [{"sha256": "2" * 64, "at": AT}],
        "erasures": [{"segment_id": UUID(int=71), "at": AT}],
        "audit_log": [
            {"seq": 1, "at": AT, "actor": "ana", "by": "session", "action": "export", "scope": STUDY, "subject": "csv"}
            | {"address": "::1", "status": 200}
        ],
        "known_places": [{"who": "ana ::1", "at": AT}],
        "sessions": [{"sha256": "3" * 64, "account_id": ACCOUNT, "since": AT}],
    },
    "0008": {"decided_codes": []},
    "0009": {
        "alert_rules": [
            {"id": UUID(int=81), "study": STUDY, "code_id": ALIVE, "share": 0.1, "hours": 2.0, "author": "ana"}
            | {"at": AT, "above": True}
        ],
    },
    "0010": {},
    "0011": {
        "saved_views": [
            {"study": STUDY, "owner": "", "name": "waits", "query": "q=wait", "author": "ana", "at": AT},
        ],
    },
    "0012": {
        "memos": [
            {"id": UUID(int=91), "study": STUDY, "code_id": ALIVE, "document": None, "author": "ana", "text": "m"}
            | {"at": AT, "changed_at": None},
        ],
        "comments": [
            {"id": UUID(int=92), "thread": UUID(int=92), "study": STUDY, "segment_id": WAITING, "code_id": None}
            | {"author": "ana", "text": "why?", "at": AT, "settled_by": None, "settled_at": None},
        ],
    },
    "0013": {
        "masked_values": [
            {"segment_id": WAITING, "kind": "mail", "number": 1, "study": STUDY, "digest": b"d"},
        ],
        "originals": [{"segment_id": WAITING, "study": STUDY, "sealed": b"s", "at": AT}],
    },
    "0014": {},
}
"""Rows of the tables that a revision brought, as it wrote them."""

CODE = {"inclusion": "when it waits", "exclusion": None, "examples": ["it hangs"]}
ASKED = {"sample": True, "coders": 3, "priority": 0.75, "expires_at": AT, "lacks": 2}
SAID = {"kind": "adjudication", "code_ids": [str(ALIVE)], "memo": "m", "withdrawn": True, "accepted": False}
SAID |= {"sample": True, "seconds": 4.5}
ENDED = [
    {"became": [str(ALIVE)], "final": ALIVE},
    {"became": [], "final": ALIVE},
    {"became": [], "final": None},
]
WIDENED: dict[str, dict[str, Sequence[Row]]] = {
    "0002": {"codes": [{"level": "code"}] * 2 + [{"level": "theme"}]},
    "0003": {"codes": [CODE | each for each in ENDED], "requests": [ASKED, ASKED], "annotations": [SAID]},
    "0004": {"releases": [{"study": STUDY, "outcome": "released"}]},
    "0006": {"segments": [{"own_id": "r1"}, {"own_id": None}]},
    "0007": {"tokens": [{"scopes": "read"}]},
    "0009": {"alerts": [{"raised_at": AT}]},
    "0010": {"assignments": [{"standing": "code"}]},
    "0014": {"accounts": [{"language": None}]},
}
"""Columns that a revision added to rows of earlier tables, as it wrote them."""

UNSAID: Row = {"inclusion": None, "exclusion": None, "examples": []}
ONCE: Row = {"sample": False, "coders": 1, "priority": 0.0, "expires_at": None}
CODING: Row = {"kind": "coding", "code_ids": [], "memo": "", "withdrawn": False, "accepted": None}
CODING |= {"sample": False, "seconds": None}
FILLED: dict[str, dict[str, Sequence[Row]]] = {
    "0002": {"codes": [{"level": "code"}] * 3},
    "0003": {
        "codes": [UNSAID | each for each in ENDED],
        "requests": [ONCE | {"lacks": 0}, ONCE | {"lacks": 1}],
        "annotations": [CODING],
    },
    "0006": {"segments": [{"own_id": None}] * 2},
    "0007": {"tokens": [{"scopes": "read labels ingest manage"}]},
    "0009": {"alerts": [{"raised_at": AT}]},
    "0010": {"assignments": [{"standing": "code"}]},
    "0014": {"accounts": [{"language": None}]},
}
"""What a revision fills these columns with where rows were written before it."""


def widened(rows: Rows, columns: Mapping[str, Sequence[Row]]) -> Rows:
    added = {t: [r | c for r, c in zip(rows[t], each, strict=True)] for t, each in columns.items()}
    return rows | added


def written_at(revision: str) -> Rows:
    """Every table's rows as a program of this revision left them."""
    rows: Rows = {}
    for each in EARLIER[: EARLIER.index(revision) + 1]:
        rows = widened(rows, WIDENED.get(each, {})) | WRITTEN[each]
    return rows


def expected_from(revision: str) -> Rows:
    """The same rows with the columns that later revisions fill."""
    rows = written_at(revision)
    for later in [*EARLIER[EARLIER.index(revision) + 1 :], REVISION]:
        if not FILLED.get(later, {}).keys() <= rows.keys():
            continue  # a table that this revision did not have yet
        rows = widened(rows, FILLED.get(later, {}))
    return rows if revision >= "0004" else rows | {"releases": []}  # nothing wrote releases before 0004


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, on both of the stores that this runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'q.db'}"
    served: str = request.getfixturevalue("postgresql_url")
    with psycopg.connect(served, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return served


def write_at(url: str, revision: str) -> None:
    """Make the tables of a revision and fill them."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        rows = written_at(revision)
        assert set(sa.inspect(connection).get_table_names()) - {"alembic_version"} == set(rows)
        for name, each in rows.items():
            if not each:
                continue  # derived from others
            columns = [sa.column(column, metadata.tables[name].c[column].type) for column in each[0]]
            assert {c["name"] for c in sa.inspect(connection).get_columns(name)} == set(each[0])
            connection.execute(sa.insert(sa.table(name, *columns)), each)
    engine.dispose()


def in_order(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=str)


@pytest.mark.parametrize("revision", EARLIER)
def test_rows_of_an_earlier_revision_are_kept_and_what_is_derived_from_them_is_filled_in(url, revision):
    write_at(url, revision)
    store = open_store(url)
    with store.database.reading() as connection:
        for name, rows in expected_from(revision).items():
            kept = [dict(row) for row in connection.execute(sa.select(metadata.tables[name])).mappings()]
            assert in_order([{k: row[k] for k in sorted(row)} for row in kept]) == in_order(
                [{k: row[k] for k in sorted(row)} for row in rows]
            ), name
    assert [one.kind for one in store.history(CodeEvent)] == ["created", "created", "created", "merged", "retired"]
    store.close()


@pytest.mark.parametrize(("revision", "by"), [("0002", "people"), ("0007", "model")])  # withdrawn meanwhile
def test_what_people_decided_before_is_final_after_the_upgrade(url, revision, by):
    write_at(url, revision)
    store = open_store(url)
    with store.database.reading() as connection:
        (final,) = connection.execute(sa.select(final_codes)).mappings()
    store.close()
    assert dict(final) == {"segment_id": ANSWERED, "study": STUDY, "code_id": ALIVE, "label": "slow", "decided_by": by}


def test_a_token_without_an_end_gets_one(url):
    write_at(url, "0006")
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE tokens SET expires_at = NULL"))
    engine.dispose()
    store = open_store(url)
    with store.database.reading() as connection:
        (ends,) = connection.execute(sa.select(metadata.tables["tokens"].c.expires_at)).scalars()
    store.close()
    assert timedelta(days=89) < ends - datetime.now(UTC) <= timedelta(days=90)


def test_every_earlier_revision_is_among_those_that_are_upgraded():
    scripts = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert tuple(scripts[:-1]) == EARLIER


@pytest.mark.parametrize("path", sorted((MIGRATIONS / "versions").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_a_migration_imports_none_of_the_code_that_changes_after_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} & {"schemas", "models", "streams", "infra"} == set()
