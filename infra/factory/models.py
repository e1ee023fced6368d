"""Models with weights, as a profile wants them: members and moderators, in this process or on a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from infra.clock import SystemClock
from infra.files.few_shot import read_examples
from infra.profiles.loading import Profile
from infra.profiles.members import MemberProfile, ModeratorProfile, PanelistProfile
from infra.profiles.study_rules import default_rules, refiner_settings
from infra.settings import Settings
from infra.training.loader import reading_taught
from models.classifier.registry import Serving
from models.coding.cascade import CascadeCoder, CascadeSettings
from models.coding.ensemble import Ensemble
from models.errors import SettingError
from models.fakes import FakeCoder, HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.moderation.panel import PanelModerator
from models.moderation.precedents import PrecedentModerator, Precedents
from models.ports import CodeIndex, Coder, Embedder, Moderator, PartCoder, load
from models.refinement.refiner import Refiner
from models.routing.router import Router

if TYPE_CHECKING:
    from models.backends.lora.moderator import LoraModerator


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
    from models.backends.lora.generation import Sampling
    from models.backends.lora.moderator import SampledModerator

    model = _lora_moderator(who, chosen, settings, embeds)
    sampling = Sampling(chosen.generation.max_new_tokens, who.temperature, chosen.generation.top_p)
    return [SampledModerator(model, sampling, chosen.seed + n) for n in range(who.samples)]


def _lora_moderator(
    who: ModeratorProfile | PanelistProfile, chosen: Profile, settings: Settings, embeds: Embedder
) -> "LoraModerator":
    from models.backends.lora.moderator import LoraModerator

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
    from models.backends.lora.coder import LoraCoder, Member
    from models.backends.lora.generation import Sampling

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


M = TypeVar("M", Coder, Moderator)


FAKE = "fake"  # the embedder's name in profiles made for tests


def build_coder(chosen: Profile, settings: Settings, embeds: Embedder | None = None) -> Coder:
    """The members that live in this process, behind a cascade where settings or profile want one.

    Args:
        chosen: The profile.
        settings: Which of its members live here, and whether a cascade is on.
        embeds: For the cascade; its own where none is given.

    Raises:
        SettingError: If the settings name a member that the profile does not have.
    """
    everybody = build_members(chosen, settings)
    if not cascades(chosen, settings):
        return everybody
    wanted = chosen.cascade
    rules = CascadeSettings(wanted.first, wanted.agreement, wanted.near, wanted.memory)
    return CascadeCoder(everybody, embeds or build_embedder(chosen, settings), rules)


def cascades(chosen: Profile, settings: Settings) -> bool:
    """Whether a segment is shown to as few members as it needs."""
    return chosen.cascade.on if settings.cascade is None else settings.cascade == "on"


def build_members(chosen: Profile, settings: Settings) -> PartCoder:
    """The members that live in this process, those on one base in one batch.

    Raises:
        SettingError: If the settings name a member that the profile does not have.
    """
    names = [member.name for member in chosen.members]
    for name in settings.members:
        if name not in names:
            raise SettingError(f"QUALSTREAM_MEMBERS names '{name}' but profile '{chosen.name}' has {', '.join(names)}")
    here = [m for m in chosen.members if not settings.members or m.name in settings.members]
    fakes = tuple(member.name for member in here if member.backend == "fake")
    local = [member for member in here if member.backend == "transformers"]
    served = [member for member in here if member.backend == "served"]
    groups: list[PartCoder] = [FakeCoder(fakes)] if fakes else []
    for key in dict.fromkeys((member.base, member.dtype) for member in local):
        groups.append(lora_coder(chosen, settings, [m for m in local if (m.base, m.dtype) == key]))
    for url in dict.fromkeys(member.url for member in served):
        groups.append(served_coder(chosen, settings, [m for m in served if m.url == url]))
    return groups[0] if len(groups) == 1 else Ensemble(tuple(groups), tuple(member.name for member in here))


def build_embedder(chosen: Profile, settings: Settings) -> Embedder:
    """What turns labels into directions."""
    if chosen.embedder.model == FAKE:
        return HashEmbedder()
    from models.backends.sentence.embedder import SentenceEmbedder

    return SentenceEmbedder(chosen.embedder.model, device=device(chosen, settings))


def build_moderator(
    chosen: Profile, settings: Settings, embeds: Embedder, precedents: Precedents | None = None
) -> Moderator:
    """Who settles on one label: the consensus, a taught model, a served one, or a panel of these.

    Args:
        chosen: The profile.
        settings: Device and cache.
        embeds: For agreement and consensus.
        precedents: What people coded, to lead the moderator where a study has any.
    """
    who = chosen.moderator
    if who.strategy == "panel":
        panel = [m for one in who.panel for m in panelists(one, chosen, settings, embeds)]
        settles: Moderator = PanelModerator(panel, embeds)
    else:
        settles = single_moderator(who, chosen, settings, embeds)
    return settles if precedents is None else PrecedentModerator(settles, embeds, precedents)


def build_refiner(chosen: Profile, index: CodeIndex, embeds: Embedder) -> Refiner:
    """Reuses or creates codes, as the profile says."""
    return Refiner(index, embeds, SystemClock(), refiner_settings(chosen), versions={"profile": chosen.name})


def build_router(chosen: Profile, settings: Settings) -> Router:
    """What accepts codes and asks people, by the profile's rules where a study has set none."""
    return Router(lambda study: default_rules(chosen, study), Serving(reading_taught(settings.data_dir)))


def warm(model: M) -> M:
    """Load weights now, so that the first segment does not wait for them."""
    load(model)
    return model
