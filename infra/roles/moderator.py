"""The moderator: joins the members' proposals and decides."""

import asyncio
from collections.abc import Sequence

from infra.clock import SystemClock
from infra.factory.models import Models, load_now
from infra.roles.definition import read_records, stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from models.errors import SettingError
from models.moderation.precedents import Precedents
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from schemas import Annotation
from streams.stage import Received, Stage
from streams.stages import ModeratorStage
from streams.topology import LABELS

PATIENCE = 10  # times the deadline: how long a segment without a quorum is held before it is set aside


async def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The moderator, led by what people have coded so far."""
    models = Models.of(settings, usage)
    labels = await read_records(settings, LABELS, Annotation)
    return await asyncio.to_thread(moderator_stage, models, labels)


def moderator_stage(models: Models, labels: Sequence[Annotation]) -> Stage:
    """The moderator with its models loaded.

    Raises:
        SettingError: If the quorum is more than the profile has members.
    """
    clock = SystemClock()
    join: ProposalJoin[Received] = ProposalJoin(join_settings(models), clock)
    precedents = Precedents(models.embedder)
    precedents.update_annotations(labels)
    return ModeratorStage(load_now(models.build_moderator(precedents)), join, clock, precedents)


def join_settings(models: Models) -> JoinSettings:
    """Whom a decision waits for, and how long.

    Raises:
        SettingError: If the quorum is more than the profile has members.
    """
    names = tuple(member.name for member in models.profile.members)
    quorum = models.settings.quorum or len(names) // 2 + 1
    if quorum > len(names):
        raise SettingError(
            f"QUALSTREAM_QUORUM is {quorum} but profile '{models.profile.name}' has {len(names)} members"
        )
    deadline = models.settings.proposal_deadline_s
    return JoinSettings(names, quorum, deadline, PATIENCE * deadline)


ROLE = stage_role("moderator", build_stage)
