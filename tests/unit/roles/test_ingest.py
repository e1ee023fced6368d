"""How much ingest publishes while the roles have not read what it published before."""

from uuid import uuid4

import pytest

from infra.local.stack import LocalStack
from infra.roles import ingest
from infra.roles.ingest import BoundedIntake
from infra.settings import load_settings


class Waiting:
    """A read model with so many segments that wait."""

    def __init__(self, count):
        self.ids = [uuid4() for _ in range(count)]

    def unpublished(self, limit):
        return [(each, "reviews", b"") for each in self.ids[:limit]]

    def mark_published(self, ids):
        self.ids = [each for each in self.ids if each not in ids]


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(ingest.time, "monotonic", lambda: now[0])
    return now


def publish_all(intake, batch=10):
    count = 0
    while rows := intake.unpublished(batch):
        intake.mark_published([identity for identity, _, _ in rows])
        count += len(rows)
    return count


def test_never_more_is_under_way_than_the_limit_and_it_goes_on_as_roles_read(clock):
    lag, store = [0], Waiting(100)
    intake = BoundedIntake(store, 25, lambda: lag[0])
    assert publish_all(intake) == 25
    lag[0] = 25
    clock[0] += 10
    assert intake.unpublished(10) == []
    lag[0] = 18
    assert intake.unpublished(10) == []  # it has asked a moment ago
    clock[0] += 10
    assert publish_all(intake) == 7
    lag[0] = 0
    clock[0] += 10
    assert publish_all(intake) == 25
    assert len(store.ids) == 100 - 25 - 7 - 25


def test_where_more_is_under_way_than_ever_may_be_nothing_is_published(clock):
    intake = BoundedIntake(Waiting(5), 25, lambda: 400)
    assert intake.unpublished(10) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "20000"), ({"ingest_lag": 300}, "300"), ({"kafka_url": "broker:9092"}, None)],
)
def test_the_embedded_broker_has_a_limit_and_a_kafka_none(tmp_path, monkeypatch, settings, expected):
    monkeypatch.delenv("QUALSTREAM_INGEST_LAG", raising=False)
    stack = LocalStack(load_settings(data_dir=tmp_path, **settings), None)
    child = stack._child("ingest", ["true"])
    assert child.environment.get("QUALSTREAM_INGEST_LAG") == expected
