"""Kill what can be killed: every segment still has exactly one outcome."""

import os
import random
import signal
import sys
import time
from pathlib import Path

from schemas import Assignment, CodeEvent, DeadLetter
from streams.publish import Outgoing
from streams.topology import ASSIGNMENTS, CODEBOOK, DEAD_LETTERS, FEEDBACK, ROLES
from tests.brokers.chosen import Brokers
from tests.integration.stack import (
    CODING,
    FAKES,
    STUDY,
    alive,
    kill,
    messages,
    publish,
    running,
    segments,
    started,
    until,
)

UNREADABLE = {
    "not UTF-8": b"\xff\xfe\x00",
    "not a Segment: Invalid JSON": b'{"id": "00000000-0000-0000-0000-0000000000',
    "not a Segment: text": b'{"id": "6c5f9c0e-5d0e-5b7e-9a55-0d2f8a6f1c11", "study": "reviews", "source": "x"}',
    "not a Segment: schema_version is 9": b'{"schema_version": 9, "text": "from the future"}',
    "not a Segment: Input should be": b"[1, 2, 3]",
}


def test_500_segments_have_one_outcome_each_although_workers_are_killed_five_times(
    tmp_path: Path, brokers: Brokers
) -> None:
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 100_000))
    print(f"KILL_SEED={seed} repeats this run")  # shown by pytest where the test fails
    draw = random.Random(seed)
    wanted = segments(500)
    with running(tmp_path / "data", brokers=brokers, ingest_rate="30") as (stack, store):
        store.take_in(wanted)
        until(lambda: store.counts(STUDY).routed > 0, stack)
        publish(stack.cluster, [Outgoing(FEEDBACK.name, b"", raw) for raw in UNREADABLE.values()])
        for _ in range(5):
            victim = draw.choice(("coders", "moderator", "refiner"))
            wait_until = time.monotonic() + draw.uniform(0.5, 4)
            until(lambda: time.monotonic() > wait_until and victim in stack.pids(), stack)  # noqa: B023
            kill(stack.pids()[victim])
        until(lambda: not store.open_segments(STUDY), stack, seconds=150)
        until(lambda: stack.restarts >= 5, stack)  # the last kill may have come when all was done
        until(lambda: store.counts().dead_lettered == len(UNREADABLE), stack)
        assigned = [Assignment.from_bytes(raw) for raw in messages(stack.cluster, ASSIGNMENTS.name)]
        created = [CodeEvent.from_bytes(raw) for raw in messages(stack.cluster, CODEBOOK.name)]
        letters = [DeadLetter.from_bytes(raw) for raw in messages(stack.cluster, DEAD_LETTERS.name)]

    final = {a.segment_id: a for a in assigned if a.route is not None}
    assert set(final) == {segment.id for segment in wanted}
    assert store.counts(STUDY).routed == 500
    # Replays repeat messages, but they say the same: one code a segment, whatever was repeated.
    for segment in wanted:
        assert {a.code_id for a in assigned if a.segment_id == segment.id} == {final[segment.id].code_id}
    # Every code in use was created, once, by the segment that it names.
    assert {a.code_id for a in final.values()} <= {event.code_id for event in created}
    assert len({event.id for event in created}) == len({event.code_id for event in created})
    for reason, raw in UNREADABLE.items():
        found = [letter for letter in letters if letter.raw == raw]
        assert found, reason
        assert all(letter.reason.startswith(reason) for letter in found)
        assert all((letter.topic, letter.role) == (FEEDBACK.name, "coders") for letter in found)


def test_a_killed_broker_comes_back_and_nothing_taken_in_is_lost(tmp_path: Path) -> None:
    """The embedded broker only: its memory is lost, and it is ours to start again."""
    with running(tmp_path / "data", ingest_rate="15") as (stack, store):
        store.take_in(segments(200))
        until(lambda: store.counts(STUDY).routed > 20, stack)
        kill(stack.pids()["broker"])
        until(lambda: not store.open_segments(STUDY), stack, seconds=120)
    assert stack.restarts >= 1
    assert store.counts(STUDY).routed == 200


def test_a_broker_whose_memory_is_full_begins_anew_when_nothing_is_under_way(
    tmp_path: Path,
) -> None:
    """The embedded broker only: another one keeps its topics on a disk."""
    with running(tmp_path / "data") as (stack, store):
        store.take_in(segments(40))
        until(lambda: store.counts(STUDY).routed == 40, stack)
        assert stack.renewals == 0
        before = store.top_codes(STUDY, 50)
        stack.idle_bytes = -1  # whatever it holds is too much
        until(lambda: stack.renewals > 0, stack)
        stack.idle_bytes = stack.most_bytes
        store.take_in(segments(60)[40:])
        until(lambda: store.counts(STUDY).routed == 60, stack)
        assert stack.restarts == 0
    assert {label for label, _ in before} <= {label for label, _ in store.top_codes(STUDY, 100)}
    assert store.open_segments(STUDY) == 0


def test_a_stopped_run_goes_on_and_codes_nothing_twice(tmp_path: Path, brokers: Brokers) -> None:
    folder = tmp_path / "data"
    with running(folder, brokers=brokers, ingest_rate="4") as (stack, store):
        store.take_in(segments(120))
        until(lambda: store.counts(STUDY).routed > 20, stack)
    first = {row.segment_id: row for row in store.history(Assignment) if row.route is not None}
    assert 20 < len(first) < 120
    with running(folder, store, brokers=brokers) as (stack, store):
        until(lambda: not store.open_segments(STUDY), stack)
        published_again = len(messages(stack.cluster, FEEDBACK.name))
    then = {row.segment_id: row for row in store.history(Assignment)}
    assert len(then) == 120
    assert published_again == (120 - len(first) if brokers.embedded else 120)  # a real Kafka still has all of them
    assert all(then[segment] == row for segment, row in first.items())


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path: Path) -> None:
    environment = os.environ | {"QUALSTREAM_DATA_DIR": str(tmp_path / "data"), "QUALSTREAM_PROFILE": str(FAKES)}
    with started([sys.executable, "-m", "infra.cli", "up"], tmp_path / "log", environment) as supervisor:
        processes = _below(supervisor.process.pid, 2 + len(ROLES))
        kill(supervisor.process.pid)
        until(lambda: not any(alive(pid) for pid in processes), seconds=10)
        assert len(processes) == 2 + len(ROLES)


def test_ctrl_c_ends_every_process_and_says_that_nothing_is_lost(tmp_path: Path) -> None:
    environment = os.environ | {"QUALSTREAM_DATA_DIR": str(tmp_path / "data"), "QUALSTREAM_PROFILE": str(FAKES)}
    with started([sys.executable, "-m", "infra.cli", "demo"], tmp_path / "log", environment) as demo:
        processes = _below(demo.process.pid, 2 + len(CODING))
        demo.signal(signal.SIGINT)
        assert demo.process.wait(30) == 130
        assert "Nothing is lost" in demo.said
        assert not any(alive(pid) for pid in processes)


def _below(pid: int, count: int) -> list[int]:
    """The processes of a stack, once so many are there: broker, fork server and the roles that it forks."""
    seen: list[int] = []

    def all_there() -> bool:
        seen[:] = _descendants(pid)
        return len(seen) == count

    until(all_there)
    return seen


def _descendants(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:  # it has ended since it was seen
        return []
    children = [int(child) for child in tasks.split()]
    return [*children, *(below for child in children for below in _descendants(child))]
