"""A server under fire: half-sent requests, slow bodies and lines without end keep nobody else out."""

import logging
import socket
from threading import Thread

import httpx
import pytest

from infra.local.log_rotation import rotate
from infra.roles.web import _server
from infra.telemetry.logs import Sparing
from infra.web import connections, guard
from tests.web.site import app_of, make_site

HALF = b"GET /signin HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HEADS = {
    "nothing": b"",
    "half a line": b"GET /sig",
    "half a head": HALF,
    "a slash": b"/",
    "half a body's head": b"POST /signin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9",
}


@pytest.fixture
def port(tmp_path):
    site = make_site(tmp_path)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = _server(app_of(site))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    listening.close()
    site.store.close()


def opened(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def answered(port: int) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/signin", timeout=20).status_code


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("head", HEADS)
def test_more_connections_than_there_may_be_keep_nobody_out(port, monkeypatch, head):
    monkeypatch.setattr(connections, "MOST", 20)
    assert answered(port) == 200
    waiting = [opened(port, HEADS[head]) for _ in range(100)]
    assert answered(port) == 200
    assert all(ended(connection) for connection in waiting[:70])
    for connection in waiting:
        connection.close()


@pytest.mark.parametrize("head", HEADS)
def test_a_request_that_does_not_become_whole_ends(port, monkeypatch, head):
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    assert answered(port) == 200
    with opened(port, HEADS[head]) as connection:
        assert ended(connection)


def test_a_head_that_trickles_in_ends_too(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    assert answered(port) == 200
    with opened(port, HALF) as connection:
        connection.settimeout(0.02)
        assert any(refuses(connection) for _ in range(1_000))


def refuses(connection: socket.socket) -> bool:
    """Send one byte more; whether the connection is over."""
    try:
        connection.sendall(b"x")
        return connection.recv(4096) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_second_request_on_a_connection_has_to_become_whole_as_well(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    whole = b"GET /static/favicon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with opened(port, whole) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(HALF)
        left = connection.recv(65_536)
        while left:
            left = b"" if ended(connection) else left
        assert left == b""


def test_a_body_that_does_not_arrive_is_refused(port, monkeypatch):
    monkeypatch.setattr(guard, "SMALL_S", 0.2)
    head = b"POST /signin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with opened(port, head + b"Content-Length: 100\r\n\r\nname=a") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


# --- logs ---


def passed(filter_: Sparing, name: str, message: str, at: float, *args: object) -> str | None:
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, None)
    record.created = at
    return record.getMessage() if filter_.filter(record) else None


@pytest.mark.parametrize("name", ["asyncio", "infra.web.guard", "uvicorn.error", "aiokafka.client"])
def test_a_line_that_comes_again_and_again_is_folded_and_counted(name):
    filter_ = Sparing()
    assert passed(filter_, name, "socket.accept() out of system resource", 100.0)
    assert {passed(filter_, name, "socket.accept() out of system resource", 100 + n / 100) for n in range(999)} == {
        None
    }
    assert "999 times more" in passed(filter_, name, "socket.accept() out of system resource", 111.0)


def test_lines_that_differ_are_all_let_through_and_few_are_remembered():
    filter_ = Sparing()
    assert all(passed(filter_, "infra.roles", "segment %s", 100.0, n) for n in range(5_000))
    assert len(filter_._said) <= 2_000


def test_a_log_that_grows_is_begun_anew_and_the_writer_goes_on(tmp_path):
    log = tmp_path / "web.log"
    with log.open("ab") as writer:
        for turn in range(6):
            writer.write(b"%d" % turn * 600)
            writer.flush()
            assert rotate(log, most=500, kept=3)
            assert log.stat().st_size == 0
        writer.write(b"more")
        writer.flush()
    assert not rotate(log, most=500)
    assert {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()} == {
        "web.log": b"m",
        "web.log.1": b"5",
        "web.log.2": b"4",
        "web.log.3": b"3",
    }
