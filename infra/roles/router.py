"""The router: accepts codes, or asks people."""

import asyncio

from infra.clock import SystemClock
from infra.factory.models import Models
from infra.roles.definition import read_records, stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from schemas import Annotation, ModelRelease, StudyRules
from streams.stage import Stage
from streams.stages import RouterStage
from streams.topology import LABELS, RELEASES, STUDIES


async def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The router, taught what people have decided, which rules they have set and which classifiers serve so far."""
    router = Models.of(settings, usage).build_router()
    router.update_rules(await read_records(settings, STUDIES, StudyRules))
    router.update_annotations(await read_records(settings, LABELS, Annotation))
    await asyncio.to_thread(router.update_releases, await read_records(settings, RELEASES, ModelRelease))
    await asyncio.to_thread(router.warm_up)
    return RouterStage(router, SystemClock())


ROLE = stage_role("router", build_stage)
