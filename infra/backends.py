"""Models with weights, as a profile wants them: members and moderators, in this process or on a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.profile_models import MemberProfile, ModeratorProfile, PanelistProfile
from infra.profiles import Profile
from infra.settings import Settings
from infra.tuning.examples import read_examples
from models.moderation import ConsensusModerator
from models.ports import Embedder, Moderator, PartCoder

if TYPE_CHECKING:
    from models.backends.moderator import LoraModerator


def single_moderator(
    who: ModeratorProfile | PanelistProfile, chosen: Profile, settings: Settings, embeds: Embedder
) -> Moderator:
    """One that settles on one label by itself."""
    if who.strategy == "consensus":
        return ConsensusModerator(embeds)
    if who.strategy == "served":
        from models.backends.served import ServedModerator

        return ServedModerator(
            url=str(who.url), model=str(who.model), embedder=embeds, api_key=_secret(settings), seed=chosen.seed
        )
    return _lora_moderator(who, chosen, settings, embeds)


def panelists(who: PanelistProfile, chosen: Profile, settings: Settings, embeds: Embedder) -> list[Moderator]:
    """One place of a panel: a moderator, or several that draw from the same weights."""
    if who.samples is None or who.temperature is None:
        return [single_moderator(who, chosen, settings, embeds)]
    from models.backends.generation import Sampling
    from models.backends.moderator import DrawnModerator

    model = _lora_moderator(who, chosen, settings, embeds)
    sampling = Sampling(chosen.generation.max_new_tokens, who.temperature, chosen.generation.top_p)
    return [DrawnModerator(model, sampling, chosen.seed + n) for n in range(who.samples)]


def _lora_moderator(
    who: ModeratorProfile | PanelistProfile, chosen: Profile, settings: Settings, embeds: Embedder
) -> "LoraModerator":
    from models.backends.moderator import LoraModerator

    return LoraModerator(
        base=str(who.base),
        adapter=who.adapter,
        embedder=embeds,
        cache=settings.weights_dir,
        device=device(chosen, settings),
        dtype=who.dtype,
    )


def device(chosen: Profile, settings: Settings) -> str:
    """The device to use: what the settings say, else the profile, else a GPU if there is one."""
    wanted = chosen.device if settings.device == "auto" else settings.device
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def lora_coder(chosen: Profile, settings: Settings, members: Sequence[MemberProfile]) -> PartCoder:
    """Members on one base, in this process."""
    from models.backends.generation import Sampling
    from models.backends.members import LoraCoder, Member

    said = chosen.generation
    return LoraCoder(
        members=tuple(
            Member(m.name, str(m.base), Path(m.adapter) if m.adapter else None, m.prompt, m.ending, _examples(m))
            for m in members
        ),
        sampling=Sampling(
            said.max_new_tokens, said.temperature, said.top_p, said.draws, said.draw_temperature, said.draw_top_p
        ),
        cache=settings.weights_dir,
        device=device(chosen, settings),
        dtype=members[0].dtype,
        seed=chosen.seed,
    )


def served_coder(chosen: Profile, settings: Settings, members: Sequence[MemberProfile]) -> PartCoder:
    """Members of one server."""
    from models.backends.served import ServedCoder, ServedMember

    said = chosen.generation
    return ServedCoder(
        url=str(members[0].url),
        members=tuple(ServedMember(m.name, str(m.model), m.prompt, m.ending, _examples(m)) for m in members),
        max_tokens=said.max_new_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        seed=chosen.seed,
        api_key=_secret(settings),
    )


def _examples(member: MemberProfile) -> tuple[tuple[str, str], ...]:
    """The texts and codes that stand in a member's prompt."""
    if member.examples is None:
        return ()
    return read_examples(Path(str(member.examples_file)), member.examples)


def _secret(settings: Settings) -> str | None:
    return settings.served_api_key.get_secret_value() if settings.served_api_key else None
