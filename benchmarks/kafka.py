"""What a system on three Kafka nodes loses, and how long it stands still: `python -m benchmarks.kafka`."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import Report, options, publish
from infra.local.stack import CODING
from infra.telemetry.invariant_check import Findings
from streams.topology import ASSIGNMENTS, DECISIONS, FEEDBACK, PROPOSALS
from tests.brokers.drill import Drill, Strike, coordinator, drill
from tests.brokers.kafka import VERSION
from tests.brokers.shared_index import served_index

ROLE_S, SESSION_S, BEYOND_S, FIRST_S = 4.0, 9.0, 2.0, 6.0
KILLS = 3  # of each role
PAUSE_S = 40.0
STUDIES = [f"study {n}" for n in range(6)]

HOW = """\
- **System.** {kafka}, three KRaft nodes on loopback (256 MB of heap each), replication 3, `min.insync.replicas` 2,
  every timeout of the brokers at its default: a broker that is away is noticed after its session, 9 s. One process a
  role on the same machine, started again by the product's supervisor, SQLite; fake members that answer at once, so
  that what is measured is the stream. 25 segments a second.
- **Standing still** is the longest time between two routed assignments on their topic (their timestamps) from a strike
  to the next one; where least stands still it is {calm:.1f} s.
- **Killed** is SIGKILL, each role {kills} times; **paused** is SIGSTOP for {pause:g} s, which is longer than a session.
- **Brokers.** The nodes that lead a partition of the topic, or keep the group, one after the other; a node is started
  again when segments flow without it. **Of which the cluster**: until the other nodes, asked ten times a second, named
  no partition any more that the killed one led, the offsets' included; nobody can go on before that. It is the session
  of 9 s from the node's last heartbeat; where the node was the active controller too, the others first elect another,
  which begins every session anew.
- **Two refiners** share a code index in a process of its own, as they share a Qdrant server; each is paused and killed.
- **Counted** by what `qualstream check` counts, in the read model and on the topics, which are read whole.
- **First segment.** From the start of the six processes to the first routed assignment in the read model, on fresh
  topics; a new group waits 3 s of it for further members (`group.initial.rebalance.delay.ms`, Kafka's default).
"""


def first_segment(drilled: Drill) -> dict[str, float]:
    """Seconds until every role said that it works, and from then and from the start until the first code."""
    drilled.wait(lambda: len(drilled.store.workers()) == len(CODING))
    up = time.monotonic()
    drilled.wait(lambda: drilled.store.counts().routed > 0)
    first = time.monotonic()
    return {"up": up - drilled.began, "first": first - drilled.began, "beyond": first - up}


def everything(folder: Path) -> dict[str, Any]:
    """Kill every role and every node, and pause every role that decides."""
    with drill(folder) as drilled:
        first = first_segment(drilled)
        drilled.flow()
        drilled.calm(5.0)
        for role in CODING * KILLS:
            drilled.kill_role(role)
            drilled.calm(2.0)
        for topic in (FEEDBACK.name, PROPOSALS.name, DECISIONS.name, ASSIGNMENTS.name):
            drilled.kill_node(drilled.nodes.leader(topic), topic)
            drilled.calm(2.0)
        drilled.kill_node(coordinator(drilled, "refiner"), "the refiner's group")
        for role in ("moderator", "refiner"):
            drilled.pause_role(role, PAUSE_S)
        findings = drilled.finish()
        return {"first": first, "pauses": drilled.pauses(), "findings": findings}


def two_refiners(folder: Path) -> dict[str, Any]:
    """Pause and kill each of two refiners that share an index."""
    roles = [role for role in CODING if role != "refiner"]
    with served_index() as address, drill(folder, roles, STUDIES) as drilled:
        for name in ("refiner one", "refiner two"):
            drilled.start_beside(name, [sys.executable, "-m", "tests.brokers.shared_index", address])
        drilled.flow()
        for name in ("refiner one", "refiner two"):
            drilled.pause_role(name, PAUSE_S)
            drilled.calm(2.0)
            drilled.kill_role(name)
            drilled.calm(2.0)
        findings = drilled.finish()
        return {"pauses": drilled.pauses(), "findings": findings}


def counted(title: str, findings: Findings) -> str:
    """One line of what a check counted."""
    tally = findings.tally
    again = ", ".join(f"{count} {kind}" for kind, count in findings.repeated.items() if count) or "nothing"
    faults = "; ".join(f"{len(one.ids)} {one.what}" for one in findings.faults) or "none"
    where = f"{tally.taken_in:,} taken in = {tally.open} open + {tally.coded:,} coded + {tally.set_aside} set aside"
    return f"{title}: {where}; faults: {faults}; written again in the same bytes: {again}"


def as_report(all_: dict[str, Any], two: dict[str, Any] | None) -> Report:
    """The strikes as a table, and what was counted beside it."""
    strikes = [*all_["pauses"], *(two["pauses"] if two else [])]
    verdicts = [*_kept(all_["pauses"]), _first(all_["first"]), counted("everything killed", all_["findings"])]
    if two:
        verdicts.append(counted("two refiners", two["findings"]))
    calm = min(seconds for _, seconds in all_["pauses"])
    figures = {
        "first_segment": {name: round(value, 2) for name, value in all_["first"].items()},
        "strikes": [[one.what, round(seconds, 2), one.moved_s and round(one.moved_s, 2)] for one, seconds in strikes],
        "findings": all_["findings"].as_json(),
        "two_refiners": two and {"findings": two["findings"].as_json()},
        "kafka": VERSION,
        "java": subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0],
    }
    how = HOW.format(kafka=f"Apache Kafka {VERSION}", calm=calm, pause=PAUSE_S, kills=KILLS)
    header = ["killed or paused", "stands still, s", "of which the cluster, s", "at most"]
    rows = [*_role_rows(all_["pauses"]), *(_row(*strike) for strike in strikes if strike[0].what not in CODING)]
    return Report("kafka", "Apache Kafka: what is killed, and what it costs", how, header, rows, verdicts, figures)


def _role_rows(pauses: Sequence[tuple[Strike, float]]) -> list[list[str]]:
    """A line a role: what each of its kills cost."""
    rows = []
    for role in CODING:
        costs = [f"{seconds:.1f}" for one, seconds in pauses if one.what == role]
        rows.append([role, ", ".join(costs), "-", f"{ROLE_S:g}"])
    return rows


def _row(strike: Strike, seconds: float) -> list[str]:
    if strike.moved_s is None:
        return [strike.what, f"{seconds:.1f}", "-", "-"]
    return [strike.what, f"{seconds:.1f}", f"{strike.moved_s:.1f}", f"{SESSION_S + BEYOND_S:g}"]


def _kept(pauses: Sequence[tuple[Strike, float]]) -> list[str]:
    roles = [f"{one.what} {s:.1f} s" for one, s in pauses if one.what in CODING and s > ROLE_S]
    nodes = [(one, s) for one, s in pauses if one.moved_s is not None]
    late = [f"{one.what} {s:.1f} s" for one, s in nodes if s > SESSION_S + BEYOND_S]
    beyond = max(s - (one.moved_s or 0.0) for one, s in nodes)
    return [
        f"a killed role costs at most {ROLE_S:g} s: {_missed_by(roles)}",
        f"a killed broker costs at most {SESSION_S + BEYOND_S:g} s: {_missed_by(late)}",
        f"after other brokers led in its place, segments flowed within {beyond:.1f} s; target {BEYOND_S:g} s: "
        + ("met" if beyond <= BEYOND_S else "MISSED"),
    ]


def _missed_by(strikes: Sequence[str]) -> str:
    return f"MISSED by {', '.join(strikes)}" if strikes else "met"


def _first(first: dict[str, float]) -> str:
    kept = "met" if first["beyond"] <= FIRST_S else "MISSED"
    seconds = f"{first['beyond']:.1f} s after all roles were up ({first['first']:.1f} s after their start)"
    return f"first segment coded {seconds}; target {FIRST_S:g} s: {kept}"


def main() -> None:
    parser = options("What a running system on three Kafka nodes loses, and how long it stands still.")
    parser.add_argument("--one-refiner", action="store_true", help="leave out the run with two refiners")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qualstream-drill-") as folder:
        all_ = everything(Path(folder) / "all")
        print(json.dumps([[one.what, round(seconds, 2)] for one, seconds in all_["pauses"]]), flush=True)
        two = None if given.one_refiner else two_refiners(Path(folder) / "two")
    publish(as_report(all_, two), write=given.write)


if __name__ == "__main__":
    main()
