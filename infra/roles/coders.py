"""The coders: the members that live in this process, and the studies' classifiers."""

import asyncio

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.classifiers import build_classifiers
from infra.factory.models import (
    build_coder,
    build_embedder,
    warm,
)
from infra.profiles.loading import Profile
from infra.settings import Settings
from schemas import CodeEvent, ModelRelease
from streams.cluster import read_topic
from streams.stage import Stage, readable
from streams.stages import CodersStage
from streams.topology import CODEBOOK, RELEASES


async def coders_stage(chosen: Profile, settings: Settings) -> Stage:
    """The members that live here, and the classifiers that serve by now.

    Every group of members asks the classifiers, where they live apart: so each may spare its members, and a group that
    is away takes no guess with it.
    """
    embeds = build_embedder(chosen, settings)
    everybody = await asyncio.to_thread(warm, build_coder(chosen, settings, embeds))
    classifies = build_classifiers(chosen, settings, embeds)
    said = [value async for _, _, _, value in read_topic(build_cluster(settings), RELEASES.name)]
    await asyncio.to_thread(classifies.serving.hear, readable(said, ModelRelease))
    history = [value async for _, _, _, value in read_topic(build_cluster(settings), CODEBOOK.name)]
    classifies.follow(readable(history, CodeEvent))
    return CodersStage(everybody, chosen.text_limit, SystemClock(), classifies)
