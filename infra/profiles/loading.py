"""Profiles: which models code, decide, embed and route, as TOML files."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from infra.profiles.faults import LONGEST_SHOWN, explain
from infra.profiles.members import MemberProfile, Model, ModeratorProfile, PanelistProfile, Table, VerifierProfile
from infra.settings import Settings
from models.backends.devices import available_device
from models.backends.weight_parts import WEIGHT_PARTS, installed_folder
from models.backends.weights import Placement
from models.coding.cascade import CascadeSettings
from models.errors import SettingError
from models.text.words import nearest
from schemas.record import Study
from schemas.study import CodingMode, QueryStrategy, RoutingMode

PACKAGED_PROFILES = Path(__file__).parent
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_CASCADE = CascadeSettings()
TuningMethod = Literal["contrastive", "setfit", "setfit-differentiable"]
"""The project's own loss over all pairs of a step, or SetFit with scikit-learn's head or its own of torch."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]


class Generation(Table):
    """How members and moderator write. Source of the defaults: the paper's appendix E, but greedy."""

    max_new_tokens: int = Field(default=15, ge=1, le=256)
    temperature: float = Field(default=0.0, ge=0, le=2, description="0 is greedy.")
    top_p: float = Field(default=1.0, gt=0, le=1)
    draws: int = Field(default=0, ge=0, le=32, description="Further answers of each member in this process; they vote.")
    draw_temperature: float = Field(default=0.8, gt=0, le=2)
    draw_top_p: float = Field(default=0.95, gt=0, le=1)


class EmbedderProfile(Table):
    """What turns labels into directions."""

    model: Model = "all-MiniLM-L6-v2"


class RefinerProfile(Table):
    """When an earlier code is used again."""

    threshold: Fraction = Field(default=0.75, description="Cosine similarity from which a code is reused.")
    by: Literal["code", "text", "both"] = Field(default="code", description="What is compared with earlier codes.")
    polarity_gate: bool = Field(default=True, description="Whether opposites are kept apart.")
    studies: dict[Study, Fraction] = Field(
        default_factory=dict, description="Study to threshold, where it needs one of its own."
    )
    learn: bool = Field(
        default=True, description="Whether people's merges, splits and corrections move a study's threshold."
    )
    adaptive: bool = Field(default=False, description="Whether a vague label needs a higher similarity, a clear less.")


class RouterRules(Table):
    """A study's rules as a profile has them; see ``schemas.StudyRules``, which people set on the page."""

    mode: RoutingMode | None = Field(default=None, description="Unset: 'threshold' where one is set, else 'suggest'.")
    threshold: Fraction = Field(default=0.5, description="Of mode 'threshold': below it a segment goes to people.")
    wrong_share: Inside = Field(default=0.1, description="Of mode 'promise': most wrong ones among the accepted.")
    certainty: Inside = Field(default=0.95, description="How sure that is; of mode 'budget': what is sure enough.")
    doubtful_share: Fraction = Field(default=0.2, description="Of mode 'suggest': doubtful codes offered to people.")
    audit_share: Fraction = Field(default=0.02, description="Segments drawn by chance and read blind.")
    double_share: Fraction = Field(default=0.0, description="Of those sent to people, how many two people code.")
    blind: bool = Field(default=False, description="Whether people choose before they see the system's code.")
    budget_segments: int | None = Field(default=None, ge=0, description="Of mode 'budget': most segments a day.")
    budget_minutes: float | None = Field(default=None, ge=0, description="Of mode 'budget': most minutes a day.")
    lock_minutes: float = Field(default=10.0, gt=0, description="How long a segment on a screen stays that person's.")
    expire_days: float | None = Field(default=None, gt=0, description="After so many days nobody is asked any more.")
    strategy: QueryStrategy = Field(default="category-inconsistency", description="What the classifier asks about.")
    ask_segments: int = Field(
        default=20,  # seven minutes of a person, and fewer than the 25 labels from which on it learns from the answers
        ge=0,
        le=1000,
        description="To so many open questions it fills the queue up after each training; 0: it asks nothing.",
    )
    coding_mode: CodingMode = Field(default="inductive", description="Whether models may open, or propose, new codes.")


class RouterProfile(RouterRules):
    """Who sees a segment next, in studies that have set no rules themselves."""

    studies: dict[Study, RouterRules] = Field(
        default_factory=dict, description="Study to the rules that are its own; the others are those above."
    )


class CascadeProfile(Table):
    """When a segment is read by fewer members; see ``models.coding.cascade``."""

    on: bool = Field(default=False, description="The setting QUALSTREAM_CASCADE and --cascade win over it.")
    first: int = Field(default=_CASCADE.first, ge=2, description="Members asked first, in the profile's order.")
    agreement: float = Field(
        default=_CASCADE.agreement,
        ge=0.5,
        le=1,
        description="Cosine of the first members' labels from which the rest is skipped; at 1 only equal labels agree.",
    )
    near: float = Field(
        default=_CASCADE.near,
        ge=0.5,
        le=1,
        description="Cosine of two texts from which a reading is taken over; at 1 only between equal texts.",
    )
    memory: int = Field(default=_CASCADE.memory, ge=1, le=100_000, description="Texts that are remembered.")


class TrainerProfile(Table):
    """How studies' classifiers learn from people's labels; see ``infra.training``."""

    body: Model | None = Field(default=None, description="The sentence model that is taught; unset, the embedder's.")
    least_examples: int = Field(default=4, ge=1, description="How often a code must be among what is taught.")
    every_labels: int = Field(
        default=25, ge=1, description="New labels after which the body is tuned; of over 200 an eighth."
    )
    every_minutes: float = Field(default=60.0, gt=0, description="Time after which it is, if any label is new.")
    tune: bool = Field(default=True, description="Whether the body is tuned at all; else heads alone are fitted.")
    method: TuningMethod = Field(
        default="contrastive", description="How it is tuned: our own way, or SetFit with one of its two heads."
    )


class Profile(Table):
    """One way to run the ensemble."""

    name: str = Field(pattern=r"^[\w.\-]{1,80}$")
    description: str = ""
    text_limit: int = Field(default=4000, ge=1, le=1_000_000, description="Characters of a segment that are read.")
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="Used where the setting is 'auto' too."
    )
    generation: Generation = Generation()
    cascade: CascadeProfile = CascadeProfile()
    members: tuple[MemberProfile, ...]
    moderator: ModeratorProfile = Field(default_factory=ModeratorProfile)
    verifier: VerifierProfile | None = Field(default=None, description="Judges the codes, in this process.")
    embedder: EmbedderProfile = EmbedderProfile()
    refiner: RefinerProfile = RefinerProfile()
    router: RouterProfile = RouterProfile()
    trainer: TrainerProfile = TrainerProfile()

    _file: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _members_have_names_of_their_own(self) -> Self:
        if not self.members:
            raise ValueError("'members' is empty; add a [[members]] table")
        names = [member.name for member in self.members]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two members are called '{twice}'; give each its own name")
        return self

    @model_validator(mode="after")
    def _a_base_lies_in_one_place(self) -> Self:
        for table in self._in_one_pool:
            if table.placement != self.placements[str(table.base)]:
                raise ValueError(
                    f"members and verifier on '{table.base}' lay it out in two ways; give them the same `device_map` "
                    "and `bits`"
                )
        return self

    @property
    def placements(self) -> dict[str, Placement]:
        """How the bases of members and verifier are held, which share their weights; the moderator has its own."""
        return {str(table.base): table.placement for table in self._in_one_pool}

    @property
    def _in_one_pool(self) -> list[MemberProfile | VerifierProfile]:
        tables: list[MemberProfile | VerifierProfile] = [*self.members, *([self.verifier] if self.verifier else [])]
        return [table for table in tables if table.base is not None]

    @property
    def file(self) -> Path:
        """The TOML file it was read from."""
        return self._file


_TABLES: dict[str, type[Table]] = {
    "generation": Generation,
    "cascade": CascadeProfile,
    "members": MemberProfile,
    "moderator": ModeratorProfile,
    "moderator.panel": PanelistProfile,
    "verifier": VerifierProfile,
    "embedder": EmbedderProfile,
    "refiner": RefinerProfile,
    "router": RouterProfile,
    "router.studies": RouterRules,
    "trainer": TrainerProfile,
}


def known_profiles() -> list[str]:
    """Names of the profiles that come with Qualstream."""
    return sorted(path.stem for path in PACKAGED_PROFILES.glob("*.toml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile, by a packaged one's name or by path. Adapters need not be there yet: see ``check_files``.

    Raises:
        SettingError: One line that names the file, the key and the fix.
    """
    path = _find(str(name_or_path))
    data = _read(path)
    try:
        profile = Profile.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        faults = error.errors(include_url=False)
    else:
        profile._file = path
        return profile
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])  # a slip explains more
    raise SettingError(f"{path}: {explain(first, data, Profile, _TABLES)}{more}")


def check_files(profile: Profile) -> None:
    """See that the folders that a profile names are there.

    Raises:
        SettingError: One line with the key, the profile's file, the missing path and the fix.
    """
    tables: list[tuple[str, MemberProfile | ModeratorProfile | PanelistProfile]] = [
        (f"member '{member.name}'", member) for member in profile.members
    ]
    readers: list[tuple[str, MemberProfile | VerifierProfile]] = [
        (f"member '{member.name}'", member) for member in profile.members
    ]
    readers += [("[verifier]", profile.verifier)] if profile.verifier else []
    for owner, shown in readers:
        if shown.examples_file is not None and not shown.examples_file.is_file():
            fields = "`text`, `code` and `stands`" if owner == "[verifier]" else "`text` and `codes`, a list,"
            raise SettingError(
                f"{profile.file}: examples_file of {owner} is '{shown.examples_file}' but there is no such file; "
                f"give a JSONL file with {fields} a line"
            )
    panel = [(f"[[moderator.panel]] {n}", panelist) for n, panelist in enumerate(profile.moderator.panel, 1)]
    for owner, table in [*tables, ("[moderator]", profile.moderator), *panel]:
        _check_base(profile, owner, table.base)
        if table.adapter is not None:
            _check_adapter(f"{profile.file}: adapter of {owner}", table.adapter)
    if profile.verifier:
        _check_base(profile, "[verifier]", profile.verifier.base)


def _check_base(profile: Profile, owner: str, base: str | None) -> None:
    if base and Path(base).is_absolute() and not Path(base).is_dir():
        raise SettingError(
            f"{profile.file}: base of {owner} is '{base}' but there is no such folder; "
            f"give the folder of a model, or a model's name"
        )


def _check_adapter(key: str, folder: Path) -> None:
    missing = [name for name in _ADAPTER_FILES if not (folder / name).is_file()]
    if missing:
        state = f"has no {' and no '.join(missing)}" if folder.is_dir() else "is not there"
        raise SettingError(
            f"{key} is '{folder}', which {state}; put the LoRA adapter there ({' and '.join(_ADAPTER_FILES)}, as "
            f"`qualstream finetune` writes them), or change the key in a copy of the file and give its path as profile"
        )


def _find(name: str) -> Path:
    if name.endswith(".toml") or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            state = "a folder" if path.is_dir() else "not there"
            raise SettingError(f"profile '{name}' is {state}; give the path of a TOML file or a name: {_names()}")
        return path.absolute()
    known = known_profiles()
    if name not in known:
        meant = nearest(name.casefold(), known)
        hint = f"did you mean '{meant}'?" if meant else "or give the path of a TOML file"
        raise SettingError(f"there is no profile '{name[:LONGEST_SHOWN]}'; known are {_names()}; {hint}")
    return PACKAGED_PROFILES / f"{name}.toml"


def _names() -> str:
    return ", ".join(known_profiles())


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        what = str(error)[: place.start()] if place else str(error)
        raise SettingError(f"{path}, line {line}: not TOML: {what}") from None


def checked_profile(settings: Settings) -> Profile:
    """The profile with the settings' sentence model, its files checked, and the device where one is asked for.

    Raises:
        SettingError: If the profile is not as it must be, or a file, the device or the sentence model is not there.
    """
    profile = load_profile(settings.profile)
    if settings.embedder:
        profile = profile.model_copy(update={"embedder": EmbedderProfile(model=settings.embedder)})
    check_files(profile)
    if profile.embedder.model in WEIGHT_PARTS:  # nearly every role needs it; a member's weights only its own
        installed_folder(profile.embedder.model, settings.weights_dir)
    if requested_device(settings, profile) != "auto":
        available_device(requested_device(settings, profile))
    return profile


def requested_device(settings: Settings, profile: Profile) -> str:
    """The device that the settings name, else the profile; ``auto`` where neither does."""
    return profile.device if settings.device == "auto" else settings.device


def bases_of(profile: Profile) -> list[str]:
    """The base models that run in this installation's processes, each once."""
    bases = [member.base for member in profile.members] + [profile.moderator.base]
    bases += [panelist.base for panelist in profile.moderator.panel]
    bases += [profile.verifier.base] if profile.verifier else []
    return list(dict.fromkeys(base for base in bases if base))
