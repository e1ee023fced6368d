"""The moderator: joins the members' proposals and decides."""

from collections.abc import Sequence

from infra.clock import SystemClock
from infra.factory.models import (
    build_embedder,
    build_moderator,
    warm,
)
from infra.profiles.loading import Profile
from infra.settings import Settings
from models.errors import SettingError
from models.moderation.precedents import Precedents
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from schemas import Annotation
from streams.stage import Received, Stage
from streams.stages import ModeratorStage

PATIENCE = 10  # times the deadline: how long a segment without a quorum is held before it is set aside


def moderator_stage(chosen: Profile, settings: Settings, labels: Sequence[Annotation]) -> Stage:
    """The moderator, led by what people have coded so far.

    Raises:
        SettingError: If the quorum is more than the profile has members.
    """
    names = tuple(member.name for member in chosen.members)
    quorum = settings.quorum or len(names) // 2 + 1
    if quorum > len(names):
        raise SettingError(f"QUALSTREAM_QUORUM is {quorum} but profile '{chosen.name}' has {len(names)} members")
    deadline = settings.proposal_deadline_s
    clock = SystemClock()
    join: ProposalJoin[Received] = ProposalJoin(JoinSettings(names, quorum, deadline, PATIENCE * deadline), clock)
    embeds = build_embedder(chosen, settings)
    precedents = Precedents(embeds)
    precedents.update_annotations(labels)
    return ModeratorStage(warm(build_moderator(chosen, settings, embeds, precedents)), join, clock, precedents)
