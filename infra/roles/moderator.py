"""The moderator: joins the members' proposals and decides."""

from infra.clock import SystemClock
from infra.factory.models import Models, load_now
from infra.roles.definition import stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from models.errors import SettingError
from models.moderation.memory import StudyMemory
from models.moderation.precedents import Precedents
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from streams.stage import Received, Stage
from streams.stages.moderator import ModeratorStage

PATIENCE = 120  # times the deadline: so long is a segment held without a quorum; a group of members may be down


def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The moderator, led by what people code.

    Raises:
        SettingError: If the quorum is more than the profile has members.
    """
    models, clock = Models.of(settings, usage), SystemClock()
    join: ProposalJoin[Received] = ProposalJoin(join_settings(models), clock)
    precedents = Precedents(models.embedder)
    memory = StudyMemory(models.embedder, precedents)
    return ModeratorStage(load_now(models.build_moderator(precedents, memory)), join, clock, precedents, memory)


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
