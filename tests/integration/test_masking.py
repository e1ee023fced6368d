"""A file with personal data goes through a running stack: nothing behind the intake ever holds an original."""

import json
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from infra.files.export import segments_coded
from infra.masking.keys import MaskingKey, write_key
from infra.masking.originals import read_original
from infra.storage.tables import metadata
from schemas import Segment
from streams.topology import DEAD_LETTERS, DECISIONS, FEEDBACK, PROPOSALS
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, environment, messages, reach, running, until

ROWS = [
    {"id": "1", "text": "zoe@x.org hangs at the login, call 0170 1234567", "author": "Zoe Zebra"},
    {"id": "2", "text": "slow since 03.04.2026, order 302-4567890-1234567"},
    {"id": "3", "text": "the login again, says ZOE@x.org"},
]
HOLDING = (FEEDBACK, PROPOSALS, DECISIONS, DEAD_LETTERS)
"""Topics whose records may hold a segment's text."""
SECRETS = ("zoe@x.org", "ZOE@x.org", "0170 1234567", "Zoe Zebra")


def qualstream(folder: Path, *args: object, **options: str) -> str:
    command = [sys.executable, "-m", "infra.cli", *map(str, args)]
    done = subprocess.run(command, env=environment(folder, **options), capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode() + done.stdout.decode()


def test_what_is_ingested_masked_is_masked_on_every_topic_and_in_every_table_and_file(tmp_path, brokers: Brokers):
    file, key = tmp_path / "calls.jsonl", tmp_path / "masking.key"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    write_key(key)
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        options = {**reach(stack.cluster), "masking_key_file": str(key)}
        done = qualstream(tmp_path / "data", "ingest", file, "--study", STUDY, "--mask", "patterns", **options)
        assert "2 segments masked (2 mail, 1 name, 1 phone) (originals are kept encrypted)" in done
        until(lambda: store.counts(STUDY).taken_in == 3 and not store.open_segments(STUDY), stack)
        texts = {each.own_id: each for each in store.history(Segment, STUDY)}
        assert [texts[n].text for n in "123"] == [
            *("[mail 1] hangs at the login, call [phone 1]", ROWS[1]["text"], "the login again, says [mail 1]"),
        ]
        original = read_original(store.database, STUDY, texts["1"].id, MaskingKey.read(key))
        assert (original["text"], original["metadata"]["author"]) == (ROWS[0]["text"], "Zoe Zebra")
        spoken = b"".join(value for topic in HOLDING for value in messages(stack.cluster, topic.name))
        with store.database.reading() as connection:
            rows = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])
        out = repr(list(segments_coded(store, STUDY)))
    assert b"[mail 1]" in spoken
    assert "[mail 1]" in out
    assert [word for word in SECRETS if word.encode() in spoken or word in rows or word in out] == []
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert [path.name for path in files for word in SECRETS if word.encode() in path.read_bytes()] == []
