"""The models of a profile: its members and its moderators, as tables of a TOML file."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from infra.files.few_shot import MOST
from models.backends.digests import check_content
from models.backends.weights import Placement
from models.coding.chat import Format
from models.coding.prompts import Ending
from models.moderation.classifier_vote import CLASSIFIER
from models.moderation.verified import VerifierSettings
from schemas.record import Study

PACKAGED_ADAPTERS = Path(__file__).parents[1] / "adapters"
PACKAGED_DATA = Path(__file__).parents[1] / "data"
_PACKAGED = "packaged:"
ADAPTERS = {
    "essence": "eafbac2730f03d8f6cd041155f36d7adad37b76388c46966c62af0b70e0d9db7",
    "gist": "51bc01a17dcc4b4c10143813bb6826d1726dae6bf6aa5d2465d21787268b08c7",
    "moderator": "4cc93e69f1332c0c3a91b3acb3b397b7ec976a5e7b0b6354f3577311c06b148e",
    "theme": "4790834ff2f7e9021525e67858cf3ab14805e97e3e44903dfc1a0db99b493da2",
}
"""SHA-256 of each adapter that comes with Qualstream: of its configuration and its weights, one after the other."""
_VERIFIER = VerifierSettings()
_LAID_OUT = ("device_map", "bits")
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def _beside_the_file(value: Any, info: ValidationInfo) -> Any:
    """Turn a path as a profile has it into an absolute one; what is no text is left to pydantic to refuse."""
    if not isinstance(value, str):
        return value
    if value.startswith(_PACKAGED):
        return _packaged_adapter(value.removeprefix(_PACKAGED))
    return Path(os.path.abspath((info.context or {}).get("folder", Path()) / Path(value).expanduser()))


def _packaged_adapter(name: str) -> Path:
    """An adapter that comes with Qualstream; of one that is not as it must be nothing is read."""
    folder = PACKAGED_ADAPTERS / name
    if name in ADAPTERS:
        files = tuple(folder / file for file in _ADAPTER_FILES)
        check_content(f"the adapter '{name}'", files, ADAPTERS[name], "install Qualstream again")
    return folder


def _model_or_path(value: str, info: ValidationInfo) -> str:
    """A model's name stays as it is; what starts like a path is taken from the profile's folder."""
    return str(_beside_the_file(value, info)) if value.startswith(("./", "../", "/", "~")) else value


def _pairs_file(value: Any, info: ValidationInfo) -> Any:
    """The same for pairs, those that come with Qualstream included."""
    if isinstance(value, str) and value.startswith(_PACKAGED):
        return PACKAGED_DATA / value.removeprefix(_PACKAGED)
    return _beside_the_file(value, info)


Adapter = Annotated[Path, BeforeValidator(_beside_the_file)]
Pairs = Annotated[Path, BeforeValidator(_pairs_file)]
Model = Annotated[str, Field(min_length=1), AfterValidator(_model_or_path)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
DeviceMap = Literal["auto", "balanced", "balanced_low_0", "sequential"]
"""As ``accelerate`` calls them: ``auto`` fills the GPUs evenly, ``sequential`` one after the other."""


class Table(BaseModel):
    """A table of a profile: closed, so that a key with a slip in it is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightsTable(Table):
    """Where weights are held in this process."""

    device_map: DeviceMap | None = Field(
        default=None, description="How layers are laid over all GPUs, for a model that one has no room for."
    )
    bits: Literal[4, 8] | None = Field(default=None, description="Held in so many bits, by bitsandbytes.")

    @property
    def placement(self) -> Placement:
        """The same, as models are loaded."""
        return Placement(self.device_map, self.bits)


class MemberProfile(WeightsTable):
    """One member of the ensemble."""

    name: str = Field(pattern=r"^[\w.\-]{1,80}$")
    backend: Literal["transformers", "served", "fake"] = "transformers"
    base: Model | None = None
    adapter: Adapter | None = None
    prompt: int = Field(ge=1, le=6, description="Number in the paper's appendix A.")
    ending: Ending = "dot"
    format: Format = Field(default="plain", description="'chat': messages in the model's chat template.")
    dtype: Dtype = "auto"
    url: Url | None = Field(default=None, description="Of an OpenAI-compatible server, up to and with /v1.")
    model: str | None = Field(default=None, description="The served model's (or LoRA module's) name.")
    examples: int | None = Field(default=None, ge=1, le=MOST, description="Few-shot: how many stand in the prompt.")
    examples_file: Pairs | None = Field(
        default=None, description="Pairs they are chosen from, see infra.files.few_shot."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.name == CLASSIFIER:
            raise ValueError(
                f"a member is called '{CLASSIFIER}', the name of what people's labels teach; give it another name"
            )
        if self.backend == "transformers":
            _need(self, f"member '{self.name}' with backend 'transformers'", "base", refuse=("url", "model"))
        elif self.backend == "served":
            _need(
                self,
                f"member '{self.name}' with backend 'served'",
                "url",
                "model",
                refuse=("base", "adapter", *_LAID_OUT),
            )
        else:
            unused = ("base", "adapter", *_LAID_OUT, "url", "model", "examples", "examples_file")
            _need(self, f"member '{self.name}' with backend 'fake'", refuse=unused)
        if self.examples is not None or self.examples_file is not None:
            _need(self, f"few-shot member '{self.name}'", "examples", "examples_file", refuse=())
            if self.adapter is not None:
                raise ValueError(
                    f"member '{self.name}' has both 'adapter' and 'examples'; an adapter is tuned without examples "
                    "in the prompt: take one of them out"
                )
        return self


class VerifierProfile(WeightsTable):
    """Who judges the codes before they stand, and writes another one where all are doubtful."""

    base: Model
    dtype: Dtype = "auto"
    lead: float = Field(default=_VERIFIER.lead, ge=0, le=1, description="By which another code takes the place.")
    agreed_lead: float = Field(
        default=_VERIFIER.agreed_lead, ge=0, le=1, description="The same where more than half of the members agree."
    )
    doubt: float = Field(default=_VERIFIER.doubt, ge=0, le=1, description="Below it the model is asked to write one.")
    examples_file: Pairs | None = Field(default=None, description="JSONL of `text`, `code` and `stands`, shown to it.")
    writes: bool = Field(default=True, description="Whether it is asked to write at all.")
    textdescription: str = Field(default="live feedback", min_length=1, description="What the texts are.")
    studies: dict[Study, str] = Field(default_factory=dict, description="Study to what its own texts are.")


class _ModeratorKeys(WeightsTable):
    """What a moderator is made from."""

    base: Model | None = None
    adapter: Adapter | None = None
    dtype: Dtype = "auto"
    url: Url | None = None
    model: str | None = None


class PanelistProfile(_ModeratorKeys):
    """One moderator of a panel, or several that draw from the same weights."""

    strategy: Literal["consensus", "model", "served"]
    samples: int | None = Field(default=None, ge=1, le=32, description="Moderators that draw, each with its seed.")
    temperature: float | None = Field(default=None, gt=0, le=2, description="Of the samples.")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        who = f"a [[moderator.panel]] with strategy '{self.strategy}'"
        _need_models(self, self.strategy, who)
        if self.strategy != "model":
            _need(self, who, refuse=("samples", "temperature"))
        elif self.samples is not None or self.temperature is not None:
            _need(self, f"{who} that draws samples", "samples", "temperature")
        return self


class ModeratorProfile(_ModeratorKeys):
    """Who settles on one label."""

    strategy: Literal["consensus", "model", "served", "panel"] = "consensus"
    sampled: bool = Field(
        default=False, description="Whether a moderator in this process draws as [generation] says; else its likeliest."
    )
    panel: tuple[PanelistProfile, ...] = Field(
        default=(), description="Of strategy 'panel'; see ``models.moderation.panel``."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        who = f"[moderator] with strategy '{self.strategy}'"
        _need_models(self, self.strategy, who)
        if self.sampled and self.strategy != "model":
            raise ValueError(f"{who} does not use the key 'sampled'; take it out, or set strategy to 'model'")
        if self.strategy == "panel" and not self.panel:
            raise ValueError(f"{who} has no moderators; add a [[moderator.panel]] table for each")
        if self.strategy != "panel" and self.panel:
            raise ValueError(f"{who} does not use [[moderator.panel]]; take it out, or set strategy to 'panel'")
        return self


def _need_models(table: _ModeratorKeys, strategy: str, who: str) -> None:
    if strategy == "model":
        _need(table, who, "base", refuse=("url", "model"))
    elif strategy == "served":
        _need(table, who, "url", "model", refuse=("base", "adapter", *_LAID_OUT))
    else:
        _need(table, who, refuse=("base", "adapter", *_LAID_OUT, "url", "model"))


def _need(table: Table, who: str, *names: str, refuse: tuple[str, ...] = ()) -> None:
    for name in names:
        if getattr(table, name) is None:
            raise ValueError(f"{who} needs the key '{name}'; add it")
    for name in refuse:
        if getattr(table, name) is not None:
            raise ValueError(f"{who} does not use the key '{name}'; take it out")
