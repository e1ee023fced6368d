"""A process of the local stack: started, watched, and started again when it died or stands still."""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from models.errors import QualstreamError

log = logging.getLogger(__name__)
_EXIT_SETTING = 2
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with(parent: int) -> None:
    """Have this process, which was just forked, killed as soon as its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Running(Protocol):
    """A process that was launched; ``subprocess.Popen`` is one."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """What it ended with, negative where a signal ended it; none while it runs."""
        ...

    def wait(self) -> int:
        """Wait until it has ended; what it ended with."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


Launch = Callable[[Sequence[str], IO[bytes], Mapping[str, str]], Running]
"""Starts a command that adds to an open log, with an environment of its own."""


def spawn(
    command: Sequence[str], log_to: IO[bytes], environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a process that ends when this one does, however that comes about. Call it from the main thread."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=log_to,
        stderr=log_to,
        env=dict(environment),
        start_new_session=True,  # Ctrl-C is ours to handle
        preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one prctl, nothing that could take a lock
    )


@dataclass(frozen=True)
class Lenience:
    """How much is borne of a process; times in seconds.

    Attributes:
        steady_s: Who lived so long can live: if it dies, it is started again for good.
        window_s: Deaths longer ago count no more.
        most_deaths: In that time.
        first_pause_s: Before the second start; each pause after it is twice as long and ``first_pause_s`` more.
        longest_pause_s: Until there were too many deaths.
        hopeless_pause_s: After that.
        silence_s: A process that runs says so every second.
    """

    steady_s: float = 60.0
    window_s: float = 600.0
    most_deaths: int = 12
    first_pause_s: float = 0.25
    longest_pause_s: float = 10.0
    hopeless_pause_s: float = 60.0
    silence_s: float = 90.0


@dataclass
class Child:
    """One process that is kept alive.

    A process that cannot even start ends the stack: its user is there and reads why. One that has lived is started
    again for as long as the stack runs, after pauses that grow; the others live on meanwhile.

    Attributes:
        name: What it is called.
        command: Its command line.
        environment: All of its environment.
        log: Where it writes what it has to say.
        beats: The folder in which it writes every second, in a file of its process id, what the monotonic clock says.
        lenience: How much is borne of it.
        launch: How it is started.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    beats: Path
    lenience: Lenience = Lenience()
    launch: Launch = spawn
    _process: Running | None = None
    _started: float = 0.0
    _restart_at: float | None = None
    _proven: bool = False
    _deaths: deque[float] = field(default_factory=deque)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, or start it again."""
        self._restart_at = None
        self.log.touch(mode=0o600)
        with self.log.open("ab") as file:
            self._process = self.launch(self.command, file, self.environment)
        self._started = time.monotonic()

    def needs_start(self) -> bool:
        """Whether it died and its pause is over; look a few times a second.

        Raises:
            QualstreamError: If it cannot start.
        """
        if self._process is None:
            return True
        status, now = self._process.poll(), time.monotonic()
        if status is None:
            self._proven = self._proven or now - self._started >= self.lenience.steady_s
            self._end_if_silent(now)
            return False
        if self._restart_at is None:
            self._restart_at = now + self._pause_s(status, now)
        return now >= self._restart_at

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it, and wait until it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._beat_file(self._process.pid).unlink(missing_ok=True)

    def _pause_s(self, status: int, now: float) -> float:
        """How long it is let lie after a death."""
        lenience = self.lenience
        while self._deaths and now - self._deaths[0] > lenience.window_s:
            self._deaths.popleft()
        self._deaths.append(now)
        count = len(self._deaths)
        words = f"{self.name} ended with status {status}: {last_line(self.log)} (see {self.log})"
        if not self._proven and (status == _EXIT_SETTING or count > lenience.most_deaths):
            raise QualstreamError(words)
        if count <= lenience.most_deaths:
            log.warning("%s ended with status %s; starting it again", self.name, status)
            return min(lenience.first_pause_s * (2.0 ** (count - 1) - 1), lenience.longest_pause_s)
        log.error("%s; it died %d times lately, and the others go on without it meanwhile", words, count)
        return lenience.hopeless_pause_s

    def _end_if_silent(self, now: float) -> None:
        """Kill it where it has not said for long that it runs: whoever stands still cannot end by itself."""
        assert self._process is not None
        try:
            beat = float(self._beat_file(self._process.pid).read_text("ascii"))
        except (OSError, ValueError):
            return  # it has not begun, or is writing just now
        if now - beat > self.lenience.silence_s:
            log.error("%s has stood still for %.0f s; it is ended and started again", self.name, now - beat)
            self.kill()

    def _beat_file(self, pid: int) -> Path:
        return self.beats / str(pid)


def wait_for_end(children: Sequence[Child], seconds: float) -> None:
    """Wait until every process has ended, so long at most."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(child.pid is not None for child in children):
        time.sleep(0.05)


def last_line(path: Path) -> str:
    """What a process said last."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def resident_bytes(pid: int) -> int:
    """What a process holds in memory; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
