"""What the brokers lost is published again, once, and comes to the outcome that it had not."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from infra.roles.ingest import reopen_lost
from schemas import AnnotationRequest, StudyRules
from streams.cluster import Cluster
from streams.publish import outgoing
from streams.topology import REQUESTS
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, lag, messages, publish, running, segments, until

LATER = timedelta(minutes=6)


def test_a_segment_that_the_brokers_lost_is_published_again_and_coded(tmp_path: Path, brokers: Brokers) -> None:
    wanted = segments(12)
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        store.take_in(wanted[:10])
        until(lambda: store.counts(STUDY).routed == 10, stack)
        store.take_in(wanted[10:])
        store.mark_published([segment.id for segment in wanted[10:]])  # as if they had been, and were lost since
        until(lambda: lag(stack.cluster, "recorder") == 0, stack)
        assert asyncio.run(reopen_lost(store, stack.cluster, datetime.now(UTC))) == 0
        opened = asyncio.run(reopen_lost(store, stack.cluster, datetime.now(UTC) + LATER))
        until(lambda: store.open_segments(STUDY) == 0, stack)
    assert opened <= 2
    assert store.counts(STUDY).routed == 12


def test_while_anything_is_under_way_nothing_counts_as_lost(tmp_path: Path, brokers: Brokers) -> None:
    with running(tmp_path / "data", brokers=brokers, roles=("ingest",)) as (stack, store):
        store.take_in(segments(5))
        until(lambda: store.counts(STUDY).published == 5, stack)
        assert asyncio.run(reopen_lost(store, stack.cluster, datetime.now(UTC) + LATER)) == 0
        assert asyncio.run(reopen_lost(store, stack.cluster, datetime.now(UTC) + timedelta(days=2))) == 5


def test_a_question_to_people_that_was_lost_is_asked_again(tmp_path: Path, brokers: Brokers) -> None:
    wanted = segments(20)
    rules = StudyRules(study=STUDY, threshold=1.0, author="ana", at=datetime.now(UTC))
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        publish(stack.cluster, [outgoing(rules)])
        until(lambda: bool([*store.history(StudyRules)]), stack)
        store.take_in(wanted)
        until(lambda: store.counts(STUDY).routed == 20, stack)
        until(lambda: lag(stack.cluster, "recorder") == 0, stack)
        people = {row["id"] for row in store.rows(STUDY) if row["route"] == "people"}
        asked = _asked(stack.cluster)
        assert people
        assert people <= asked.keys()
        with store.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM requests")
        assert store.open_segments(STUDY) == len(people)
        asyncio.run(reopen_lost(store, stack.cluster, datetime.now(UTC) + LATER))
        until(lambda: store.open_segments(STUDY) == 0, stack)
        again = _asked(stack.cluster)
    assert again == asked


def _asked(cluster: Cluster) -> dict[UUID, set[bytes]]:
    """What stands on the topic of requests, by segment."""
    requests: defaultdict[UUID, set[bytes]] = defaultdict(set)
    for raw in messages(cluster, REQUESTS.name):
        requests[AnnotationRequest.from_bytes(raw).segment_id].add(raw)
    return dict(requests)
