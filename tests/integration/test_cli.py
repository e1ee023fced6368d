"""The command line as its users meet it: real processes, data on one stream, words on the other, an exit status."""

import csv
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.brokers import build_cluster
from infra.factory.stores import build_store
from infra.settings import load_settings
from infra.storage.store import Store
from streams.cluster import Cluster
from streams.publish import Outgoing
from streams.topology import FEEDBACK, ROLES, TOPICS, describe
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, Started, environment, messages, publish, segments, started, until

FIELDS = {
    *("id", "study", "text", "code", "code_id", "new", "similarity", "confidence", "route", "proposals", "verdict"),
}
MIXED = (
    b"id,text,stars\n"
    b"1,login is slow,2\n"
    b'2,"caf\xc3\xa9 menu missing",3\n'  # UTF-8
    b"3,caf\xe9 menu wrong,3\n"  # Windows-1252
    b"4,too,many,cells,here\n"
    b"5,login is slow,1\n"
)


def qualstream(folder: Path, *args: str, stdin: bytes = b"", **options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "infra.cli", *args]
    env = environment(folder, **options)
    return subprocess.run(command, env=env, input=stdin, capture_output=True, timeout=60, check=False)


def lines(done: subprocess.CompletedProcess[bytes]) -> list[dict]:
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


# Without Kafka


def test_a_file_with_a_broken_row_and_mixed_encodings_is_coded_and_the_row_listed(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_bytes(MIXED)
    done = qualstream(tmp_path / "data", "code", str(file))
    rows = lines(done)
    assert [row["text"] for row in rows] == ["login is slow", "café menu missing", "café menu wrong", "login is slow"]
    for row in rows:
        assert set(row) >= FIELDS
        assert row["study"] == STUDY
        assert row["route"] in ("suggested", "people")
        assert [p["member"] for p in row["proposals"]] == ["a", "b", "c"]
    assert (rows[0]["new"], rows[3]["new"]) == (True, False)
    assert rows[3]["code_id"] == rows[0]["code_id"]
    said = done.stderr.decode()
    assert "reviews.csv, line 5: " in said
    assert said.count("profile '") == 1
    assert "4 segments coded, 0 could not be, 1 rows rejected" in said


def test_standard_input_is_coded_and_what_has_no_text_is_an_error_of_its_own(tmp_path):
    given = b'{"text": "login is slow"}\n{"text": "\\u200f\\u200b"}\n{"text": "too many ads"}\n'
    done = qualstream(tmp_path / "data", "code", "-", "--study", "other", stdin=given)
    rows = lines(done)
    assert [(row["study"], row["code"]) for row in rows] == [
        *(("other", "login slow"), ("other", None), ("other", "many ads")),
    ]
    assert "no text to code" in rows[1]["error"]
    assert "2 segments coded, 1 could not be" in done.stderr.decode()


def test_topology_prints_the_table_and_checks_a_file_for_it(tmp_path):
    assert qualstream(tmp_path, "topology").stdout.decode() == describe() + "\n"
    other = tmp_path / "README.md"
    other.write_text("nothing of the kind")
    refused = qualstream(tmp_path, "topology", "--check", str(other))
    assert refused.returncode == 1
    assert refused.stderr.decode().count("\n") == 1


def test_reset_forgets_a_study_and_leaves_the_others(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    store = opened(folder)
    for study in ("one", "two"):
        store.take_in(segments(4, study))
    assert qualstream(folder, "reset", "--study", "one", "--yes").returncode == 0
    assert (store.counts("one").taken_in, store.counts("two").taken_in) == (0, 4)
    store.close()


# Beside a running stack


@dataclass
class Running:
    folder: Path
    store: Store
    stack: Started
    brokers: Brokers

    @property
    def cluster(self) -> Cluster:
        return build_cluster(load_settings(data_dir=self.folder, **self.brokers.options))

    def __call__(self, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return qualstream(self.folder, *args, stdin=stdin, **self.brokers.options)


def opened(folder: Path) -> Store:
    return build_store(load_settings(data_dir=folder))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, module_brokers: Brokers) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("up") / "data"
    log = folder.with_suffix(".log")
    with started(
        [sys.executable, "-m", "infra.cli", "up"], log, environment(folder, **module_brokers.options)
    ) as stack:
        until(lambda: "Running, with the broker at" in stack.said, seconds=60)
        store = opened(folder)
        done = qualstream(folder, "ingest", "-", "--format", "csv", "--study", STUDY, stdin=MIXED)
        assert done.returncode == 0, done.stderr
        until(lambda: store.counts(STUDY).routed == 4)
        yield Running(folder, store, stack, module_brokers)
        store.close()
        stack.process.send_signal(signal.SIGTERM)
        assert stack.process.wait(timeout=30) == 0
        assert "Stopped. What is open goes on at the next start." in stack.said


@pytest.mark.timeout(120)
def test_what_was_ingested_is_exported_in_every_format(up, tmp_path):
    out = tmp_path / "coded.parquet"
    assert up("export", "--full", "--format", "parquet", "--out", str(out)).returncode == 0
    table = pq.read_table(out).to_pylist()
    as_csv = list(csv.DictReader(io.StringIO(up("export", "--full").stdout.decode())))
    as_json = lines(up("export", "--full", "--format", "jsonl"))
    assert len(table) == len(as_csv) == len(as_json) == 4
    assert {row["text"] for row in as_json} == {"login is slow", "café menu missing", "café menu wrong"}
    for rows in (table, as_csv, as_json):
        assert all(set(row) >= FIELDS for row in rows)
        assert {(row["id"], row["code"], row["route"]) for row in rows} == {
            (row["id"], row["code"], row["route"]) for row in as_json
        }
    assert all(row["code"] and row["route"] for row in as_json)


def test_ingesting_again_codes_nothing_twice(up):
    done = up("ingest", "-", "--format", "csv", "--study", STUDY, "--json", stdin=MIXED)
    assert lines(done) == [{"read": 4, "new": 0, "rejected": 1, "left_out": 0, "changed": 0, "masked": 0}]


def test_status_tells_a_line_a_role_and_is_healthy(up):
    until(lambda: {worker.role for worker in up.store.workers()} == {role.name for role in ROLES})
    done = up("status", "--json", "--check")
    rows = {row["role"]: row for row in lines(done)}
    assert list(rows) == [role.name for role in ROLES]
    for row in rows.values():
        assert row["alive"]
        assert (row["errors"], row["last_error"]) == (0, None)
    assert rows["coders"]["read"] >= 4
    assert rows["coders"]["lag"] == 0
    assert rows["coders"]["last_commit_at"] is not None


def test_topics_prints_settings_and_rights_behind_the_prefix_without_a_broker(tmp_path):
    rows = lines(qualstream(tmp_path, "topics", "--json", kafka_prefix="team-a.", kafka_replication="3"))
    topics = {row["topic"]: row for row in rows if "topic" in row}
    rights = {row["role"]: row for row in rows if "role" in row}
    assert list(topics) == [f"team-a.{topic.name}" for topic in TOPICS]
    assert topics["team-a.codebook"] == {
        "topic": "team-a.codebook",
        "partitions": "4",
        "replicas": "3",
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": "5308416",
        "min.insync.replicas": "2",
    }
    assert list(rights) == [role.name for role in ROLES]
    assert rights["moderator"]["Read on group"] == "team-a.qualstream-moderator"
    assert rights["moderator"]["Write on topics"] == ["team-a.decisions", "team-a.dead-letters"]


def test_topics_finds_no_difference_where_the_roles_made_them(up):
    done = up("topics", "--check", "--json")
    assert (done.returncode, done.stdout) == (0, b"")


def test_tail_prints_messages_with_their_place_and_key(up):
    rows = lines(up("tail", "assignments", "--limit", "3"))
    assert len(rows) == 3
    assert all(row["key"] == row["value"]["segment_id"] for row in rows)
    assert all({"partition", "offset"} < set(row) for row in rows)


def test_a_dead_letter_is_listed_shown_whole_and_replayed_as_it_came(up):
    bad = b'{"text": "caf\xe9"}'
    publish(up.cluster, [Outgoing(FEEDBACK.name, b"some key", bad)])
    until(lambda: len(up.store.dead_letters()) == 1)
    (letter,) = lines(up("dead-letters", "list", "--json"))
    assert letter["reason"] == "not UTF-8: byte 13 is 0xe9"
    shown = json.loads(up("dead-letters", "show", letter["id"]).stdout)
    assert (shown["key"], shown["raw"], shown["topic"]) == ("some key", '{"text": "caf\\xe9"}', "feedback")
    assert up("dead-letters", "replay", letter["id"]).returncode == 0
    until(lambda: len(up.store.dead_letters()) == 2)  # it is as unreadable as before, and stands at a new offset
    assert messages(up.cluster, FEEDBACK.name).count(bad) == 2
    assert [str(kept.letter.id) for kept in up.store.dead_letters(replayed=True)] == [letter["id"]]


def test_a_second_stack_on_a_data_folder_is_refused_with_the_process_that_holds_it(up):
    assert_refused(up("up"), 2, "is in use by process", str(up.stack.process.pid), "QUALSTREAM_DATA_DIR")


# What goes wrong


def assert_refused(done: subprocess.CompletedProcess[bytes], status: int, *words: str) -> None:
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said
    assert done.stdout == b""
    assert done.returncode == status
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("args", "options", "status", "words"),
    [
        (("up",), {"profile": "tinny"}, 2, ("no profile 'tinny'", "did you mean 'tiny'")),
        (("topology", "--check", "nowhere.md"), {}, 1, ("nowhere.md",)),
        (("status",), {"qourum": "2"}, 2, ("QUALSTREAM_QOURUM", "nearest is QUALSTREAM_QUORUM")),
        (("up", "--role", "router"), {"kafka_url": "h:99999"}, 2, ("QUALSTREAM_KAFKA_URL", "host:port")),
        (("up", "--role", "router"), {}, 2, ("no broker", "qualstream up")),
        (("up", "--role", "coder"), {}, 2, ("no role 'coder'", "coders")),
        (("tail", "feedbak"), {}, 1, ("no topic 'feedbak'", "'feedback'")),
        (("up",), {"device": "cuda:99"}, 2, ("'cuda:99'", "QUALSTREAM_DEVICE")),
        (("demo",), {"device": "cuda:99"}, 2, ("'cuda:99'", "QUALSTREAM_DEVICE")),
    ],
)
def test_what_cannot_be_is_one_line_and_a_status(tmp_path, args, options, status, words):
    assert_refused(qualstream(tmp_path / "data", *args, **options), status, *words)


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert_refused(
        qualstream(file / "below", "up"), 2, "QUALSTREAM_DATA_DIR", str(file), "set QUALSTREAM_DATA_DIR to another"
    )


def test_a_port_in_use_is_refused_and_leaves_nothing_running(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_refused(qualstream(tmp_path / "data", "up", "--port", port), 2, f"port {port} is in use", "--port")


def test_a_page_whose_port_is_taken_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = qualstream(tmp_path / "data", "up", web_port=port)
    assert_refused(refused, 2, f"port {port} is in use", "QUALSTREAM_WEB_PORT")
    assert not (tmp_path / "data" / "broker.json").exists()


def test_a_file_is_not_coded_on_a_device_that_is_not_there(tmp_path):
    done = qualstream(tmp_path / "data", "code", "-", stdin=b'{"text": "login is slow"}\n' * 40, device="cuda:99")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().count("the device 'cuda:99' is asked for") == 1


def test_a_role_ends_at_once_where_its_device_is_not_there(up):
    done = qualstream(up.folder, "up", "--role", "coders", device="cuda:99", **up.brokers.options)
    assert done.returncode == 2
    assert "the device 'cuda:99' is asked for" in done.stderr.decode().splitlines()[-1]


def test_a_csv_without_a_text_column_is_refused_with_its_line_and_columns(tmp_path):
    file = tmp_path / "stars.csv"
    file.write_text("stars,when\n1,monday\n")
    assert_refused(qualstream(tmp_path / "data", "code", str(file)), 1, "stars.csv, line 1", "'stars'", "--text-column")


def test_a_broker_that_is_away_is_said_and_not_a_traceback(tmp_path):
    done = qualstream(tmp_path / "data", "tail", "feedback", kafka_url="127.0.0.1:9")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr.decode()
    assert "the brokers at 127.0.0.1:9 do not answer" in done.stderr.decode().splitlines()[-1]


def test_the_demo_does_not_start_a_study_anew_that_holds_segments_of_your_own(tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("text\nmy own interview\n")
    assert qualstream(tmp_path / "data", "ingest", str(mine), "--study", "demo").returncode == 0
    assert_refused(
        qualstream(tmp_path / "data", "demo", "--study", "demo"), 2, "study 'demo' holds 1 segments", "--study"
    )
    again = json.loads(qualstream(tmp_path / "data", "ingest", str(mine), "--study", "demo", "--json").stdout)
    assert again == {"read": 1, "new": 0, "rejected": 0, "left_out": 0, "changed": 0, "masked": 0}
