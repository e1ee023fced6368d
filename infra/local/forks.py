"""Processes that are forked from one which has imported what they share.

A second of imports is most of what a role's start takes. So it is paid for once, not by each role at each start, and
what is imported lies in memory once.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from infra.local.processes import spawn

_PROGRAM = f"{__package__}.fork_server"
_ROOMS = __package__.rpartition(".")[0]
_SHARED = [f"{_ROOMS}.roles.{name}" for name in ("run", "coders", "moderator", "refiner", "router", "trainer")]
"""What the roles share; not what one alone needs, nor what would hold threads or a device, as torch does."""
_GONE = -int(signal.SIGKILL)  # who ends with the server is killed


class Fork:
    """A child of the server; what ``subprocess.Popen`` says of a child of one's own."""

    def __init__(self, pipe: int) -> None:
        """Take the end of the pipe on which its process id comes, and then what it ended with."""
        self._pipe: int | None = pipe
        self._numbers: list[int] = []

    def __del__(self) -> None:
        self._close()

    @property
    def pid(self) -> int:
        """Its process id; waits until it has been forked. 0 where the server went before."""
        while self._pipe is not None and not self._numbers:
            self._read(wait=True)
        return self._numbers[0] if self._numbers else 0

    def poll(self) -> int | None:
        """What it ended with, negative where a signal ended it; none while it runs."""
        if self.pid and self._pipe is not None:
            self._read(wait=False)
        return self._status if self._pipe is None else None

    def wait(self) -> int:
        """Wait until it has ended; what it ended with."""
        while self._pipe is not None:
            self._read(wait=True)
        return self._status

    @property
    def _status(self) -> int:
        return self._numbers[1] if len(self._numbers) > 1 else _GONE

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _read(self, wait: bool) -> None:
        assert self._pipe is not None
        os.set_blocking(self._pipe, wait)
        try:
            numbers = os.read(self._pipe, 64)
        except BlockingIOError:
            return
        self._numbers += map(int, numbers.split())
        if not numbers or len(self._numbers) > 1:
            self._close()

    def _close(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class ForkServer:
    """The server of this process, which ends with it; started when it is first needed, and again where it was killed.

    Whoever was forked from it ends with it.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        """Start nothing yet.

        Args:
            modules: What it imports at its start. One that is not there is left to whoever needs it.
        """
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def fork(self, command: Sequence[str], log_to: IO[bytes], environment: Mapping[str, str]) -> Fork:
        """Run ``python -m`` in a fork of the server. Call it from the main thread.

        Args:
            command: A module and its arguments.
            log_to: An open file of the file system, which the fork adds to.
            environment: All of its environment. What is read of it when a program is loaded comes too late: LD_PRELOAD.
        """
        control = self._running(log_to)
        asked = {"command": list(command), "log": log_to.name, "environment": dict(environment)}
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb"), os.fdopen(os.memfd_create("request"), "wb", buffering=0) as request:
            request.write(json.dumps(asked).encode())
            with suppress(BrokenPipeError):  # it was killed just now, and the pipe says so to whoever asks
                socket.send_fds(control, [b"1"], [request.fileno(), writing])
        return Fork(reading)

    def stop(self) -> None:
        """End it, and whoever was forked from it."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._control = None

    def _running(self, log_to: IO[bytes]) -> socket.socket:
        if self.pid is not None and self._control is not None:
            return self._control
        self.stop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", _PROGRAM, *self._modules]
            self._process = spawn(command, log_to, os.environ, stdin=theirs.fileno())
        return self._control


_server = ForkServer(_SHARED)
atexit.register(_server.stop)
fork = _server.fork
"""Forks from the one server that this process has."""
