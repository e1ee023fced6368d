"""A refiner that starts learns from what people have said in the topics."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.factory.stores import build_store
from infra.local.stack import LocalStack
from infra.profiles.loading import checked_profile
from infra.roles.refiner import build_stage
from infra.settings import load_settings
from models.backends.token_usage import TokenUsage
from schemas import CodeEvent
from schemas.ids import code_event_id, code_id
from streams.publish import outgoing
from streams.stages.refiner import RefinerStage
from tests.brokers.chosen import Brokers
from tests.integration.stack import FAKES, STUDY, load, publish

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(kind: str, label: str, minute: int, **more: object) -> CodeEvent:
    code = code_id(STUDY, label)
    given = {"id": code_event_id(code, kind, str(minute)), "code_id": code, "study": STUDY, "kind": kind}
    given |= {"label": label, "author": "ann", "at": AT + timedelta(minutes=minute)}
    return CodeEvent.model_validate(given | more)


async def test_a_merge_that_people_made_lowers_the_threshold_of_a_refiner_that_starts(
    tmp_path: Path, brokers: Brokers
) -> None:
    settings = load_settings(data_dir=tmp_path, profile=str(FAKES), **brokers.options)
    store = build_store(settings)
    merge = event("merged", "slow app start", 3, into=[code_id(STUDY, "slow app")])
    events = [event("created", "slow app", 1), event("created", "slow app start", 2), merge]
    stack = LocalStack(settings, store, roles=())
    try:
        await asyncio.to_thread(stack.start)
        await asyncio.to_thread(publish, stack.cluster, [outgoing(one) for one in events])
        stage = build_stage(settings, TokenUsage())
        await load(stack.cluster, stage)
    finally:
        stack.stop()
        store.close()
    assert isinstance(stage, RefinerStage)
    learned = stage.refiner.threshold(STUDY)
    assert learned.origin == "learned from 1 judgement"
    assert learned.value < checked_profile(settings).refiner.threshold == stage.refiner.threshold("another").value
