"""Which build of torch is installed where, decided without installing any."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.setup.install_torch import CPU_INDEX, LOCK, choose, full_disk, installed, lists, pinned, size_gb

OTHER = "https://wheels.example/cpu"


@pytest.mark.parametrize(
    ("environment", "platform", "driver", "answers", "index"),
    [
        ({"TORCH_INDEX": OTHER}, "linux", True, True, OTHER),
        ({"TORCH_INDEX": OTHER, "TORCH_BUILD": "cuda"}, "linux", False, False, OTHER),
        ({"TORCH_BUILD": "cuda"}, "linux", False, True, None),
        ({"TORCH_BUILD": "cpu"}, "linux", True, False, CPU_INDEX),
        ({"TORCH_INDEX": "", "TORCH_BUILD": ""}, "linux", True, True, None),
        ({}, "linux", True, True, None),
        ({}, "linux", False, True, CPU_INDEX),
        ({}, "linux", False, False, None),
        ({}, "darwin", False, True, None),
    ],
)
def test_the_build_follows_what_is_asked_for_then_what_is_here(environment, platform, driver, answers, index):
    choice = choose(environment, platform, lambda: driver, lambda asked: answers and asked == CPU_INDEX)
    assert choice.address == index
    assert choice.reason


def test_the_index_is_not_asked_where_a_driver_is():
    asked = []
    choose({}, "linux", lambda: True, lambda index: bool(asked.append(index)))
    assert asked == []


def test_a_build_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(SystemExit, match=r"TORCH_BUILD is 'rocm'; auto, cuda or cpu is expected"):
        choose({"TORCH_BUILD": "rocm"}, "linux", lambda: False, lambda index: False)


@contextmanager
def index(page: bytes, status: int = 200, answers: threading.Event | None = None) -> Iterator[str]:
    """An index of packages on this machine; with an event it answers once that is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if answers is not None:
                answers.wait(10)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(page if self.path == "/cpu/torch/" else b"")

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/cpu"
    finally:
        if answers is not None:
            answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("page", "status", "there"),
    [
        (b"<a href='/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl'>", 200, True),
        (b"<a>torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl</a>", 200, True),
        (b"<a>torch-2.12.0+cpu-cp311-cp311-linux_x86_64.whl</a>", 200, False),
        (b"sign in to this network: torch", 200, False),
        (b"torch-2.13.0+cpu-", 503, False),
    ],
)
def test_an_index_is_taken_that_lists_this_version_for_the_cpu(page, status, there):
    with index(page, status) as url:
        assert lists(url, "2.13.0") is there


def test_an_index_that_does_not_answer_at_once_is_not_waited_for():
    answers = threading.Event()
    with index(b"torch-2.13.0+cpu-", answers=answers) as url:
        assert not lists(url, "2.13.0", within_s=0.1)
        assert not answers.is_set()


def test_an_index_that_is_not_there_is_none():
    with index(b"") as url:
        pass
    assert not lists(url, "2.13.0")


def test_version_and_hashes_are_the_lock_files():
    wanted, requirement = pinned(LOCK.read_text(encoding="utf-8"))
    first, *hashes = requirement.splitlines()
    assert first == f"torch=={wanted} \\"
    assert len(hashes) > 10
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    assert installed() == wanted


def test_a_folders_size_is_what_its_files_take_on_the_disk(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_bytes(b"x" * 3_000_000)
    assert size_gb(tmp_path) == pytest.approx(0.003, rel=0.01)
    assert size_gb(tmp_path / "missing") == 0


@pytest.mark.parametrize(
    ("build", "free", "temporary", "same_disk", "said"),
    [
        ("cuda", 10.1, 10.1, True, None),
        ("cuda", 9.9, 9.9, True, "about 10 GB are needed to install the packages, and 9.9 GB are free in /venv"),
        ("cuda", 7.1, 3.1, False, None),
        ("cuda", 7.1, 0.5, False, "about 3 GB are needed to install the packages, and 0.5 GB are free in /tmp"),
        ("cpu", 4.6, 4.6, True, None),
        ("cpu", 2.5, 2.5, True, "about 4.5 GB are needed to install the packages, and 2.5 GB are free in /venv"),
    ],
)
def test_a_disk_without_room_is_said_before_anything_is_fetched(build, free, temporary, same_disk, said):
    answer = full_disk(build, {Path("/venv"): free, Path("/tmp"): temporary}, same_disk)
    assert (answer or "").startswith(said or "")
    assert (answer is None) is (said is None)
    assert ("TORCH_BUILD=cpu" in (answer or "")) is (said is not None and build == "cuda")
