"""A base that one device has no room for: spread over several, or held in few bits; and what a profile says of it."""

from pathlib import Path
from typing import Any

import pytest

from infra.factory.models import Models
from infra.profiles.loading import load_profile
from infra.settings import Settings
from models.backends import weights
from models.backends.lora.adapters import attach_adapters
from models.backends.lora.finetuning import attach_new_adapter
from models.backends.lora.generation import Completion, Generator, Sampling
from models.backends.lora.packing import Recipe
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_rows import PromptRow
from models.backends.weights import ONE_DEVICE, Placement, load_language_model
from models.errors import SettingError
from models.ports import load as load_weights
from tests.unit.coding.test_architectures import load, save_base

torch = pytest.importorskip("torch")
KINDS = ("Llama", "Falcon", "Mistral", "Mixtral")
WIDE = {kind: {"intermediate_size": 128} for kind in KINDS if kind != "Falcon"}  # four bits go by blocks of 64
GREEDY = Sampling(max_new_tokens=6, temperature=0.0)
MEMBER = """
name = "mine"
[[members]]
name = "gist"
base = "there"
prompt = 1
device_map = "balanced"
bits = 4
"""


@pytest.fixture(params=KINDS)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save_base(tmp_path / "base", request.param, hidden_size=64, **WIDE.get(request.param, {}))


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """An adapter that changes answers: a fresh one changes nothing."""
    model, _ = load(base)
    tuned = attach_new_adapter(model, Recipe(str(base)))
    torch.manual_seed(5)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    tuned.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def rows(adapter: Path | None) -> list[PromptRow]:
    worn = None if adapter is None else str(adapter)
    return [PromptRow(worn, "code: ", text, 1) for text in ("so slow", "it crashes when I open it", "?")]


def answers(model: Any, tokenizer: Any, adapter: Path) -> list[Completion]:
    generator = Generator(model, tokenizer, attach_adapters(model, {str(adapter): adapter}))
    return generator.generate([*rows(adapter), *rows(None)], GREEDY)


def in_bits(base: Path, adapter: Path, folder: Path, bits: int | None) -> list[Completion]:
    placement = Placement(bits=bits)
    model, tokenizer = load_language_model(str(base), cache=folder, dtype="bfloat16", placement=placement)
    return answers(model, tokenizer, adapter)


def test_a_base_whose_layers_lie_on_two_devices_answers_as_on_one(base: Path, adapter: Path, tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    expected = answers(*load(base), adapter)
    model, tokenizer = load(base)
    layers = next(name for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList))
    apart = {name: "cpu" for name in devices_of(model, layers)} | {f"{layers}.1": "disk"}
    model = accelerate.dispatch_model(model, apart, main_device="cpu", offload_dir=tmp_path / "disk")
    spread = answers(model, tokenizer, adapter)
    assert [answer.text for answer in spread] == [answer.text for answer in expected]
    assert len({answer.text for answer in expected}) > 1


def devices_of(model: Any, layers: str) -> list[str]:
    """Names of all parts that lie somewhere: each layer, and what stands beside the layers."""
    whole = layers.rpartition(".")[0]
    parts = [f"{whole}.{name}" for name, _ in model.get_submodule(whole).named_children()]
    return [*(part for part in parts if part != layers), *(f"{layers}.{n}" for n in range(2)), "lm_head"]


@pytest.mark.parametrize("bits", [4, 8])
def test_a_base_in_few_bits_wears_adapters_too(base: Path, adapter: Path, tmp_path: Path, bits: int) -> None:
    pytest.importorskip("bitsandbytes")
    given = in_bits(base, adapter, tmp_path, bits)
    worn, bare = given[: len(rows(None))], given[len(rows(None)) :]
    assert [answer.log_probability for answer in worn] != [answer.log_probability for answer in bare]
    assert given == in_bits(base, adapter, tmp_path, bits)


def test_few_bits_without_the_library_say_what_brings_it(base: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _name: None)
    with pytest.raises(SettingError, match=r"weights in 8 bits need bitsandbytes, .* pip install bitsandbytes"):
        load_language_model(str(base), cache=tmp_path, placement=Placement(bits=8))


def test_a_profile_s_bases_are_held_as_their_tables_say(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MEMBER, encoding="utf-8")
    assert load_profile(tmp_path / "mine.toml").placements == {"there": Placement("balanced", 4)}
    assert load_profile("paper").moderator.placement == Placement("auto")
    assert set(load_profile("tiny").placements.values()) == {ONE_DEVICE}


def test_one_base_is_not_held_in_two_ways(tmp_path: Path) -> None:
    second = '[[members]]\nname = "theme"\nbase = "there"\nprompt = 4\n'
    (tmp_path / "mine.toml").write_text(MEMBER + second, encoding="utf-8")
    with pytest.raises(
        SettingError, match="'there' lay it out in two ways; give them the same `device_map` and `bits`"
    ):
        load_profile(tmp_path / "mine.toml")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_base_is_laid_over_the_gpus_that_are_there(base: Path, adapter: Path, tmp_path: Path) -> None:
    pool = GeneratorPool(tmp_path, "cuda", placements={str(base): Placement("balanced")})
    spread = pool.generator(str(base), "float32", {str(adapter): adapter}).generate(rows(adapter), GREEDY)
    assert [answer.text for answer in spread] == [
        answer.text for answer in answers(*load(base), adapter)[: len(spread)]
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_moderator_of_profile_paper_is_laid_over_the_gpus(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "Llama")
    profile = load_profile("paper")
    moderator = profile.moderator.model_copy(update={"base": str(base)})
    models = Models(profile.model_copy(update={"moderator": moderator}), Settings(data_dir=tmp_path))
    moderator = models.build_moderator()
    load_weights(moderator)
    assert moderator.version == f"{base}#{profile.seed}"
