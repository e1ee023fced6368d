"""What random faults lose: `python -m benchmarks.faults [--seeds 50] [--kafka-seeds 10] [--first 0] [--kept FILE]`.

Each seed starts the whole system anew, strikes at it in an order of its own, and counts what `qualstream check` counts.
A run that was broken off goes on with what was kept of it, also of other commits, which the page names; a seed that
found a fault at another commit is run again.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import ROOT, Report, commit, options, publish
from infra.experiments.run_file import append_run, read_runs
from infra.telemetry.invariant_check import Findings
from tests.brokers.drill import Drill, flowing
from tests.brokers.kafka import VERSION, running_kafka
from tests.brokers.nemesis import FAULTS, SESSION_S, own_clock, small_disk

STRIKES = 6

HOW = """\
- **System.** Ingest, coders, moderator, refiner, router and recorder as processes of their own with fake members,
  SQLite, a disk of their own, a clock of their own (libfaketime), started again by the product's supervisor; the
  embedded broker, or three nodes of Apache Kafka {kafka} with replication 3. 25 segments a second come in all the time.
- **A seed** draws {strikes} strikes one after the other, and after each waits until segments are coded again. Killed is
  SIGKILL; paused and stalled is SIGSTOP, a broker in turns of half a second; a session is {session:g} s. The embedded
  broker's topics are in memory and go with it. The clock jumps a day back and forth at most, on Apache Kafka half an
  hour ahead: it takes no record from more than an hour ahead, so that the work waits until the clock is right. A locked
  database is one that another connection holds for itself.
- **Counted** at the end, when nothing is open any more, in the read model and on the topics: what was taken in is coded
  or set aside, one decision a segment, every code in the codebook, whoever was routed to people was asked for, nothing
  is written twice in other bytes. A seed that does not come to its end within five minutes counts as stuck.
- **Broken** counts the seeds that lost or doubled something among those in which this strike fell; up to what share of
  seeds that may be, with 95% certainty, where none was broken (the rule of three), stands beside.
"""
EMBEDDED, KAFKA = "embedded broker", "three Kafka nodes"


@dataclass
class Seed:
    """What happened under one seed."""

    number: int
    broker: str
    commit: str
    strikes: list[list[str]] = field(default_factory=list)
    """Name and what was drawn, in order."""
    fault: str = ""
    """What did not hold; empty where all did."""
    seconds: float = 0.0
    taken_in: int = 0
    coded: int = 0
    set_aside: int = 0
    repeated: int = 0
    """Messages that were written again in the same bytes."""

    def count(self, findings: Findings) -> None:
        """Take over what a check found."""
        tally, broken = findings.tally, [f"{len(one.ids)} {one.what}" for one in findings.faults]
        self.taken_in, self.coded, self.set_aside = tally.taken_in, tally.coded, tally.set_aside
        self.repeated = sum(findings.repeated.values())
        if tally.taken_in != tally.coded + tally.set_aside:
            broken.append(f"{tally.taken_in} taken in, {tally.coded} coded, {tally.set_aside} set aside")
        self.fault = "; ".join([*broken, *filter(None, [findings.unread])])


def run(number: int, broker: str, folder: Path) -> Seed:
    """Strike at a fresh system as a seed says, and count."""
    draw, seed, began = random.Random(f"{broker} {number}"), Seed(number, broker, commit()), time.monotonic()
    with _system(broker, folder) as drilled:
        try:
            drilled.flow()
            for fault in draw.choices(FAULTS, [each.often for each in FAULTS], k=STRIKES):
                seed.strikes.append([fault.name, ""])
                seed.strikes[-1][1] = fault.strike(drilled, draw)
            seed.count(drilled.finish())
        except AssertionError as error:
            seed.fault = f"stuck: {error}"
    seed.seconds = time.monotonic() - began
    return seed


@contextmanager
def _system(broker: str, folder: Path) -> Iterator[Drill]:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk"))
        kafka = stack.enter_context(running_kafka(folder / "kafka", nodes=3)) if broker == KAFKA else None
        yield stack.enter_context(flowing(disk / "data", kafka, options=own_clock(folder)))


def as_report(seeds: list[Seed]) -> Report:
    """What was struck and what did not hold, summed up over the seeds."""
    broken = [seed for seed in seeds if seed.fault]
    names = ("taken_in", "coded", "set_aside", "repeated")
    totals = {name: sum(getattr(seed, name) for seed in seeds) for name in names}
    on = Counter(seed.broker for seed in seeds)
    at = Counter(seed.commit for seed in seeds)
    verdicts = [
        f"{', '.join(f'{count} seeds on {broker}' for broker, count in on.items())}, "
        f"{sum(len(seed.strikes) for seed in seeds)} strikes: {len(broken)} seeds with a fault",
        f"{totals['taken_in']:,} taken in = {totals['coded']:,} coded + {totals['set_aside']:,} set aside; "
        f"written again in the same bytes: {totals['repeated']:,} messages",
        f"run at {', '.join(f'commit {name} ({count} seeds)' for name, count in at.items())}",
        *(f"{seed.broker}, seed {seed.number}: {seed.fault}; after {_struck(seed)}" for seed in broken),
    ]
    figures: dict[str, Any] = {**totals, "seeds": [asdict(seed) for seed in seeds]}
    how = HOW.format(strikes=STRIKES, session=SESSION_S, kafka=VERSION)
    header = ["what happens", "what is promised, beside nothing being lost", "strikes", "seeds", "broken"]
    rows = [_row(fault.name, fault.promise, seeds) for fault in FAULTS]
    return Report("faults", "Random faults: what is lost", how, header, rows, verdicts, figures, words=True)


def _row(name: str, promise: str, seeds: list[Seed]) -> list[str]:
    """One fault's line."""
    struck = [seed for seed in seeds if any(strike == name for strike, _ in seed.strikes)]
    times = sum(strike == name for seed in struck for strike, _ in seed.strikes)
    broken = sum(bool(seed.fault) for seed in struck)
    bound = f" (at most {min(1.0, 3 / len(struck)):.0%})" if struck and not broken else ""
    return [name, promise, str(times), str(len(struck)), f"{broken}{bound}"]


def _struck(seed: Seed) -> str:
    return ", ".join(f"{name} ({drawn})" for name, drawn in seed.strikes)


def main() -> None:
    parser = options("What random faults lose.")
    parser.add_argument("--seeds", type=int, default=50, help="how many on the embedded broker")
    parser.add_argument("--kafka-seeds", type=int, default=10, help="how many on three Kafka nodes")
    parser.add_argument("--first", type=int, default=0, help="the first seed of each")
    parser.add_argument("--kept", type=Path, default=ROOT / "build" / "faults.jsonl", help="what earlier runs found")
    given = parser.parse_args()
    known = {(seed.broker, seed.number): seed for seed in read_runs(given.kept, _still_counts)}
    asked_for = [(EMBEDDED, given.first + n) for n in range(given.seeds)]
    asked_for += [(KAFKA, given.first + n) for n in range(given.kafka_seeds)]
    for broker, number in asked_for:
        if (broker, number) not in known:
            with tempfile.TemporaryDirectory(prefix="qualstream-faults-") as folder:
                seed = known[broker, number] = run(number, broker, Path(folder))
            append_run(given.kept, asdict(seed))
        seed = known[broker, number]
        print(f"{broker}, seed {number}, {seed.seconds:.0f} s: {seed.fault or 'nothing lost'}", flush=True)
    publish(as_report([known[one] for one in asked_for]), write=given.write)


def _still_counts(values: dict[str, Any]) -> Seed:
    """A seed that was run before; raises ``ValueError`` where it found a fault at another commit."""
    seed = Seed(**values)
    if seed.fault and seed.commit != commit():
        raise ValueError("to be run again")
    return seed


if __name__ == "__main__":
    main()
