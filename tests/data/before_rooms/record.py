"""Records a small data folder and a dump of its topics with the code of commit 4f82a7b, whose modules it imports.

    git worktree add /tmp/before 4f82a7b && cp tests/data/before_rooms/record.py /tmp/before/tests/
    cd /tmp/before && python -m tests.record OUT

A stack with fake members codes 90 segments, people code some of them, a classifier is taught, the codebook is edited,
an alert is seen to, and three messages are left in the outbox. Every later version has to read what is written here.
"""

import asyncio
import base64
import io
import json
import lzma
import random
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from argon2 import PasswordHasher
from infra.drifting.watching import Watch
from infra.export import export, export_labels
from infra.people.desk import Desk
from infra.people.nearby import read_codes
from infra.people.outbox import Outbox
from infra.readmodel.alerts import Mark, mark
from infra.readmodel.tables import alert_deliveries, assignments, recodings
from models.clock import SystemClock
from models.curation import Act, Curation, Notes
from models.deciding import Choice, decide, undo
from sqlalchemy import insert, select
from tests.unit.test_trainer import OTHER, WORDS, released

from infra.accounts.accounts import Accounts
from models.drift.settings import DriftSettings
from models.errors import InputError
from schemas import Annotation, CodeEvent, DriftAlert, ModelRelease, Segment, StudyRules
from schemas.ids import code_event_id, code_id, segment_id
from streams.cluster import read_topic
from streams.publish import Outgoing, outgoing
from streams.topology import FEEDBACK, RELEASES, TOPICS
from tests.integration.stack import STUDY, lag, messages, publish, running, until

ROLES = ("ingest", "coders", "moderator", "refiner", "router", "recorder", "trainer")
START = datetime(2026, 11, 1, tzinfo=UTC)
CODES = (*WORDS, "waiting", "colours")


def segments(count):
    """Segments whose code is known by one of their words, with that code."""
    for n in range(count):
        draw = random.Random(n)
        code = draw.choice(list(WORDS))
        yield (
            Segment(
                id=segment_id(STUDY, "shop", str(n)),
                study=STUDY,
                text=f"{WORDS[code]} {' '.join(draw.sample(OTHER, 2))}",
                source=("store.csv", "mail")[n % 2],
                timestamp=START + timedelta(hours=n),
                language="en",
                metadata={"stars": n % 5 + 1},
            ),
            code,
        )


def label(segment, code, by, minute, **values):
    return Annotation(
        segment_id=segment.id,
        study=STUDY,
        annotator=by,
        code_ids=[code_id(STUDY, code)],
        labels=[code],
        text=segment.text,
        decided_at=START + timedelta(days=10, minutes=minute),
        **values,
    )


def created(code):
    identity = code_id(STUDY, code)
    event = code_event_id(identity, "created", "lea")
    return CodeEvent(id=event, code_id=identity, study=STUDY, kind="created", label=code, author="lea", at=START)


def main(out):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        with running(folder, roles=ROLES) as (stack, store):
            dump = filled(stack, store)
        written(out, folder, store, dump)


def filled(stack, store):
    """Do all that is to be recorded; the topics at the end."""
    pairs, outbox = list(segments(90)), Outbox(store.database)
    rules = StudyRules(study=STUDY, mode="promise", wrong_share=0.25, audit_share=0.1, author="lea", at=START)
    publish(stack.cluster, [outgoing(record) for record in (rules, *map(created, CODES))])
    store.take_in(segment for segment, _ in pairs)
    wait(stack, lambda: store.open_segments(STUDY) == 0)
    labels = [label(segment, code, "ana", n) for n, (segment, code) in enumerate(pairs[:70])]
    labels += [label(segment, code, "ben", 100 + n, memo="I agree") for n, (segment, code) in enumerate(pairs[:6])]
    publish(stack.cluster, [*map(outgoing, labels), Outgoing(FEEDBACK.name, b"nobody", b"\x00 no record")])
    wait(stack, lambda: released(map(ModelRelease.from_bytes, messages(stack.cluster, RELEASES.name))))
    wait(stack, lambda: sum(1 for _ in store.dead_letters()) == 1)
    all_read(stack)
    people(store, outbox, [segment for segment, _ in pairs])
    edits(store, outbox)
    drift(store, outbox)
    delivered = outbox.waiting()[:-3]
    publish(stack.cluster, [waiting.message for waiting in delivered])
    outbox.sent(delivered)
    all_read(stack)
    return asyncio.run(dumped(stack.cluster))


def wait(stack, condition):
    until(condition, stack, seconds=600, every=0.5)


def all_read(stack):
    wait(stack, lambda: all(lag(stack.cluster, role) == 0 for role in ROLES if role != "ingest"))


def people(store, outbox, texts):
    """At the desk: codings, one taken back, an adjudication, a skipped segment, one on a screen; accounts."""
    clock = SystemClock()
    desk = Desk(store.database, clock)
    rules = StudyRules(study=STUDY, author="lea", at=START)
    for n in range(4):
        task = desk.claim(STUDY, "cat", rules)
        with store.database.reading() as connection:
            codes = read_codes(connection, STUDY)
        choice = Choice(cause=f"form-c{n}", labels=["price"], memo="from the desk", seconds=4.5)
        decided = decide(task, choice, codes, "cat", clock.now())
        outbox.keep(decided.records)
    outbox.keep([undo(decided.annotation, clock.now())])
    outbox.keep([label(texts[0], "price", "lea", 500, kind="adjudication", memo="settled")])
    desk.skip(STUDY, texts[80].id, "cat")
    desk.claim(STUDY, "dan", rules)
    accounts = Accounts(store.database, clock, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    account = accounts.create("lea")
    accounts.grant(account, STUDY, "lead")
    accounts.set_password(account, "a password of tests")
    accounts.keys.make_token(account, "a script")
    with suppress(InputError):
        accounts.sign_in("lea", "another password", "127.0.0.1")


def edits(store, outbox):
    """A definition, a theme, a new name, a merge, and a code that is retired and taken back."""

    def do(number, reason, edit):
        act = Act("lea", datetime.now(UTC), reason, f"form-{number}")
        events = edit(Curation(store.code_events(STUDY), STUDY, act))
        outbox.keep(events)
        return events[0]

    price, speed, waiting, colours = (code_id(STUDY, code) for code in ("price", "speed", "waiting", "colours"))
    do(1, "money", lambda c: c.define(price, Notes("What it costs.", "fees", "time", ("too dear",))))
    theme = do(2, "a theme", lambda c: c.create("money matters", "theme"))
    do(3, "under it", lambda c: c.move(price, theme.code_id))
    do(4, "a better name", lambda c: c.rename(speed, "slowness"))
    do(5, "the same", lambda c: c.merge([waiting], speed))
    retired = do(6, "not used", lambda c: c.retire(colours))
    do(7, "it is used", lambda c: c.undo(retired.id))


def drift(store, outbox):
    """The monitor's state, an alert with what was done about it, and a few segments coded again."""
    Watch(store.database, outbox, SystemClock(), DriftSettings()).look()
    now, found_at = datetime.now(UTC), START + timedelta(days=1)
    alert = DriftAlert(
        id=UUID(int=1),
        study=STUDY,
        kind="codes",
        cause="input",
        at=START,
        detected_at=found_at,
        p=0.01,
        effect=0.2,
        codes=["price"],
        says="price rose",
        changes={"price": (0.1, 0.3)},
        causes={"input": 1.0},
    )
    outbox.keep([alert])
    mark(store.database, STUDY, alert.id, Mark("acknowledged", "lea", now, None, "seen"))
    delivery = {"alert_id": alert.id, "hook": "webhook", "study": STUDY, "attempts": 1, "delivered_at": now}
    with store.database.writing() as connection:
        connection.execute(insert(alert_deliveries).values(delivery))
        coded = connection.execute(select(assignments.c.segment_id, assignments.c.label).limit(3)).all()
        common = {"replay": "tiny again", "study": STUDY, "profile": "tiny", "at": now}
        again = [common | {"segment_id": id_, "label": code, "proposed": code} for id_, code in coded]
        connection.execute(insert(recodings), again)


async def dumped(cluster):
    """Every message of every topic, key and value in base64."""
    rows = []
    for topic in TOPICS:
        async for _, _, key, value in read_topic(cluster, topic.name):
            rows.append({"topic": topic.name, "key": ascii_of(key), "value": ascii_of(value)})
    return rows


def ascii_of(raw):
    return None if raw is None else base64.b64encode(raw).decode("ascii")


def exported(store):
    """What ``qualstream export`` writes."""
    for name, write, more in (
        ("segments", export, {}),
        ("labels", export_labels, {}),
        ("history", export_labels, {"history": True}),
    ):
        out = io.BytesIO()
        write(store, STUDY, "jsonl", out, **more)
        yield name, out.getvalue()


def written(out, folder, store, dump):
    """Pack the folder, the topics and the exports."""
    out.mkdir(exist_ok=True)
    files = dict(exported(store)) | {"topics": "".join(json.dumps(row) + "\n" for row in dump).encode()}
    store.close()
    for name, raw in files.items():
        (out / f"{name}.jsonl.xz").write_bytes(lzma.compress(raw, preset=9))
    database = sqlite3.connect(folder / "qualstream.db")
    for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode=DELETE", "VACUUM"):
        database.execute(statement)
    database.close()
    with tarfile.open(out / "data.tar.xz", "w:xz", preset=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".log" and path.name != "broker.json":
                archive.add(path, path.relative_to(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
