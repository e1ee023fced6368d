"""The router: accepts codes, or asks people."""

import asyncio

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.models import build_router
from infra.profiles.loading import Profile
from infra.settings import Settings
from schemas import Annotation, ModelRelease, StudyRules
from streams.cluster import read_topic
from streams.stage import Stage, readable
from streams.stages import RouterStage
from streams.topology import LABELS, RELEASES, STUDIES


async def router_stage(chosen: Profile, settings: Settings) -> Stage:
    """The router, taught what people have decided, which rules they have set and which classifiers serve so far."""
    routes, brokers = build_router(chosen, settings), build_cluster(settings)
    routes.follow(readable([value async for _, _, _, value in read_topic(brokers, STUDIES.name)], StudyRules))
    routes.learn(readable([value async for _, _, _, value in read_topic(brokers, LABELS.name)], Annotation))
    released = readable([value async for _, _, _, value in read_topic(brokers, RELEASES.name)], ModelRelease)
    await asyncio.to_thread(routes.hear, released)
    await asyncio.to_thread(routes.settle)
    return RouterStage(routes, SystemClock())
