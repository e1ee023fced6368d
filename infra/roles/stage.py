"""The stage of each role that reads a topic."""

import asyncio

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.stores import build_store
from infra.profiles.loading import checked_profile
from infra.roles.coders import coders_stage
from infra.roles.moderator import moderator_stage
from infra.roles.refiner import refiner_stage
from infra.roles.router import router_stage
from infra.settings import Settings
from schemas import Annotation
from streams.cluster import read_topic
from streams.stage import Stage, readable
from streams.stages import RecorderStage
from streams.topology import LABELS, Role


async def make_stage(role: Role, settings: Settings) -> Stage:
    """Load what a role needs: models and stores, before anything is read."""
    if role.name == "recorder":
        return RecorderStage(await asyncio.to_thread(lambda: build_store(settings).record), SystemClock())
    chosen = checked_profile(settings)
    if role.name == "router":
        return await router_stage(chosen, settings)
    if role.name == "coders":
        return await coders_stage(chosen, settings)
    if role.name == "trainer":
        from infra.roles.trainer import trainer_stage

        return await trainer_stage(chosen, settings)
    if role.name == "moderator":
        labels = [value async for _, _, _, value in read_topic(build_cluster(settings), LABELS.name)]
        return await asyncio.to_thread(moderator_stage, chosen, settings, readable(labels, Annotation))
    return await refiner_stage(chosen, settings)
