"""A data folder and topics that were written before the modules got their rooms are read as they were."""

import base64
import json
import lzma
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.factory.stores import build_code_index
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from infra.storage.store import Store, open_store
from infra.training.classifier_factory import sentence_classifier_factory
from infra.training.loader import ClassifierLoader
from models.fakes import HashEmbedder
from models.refinement.reindexing import reconcile
from schemas import CodeEvent, ModelRelease, Record
from streams.publish import outgoing
from streams.topology import TOPICS
from tests.integration.stack import STUDY, environment

RECORDED = Path(__file__).parents[1] / "data" / "before_rooms"
GARBLED = b"\x00 no record"
WRITTEN_BESIDE_ROLES = ("codebook", "annotation.requests", "annotation.labels", "studies", "model.releases")
READ_MODEL = ("feedback", "decisions", "assignments", "codebook", "annotation.requests", "annotation.labels")


def recorded(name: str) -> list[dict[str, Any]]:
    raw = lzma.decompress((RECORDED / f"{name}.jsonl.xz").read_bytes())
    return [json.loads(line) for line in raw.splitlines()]


def dumped() -> Iterator[tuple[str, bytes, bytes]]:
    """Every message but the one that is no record: topic, key and value."""
    for row in recorded("topics"):
        value = base64.b64decode(row["value"])
        if value != GARBLED:
            yield row["topic"], base64.b64decode(row["key"]), value


KINDS = {topic.name: topic.record for topic in TOPICS}


def parsed(*topics: str) -> list[Record]:
    return [KINDS[topic].from_bytes(value) for topic, _, value in dumped() if topic in topics]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder as it was left."""
    place = tmp_path_factory.mktemp("earlier")
    with tarfile.open(RECORDED / "data.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{folder / 'qualstream.db'}")
    yield opened
    opened.close()


def qualstream(folder: Path, *args: str) -> str:
    command = [sys.executable, "-m", "infra.cli", *args]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def holds(after: object, before: object) -> bool:
    """Whether everything is there that was; fields may have been added at any depth."""
    if isinstance(before, dict):
        return isinstance(after, dict) and all(
            name in after and holds(after[name], each) for name, each in before.items()
        )
    return after == before


def test_every_message_is_read_and_written_back_with_every_field():
    topics = Counter[str]()
    for topic, _, value in dumped():
        assert holds(json.loads(KINDS[topic].from_bytes(value).to_bytes()), json.loads(value))
        topics[topic] += 1
    assert topics == {"feedback": 90, "proposals": 90, "decisions": 90, "assignments": 180, "codebook": 45} | {
        "annotation.requests": 90, "annotation.labels": 82, "studies": 1, "model.releases": 1, "dead-letters": 1
    }  # fmt: skip


def test_what_people_and_programs_write_goes_to_its_topic_under_the_key_it_had():
    keys = {(topic, key) for topic, key, _ in dumped() if topic in WRITTEN_BESIDE_ROLES}
    assert {message[:2] for message in map(outgoing, parsed(*WRITTEN_BESIDE_ROLES))} == keys


@pytest.mark.parametrize(
    ("name", "options"),
    [("segments", ("--full",)), ("labels", ("--labels",)), ("history", ("--labels", "--history"))],
)
def test_the_folder_is_exported_as_it_was(folder, name, options):
    rows = [json.loads(row) for row in qualstream(folder, "export", "--format", "jsonl", *options).splitlines()]
    assert len(rows) == len(recorded(name))
    for row, before in zip(rows, recorded(name), strict=True):
        assert without_theme(before).items() <= row.items()


def without_theme(row):
    """An exported row but for its theme: that was the system's code's, and is the final code's by now."""
    return {name: value for name, value in row.items() if name != "theme"}


def test_topics_alone_make_the_same_read_model(tmp_path):
    fresh = open_store(f"sqlite:///{tmp_path / 'qualstream.db'}")
    fresh.record(parsed(*READ_MODEL))
    fresh.close()
    exported = qualstream(tmp_path, "export", "--format", "jsonl", "--full").splitlines()
    rows = {row["id"]: row for row in map(json.loads, exported)}
    assert rows.keys() == {before["id"] for before in recorded("segments")}
    for before in recorded("segments"):
        assert without_theme(before).items() <= rows[before["id"]].items()


def test_what_waited_in_the_outbox_is_still_to_be_sent(store):
    messages = [waiting.message for waiting in Outbox(store.database).waiting()]
    assert [message.topic for message in messages] == ["codebook", "codebook", "drift.alerts"]
    for message in messages:
        again = outgoing(KINDS[message.topic].from_bytes(message.value))
        assert again[:2] == message[:2]
        assert json.loads(message.value).items() <= json.loads(again.value).items()  # a later version may add fields


def test_the_released_classifier_opens_and_classifies(folder, store):
    factory = sentence_classifier_factory(HashEmbedder(), "fake", "cpu")
    (release,) = store.history(ModelRelease)
    (classified,) = ClassifierLoader(folder, factory)(release).classify(["cost cheap word1 word2"])
    assert (classified.model, classified.guesses[0].label) == (release.version, "price")


def test_the_code_index_on_disk_finds_its_codes(folder, store):
    settings, embedder = load_settings(data_dir=folder), HashEmbedder()
    index = build_code_index(settings, embedder)
    reconcile(index, embedder, store.history(CodeEvent))  # as the refiner does when it starts
    (nearest,) = index.nearest(STUDY, embedder.embed(["price"])[0], 1)
    known = index.origins(STUDY).keys()
    index.close()
    labels = {event.code_id: event.label for event in store.history(CodeEvent) if event.kind == "created"}
    assert labels[nearest.code_id] == "price"
    assert {"ads", "price", "speed"} <= {labels[code] for code in known}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("status",), ["recorder", "90"]),
        (("learn", "releases"), ["serves", "20261129T203848Z-a543754a"]),
        (("learn", "status"), ["54"]),
        (("drift", "report"), []),
        (("dead-letters", "list"), ["feedback"]),
        (("account", "list"), ["lea"]),
    ],
)
def test_commands_work_on_the_folder(folder, command, words):
    printed = qualstream(folder, *command)
    assert printed.strip()
    assert [word for word in words if word not in printed] == []
