"""`qualstream themes` as its users meet it: on a read model without a broker, beside a running stack, on a file."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from infra.factory.stores import build_store
from infra.files.export import export
from infra.settings import load_settings
from infra.storage import database
from infra.storage.store import Store
from models.codebook.codebook import Codebook
from schemas import Assignment, CodeEvent
from schemas.ids import code_event_id, code_id
from streams.publish import Outgoing
from streams.topology import CODEBOOK
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, environment, messages, publish, running, segments, until

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = ("login slow", "login fails", "dark mode")


def qualstream(folder: Path, *args: str, stdin: bytes = b"", **options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "infra.cli", *args]
    env = environment(folder, **options)
    return subprocess.run(command, env=env, input=stdin, capture_output=True, timeout=120, check=False)


def themes(folder: Path, *args: str, **options: str) -> dict[str, tuple[str | None, int]]:
    """Code to theme and segments, as the command prints them."""
    done = qualstream(folder, "themes", "--json", *args, **options)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return {line["code"]: (line["theme"], line["segments"]) for line in lines}


def event(label: str, kind: str = "created", minute: int = 0, **more: object) -> CodeEvent:
    code = code_id(STUDY, label)
    given = {"id": code_event_id(code, kind, str(minute)), "code_id": code, "study": STUDY, "kind": kind}
    given |= {"label": label, "author": "r@1", "at": AT + timedelta(minutes=minute)}
    return CodeEvent.model_validate(given | more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose read model holds three codes: two segments have the first, one each of the others."""
    folder = tmp_path / "data"
    folder.mkdir()
    store = opened(folder)
    taken = segments(4)
    given = [
        Assignment(
            segment_id=segment.id,
            study=STUDY,
            code_id=code_id(STUDY, label),
            label=label,
            proposed=label,
            new=False,
            similarity=1,
            why="same",
            verdict="picked",
            confidence=0.9,
            route="accepted",
            assigned_at=AT,
        )
        for segment, label in zip(taken, (*LABELS, LABELS[0]), strict=True)
    ]
    store.record([*taken, *(event(label) for label in LABELS), *given])
    store.close()
    return folder


def opened(folder: Path) -> Store:
    return build_store(load_settings(data_dir=folder))


def test_without_a_broker_themes_are_kept_in_the_read_model_and_come_out_with_the_export(folder: Path) -> None:
    shown = {"login slow": ("login", 2), "login fails": ("login", 1), "dark mode": (None, 1)}
    assert themes(folder, "--dry-run") == shown
    store = opened(folder)
    before = store.counts(STUDY).codes
    assert sum(1 for _ in store.code_events(STUDY)) == 3
    done = qualstream(folder, "themes")
    assert done.returncode == 0, done.stderr
    tree, said = done.stdout.decode(), done.stderr.decode()
    assert [line.split("  ")[-1] for line in tree.splitlines() if "login " in line] == ["3", "2", "1"]
    assert "1 themes (1 new) over 2 codes (2 placed now); 1 codes stand alone; 3 changes written" in said
    assert themes(folder) == shown
    assert sum(1 for _ in store.code_events(STUDY)) == 6  # the second run added nothing
    assert store.counts(STUDY).codes == before  # a theme is not a code
    assert {(row["code"], row["theme"]) for row in store.rows(STUDY)} == {
        *(("login slow", "login"), ("login fails", "login"), ("dark mode", None)),
    }
    out = io.BytesIO()
    export(store, STUDY, "jsonl", out)
    assert [json.loads(line)["theme"] for line in out.getvalue().splitlines()].count("login") == 3
    store.close()


def test_a_theme_that_a_person_retires_or_renames_shows_so_in_the_export(folder: Path) -> None:
    themes(folder)
    store = opened(folder)
    theme = next(one for one in store.code_events(STUDY) if one.level == "theme")
    later = {"author": "ana", "at": datetime.now(UTC) + timedelta(minutes=1)}
    renamed = {"id": code_event_id(theme.code_id, "renamed", "1"), "kind": "renamed", "label": "signing in"}
    store.record([theme.model_copy(update=renamed | later)])
    assert {row["theme"] for row in store.rows(STUDY)} == {"signing in", None}
    retired = {"id": code_event_id(theme.code_id, "retired", "1"), "kind": "retired"}
    store.record([theme.model_copy(update=retired | later | {"at": later["at"] + timedelta(minutes=1)})])
    assert {row["theme"] for row in store.rows(STUDY)} == {None}
    store.close()


@pytest.mark.timeout(120)
def test_beside_a_running_stack_themes_go_over_the_topic_and_a_persons_move_stays(
    folder: Path, brokers: Brokers
) -> None:
    with running(folder, roles=("recorder",), brokers=brokers) as (stack, store):
        cluster = stack.cluster

        def put(*events: CodeEvent) -> None:
            publish(cluster, [Outgoing(CODEBOOK.name, str(one.code_id).encode(), one.to_bytes()) for one in events])

        put(event("dark colours"))
        assert themes(folder, **brokers.options)["dark colours"] == ("dark", 0)
        until(lambda: {row["theme"] for row in store.rows(STUDY)} == {"login", "dark"}, stack)
        held = [CodeEvent.from_bytes(raw) for raw in messages(cluster, CODEBOOK.name)]
        assert [one.kind for one in held].count("moved") == 4
        dark = code_id(STUDY, "theme:dark")
        put(event("login fails", "moved", author="ana", at=datetime.now(UTC), parent_id=dark))
        shown = themes(folder, **brokers.options)
        assert (shown["login fails"][0], shown["login slow"][0]) == ("dark", "login")
        assert len(messages(cluster, CODEBOOK.name)) == len(held) + 1
        book = Codebook(CodeEvent.from_bytes(raw) for raw in messages(cluster, CODEBOOK.name))
        until(
            lambda: (
                {one.id: one.parent for one in Codebook(store.code_events(STUDY)).values()}
                == {one.id: one.parent for one in book.values()}
            ),
            stack,
        )


# A file


def coded(*codes: str | None, study: str = STUDY) -> bytes:
    rows = [{"study": study, "text": "t", "code": code} for code in codes]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_what_code_wrote_is_grouped_without_a_codebook(tmp_path: Path) -> None:
    given = coded("login slow", "login slow", "login fails", None, "dark mode")
    done = qualstream(tmp_path / "data", "themes", "--file", "-", stdin=given)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [(row["code"], row["theme"], row["segments"]) for row in rows] == [
        ("login slow", "login", 2),
        ("login fails", "login", 1),
        ("dark mode", None, 1),
    ]
    assert "1 codes stand alone" in done.stderr.decode()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (b"{not json\n", "line 1: not JSON"),
        (b'{"text": "no code"}\n', "has no study and code"),
        (b"[1]\n", "line 1: '[1]' has no study and code"),
        (b'{"study": "app", "code": 7}\n', "code is 7"),
        (b'{"study": "app", "code": "a", "code_id": "7"}\n', "a UUID was expected"),
        (b"", "holds no coded segment"),
        (coded("a") + coded("b", study="other"), "codes of 2 studies (other, reviews)"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused_in_one_line(tmp_path: Path, given: bytes, found: str) -> None:
    done = qualstream(tmp_path / "data", "themes", "--file", "-", stdin=given)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout, said.count("\n")) == (1, b"", 1)
    assert found in said


def test_a_study_without_codes_is_refused_in_one_line(tmp_path: Path) -> None:
    done = qualstream(tmp_path / "data", "themes", "--study", "nothing")
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert "study 'nothing' has no codes" in done.stderr.decode()


def test_a_read_model_from_before_there_were_themes_is_brought_up_to_date_with_its_codes(folder: Path) -> None:
    (file,) = folder.glob("*.db")
    config, engine = Config(), create_engine(f"sqlite:///{file}")
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as config.attributes["connection"]:
        command.downgrade(config, "0001")
    engine.dispose()
    store = opened(folder)
    assert store.counts(STUDY).codes == len(LABELS)
    assert len(store.segments_by_code(STUDY)) == len(LABELS)
    store.close()
