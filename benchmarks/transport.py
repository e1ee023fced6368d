"""Records a second through every stage, with stub models: `python -m benchmarks.transport [--broker kafka]`."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.pages.layout import Report, options, publish, verdict
from benchmarks.worker import BASELINE_TOPIC
from infra.factory.stores import build_store
from infra.local.processes import spawn
from infra.local.stack import LocalStack, role_environment
from infra.settings import load_settings
from infra.storage.store import Store
from infra.storage.tables import segments as segment_rows
from models.errors import QualstreamError
from schemas import Segment
from schemas.ids import segment_id
from streams.cluster import Cluster, consumer_group, group_lag
from streams.publish import KafkaPublisher, Outgoing
from streams.topics import create_topics
from streams.topology import FEEDBACK, Topic, role

STUBS = Path(__file__).parent / "stubs.toml"
STUDY = "transport"
STAGES = ("coders", "moderator", "refiner", "router", "recorder")
TARGET_PER_S, TARGET_TIMES = 5_000, 5
BROKERS = {
    "embedded": "The embedded one (Tansu, in memory)",
    "kafka": "Apache Kafka 4.4.0, one KRaft node (`make kafka`; 256 MB of heap, no replication),",
}
_SUBJECTS = ("payment screen", "login button", "voice message", "photo upload", "account page", "study timer")
_JUDGEMENTS = ("fast", "slow", "broken", "helpful", "confusing", "missing")
OPENINGS = tuple(f"The {subject} is {judgement}" for subject, judgement in product(_SUBJECTS, _JUDGEMENTS))
_REST = (
    " since the last update. I use it every day on the way to work and at home, and my friends say the same about "
    "theirs; please have a look at it soon, because I would rather not change to another one. Thank you."
)

HOW = """\
- **Records.** Segments of about 480 bytes of JSON, whose texts come down to 36 different labels. The members answer at
  once, the moderator is the consensus of their proposals over hashed words, the code index is Qdrant's engine in the
  process, the recorder writes to SQLite on disk (WAL, synchronous=FULL): the same stages, wiring and worker as in the
  demo, with `benchmarks/stubs.toml` as profile.
- **Broker.** {broker} over TCP on the same machine, four
  partitions a topic, acks=all. Everything on the topic `decisions` is in one partition: its key is the study.
- **A stage by itself.** Its topic was filled by the stage before. One worker process of the role drains it. The clock
  starts when the worker hands the first batch to the stage, and stops when the last record is acknowledged, which comes
  after the broker has confirmed everything that the record led to. Start-up (imports, connecting, joining the group)
  is not in it. The coders' and the moderator's batches are small because real models run in them; here all
  roles read {batch} records at once (QUALSTREAM_BATCH_SIZE).
- **Records a second** are the records that the stage reads and acknowledges. The router also reads what it writes
  itself, and the recorder reads nearly all topics, so that they read several records a segment; segments a second say
  how fast the reviews themselves go through.
- **All roles at once.** Ingest, the five stages and the broker as seven processes on this machine's cores, from the
  first segment's publication to the last segment's routed assignment in SQLite.
- **Plain Faust.** `async for value in stream: await (await topic.send(value=value))` with acks=all, on the same broker
  and topic: the next record is read when the delivery of the one before is confirmed, as Qualstream promises. The
  second line awaits only that the producer has taken each record: faster, but a crash loses what was acknowledged.
"""


def segments(count: int) -> Iterator[Segment]:
    """Reviews of about 480 bytes as JSON, the same in every run."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(count):
        yield Segment(
            id=segment_id(STUDY, "benchmark", str(n)),
            study=STUDY,
            text=OPENINGS[n % len(OPENINGS)] + _REST,
            source="benchmark",
            timestamp=start + timedelta(seconds=n),
            language="en",
            metadata={"rating": n % 5 + 1, "version": "1.2024.228", "row": n},
        )


@contextmanager
def stack(
    folder: Path, batch: int, brokers: Mapping[str, str], roles: tuple[str, ...] | None = None
) -> Iterator[tuple[LocalStack, Store]]:
    """All roles or the named ones, on the embedded broker or the given one, with a data folder of its own."""
    folder.mkdir(parents=True)
    settings = load_settings(data_dir=folder, profile=str(STUBS), study=STUDY, **brokers)
    store = build_store(settings)
    options = {"QUALSTREAM_BATCH_SIZE": str(batch)}
    local = LocalStack(settings, store, options=options, **({} if roles is None else {"roles": roles}))
    try:
        yield local, store
    finally:
        local.stop()
        store.close()


def fill(cluster: Cluster, count: int) -> float:
    """Publish the segments as ingest does; returns their mean size in bytes."""

    async def send() -> int:
        publisher, size = KafkaPublisher(cluster), 0
        await publisher.start()
        batch: list[Outgoing] = []
        for segment in segments(count):
            batch.append(Outgoing(FEEDBACK.name, str(segment.id).encode(), segment.to_bytes()))
            size += len(batch[-1].value)
            if len(batch) == 1_000:
                await publisher.send(batch)
                batch = []
        await publisher.send(batch)
        await publisher.stop()
        return size

    return asyncio.run(send()) / count


def waiting(cluster: Cluster, name: str) -> int:
    """Records that stand on a role's topics and that it has not read."""
    return sum(asyncio.run(group_lag(cluster, consumer_group(name), role(name).reads)).values())


def work(local: LocalStack, name: str, expected: int, batch: int) -> dict[str, Any]:
    """Run one worker process to the end of its topics; returns what it measured."""
    out, log = local.log_dir / f"{name}.json", local.log_dir / f"{name}.log"
    servers = local.cluster.servers
    environment = os.environ | {"QUALSTREAM_BATCH_SIZE": str(batch)} | role_environment(local.settings, servers)
    started = time.monotonic()
    with log.open("ab") as file:
        process = spawn([sys.executable, "-m", "benchmarks.worker", name, str(expected), str(out)], file, environment)
    if process.wait() or not out.exists():
        raise QualstreamError(f"{name} did not come to its end: {log.read_text(encoding='utf-8')[-2000:]}")
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {**found, "per_s": found["messages"] / found["seconds"], "process_s": time.monotonic() - started}


def measure_stages(
    folder: Path, count: int, baseline: int, batch: int, brokers: Mapping[str, str]
) -> tuple[dict[str, Any], float]:
    """Each stage by itself, and plain Faust, on one broker."""
    found: dict[str, Any] = {}
    with stack(folder, batch, brokers, roles=()) as (local, _):
        local.start()
        asyncio.run(create_topics(local.cluster, [Topic(BASELINE_TOPIC, Segment, "none", "delete")]))
        size = fill(local.cluster, count)
        for name in ("plain", "plain-unconfirmed"):
            found[name] = work(local, name, min(baseline, count), batch)
            say(name, found[name])
        for name in STAGES:
            expected = waiting(local.cluster, name) * (2 if name == "router" else 1)  # it reads its own, too
            found[name] = work(local, name, expected, batch)
            found[name]["segments_per_s"] = count / found[name]["seconds"]
            say(name, found[name])
    return found, size


def measure_all(folder: Path, count: int, batch: int, brokers: Mapping[str, str]) -> dict[str, Any]:
    """All roles at once, from publication to the read model."""
    with stack(folder, batch, brokers) as (local, store):
        store.take_in(segments(count))
        local.start()
        last, seen_at = 0, time.monotonic()
        while (routed := store.counts(STUDY).routed) < count:
            local.check()
            if routed > last:
                last, seen_at = routed, time.monotonic()
            if time.monotonic() - seen_at > 120:
                raise QualstreamError(f"only {routed} of {count} segments came through; see {local.log_dir}")
            time.sleep(0.2)
        ended = datetime.now(UTC)
        counts = store.counts(STUDY)
        began = _first_published(store)
    seconds = (ended - began).total_seconds()
    return {"segments": count, "seconds": seconds, "segments_per_s": count / seconds, "codes": counts.codes}


def _first_published(store: Store) -> datetime:
    with store._database.reading() as connection:
        found: datetime = connection.execute(select(func.min(segment_rows.c.published_at))).scalar_one()
    return found


def say(name: str, found: dict[str, Any]) -> None:
    cpu_us = found["cpu_s"] / found["messages"] * 1e6
    rate = f"{found['per_s']:,.0f} a second, {cpu_us:.0f} us of CPU each"
    print(f"{name}: {found['messages']} records in {found['seconds']:.1f} s, {rate}", flush=True)


def as_report(
    found: dict[str, Any], together: dict[str, Any] | None, size: float, count: int, batch: int, broker: str
) -> Report:
    """Put the figures into a table and beside their targets."""
    plain = found["plain"]["per_s"]
    rows = []
    for name, title in [(s, s) for s in STAGES] + [("plain", "plain Faust"), ("plain-unconfirmed", "plain, no wait")]:
        one = found[name]
        rows.append(
            [
                title,
                f"{one['messages']:,}",
                f"{one['seconds']:.1f}",
                f"{one['per_s']:,.0f}",
                f"{one['per_s'] / plain:.1f}",
                f"{one['cpu_s'] / one['messages'] * 1e6:,.0f}",
                f"{one['segments_per_s']:,.0f}" if "segments_per_s" in one else "-",
                f"{one['peak_mib']:,}",
            ]
        )
    if together:
        rate = f"{together['segments_per_s']:,.0f}"
        rows.append(["all roles at once", f"{count:,}", f"{together['seconds']:.1f}", "-", "-", "-", rate, "-"])
    slowest = min(STAGES, key=lambda name: found[name]["per_s"])
    rate = found[slowest]["per_s"]
    verdicts = [
        verdict(f"slowest stage, {slowest}: {rate:,.0f} records a second", rate, TARGET_PER_S),
        verdict(f"slowest stage over plain Faust: {rate / plain:.1f} times", rate / plain, TARGET_TIMES),
    ]
    header = ["stage", "records", "seconds", "records/s", "x plain", "CPU us/record", "segments/s", "peak MiB"]
    figures = {
        "segments": count,
        "bytes_each": round(size),
        "batch": batch,
        "slowest": slowest,
        "slowest_per_s": round(rate),
        "times_plain": round(rate / plain, 2),
        "stages": {name: {k: round(v, 3) for k, v in one.items()} for name, one in found.items()},
        "all_roles": together and {k: round(v, 3) for k, v in together.items()},
    }
    how = HOW.format(batch=batch, broker=BROKERS[broker])
    name, on = ("transport", "") if broker == "embedded" else (f"transport-{broker}", " of Apache Kafka")
    command = "benchmarks.transport" + (f" --broker {broker}" if on else "")
    return Report(name, f"Transport: records through every stage{on}", how, header, rows, verdicts, figures, command)


@contextmanager
def brokers_of(kind: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """The settings for a kind of broker, which runs until the block ends; the embedded one comes with the stack."""
    if kind == "embedded":
        yield {}
        return
    from tests.brokers.kafka import running_kafka

    with running_kafka(folder) as kafka:
        yield kafka.options()


def main() -> None:
    parser = options("Records a second through every stage, with stub models.")
    parser.add_argument("--broker", choices=list(BROKERS), default="embedded")
    parser.add_argument("--segments", type=int, default=50_000)
    parser.add_argument("--baseline", type=int, default=3_000, help="records through plain Faust, which is slow")
    parser.add_argument("--batch", type=int, default=256, help="records that a role reads at once")
    parser.add_argument("--no-together", action="store_true", help="leave out the run of all roles at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qualstream-bench-") as folder:
        root = Path(folder)
        with brokers_of(given.broker, root / "kafka") as brokers:
            found, size = measure_stages(root / "stages", given.segments, given.baseline, given.batch, brokers)
            apart = {**brokers, "kafka_prefix": "all."} if brokers else {}
            together = None if given.no_together else measure_all(root / "all", given.segments, given.batch, apart)
    publish(as_report(found, together, size, given.segments, given.batch, given.broker), write=given.write)


if __name__ == "__main__":
    main()
