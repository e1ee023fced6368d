"""Seconds from a person's decision to those that use it: `python -m benchmarks.label_latency [--write]`."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import Report, options, publish
from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from models.errors import QualstreamError
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    Decision,
    Proposal,
    Record,
    Segment,
    StudyRules,
)
from schemas.ids import code_event_id, code_id, segment_id, uniform
from streams.cluster import Cluster, read_batches
from streams.publish import KafkaPublisher, Outgoing
from streams.topology import ASSIGNMENTS, DECISIONS, REQUESTS

STUBS = Path(__file__).parent / "stubs.toml"
STUDY = "latency"
NAMES = ("slow login", "login slow")  # the same words: whatever the code is called now, the same proposal finds it
TARGET_S = 1.0
PATIENCE_S = 60.0
PROBE_S = 0.02
MOST = 25  # from 31 labels on the promise may be kept, and nobody is told how many more are needed

HOW = """\
- **A decision.** `Outbox.keep` with an annotation and the renaming of its code, as the page does: one transaction in
  SQLite on disk, then the running outbox delivers both to their topics. The clock starts before `keep` is called.
- **Those that use it.** A refiner and a router, each a process of its own with its own batches, on the embedded broker
  (Tansu, in memory) over TCP on the same machine. Nothing in them is changed for the measurement: a probe, a
  decision of the moderator, goes to the refiner every {probe_ms:.0f} ms, and another consumer reads what comes out.
- **Refiner.** Until the first assignment with the new name has arrived at that consumer.
- **Router.** Until the first request has arrived that says that one label less is lacking for the promise. That label
  came in an annotation, was weighed, and a request passed the refiner and the router with their waits: more than
  only hearing it.
- {repeats} decisions one after the other, each after the one before was used by both; {warm} before them are left out.
  The rules that want a promise are heard first: with them a router loads scikit-learn, some seconds once.
"""


class Seen:
    """When something was first read from the topics that come out."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.news = asyncio.Condition()

    async def follow(self, cluster: Cluster, topic: str, tell: Callable[[bytes], str | None]) -> None:
        """Read a topic until cancelled and keep what ``tell`` makes of each message."""
        async for batch in read_batches(cluster, topic, follow=True):
            now = time.monotonic()
            async with self.news:
                for message in batch:
                    what = tell(message.value)
                    if what is not None:
                        self.at.setdefault(what, now)
                self.news.notify_all()

    async def first(self, what: str) -> float:
        """When it was first seen; waits for it."""
        async with self.news, asyncio.timeout(PATIENCE_S):
            await self.news.wait_for(lambda: what in self.at)
        return self.at[what]


def assigned(value: bytes) -> str | None:
    """The name that the refiner used."""
    found = Assignment.from_bytes(value)
    return found.label if found.route is None else None


def asked(value: bytes) -> str | None:
    """What the router found to be lacking."""
    return AnnotationRequest.from_bytes(value).why or None


def probe(number: int) -> Outgoing:
    """A decision of the moderator about a segment of its own."""
    segment = Segment(id=segment_id(STUDY, "probe", str(number)), study=STUDY, text="login is slow", source="probe")
    said = Proposal(member="a", model="stub", label=NAMES[0], latency_s=0)
    decision = Decision(
        segment=segment,
        proposals=[said],
        label=NAMES[0],
        verdict="consensus",
        why="probe",
        agreement=0.5,
        moderator="consensus",
    )
    return Outgoing(DECISIONS.name, STUDY.encode(), decision.to_bytes())


async def probing(publisher: KafkaPublisher) -> None:
    """Send probes until cancelled."""
    for number in count():
        await publisher.send([probe(number)])
        await asyncio.sleep(PROBE_S)


def decided(number: int) -> list[Record]:
    """A label that is drawn by chance and belongs to the promise, and the renaming of the code that it is about."""
    drawn_ones = (segment_id(STUDY, "label", f"{number} {n}") for n in count())
    code, now = code_id(STUDY, NAMES[0]), datetime.now(UTC)
    name = NAMES[(number + 1) % 2]
    return [
        Annotation(
            segment_id=next(one for one in drawn_ones if uniform(one, "half") < 1 / 2),
            study=STUDY,
            annotator="ana",
            code_ids=[code],
            labels=[name],
            accepted=True,
            sample=True,
            signals={"agreement": 0.5},
            decided_at=now,
        ),
        CodeEvent(
            id=code_event_id(code, "renamed", f"{number}"),
            code_id=code,
            study=STUDY,
            kind="renamed",
            label=name,
            author="ana",
            at=now,
        ),
    ]


async def measure(cluster: Cluster, outbox: Outbox, repeats: int, warm: int) -> list[tuple[float, float]]:
    """Seconds to refiner and router, a row a decision."""
    publisher, seen = KafkaPublisher(cluster), Seen()
    await publisher.start()
    outbox.keep([StudyRules(study=STUDY, mode="promise", author="lea", at=datetime.now(UTC))])
    background = [
        asyncio.create_task(outbox.deliver(publisher.send)),
        asyncio.create_task(probing(publisher)),
        asyncio.create_task(seen.follow(cluster, ASSIGNMENTS.name, assigned)),
        asyncio.create_task(seen.follow(cluster, REQUESTS.name, asked)),
    ]
    rows = []
    try:
        await seen.first(lacking(0))
        for number in range(repeats + warm):
            name = NAMES[(number + 1) % 2]
            seen.at.pop(name, None)
            began = time.monotonic()
            await asyncio.to_thread(outbox.keep, decided(number))
            refined, routed = await asyncio.gather(seen.first(name), seen.first(lacking(number + 1)))
            rows.append((refined - began, routed - began))
            print(f"decision {number}: refiner {rows[-1][0]:.2f} s, router {rows[-1][1]:.2f} s", flush=True)
    except TimeoutError:
        raise QualstreamError(f"decision {len(rows)} was not used within {PATIENCE_S:.0f} s") from None
    finally:
        for task in background:
            task.cancel()
        for task in background:
            with suppress(asyncio.CancelledError):
                await task
        await publisher.stop()
    return rows[warm:]


def lacking(labels: int) -> str:
    """What the router says after so many labels that all are right and all belong to the promise."""
    return f"the promise needs about {2 * (29 - labels)} more labels"


def run(folder: Path, repeats: int, warm: int) -> list[tuple[float, float]]:
    """Measure on a stack of its own: broker, refiner and router."""
    settings = load_settings(data_dir=folder, profile=str(STUBS), study=STUDY)
    store = build_store(settings)
    local = LocalStack(settings, store, roles=("refiner", "router"))
    try:
        local.start()
        return asyncio.run(measure(local.cluster, Outbox(store.database), repeats, warm))
    finally:
        local.stop()
        store.close()


def as_report(rows: list[tuple[float, float]], warm: int) -> Report:
    """Put the figures into a table and beside the target."""
    table, verdicts, figures = [], [], dict[str, Any]()
    for name, found in zip(("refiner", "router"), zip(*rows, strict=True), strict=True):
        middle, worst = statistics.median(found), max(found)
        table.append([name, f"{min(found):.2f}", f"{middle:.2f}", f"{worst:.2f}"])
        met = "met" if worst < TARGET_S else "MISSED"
        verdicts.append(f"{name}: at most {worst:.2f} s from the decision; target under {TARGET_S:g} s: {met}")
        figures[name] = {"median_s": round(middle, 3), "worst_s": round(worst, 3)}
    how = HOW.format(probe_ms=PROBE_S * 1000, repeats=len(rows), warm=warm)
    header = ["used by", "least s", "median s", "most s"]
    figures |= {"decisions": len(rows), "target_s": TARGET_S}
    return Report("label-latency", "From a person's decision to its use", how, header, table, verdicts, figures)


def main() -> None:
    parser = options("Seconds from a person's decision to the refiner and the router that use it.")
    parser.add_argument(
        "--repeats", type=int, default=20, help=f"decisions that are measured; with --warm, {MOST} at most"
    )
    parser.add_argument("--warm", type=int, default=3, help="decisions before them")
    given = parser.parse_args()
    if not 1 <= given.repeats <= MOST - given.warm:
        parser.error(f"--repeats is {given.repeats}; 1 to {MOST - given.warm} are possible")
    with tempfile.TemporaryDirectory(prefix="qualstream-latency-") as folder:
        rows = run(Path(folder), given.repeats, given.warm)
    publish(as_report(rows, given.warm), write=given.write)


if __name__ == "__main__":
    main()
