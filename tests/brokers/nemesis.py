"""What may be struck at in a drill: processes, brokers, the clock, the disk, the database, the messages themselves."""

import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.free_space import LEAST_BYTES
from infra.local.stack import CODING
from streams.publish import Outgoing
from streams.topology import ASSIGNMENTS, CODEBOOK, DECISIONS, FEEDBACK, PROPOSALS
from tests.brokers.drill import Drill
from tests.integration.stack import publish, segments

SESSION_S = 6.0
_DISK_BYTES = 6 * LEAST_BYTES
_PIECE = bytes(1024 * 1024)
_STUTTER_S = 0.5
_POISON = (b"\xff" * 100, b"{}", b'{"id": 7}', b"[" * 10_000, b"", b'{"schema_version": 99}')
_TOPICS = (FEEDBACK.name, PROPOSALS.name, DECISIONS.name, ASSIGNMENTS.name)


def _kill(drilled: Drill, draw: random.Random) -> str:
    role = draw.choice(CODING)
    drilled.kill_role(role)
    return role


def _kill_two(drilled: Drill, draw: random.Random) -> str:
    roles = draw.sample(CODING, 2)
    for pid in [drilled.pid(role) for role in roles]:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    drilled.flow()
    return " and ".join(roles)


def _pause(drilled: Drill, draw: random.Random) -> str:
    role, seconds = draw.choice(CODING), draw.uniform(0.5, 2 * SESSION_S)
    drilled.pause_role(role, seconds)
    return f"{role}, {seconds:.1f} s"


def _kill_broker(drilled: Drill, draw: random.Random) -> str:
    drilled.calm(draw.uniform(0.0, 2.0))
    if drilled.kafka is not None:
        topic = draw.choice(_TOPICS)
        drilled.kill_node(drilled.kafka.leader(topic), topic)
        return f"leader of {topic}"
    os.kill(drilled.stack.pids()["broker"], signal.SIGKILL)
    drilled.flow()
    return "embedded"


def _slow_broker(drilled: Drill, draw: random.Random) -> str:
    """Let the broker answer in half of the time only, in turns, as a network does that stalls."""
    kafka = drilled.kafka
    pid = kafka.leader(draw.choice(_TOPICS)).pid if kafka else drilled.stack.pids()["broker"]
    turns = draw.randint(4, 20)
    for _ in range(turns):
        os.kill(pid, signal.SIGSTOP)
        try:
            drilled.calm(_STUTTER_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        drilled.calm(_STUTTER_S)
    drilled.flow()
    return f"{2 * _STUTTER_S * turns:.0f} s"


def _restart_all(drilled: Drill, draw: random.Random) -> str:
    grace_s = draw.choice([0.0, 10.0])
    drilled.stack.stop(grace_s=grace_s)
    drilled.stack.start()
    drilled.flow()
    return f"{grace_s:.0f} s to end"


def _jump(drilled: Drill, draw: random.Random) -> str:
    jumps = [-86_400, -3_600, -30, 30, 1_800]
    if drilled.kafka is None:
        jumps += [
            86_400
        ]  # Apache Kafka takes no record from more than an hour ahead: the work waits for the right time
    seconds = draw.choice(jumps)
    clock = Path(drilled.stack.options["FAKETIME_TIMESTAMP_FILE"])
    clock.write_text(f"{seconds:+d}", encoding="ascii")
    drilled.calm(2.0)  # it is read once a second
    drilled.flow()
    return f"{seconds:+d} s"


def _lock_database(drilled: Drill, draw: random.Random) -> str:
    seconds = draw.uniform(1.0, 20.0)
    file = drilled.stack.settings.data_dir / "qualstream.db"
    with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=60.0, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        drilled.calm(seconds, feeding=False)
        holder.execute("ROLLBACK")
    drilled.flow()
    return f"{seconds:.1f} s"


def _fill_disk(drilled: Drill, draw: random.Random) -> str:
    seconds, ballast = draw.uniform(1.0, 15.0), drilled.stack.settings.data_dir.parent / "ballast"
    try:
        with ballast.open("ab", buffering=0) as filling:
            while filling.write(_PIECE) == len(_PIECE):
                pass
    except OSError:
        pass  # that is what a full disk answers
    drilled.calm(seconds, feeding=False)
    ballast.unlink()
    drilled.flow()
    return f"{seconds:.1f} s"


def _poison(drilled: Drill, draw: random.Random) -> str:
    where = draw.choice([FEEDBACK, PROPOSALS, DECISIONS, ASSIGNMENTS, CODEBOOK]).name
    messages = [Outgoing(where, b"k", draw.choice(_POISON)) for _ in range(draw.randint(1, 20))]
    publish(drilled.stack.cluster, messages)
    drilled.flow()
    return f"{len(messages)} on {where}"


def _publish_again(drilled: Drill, draw: random.Random) -> str:
    again = draw.sample(segments(drilled.store.counts().published), 20)
    publish(drilled.stack.cluster, [Outgoing(FEEDBACK.name, str(one.id).encode(), one.to_bytes()) for one in again])
    drilled.flow()
    return "20 segments"


@dataclass(frozen=True)
class Fault:
    """Something that happens to a running system."""

    name: str
    promise: str
    """What holds beside nothing being lost, as the page says it."""
    often: int
    """How often beside the others."""
    strike: Callable[[Drill, random.Random], str]
    """Let it happen, wait until segments are coded again, and say what was drawn."""


FAULTS = (
    Fault("one role killed", "started again; what it was at is done again", 4, _kill),
    Fault("two roles killed at once", "the same", 2, _kill_two),
    Fault("role paused, up to twice its session", "it does not decide again what others decided meanwhile", 4, _pause),
    Fault(
        "broker killed", "the embedded one gets again what has no outcome; of three nodes two go on", 2, _kill_broker
    ),
    Fault(
        "broker that stalls", "requests are tried again, and nothing is written twice in other bytes", 2, _slow_broker
    ),
    Fault("all stopped and started", "it goes on where it was", 1, _restart_all),
    Fault("clock jumps, up to a day", "the order of what was decided does not follow the clock", 2, _jump),
    Fault("database locked, up to 20 s", "the work waits, nothing is acknowledged", 2, _lock_database),
    Fault("disk full, up to 15 s", "the work waits, and goes on with room again", 2, _fill_disk),
    Fault("messages that nobody can read", "set aside, and the stream goes on", 2, _poison),
    Fault("segments published a second time", "they keep their codes", 2, _publish_again),
)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled.

    Raises:
        SystemExit: If this user may not mount one.
    """
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a disk that can be filled has to be mounted, which root may: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def own_clock(folder: Path) -> Mapping[str, str]:
    """The environment of processes whose clock can be set while they run; ``FAKETIME_TIMESTAMP_FILE`` says how.

    Raises:
        SystemExit: If libfaketime is not installed.
    """
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise SystemExit("clocks that jump need libfaketime: apt-get install faketime")
    clock = folder / "clock"
    clock.write_text("+0", encoding="ascii")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
