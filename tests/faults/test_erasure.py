"""What is erased is deleted at the brokers too; what is reset leaves no topic behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli import cli
from infra.erasure.reset import reset
from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.settings import load_settings, variable
from infra.telemetry.invariant_check import audit_of_topics
from models.invariants import ASKED
from schemas import Annotation, Assignment, Segment
from streams.cluster import Cluster, partitions_of, read_topic
from streams.publish import outgoing
from streams.topology import ASSIGNMENTS, DECISIONS, FEEDBACK, LABELS, PROPOSALS, REQUESTS, TOPICS, Topic
from tests.brokers.chosen import Brokers
from tests.integration.stack import publish
from tests.unit.builders import segment
from tests.web.site import FAKES, coded

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def stack(tmp_path: Path, brokers: Brokers) -> AsyncIterator[LocalStack]:
    settings = load_settings(data_dir=tmp_path, profile=str(FAKES), **brokers.options)
    store = build_store(settings)
    running = LocalStack(settings, store, roles=())
    try:
        await asyncio.to_thread(running.start)
        yield running
    finally:
        running.stop()
        store.close()


async def values(cluster: Cluster, topic: Topic) -> list[bytes | None]:
    return [value async for _, _, _, value in read_topic(cluster, topic.name)]


def erase(stack: LocalStack, *options: str) -> dict:
    plain = {name: getattr(stack.settings, name) for name in stack.settings.model_fields_set}
    environment = {variable(name): str(value) for name, value in plain.items()}
    answer = CliRunner().invoke(cli, ["erase", "--yes", *options], env=environment, catch_exceptions=False)
    return json.loads(answer.stdout)


async def test_a_segment_is_deleted_on_every_topic_that_has_it_and_its_labels_are_taken_back_first(stack: LocalStack):
    secret = segment("Zoe says that the lift is broken").model_copy(update={"metadata": {"author": "Zoe"}})
    label = Annotation(segment_id=secret.id, study=secret.study, annotator="ben", code_ids=[], labels=[], decided_at=AT)
    stack.store.record([secret, label])
    await asyncio.to_thread(publish, stack.cluster, [outgoing(label)])
    receipt = await asyncio.to_thread(erase, stack, "--author", "zoe")
    by_id = (FEEDBACK, PROPOSALS, ASSIGNMENTS, REQUESTS)
    for topic in by_id:
        assert await values(stack.cluster, topic) == [None]
    *_, taken_back, deleted = await values(stack.cluster, LABELS)
    assert Annotation.from_bytes(taken_back).withdrawn
    assert deleted is None
    assert await values(stack.cluster, DECISIONS) == []
    assert receipt["deletions"] | {topic.name: 1 for topic in by_id} == receipt["deletions"]
    assert (receipt["segments"], receipt["rows"]["segments"], receipt["rows"]["annotations"]) == (1, 1, 1)
    assert receipt["left"]


async def test_a_reset_of_everything_leaves_no_topic_on_a_kafka_of_one_s_own(stack: LocalStack, brokers: Brokers):
    if brokers.embedded:
        pytest.skip("the embedded broker forgets by itself when it ends")
    assert await asyncio.to_thread(reset, stack.settings, stack.store, None) == []
    there = await partitions_of(stack.cluster, [topic.name for topic in TOPICS])
    assert {name for name, partitions in there.items() if partitions} == set()


async def test_what_was_erased_is_no_fault_of_the_study_s(stack: LocalStack):
    one = segment("Zoe says that the lift is broken")
    routed = [record for record in coded(one, "lift", at=AT, confidence=0.3) if not isinstance(record, Segment)]
    assigned = [record for record in routed if isinstance(record, Assignment)]
    await asyncio.to_thread(publish, stack.cluster, [outgoing(record) for record in assigned])
    found = await audit_of_topics(stack.cluster)
    assert {fault.invariant for fault in found.faults(all_taken_in=False)} >= {ASKED}
    left = await audit_of_topics(stack.cluster, erased={one.id})
    assert left.faults(all_taken_in=False) == []
