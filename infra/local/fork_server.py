"""The process that the roles of one machine are forked from, once it has imported what they share.

A program that ``infra.local.forks`` starts, with a socket as its standard input. A request is one byte and two
descriptors: a file with what is to be run, and the end of a pipe, which is told the child's process id at once and what
it ended with when it has.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from setproctitle import setproctitle

from infra.local.processes import end_with


def main(control: socket.socket, modules: Sequence[str]) -> None:
    """Import modules, then fork at each request, until the other side closes.

    Each child comes back from here too: it runs its command as ``python -m`` would, and ends as that does.
    """
    for module in modules:
        with suppress(ImportError):  # whoever needs it says so, in its own log
            import_module(module)
    gc.collect()
    gc.freeze()  # so that a collection in a child does not copy what it shares
    request = serve(control)
    if request is not None:
        run(request)


def serve(control: socket.socket) -> int | None:
    """Answer requests; returns in each child, with the descriptor of its request, and without one at the end."""
    reports: dict[int, int] = {}
    ended, wake = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that the descriptor below is told
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if ended in ready:
                os.read(ended, 65_536)
                _report_ended(reports)
            if control.fileno() not in ready:
                continue
            asked, descriptors, _, _ = socket.recv_fds(control, 1, 2)
            if not asked:
                return None
            request, pipe = descriptors
            server, pid = os.getpid(), os.fork()
            if pid == 0:
                control.detach()  # standard input, which is replaced
                _leave(server, (ended, wake, pipe, *reports.values()))
                return request
            os.close(request)
            reports[pid] = pipe
            _tell(pipe, pid)


def run(request: int) -> None:
    """Be the process that was asked for."""
    with os.fdopen(request, encoding="utf-8") as file:
        file.seek(0)
        asked = json.load(file)
    module, *arguments = asked["command"]
    os.setsid()
    for descriptor, place, mode in ((0, os.devnull, os.O_RDONLY), (1, asked["log"], os.O_WRONLY | os.O_APPEND)):
        opened = os.open(place, mode)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    setproctitle(" ".join((module, *arguments)))  # before the environment goes, beside which it finds its room
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _leave(server: int, descriptors: Sequence[int]) -> None:
    """Keep nothing of the server's in its child, which ends when it does."""
    end_with(server)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in descriptors:
        os.close(descriptor)


def _report_ended(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = reports.pop(pid)
        _tell(pipe, os.waitstatus_to_exitcode(status))
        os.close(pipe)


def _tell(pipe: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(pipe, f"{number}\n".encode("ascii"))


if __name__ == "__main__":
    main(socket.socket(fileno=0), sys.argv[1:])
