"""The servers that tests share, one of each a session; and what was skipped, named at the end."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import postgresql
from tests.brokers.chosen import EMBEDDED, QUICK, Brokers
from tests.brokers.kafka import Kafka, KafkaMissingError, require_kafka, running_kafka

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core; torch would take all of them in each

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")

CI = os.environ.get("CI", "").casefold() in ("1", "true")


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """The session's PostgreSQL, without what a reset leaves there; who uses it resets the rest."""
    postgresql.forget_what_stays(postgresql_server)
    return postgresql_server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL for the whole session."""
    if postgresql.programs() is None:
        lacking = "PostgreSQL is not installed; on Debian: apt-get install postgresql"
        pytest.fail(lacking) if CI else pytest.skip(lacking)
    with postgresql.running_postgresql() as url:
        yield url


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def broker_name(request: pytest.FixtureRequest) -> str:
    """Which broker a test runs on: each test on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def kafka_programs() -> None:
    """See that Apache Kafka can run here; who needs nodes of its own asks for this first."""
    try:
        require_kafka()
    except KafkaMissingError as error:
        if CI and error.obtainable:
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_node(kafka_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """An Apache Kafka of one node for the whole session; tests keep apart by prefixes."""
    with running_kafka(tmp_path_factory.mktemp("kafka"), settings=QUICK) as kafka:
        yield kafka


@pytest.fixture
def brokers(broker_name: str, request: pytest.FixtureRequest) -> Iterator[Brokers]:
    """The brokers of a test."""
    yield from _brokers_of(broker_name, request)


@pytest.fixture(scope="module")
def module_brokers(broker_name: str, request: pytest.FixtureRequest) -> Iterator[Brokers]:
    """The brokers of a stack that a module's tests share."""
    yield from _brokers_of(broker_name, request)


def _brokers_of(name: str, request: pytest.FixtureRequest) -> Iterator[Brokers]:
    if name == EMBEDDED.name:
        yield EMBEDDED
        return
    kafka: Kafka = request.getfixturevalue("kafka_node")
    prefix = f"{uuid4().hex[:8]}."
    yield Brokers(name, {**kafka.options(), "kafka_prefix": prefix})
    kafka.delete_topics(prefix)


LONGEST = ("tests/browser", "tests/integration", "tests/faults", "tests/contract")
"""What takes longest comes first, so that at the end no worker waits long for the other."""


class OneWorkerAModule(LoadScopeScheduling):
    """Keeps a module's tests on one worker, which sets up once what they share; the browser's stack is many modules'.

    xdist 3.8's own way, groups, does nothing with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "tests/browser" if module.startswith("tests/browser") else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Say which worker runs what."""
    return OneWorkerAModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; note which broker a test is for."""
    for item in items:
        if isinstance(item, pytest.Function):
            item.user_properties.append(("broker", _broker(item)))
    items.sort(key=lambda item: next((n for n, way in enumerate(LONGEST) if item.nodeid.startswith(way)), len(LONGEST)))


def _broker(item: pytest.Function) -> str:
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return str(given.get("broker_name", "kafka" if "kafka_programs" in item.fixturenames else ""))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every reason for which something was skipped, and how many tests ran on each broker."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
    passed = Counter(dict(report.user_properties).get("broker") for report in terminalreporter.getreports("passed"))
    for name in ("embedded", "kafka"):
        if passed[name]:
            terminalreporter.write_line(f"{passed[name]} passed on the broker '{name}'")
