"""Three Kafka nodes and every role: each is killed or paused once, and nothing is lost or decided twice.

How long that takes is measured by ``python -m benchmarks.kafka``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.stack import CODING
from streams.topology import ASSIGNMENTS, DECISIONS
from tests.brokers.drill import coordinator, drill
from tests.brokers.shared_index import served_index
from tests.qdrant_server import empty_server

PAUSE_S = 12.0  # twice a session: the group has gone on without who wakes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # pauses longer than a session, one after the other
    pytest.mark.usefixtures("kafka_programs"),
]


def test_whatever_is_killed_or_paused_nothing_is_lost_and_nothing_decided_twice(tmp_path: Path) -> None:
    with drill(tmp_path) as drilled:
        drilled.flow()
        for role in CODING:
            drilled.kill_role(role)
        for topic in (DECISIONS.name, ASSIGNMENTS.name):
            drilled.kill_node(drilled.nodes.leader(topic), topic)
        drilled.kill_node(coordinator(drilled, "refiner"), "the refiner's group")
        drilled.pause_role("refiner", PAUSE_S)
        findings = drilled.finish()
    assert findings.faults == ()
    assert findings.unread == ""
    assert findings.tally.coded == findings.tally.taken_in > 500


@pytest.fixture(params=["a process beside them", "Qdrant server"])
def refiner_command(request: pytest.FixtureRequest) -> Iterator[tuple[list[str], dict[str, str]]]:
    """How a refiner is started on an index that others use too, and with which settings."""
    if request.param == "Qdrant server":
        url, key = empty_server()
        settings = {"qdrant_url": url, "qdrant_api_key": key or ""}
        yield [sys.executable, "-m", "infra.cli", "up", "--role", "refiner"], settings
    else:
        with served_index() as address:
            yield [sys.executable, "-m", "tests.brokers.shared_index", address], {}


def test_two_refiners_that_share_an_index_give_no_segment_two_codes_though_each_stands_still_or_is_killed(
    tmp_path: Path, refiner_command: tuple[list[str], dict[str, str]]
) -> None:
    command, settings = refiner_command
    roles = [role for role in CODING if role != "refiner"]
    studies = [f"study {n}" for n in range(6)]
    with drill(tmp_path, roles, studies) as drilled:
        for name in ("one", "two"):
            drilled.start_beside(name, command, settings)
        drilled.flow()
        for name in ("one", "two"):
            drilled.pause_role(name, PAUSE_S)
            drilled.kill_role(name)
        findings = drilled.finish()
    assert findings.faults == ()
    assert findings.tally.coded == findings.tally.taken_in > 500
