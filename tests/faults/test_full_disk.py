"""A disk that is full: every role waits, none dies of it, nor who starts then, and all goes on with room again."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.free_space import LEAST_BYTES
from infra.local.stack import CODING
from tests.integration.stack import STUDY, kill, running, segments, until

_DISK_BYTES = 3 * LEAST_BYTES
_PIECE = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` to make a small disk with")
    if done.returncode:
        pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(file: Path, leave: int) -> None:
    """Write until so many bytes are left, or none."""
    with file.open("ab", buffering=0) as filling:
        try:
            while shutil.disk_usage(file.parent).free > leave:
                filling.write(bytes(_PIECE))
        except OSError:
            return


@pytest.mark.slow
def test_on_a_full_disk_the_roles_wait_and_with_room_again_nothing_is_lost(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with running(small_disk / "data") as (stack, store):
        store.take_in(segments(100))
        until(lambda: store.counts(STUDY).routed == 100, stack)
        _fill(ballast, leave=LEAST_BYTES // 4)
        logs = [stack.log_dir / f"{role}.log" for role in ("coders", "refiner", "recorder")]
        until(lambda: all("make room: the work waits" in log.read_text(errors="replace") for log in logs), stack)
        store.take_in(segments(400)[100:])
        _fill(ballast, leave=0)
        killed = [stack.pids()[role] for role in ("coders", "refiner")]
        for pid in killed:
            kill(pid)
        until(lambda: not {*killed} & {*stack.pids().values()} and len(stack.pids()) > len(CODING), stack)
        assert store.counts(STUDY).routed == 100
        ballast.unlink()
        until(lambda: store.open_segments() == 0, stack)
        assert stack.restarts == len(killed)
    assert store.counts(STUDY).routed == 400
