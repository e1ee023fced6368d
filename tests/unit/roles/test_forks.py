"""Forks of a process that has imported are what children of one's own are: told, ended, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.local.forks import Fork, ForkServer
from infra.local.processes import Child, Lenience, wait_for_end
from tests.integration.stack import alive

PROGRAM = """
import json, os, signal, sys, threading, time

if __name__ == "__main__":
    what = sys.argv[1]
    if what == "tell":
        print(json.dumps([sys.argv[1:], dict(os.environ), os.getsid(0) == os.getpid(), sys.stdin.read()]))
    elif what == "sleep":
        print(os.getpid(), flush=True)
        time.sleep(60)
    elif what == "raise":
        raise ValueError("it cannot be")
    elif what == "inherited":
        defaults = [signal.getsignal(each) == signal.SIG_DFL for each in (signal.SIGTERM, signal.SIGCHLD)]
        print(defaults, sorted(map(int, os.listdir("/proc/self/fd"))), threading.active_count())
    else:
        sys.exit(int(what))
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "qualstream_forked.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    one = ForkServer(modules=("json", "qualstream_is_not_there"))
    yield one
    one.stop()


def _fork(server: ForkServer, folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> Fork:
    with (folder / "log").open("ab") as log:
        return server.fork(["qualstream_forked", *words], log, environment or {})


def _log(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


def test_a_fork_has_its_own_words_environment_session_and_log(server: ForkServer, tmp_path: Path) -> None:
    large = {"MINE": "x" * 100_000, "MORE": "y" * 100_000, "MOST": "z" * 100_000}
    assert _fork(server, tmp_path, "tell", "é", environment=large).wait() == 0
    words, environment, own_session, read = json.loads(_log(tmp_path))
    assert words == ["tell", "é"]
    assert environment == large
    assert own_session
    assert not read


def test_it_has_nothing_of_the_server_s(server: ForkServer, tmp_path: Path) -> None:
    others = [_fork(server, tmp_path / ".", "sleep") for _ in range(3)]
    while _log(tmp_path).count("\n") < 3:
        time.sleep(0.01)
    (tmp_path / "log").unlink()
    assert _fork(server, tmp_path, "inherited").wait() == 0
    assert _log(tmp_path) == "[True, True] [0, 1, 2, 3] 1\n"  # the last lists them
    for each in others:
        each.kill()


@pytest.mark.parametrize(("word", "status"), [("0", 0), ("3", 3), ("raise", 1)])
def test_it_ends_with_its_own_status(server: ForkServer, tmp_path: Path, word: str, status: int) -> None:
    assert _fork(server, tmp_path, word).wait() == status
    assert ("ValueError: it cannot be" in _log(tmp_path)) == (word == "raise")


def test_a_signal_that_ends_it_is_told(server: ForkServer, tmp_path: Path) -> None:
    asked, killed = _fork(server, tmp_path, "sleep"), _fork(server, tmp_path, "sleep")
    assert alive(asked.pid)
    assert asked.poll() is None
    asked.terminate()
    killed.kill()
    assert (asked.wait(), killed.wait()) == (-signal.SIGTERM, -signal.SIGKILL)
    asked.terminate()  # nothing is there any more that it could meet


def test_who_was_forked_ends_with_the_server_and_the_next_one_has_a_server_again(
    server: ForkServer, tmp_path: Path
) -> None:
    first = _fork(server, tmp_path, "sleep")
    pid, of_server = first.pid, server.pid
    assert of_server is not None
    os.kill(of_server, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    while alive(pid):
        time.sleep(0.01)
    assert _fork(server, tmp_path, "3").wait() == 3
    assert server.pid != of_server


def test_who_was_forked_ends_with_whoever_asked_for_it(server: ForkServer, tmp_path: Path) -> None:
    script = """if True:
        import sys, time
        from pathlib import Path
        from infra.local.forks import ForkServer
        server, log = ForkServer(modules=()), Path(sys.argv[1], "log")
        with log.open("ab") as file:
            print(server.fork(["qualstream_forked", "sleep"], file, {}).pid, server.pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        pids = [int(word) for word in asking.stdout.readline().split()]
        assert all(alive(pid) for pid in pids)
        asking.kill()
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_child_of_the_stack_may_be_a_fork(server: ForkServer, tmp_path: Path) -> None:
    child = Child("role", ["qualstream_forked", "1"], {}, tmp_path / "log", tmp_path, Lenience(first_pause_s=0))
    child.launch = server.fork
    child.start()
    wait_for_end([child], 30)
    assert child.needs_start()
    child.command = ["qualstream_forked", "sleep"]
    child.start()
    assert child.pid
    assert not child.needs_start()
    child.kill()
    assert child.pid is None


def test_a_server_that_cannot_start_says_why_in_the_log_of_whoever_needed_it(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qualstream_broken.py").write_text("raise RuntimeError('this library is broken')", encoding="utf-8")
    broken = ForkServer(modules=("qualstream_broken",))
    fork = _fork(broken, tmp_path, "0")
    assert fork.pid == 0
    assert fork.wait() == -signal.SIGKILL
    assert "this library is broken" in _log(tmp_path)
    broken.stop()
