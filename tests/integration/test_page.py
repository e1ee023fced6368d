"""The page of a running stack: its first link, being killed, and decisions while the broker is away."""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infra.brokers import local_broker
from infra.factory.stores import build_store
from infra.local.stack import free_port
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from infra.storage.store import Store
from schemas import Annotation, CodeEvent
from schemas.ids import code_event_id, code_id, segment_id
from streams.cluster import Cluster
from streams.topology import LABELS
from tests.brokers.chosen import Brokers
from tests.integration.stack import (
    STUDY,
    Started,
    alive,
    alone,
    environment,
    kill,
    messages,
    reach,
    running,
    started,
    until,
    worker,
)

PASSWORD = "correct horse battery"


@dataclass
class Page:
    """A running stack with its page."""

    stack: Started
    folder: Path
    store: Store
    address: str
    embedded: bool

    @property
    def pid(self) -> int | None:
        """The page's process, as it last said."""
        return next((one.pid for one in self.store.workers() if one.role == "web"), None)

    def answers(self) -> bool:
        assert self.stack.runs, self.stack.said
        return answers(self.address)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/signin", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, module_brokers: Brokers) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page") / "data"
    folder.mkdir()
    port = str(free_port())
    env = environment(folder, web_port=port, **module_brokers.options)
    with started([sys.executable, "-m", "infra.cli", "up"], folder.parent / "up.log", env) as stack:
        until(lambda: "Set the admin's password" in stack.said or not stack.runs)
        assert stack.runs, stack.said
        store = build_store(load_settings(data_dir=folder))
        it = Page(stack, folder, store, f"http://127.0.0.1:{port}", module_brokers.embedded)
        assert httpx.get(f"{it.address}/signin", timeout=60).status_code == 200  # as soon as its link is printed
        yield it
        store.close()


def token_of(text: str) -> str:
    return re.search(r'name="csrf" value="(\w+)"', text)[1]


def test_the_stack_prints_the_page_s_address_and_a_link_that_works_once(page):
    assert f"The page: {page.address}" in page.stack.said
    (link,) = re.findall(rf"{page.address}/setup/\S+", page.stack.said)
    assert link not in "".join(path.read_text() for path in (page.folder / "logs").glob("*.log"))
    with httpx.Client(base_url=page.address, follow_redirects=True) as client:
        form = {"csrf": token_of(client.get(link).text), "password": PASSWORD, "again": PASSWORD}
        assert client.post(link, data=form).status_code == 200
        assert client.get("/people").status_code == 200
        assert "server" not in client.get("/people").headers
    assert httpx.get(link).status_code == 404


def test_a_page_that_was_killed_comes_back_and_the_other_roles_go_on(page):
    until(lambda: page.pid is not None)
    others = {one.role: one.pid for one in page.store.workers() if one.role != "web"}
    before = page.pid
    kill(before)
    until(lambda: page.pid != before)
    until(page.answers)
    assert {one.role: one.pid for one in page.store.workers() if one.role in others} == others
    assert (local_broker(load_settings(data_dir=page.folder)) is not None) == page.embedded


def decided(key: str) -> list[Annotation | CodeEvent]:
    """What somebody decides: a new code, and a segment that has it."""
    now, code, segment = datetime.now(UTC), code_id(STUDY, f"code {key}"), segment_id(STUDY, "page", key)
    event = CodeEvent(
        id=code_event_id(code, "created", key),
        code_id=code,
        study=STUDY,
        kind="created",
        label=f"code {key}",
        author="ana",
        at=now,
    )
    annotation = Annotation(
        segment_id=segment,
        study=STUDY,
        annotator="ana",
        code_ids=[code],
        labels=[f"code {key}"],
        decided_at=now,
    )
    return [event, annotation]


def test_what_is_decided_while_the_broker_is_away_arrives_when_it_is_back(tmp_path, brokers):
    folder, port, web_port = tmp_path / "data", free_port(), free_port()
    with worker("web", folder, kafka_url=f"127.0.0.1:{port}", web_port=str(web_port)) as web:
        until(lambda: answers(f"http://127.0.0.1:{web_port}") or not web.runs)
        assert web.runs, web.said
        assert "works once, for a day" in web.said
        store = build_store(load_settings(data_dir=folder))
        outbox = Outbox(store.database)
        outbox.keep(decided("one"))
        assert outbox.backlog() == 2
        with alone(brokers, port, tmp_path):
            until(lambda: outbox.backlog() == 0)
            cluster = Cluster((f"127.0.0.1:{port}",))
            (label,) = messages(cluster, LABELS.name)
            assert Annotation.from_bytes(label).labels == ["code one"]
            outbox.keep(decided("two"))
            until(lambda: outbox.backlog() == 0)
            assert len(messages(cluster, LABELS.name)) == 2
        store.close()


def test_a_page_that_is_told_to_stop_ends_within_seconds_although_somebody_is_connected(tmp_path, brokers):
    folder, web_port = tmp_path / "data", free_port()
    with (
        running(folder, roles=(), brokers=brokers) as (stack, _),
        worker("web", folder, web_port=str(web_port), **reach(stack.cluster)) as web,
    ):
        until(lambda: answers(f"http://127.0.0.1:{web_port}") or not web.runs)
        with httpx.Client(base_url=f"http://127.0.0.1:{web_port}") as client:
            assert client.get("/signin").status_code == 200
            began = time.monotonic()
            web.process.terminate()
            assert web.process.wait(timeout=15) == 0, web.said
            assert time.monotonic() - began < 10
        assert not alive(web.process.pid)


def test_a_port_that_is_taken_is_one_line_and_the_stack_takes_another(page, tmp_path):
    taken = page.address.rpartition(":")[2]
    folder = tmp_path / "data"
    with worker("web", folder, kafka_url="127.0.0.1:1", web_port=taken) as web:
        assert web.process.wait(timeout=30) == 2
        assert f"cannot listen on 127.0.0.1 port {taken}" in web.said
        assert "Traceback" not in web.said
