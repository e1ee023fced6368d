"""The models that a profile and the settings come to, in this process or on a server, real or fake."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from infra.clock import SystemClock
from infra.files.few_shot import read_examples, read_verdicts
from infra.profiles.loading import Profile, checked_profile, requested_device
from infra.profiles.members import MemberProfile, ModeratorProfile, PanelistProfile, VerifierProfile
from infra.profiles.study_rules import default_rules, refiner_settings
from infra.settings import Settings
from infra.training.loader import out_of_fold_loader
from models.backends.devices import available_device
from models.backends.token_usage import TokenUsage
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.registry import ReleaseRegistry
from models.codebook.coding_modes import CodingModes
from models.coding.cascade import CascadeCoder, CascadeSettings
from models.coding.ensemble import Ensemble
from models.errors import SettingError
from models.fakes import FakeCoder, HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.moderation.memory import StudyMemory
from models.moderation.panel import PanelModerator
from models.moderation.precedents import PrecedentModerator, Precedents
from models.moderation.verified import VerifiedModerator, VerifierSettings
from models.ports import CodeIndex, Coder, Embedder, Moderator, PartCoder, load
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas.study import CodingMode

if TYPE_CHECKING:
    from models.backends.lora.moderator import LoraModerator
    from models.backends.lora.pool import GeneratorPool
    from models.backends.served import ChatServer

M = TypeVar("M", Coder, Moderator)
FAKE = "fake"
"""The embedder's name in profiles made for tests."""


class Models:
    """What a profile and the settings come to. Each model is made when it is asked for; the embedder, once.

    Example:
        >>> from infra.settings import load_settings
        >>> models = Models.of(load_settings(profile="tiny"))
        >>> models.profile.name
        'tiny'
    """

    def __init__(
        self,
        profile: Profile,
        settings: Settings,
        embedder: Embedder | None = None,
        usage: TokenUsage | None = None,
    ) -> None:
        """Take what the models are made from.

        Args:
            profile: Which models.
            settings: Device, cache, key, and which of the members live here.
            embedder: In place of the profile's own.
            usage: Counts what all language models write.
        """
        self.profile = profile
        self.settings = settings
        self._embedder, self._usage = embedder, usage

    @classmethod
    def of(cls, settings: Settings, usage: TokenUsage | None = None) -> "Models":
        """The models of the profile that the settings name.

        Raises:
            SettingError: If the profile is not as it must be, or a file that it names is not there.
        """
        return cls(checked_profile(settings), settings, usage=usage)

    @cached_property
    def device(self) -> str:
        """The device to use: what the settings say, else the profile, else a GPU if there is one.

        Raises:
            SettingError: If it is not there.
        """
        return available_device(requested_device(self.settings, self.profile))

    @cached_property
    def _pool(self) -> "GeneratorPool":
        """The base models of this process, each held once."""
        from models.backends.lora.pool import GeneratorPool

        placements = self.profile.placements
        return GeneratorPool(self.settings.weights_dir, self.device, placements=placements, usage=self._usage)

    @property
    def cascaded(self) -> bool:
        """Whether a segment is shown to as few members as it needs."""
        return self.profile.cascade.on if self.settings.cascade is None else self.settings.cascade == "on"

    @property
    def embedder(self) -> Embedder:
        """What turns labels and texts into directions."""
        if self._embedder is None:
            self._embedder = self._build_embedder()
        return self._embedder

    def build_coder(self) -> Coder:
        """The members that live in this process, behind a cascade where settings or profile want one.

        Raises:
            SettingError: If the settings name a member that the profile does not have.
        """
        members = self.build_members()
        if not self.cascaded:
            return members
        cascade = self.profile.cascade
        rules = CascadeSettings(cascade.first, cascade.agreement, cascade.near, cascade.memory)
        return CascadeCoder(members, self.embedder, rules)

    def build_members(self) -> PartCoder:
        """The members that live in this process, those on one base in one batch.

        Raises:
            SettingError: If the settings name a member that the profile does not have.
        """
        here = self._members_here()
        fakes = tuple(member.name for member in here if member.backend == "fake")
        local = [member for member in here if member.backend == "transformers"]
        served = [member for member in here if member.backend == "served"]
        groups: list[PartCoder] = [FakeCoder(fakes)] if fakes else []
        for key in dict.fromkeys((member.base, member.dtype) for member in local):
            groups.append(self._build_lora_coder([m for m in local if (m.base, m.dtype) == key]))
        for url in dict.fromkeys(member.url for member in served):
            groups.append(self._build_served_coder([m for m in served if m.url == url]))
        return groups[0] if len(groups) == 1 else Ensemble(tuple(groups), tuple(member.name for member in here))

    def build_moderator(self, precedents: Precedents | None = None, memory: StudyMemory | None = None) -> Moderator:
        """Who decides on one label: the consensus, a taught model, a served one, or a panel of these.

        Args:
            precedents: What people coded, to lead the moderator where a study has any.
            memory: What a writer sees of the studies; grows as codes are decided on.
        """
        profile = self.profile.moderator
        if profile.strategy == "panel":
            panel = [moderator for panelist in profile.panel for moderator in self._build_panelists(panelist)]
            moderator: Moderator = PanelModerator(panel, self.embedder)
        else:
            moderator = self._build_single_moderator(profile)
        led = moderator if precedents is None else PrecedentModerator(moderator, self.embedder, precedents)
        if self.profile.verifier is None:
            return led
        return self._judged(led, self.profile.verifier, memory or StudyMemory(self.embedder, precedents))

    def _judged(self, moderator: Moderator, profile: VerifierProfile, memory: StudyMemory) -> Moderator:
        """A moderator whose codes are judged before they stand."""
        from models.backends.lora.generation import Sampling
        from models.backends.lora.verifier import ChatVerifier
        from models.backends.lora.writer import ChatWriter

        verdicts = read_verdicts(profile.examples_file) if profile.examples_file else ()
        limits = self.profile.generation
        writer = ChatWriter(
            profile.base,
            self._pool,
            memory,
            sampling=Sampling(limits.max_new_tokens, limits.temperature, limits.top_p),
            seed=self.profile.seed,
            dtype=profile.dtype,
            description=profile.textdescription,
            descriptions=profile.studies,
        )
        return VerifiedModerator(
            moderator,
            ChatVerifier(profile.base, self._pool, dtype=profile.dtype, examples=verdicts),
            self.embedder,
            writer=writer if profile.writes else None,
            memory=memory,
            settings=VerifierSettings(profile.lead, profile.agreed_lead, profile.doubt),
        )

    def coding_mode(self, study: str) -> CodingMode:
        """Where codes come from in a study that has set no rules: as the profile says."""
        return default_rules(self.profile, study).coding_mode

    def build_refiner(self, index: CodeIndex, mode: CodingMode | None = None) -> Refiner:
        """Reuses or creates codes, as the profile says.

        Args:
            index: The codes to reuse.
            mode: Where codes come from in studies that have set no rules, in place of what the profile says.
        """
        return Refiner(
            index,
            self.embedder,
            SystemClock(),
            refiner_settings(self.profile),
            versions={"profile": self.profile.name},
            modes=CodingModes(lambda study: mode or self.coding_mode(study)),
        )

    def build_router(self, taught: ReleaseRegistry[OutOfFoldPredictions] | None = None) -> Router:
        """What accepts codes and asks people, by the profile's rules where a study has set none.

        Args:
            taught: What classifiers say of labelled segments; else what lies in the data folder.
        """
        registry = taught or ReleaseRegistry(out_of_fold_loader(self.settings.data_dir))
        return Router(lambda study: default_rules(self.profile, study), registry)

    def _build_embedder(self) -> Embedder:
        if self.profile.embedder.model == FAKE:
            return HashEmbedder()
        from models.backends.sentence.embedder import SentenceEmbedder

        return SentenceEmbedder(self.profile.embedder.model, self.device, cache=self.settings.weights_dir)

    def _members_here(self) -> list[MemberProfile]:
        profile, names = self.profile, [member.name for member in self.profile.members]
        for name in self.settings.members:
            if name not in names:
                raise SettingError(
                    f"QUALSTREAM_MEMBERS names '{name}' but profile '{profile.name}' has {', '.join(names)}"
                )
        return [m for m in profile.members if not self.settings.members or m.name in self.settings.members]

    def _build_lora_coder(self, members: Sequence[MemberProfile]) -> PartCoder:
        """Members on one base, in this process."""
        from models.backends.lora.coder import LoraCoder, Member
        from models.backends.lora.generation import Sampling

        limits = self.profile.generation
        return LoraCoder(
            members=tuple(
                Member(
                    m.name,
                    str(m.base),
                    Path(m.adapter) if m.adapter else None,
                    m.prompt,
                    m.ending,
                    _examples(m),
                    m.format,
                )
                for m in members
            ),
            sampling=Sampling(
                limits.max_new_tokens,
                limits.temperature,
                limits.top_p,
                limits.draws,
                limits.draw_temperature,
                limits.draw_top_p,
            ),
            pool=self._pool,
            dtype=members[0].dtype,
            seed=self.profile.seed,
        )

    def _build_served_coder(self, members: Sequence[MemberProfile]) -> PartCoder:
        """Members of one server."""
        from models.backends.served import ServedCoder, ServedMember

        limits = self.profile.generation
        return ServedCoder(
            self._chat_server(str(members[0].url)),
            members=tuple(
                ServedMember(m.name, str(m.model), m.prompt, m.ending, _examples(m), m.format) for m in members
            ),
            max_tokens=limits.max_new_tokens,
            temperature=limits.temperature,
            top_p=limits.top_p,
            seed=self.profile.seed,
        )

    def _build_single_moderator(self, profile: ModeratorProfile | PanelistProfile) -> Moderator:
        """One that decides on one label by itself."""
        if profile.strategy == "consensus":
            return ConsensusModerator(self.embedder)
        if profile.strategy == "served":
            from models.backends.served import ServedModerator

            server = self._chat_server(str(profile.url))
            return ServedModerator(server, str(profile.model), self.embedder, seed=self.profile.seed)
        if isinstance(profile, ModeratorProfile) and profile.sampled:
            return self._drawing(profile, self.profile.generation.temperature, 1)[0]
        return self._build_lora_moderator(profile)

    def _build_panelists(self, profile: PanelistProfile) -> list[Moderator]:
        """One place of a panel: a moderator, or several that draw from the same weights."""
        if profile.samples is None or profile.temperature is None:
            return [self._build_single_moderator(profile)]
        return self._drawing(profile, profile.temperature, profile.samples)

    def _drawing(
        self, profile: ModeratorProfile | PanelistProfile, temperature: float, samples: int
    ) -> list[Moderator]:
        """Moderators that draw their answers from the same weights, each with a seed of its own."""
        from models.backends.lora.generation import Sampling
        from models.backends.lora.moderator import SampledModerator

        model, limits = self._build_lora_moderator(profile), self.profile.generation
        sampling = Sampling(limits.max_new_tokens, temperature, limits.top_p)
        return [SampledModerator(model, sampling, self.profile.seed + n) for n in range(samples)]

    def _build_lora_moderator(self, profile: ModeratorProfile | PanelistProfile) -> "LoraModerator":
        from models.backends.lora.moderator import LoraModerator

        return LoraModerator(
            base=str(profile.base),
            adapter=profile.adapter,
            embedder=self.embedder,
            cache=self.settings.weights_dir,
            device=self.device,
            dtype=profile.dtype,
            placement=profile.placement,
            usage=self._usage,
        )

    def _chat_server(self, url: str) -> "ChatServer":
        from models.backends.served import ChatServer

        key = self.settings.served_api_key
        return ChatServer(url, api_key=key.get_secret_value() if key else None, usage=self._usage)


def _examples(member: MemberProfile) -> tuple[tuple[str, str], ...]:
    """The texts and codes that stand in a member's prompt."""
    if member.examples is None:
        return ()
    return read_examples(Path(str(member.examples_file)), member.examples)


def load_now(model: M) -> M:
    """Load a model's weights now, so that the first segment does not wait for them."""
    load(model)
    return model
