"""One suite over every code index: the fake, the in-process engine, and the server where QDRANT_URL is set."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import numpy as np
import pytest

from infra.vectors.code_index import COLLECTION, open_code_index
from models.backends.sentence.embedder import SentenceEmbedder
from models.errors import SettingError, UnavailableError, WorkerFault
from models.fakes import MemoryCodeIndex
from models.ports import CodeIndex, Embeddings, IndexedCode
from schemas.ids import code_id
from tests.qdrant_server import empty_server

DIM = 8


def direction(*values: float) -> Embeddings:
    vector = np.zeros(DIM, dtype=np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def a_code(label: str, *values: float, study: str = "app", origin: UUID | None = None) -> IndexedCode:
    return IndexedCode(code_id(study, label), study, label, direction(*values), origin)


@pytest.fixture(params=["memory", "folder", "server"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CodeIndex]:
    if request.param == "memory":
        opened: CodeIndex = MemoryCodeIndex()
    elif request.param == "folder":
        opened = open_code_index(f"file:{tmp_path / 'index'}", DIM)
    else:
        url, key = empty_server()
        opened = open_code_index(url, DIM, key)
    yield opened
    opened.close()


@pytest.mark.parametrize("where", ["folder", "server"])
def test_codes_that_another_model_embedded_are_taken_out(tmp_path: Path, where: str) -> None:
    url, key = (f"file:{tmp_path}", None) if where == "folder" else empty_server()
    for embedder, labels in (("", ["of an earlier version"]), ("another@1", ["slow"]), ("this@1", ["dear"])):
        index = open_code_index(url, DIM, key, embedder)
        index.put([a_code(label, 1) for label in labels])
        index.close()
    index = open_code_index(url, DIM, key, "this@1")
    assert index.origins().keys() == {code_id("app", "dear")}
    index.close()


def test_codes_of_an_earlier_version_are_taken_for_the_shipped_models(tmp_path: Path) -> None:
    index = open_code_index(f"file:{tmp_path}", DIM)
    index.put([a_code("slow", 1)])
    index.close()
    index = open_code_index(f"file:{tmp_path}", DIM, embedder=SentenceEmbedder().version)
    assert index.origins().keys() == {code_id("app", "slow")}
    index.close()


def test_a_code_is_found_by_the_very_next_query(index: CodeIndex) -> None:
    code = a_code("slow app", 1)
    index.put([code])
    (found,) = index.nearest("app", direction(1), 3)
    assert (found.code_id, found.label) == (code.id, "slow app")
    assert found.similarity == pytest.approx(1, abs=1e-5)
    assert found.similarity <= 1


def test_the_nearest_come_first_with_their_cosines(index: CodeIndex) -> None:
    index.put([a_code("far", 0, 1), a_code("opposite", -1), a_code("near", 1, 1), a_code("same", 1)])
    found = index.nearest("app", direction(1), 4)
    assert [one.label for one in found] == ["same", "near", "far", "opposite"]
    assert [one.similarity for one in found] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-5)
    assert [one.label for one in index.nearest("app", direction(1), 2)] == ["same", "near"]


def test_a_study_never_sees_another_ones_codes(index: CodeIndex) -> None:
    index.put([a_code("slow", 1), a_code("slow", 1, study="shop 2.0")])
    assert [one.code_id for one in index.nearest("shop 2.0", direction(1), 5)] == [code_id("shop 2.0", "slow")]
    assert index.nearest("nowhere", direction(1), 5) == []


def test_an_empty_index_and_a_limit_of_none_find_nothing(index: CodeIndex) -> None:
    assert index.nearest("app", direction(1), 3) == []
    index.put([a_code("slow", 1)])
    assert index.nearest("app", direction(1), 0) == []


def test_putting_a_code_again_overwrites_it(index: CodeIndex) -> None:
    index.put([a_code("slow", 1)])
    index.put([IndexedCode(code_id("app", "slow"), "app", "sluggish", direction(0, 1))])
    (found,) = index.nearest("app", direction(0, 1), 3)
    assert found.label == "sluggish"
    assert found.similarity == pytest.approx(1, abs=1e-5)


def test_removed_codes_are_gone_and_unknown_ids_are_passed_over(index: CodeIndex) -> None:
    index.put([a_code("slow", 1), a_code("fast", 0, 1)])
    index.remove([code_id("app", "slow"), uuid4()])
    index.remove([])
    assert [one.label for one in index.nearest("app", direction(1), 5)] == ["fast"]


def test_origins_lists_every_code_with_the_segment_that_created_it(index: CodeIndex) -> None:
    segment = uuid4()
    codes = [a_code(f"code {n}", 1, n, origin=segment) for n in range(1_203)]
    index.put(codes)
    index.put([a_code("by hand", 1, study="shop")])
    index.put([])
    assert index.origins("app") == {code.id: segment for code in codes}
    assert index.origins() == {**index.origins("app"), code_id("shop", "by hand"): None}


# The folder


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    index = open_code_index(str(folder), DIM)
    index.put([a_code(f"code {n}", 1, n) for n in range(20)])
    index.close()
    return folder


def test_codes_are_there_after_closing_and_opening_again(filled: Path) -> None:
    index = open_code_index(f"file:{filled}", DIM)
    assert len(index.origins()) == 20
    index.close()
    index.close()


def test_a_kill_right_after_put_loses_nothing(tmp_path: Path) -> None:
    program = f"""
        import os, signal, numpy as np
        from uuid import UUID
        from infra.vectors.code_index import open_code_index
        from models.ports import IndexedCode
        index = open_code_index({str(tmp_path)!r}, {DIM})
        for n in range(700):
            index.put([IndexedCode(UUID(int=n), "app", str(n), np.eye({DIM}, dtype=np.float32)[n % {DIM}])])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    index = open_code_index(str(tmp_path), DIM)
    assert set(index.origins("app")) == {UUID(int=n) for n in range(700)}
    index.close()


def test_a_second_opener_is_told_who_holds_the_folder(filled: Path) -> None:
    first = open_code_index(str(filled), DIM)
    with pytest.raises(SettingError, match=r"in use, and it takes one process; stop .* Qdrant server"):
        open_code_index(str(filled), DIM)
    first.close()
    open_code_index(str(filled), DIM).close()


def test_another_embedder_is_refused_and_the_folder_kept(filled: Path) -> None:
    with pytest.raises(SettingError, match=r"vectors of length 8 but the embedder makes 16; set .* or delete"):
        open_code_index(str(filled), 16)
    index = open_code_index(str(filled), DIM)
    assert len(index.origins()) == 20
    with pytest.raises(SettingError, match="shape"):
        index.nearest("app", np.ones(3, dtype=np.float32), 1)
    index.close()


def _each(name: str, damage: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(shard: Path) -> None:
        files = sorted(shard.rglob(name))
        assert files
        for file in files:
            damage(file)

    return spoil


def _replace(shard: Path, make: Callable[[], object]) -> None:
    shutil.rmtree(shard)
    make()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_each("edge_config.json", lambda file: file.write_text("{")), id="broken config"),
        pytest.param(_each("segment.json", lambda file: file.unlink()), id="lost segment state"),
        pytest.param(_each("status.dat", lambda file: file.write_bytes(b"")), id="emptied status (a panic)"),
        pytest.param(_each("chunk_0.mmap", lambda file: os.truncate(file, 0)), id="emptied vectors"),
        pytest.param(_each("page_0.dat", lambda file: file.write_bytes(b"\xff" * 4_000_000)), id="garbled payload"),
        pytest.param(_each("open-*", lambda file: file.write_bytes(b"no log")), id="garbled log"),
        pytest.param(lambda shard: _replace(shard, shard.mkdir), id="killed while making"),
        pytest.param(lambda shard: _replace(shard, lambda: shard.write_text("?")), id="a file in its place"),
    ],
)
def test_a_damaged_folder_is_put_aside_with_a_message_and_begun_anew(
    filled: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(filled / COLLECTION)
    with caplog.at_level(logging.WARNING):
        index = open_code_index(str(filled), DIM)
    assert index.origins() == {}
    assert "cannot be opened" in caplog.text
    assert "Traceback" not in caplog.text
    assert (filled / "codes.damaged").exists()
    index.put([a_code("slow", 1)])
    assert len(index.nearest("app", direction(1), 1)) == 1
    index.close()
    caplog.clear()
    open_code_index(str(filled), DIM).close()
    assert not caplog.records


def test_a_closed_index_says_so_instead_of_crashing(filled: Path) -> None:
    index = open_code_index(str(filled), DIM)
    index.close()
    with pytest.raises(WorkerFault):
        index.origins()


def test_a_folder_that_cannot_be_made_is_a_setting_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot be written"):
        open_code_index(str(tmp_path / "file" / "index"), DIM)


# The server


def test_a_url_of_another_kind_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="'ftp://host' but http"):
        open_code_index("ftp://host", DIM)


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match=r"Qdrant at http://127\.0\.0\.1:9 does not answer"):
        open_code_index("http://127.0.0.1:9", DIM)


def test_a_server_with_vectors_of_another_length_is_refused() -> None:
    url, key = empty_server()
    open_code_index(url, DIM, key).close()
    with pytest.raises(SettingError, match=r"length 8 but the embedder makes 16"):
        open_code_index(url, 16, key)


def test_a_key_over_plain_http_is_sent_and_said_to_be_in_the_clear_once_in_our_own_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with listening() as (url, requests):
        for _ in range(2):
            with pytest.raises(SettingError, match="refuses the API key"):
                open_code_index(url, DIM, "a-key")
    assert {request.headers["api-key"] for request in requests} == {"a-key"}
    said = [record.getMessage() for record in caplog.records if "in the clear" in record.getMessage()]
    assert said == [
        f"the Qdrant API key goes to {url} in the clear; on a network that is not yours alone give the server TLS and "
        "set QUALSTREAM_QDRANT_URL=https://HOST:PORT"
    ]


@contextmanager
def listening() -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """A server that refuses every key, and the requests that came to it."""
    requests: list[BaseHTTPRequestHandler] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self)
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()
