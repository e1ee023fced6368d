"""What random faults lose: `python -m benchmarks.faults [--seeds 50] [--first 0] [--kept FILE]`.

Each seed starts the whole system anew on the embedded broker, strikes at it in an order of its own, and counts what
`qualstream check` counts. A seed that found a fault is run again with `--first SEED --seeds 1`; a run that was broken
off goes on with what was kept of it.
"""

import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import ROOT, Report, circumstances, options, publish
from infra.experiments.run_file import append_run, read_runs
from infra.local.stack import CODING
from infra.telemetry.invariant_check import Findings
from streams.publish import Outgoing
from streams.topology import ASSIGNMENTS, CODEBOOK, DECISIONS, FEEDBACK, PROPOSALS
from tests.brokers.drill import Drill, embedded_drill
from tests.integration.stack import publish as publish_messages
from tests.integration.stack import segments

STRIKES = 6
SESSION_S = 6.0
_POISON = (b"\xff" * 100, b"{}", b'{"id": 7}', b"[" * 10_000, b"", b'{"schema_version": 99}')

HOW = """\
- **System.** Ingest, coders, moderator, refiner, router and recorder as processes of their own with fake members, the
  embedded broker, SQLite, started again by the product's supervisor. 25 segments a second come in all the time.
- **A seed** draws {strikes} strikes one after the other, and after each waits until segments are coded again: a role
  killed (SIGKILL), two at once, a role paused (SIGSTOP) for up to twice its session of {session:g} s, the broker killed
  (its topics are in memory and go with it), the whole stack stopped and started, messages on any topic that nobody can
  read, segments published a second time.
- **Counted** at the end, when nothing is open any more, in the read model and on the topics: what was taken in is coded
  or set aside, one decision a segment, every code in the codebook, whoever was routed to people was asked for, nothing
  is written twice in other bytes. A seed that does not come to its end within five minutes counts as stuck.
"""


def _kill(drilled: Drill, draw: random.Random) -> str:
    role = draw.choice(CODING)
    drilled.kill_role(role)
    return f"{role} killed"


def _kill_two(drilled: Drill, draw: random.Random) -> str:
    roles = draw.sample(CODING, 2)
    for pid in [drilled.pid(role) for role in roles]:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    drilled.flow()
    return f"{roles[0]} and {roles[1]} killed"


def _pause(drilled: Drill, draw: random.Random) -> str:
    role, seconds = draw.choice(CODING), draw.uniform(0.5, 2 * SESSION_S)
    drilled.pause_role(role, seconds)
    return f"{role} paused {seconds:.1f} s"


def _kill_broker(drilled: Drill, draw: random.Random) -> str:
    drilled.calm(draw.uniform(0.0, 2.0))
    os.kill(drilled.stack.pids()["broker"], signal.SIGKILL)
    drilled.flow()
    return "broker killed"


def _restart_all(drilled: Drill, draw: random.Random) -> str:
    drilled.stack.stop(grace_s=draw.choice([0.0, 10.0]))
    drilled.stack.start()
    drilled.flow()
    return "all stopped and started"


def _poison(drilled: Drill, draw: random.Random) -> str:
    where = draw.choice([FEEDBACK, PROPOSALS, DECISIONS, ASSIGNMENTS, CODEBOOK]).name
    messages = [Outgoing(where, b"k", draw.choice(_POISON)) for _ in range(draw.randint(1, 20))]
    publish_messages(drilled.stack.cluster, messages)
    drilled.flow()
    return f"{len(messages)} unreadable on {where}"


def _publish_again(drilled: Drill, draw: random.Random) -> str:
    again = draw.sample(segments(drilled.store.counts().published), 20)
    publish_messages(
        drilled.stack.cluster, [Outgoing(FEEDBACK.name, str(one.id).encode(), one.to_bytes()) for one in again]
    )
    drilled.flow()
    return "20 segments published again"


NEMESIS: tuple[tuple[Callable[[Drill, random.Random], str], int], ...] = (
    (_kill, 4),
    (_kill_two, 2),
    (_pause, 4),
    (_kill_broker, 2),
    (_restart_all, 1),
    (_poison, 2),
    (_publish_again, 2),
)
"""What may happen, and how often beside the others."""


@dataclass
class Seed:
    """What happened under one seed."""

    number: int
    strikes: list[str] = field(default_factory=list)
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


def run(number: int, folder: Path) -> Seed:
    """Strike at a fresh system as a seed says, and count."""
    draw, seed, began = random.Random(number), Seed(number), time.monotonic()
    with embedded_drill(folder) as drilled:
        try:
            drilled.flow()
            for strike in draw.choices([each for each, _ in NEMESIS], [often for _, often in NEMESIS], k=STRIKES):
                seed.strikes.append(strike(drilled, draw))
            seed.count(drilled.finish())
        except AssertionError as error:
            seed.fault = f"stuck: {error}"
    seed.seconds = time.monotonic() - began
    return seed


def as_report(seeds: list[Seed]) -> Report:
    """What was struck and what did not hold, summed up over the seeds."""
    counted: Counter[str] = Counter()
    for seed in seeds:
        counted.update(re.sub(r"\s*\d[\d.]*( s\b)?\s*", "", strike) for strike in seed.strikes)
    broken = [seed for seed in seeds if seed.fault]
    names = ("taken_in", "coded", "set_aside", "repeated")
    totals = {name: sum(getattr(seed, name) for seed in seeds) for name in names}
    verdicts = [
        f"{len(seeds)} seeds, {sum(len(seed.strikes) for seed in seeds)} strikes: {len(broken)} seeds with a fault",
        f"{totals['taken_in']:,} taken in = {totals['coded']:,} coded + {totals['set_aside']:,} set aside; "
        f"written again in the same bytes: {totals['repeated']:,} messages",
        *(f"seed {seed.number}: {seed.fault}; after {', '.join(seed.strikes)}" for seed in broken),
    ]
    figures: dict[str, Any] = {
        **totals,
        "seeds": [[seed.number, seed.fault, round(seed.seconds, 1), seed.strikes] for seed in seeds],
    }
    rows = [[what, str(times)] for what, times in sorted(counted.items())]
    how = HOW.format(strikes=STRIKES, session=SESSION_S)
    return Report("faults", "Random faults: what is lost", how, ["strike", "times"], rows, verdicts, figures)


def main() -> None:
    parser = options("What random faults lose.")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kept", type=Path, default=ROOT / "build" / "faults.jsonl", help="what earlier runs found")
    given = parser.parse_args()
    known = {seed.number: seed for seed in read_runs(given.kept, _at_this_commit)}
    wanted = range(given.first, given.first + given.seeds)
    for number in wanted:
        if number not in known:
            with tempfile.TemporaryDirectory(prefix="qualstream-faults-") as folder:
                known[number] = run(number, Path(folder))
            append_run(given.kept, {"commit": circumstances()["commit"], **asdict(known[number])})
        print(f"seed {number}, {known[number].seconds:.0f} s: {known[number].fault or 'nothing lost'}", flush=True)
    publish(as_report([known[number] for number in wanted]), write=given.write)


def _at_this_commit(values: dict[str, Any]) -> Seed:
    """A seed that an earlier run at this commit found; raises ``ValueError`` for another commit's."""
    if values.pop("commit") != circumstances()["commit"]:
        raise ValueError("another commit's")
    return Seed(**values)


if __name__ == "__main__":
    main()
