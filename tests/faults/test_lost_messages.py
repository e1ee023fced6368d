"""What the brokers lost is published again, once, and comes to the outcome that it had not."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from infra.roles.ingest import recover_lost
from infra.storage.store import Store
from schemas import AnnotationRequest, CodeEvent, StudyRules
from streams.cluster import Cluster
from streams.publish import outgoing
from streams.topology import CODEBOOK, REQUESTS, ROLES
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, kill, lag, messages, publish, running, segments, until

LATER = timedelta(minutes=6)


def test_a_segment_that_the_brokers_lost_is_published_again_and_coded(tmp_path: Path, brokers: Brokers) -> None:
    wanted = segments(12)
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        store.take_in(wanted[:10])
        until(lambda: store.counts(STUDY).routed == 10, stack)
        store.take_in(wanted[10:])
        store.mark_published([segment.id for segment in wanted[10:]])  # as if they had been, and were lost since
        until(lambda: _all_is_read(stack.cluster), stack)
        assert asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC))) == 0
        opened = asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC) + LATER))
        until(lambda: store.open_segments(STUDY) == 0, stack)
    assert opened <= 2
    assert store.counts(STUDY).routed == 12


def test_while_anything_is_under_way_nothing_counts_as_lost(tmp_path: Path, brokers: Brokers) -> None:
    with running(tmp_path / "data", brokers=brokers, roles=("ingest",)) as (stack, store):
        store.take_in(segments(5))
        until(lambda: store.counts(STUDY).published == 5, stack)
        assert asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC) + LATER)) == 0
        assert asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC) + timedelta(days=2))) == 5


def test_a_question_to_people_that_was_lost_is_asked_again(tmp_path: Path, brokers: Brokers) -> None:
    wanted = segments(20)
    rules = StudyRules(study=STUDY, threshold=1.0, author="ana", at=datetime.now(UTC))
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        publish(stack.cluster, [outgoing(rules)])
        until(lambda: bool([*store.history(StudyRules)]), stack)
        store.take_in(wanted)
        until(lambda: store.counts(STUDY).routed == 20, stack)
        until(lambda: _all_is_read(stack.cluster), stack)
        people = {row["id"] for row in store.rows(STUDY) if row["route"] == "people"}
        asked = _asked(stack.cluster)
        assert people
        assert people <= asked.keys()
        with store.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM requests")
        assert store.open_segments(STUDY) == len(people)
        asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC) + LATER))
        until(lambda: store.open_segments(STUDY) == 0, stack)
        again = _asked(stack.cluster)
    assert again == asked


def test_a_code_whose_creation_was_lost_is_created_again_as_it_was(tmp_path: Path, brokers: Brokers) -> None:
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        store.take_in(segments(20))
        until(lambda: store.counts(STUDY).routed == 20, stack)
        until(lambda: _all_is_read(stack.cluster), stack)
        created = [*store.code_events(STUDY)]
        _forget_codes(store)
        assert asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC))) == 0
        assert [*store.code_events(STUDY)] == []  # what was assigned just now may be under way
        asyncio.run(recover_lost(store, stack.cluster, datetime.now(UTC) + LATER))
        until(lambda: len([*store.code_events(STUDY)]) == len(created), stack)
    assert created
    assert [*store.code_events(STUDY)] == created


def test_a_broker_that_takes_unrecorded_codes_along_gets_them_again(tmp_path: Path) -> None:
    with running(tmp_path / "data") as (stack, store):
        store.take_in(segments(20))
        until(lambda: store.counts(STUDY).routed == 20, stack)
        until(lambda: _all_is_read(stack.cluster), stack)
        created = {event.id: event.to_bytes() for event in store.code_events(STUDY)}
        _forget_codes(store)
        kill(stack.pids()["broker"])
        until(lambda: stack.restarts > 0, stack)
        again = {CodeEvent.from_bytes(raw).id: raw for raw in messages(stack.cluster, CODEBOOK.name)}
    assert created
    assert again == created


def _forget_codes(store: Store) -> None:
    """As if the recorder had ended before it came to the codebook's topic."""
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM code_events")
        connection.exec_driver_sql("DELETE FROM codes")


def _all_is_read(cluster: Cluster) -> bool:
    """Whether no role has anything to read: before that nothing counts as lost."""
    return not any(lag(cluster, role.name) for role in ROLES if role.reads)


def _asked(cluster: Cluster) -> dict[UUID, set[bytes]]:
    """What stands on the topic of requests, by segment."""
    requests: defaultdict[UUID, set[bytes]] = defaultdict(set)
    for raw in messages(cluster, REQUESTS.name):
        requests[AnnotationRequest.from_bytes(raw).segment_id].add(raw)
    return dict(requests)
