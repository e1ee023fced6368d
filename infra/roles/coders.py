"""The coders: the members that live in this process, and the studies' classifiers."""

import asyncio

from infra.clock import SystemClock
from infra.factory.classifiers import build_classifiers
from infra.factory.models import Models, load_now
from infra.roles.definition import read_records, stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from schemas import CodeEvent, ModelRelease
from streams.stage import Stage
from streams.stages import CodersStage
from streams.topology import CODEBOOK, RELEASES


async def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The members that live here, and the classifiers that serve by now.

    Every group of members asks the classifiers, where they live apart: so each may spare its members, and a group that
    is away takes no guess with it.
    """
    models = Models.of(settings, usage)
    coder = await asyncio.to_thread(load_now, models.build_coder())
    classifiers = build_classifiers(models)
    releases = await read_records(settings, RELEASES, ModelRelease)
    await asyncio.to_thread(classifiers.serving.hear, releases)
    classifiers.follow(await read_records(settings, CODEBOOK, CodeEvent))
    return CodersStage(coder, models.profile.text_limit, SystemClock(), classifiers)


ROLE = stage_role("coders", build_stage)
