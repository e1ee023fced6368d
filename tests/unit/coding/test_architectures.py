"""Adapters on base models of several makes: tuned two steps, saved, loaded and served."""

from pathlib import Path
from typing import Any

import pytest

from models.backends.lora.adapters import AdapterRows
from models.backends.lora.architectures import lora_targets
from models.backends.lora.coder import LoraCoder, Member
from models.backends.lora.finetuning import attach_new_adapter, tune
from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.packing import Recipe, TuningExample, encode, prompt_row, summed_loss
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_ids import answer_ids, prompt_ids
from schemas import Segment
from schemas.ids import segment_id
from tests.unit.coding.test_generation import byte_tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CHAT_TEMPLATE = (
    "{% for message in messages %}<start>{{ message['role'] }}\n{{ message['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<start>assistant\n{% endif %}"
)
KINDS: dict[str, dict[str, Any]] = {
    "Llama": {"intermediate_size": 48, "num_key_value_heads": 2},
    "Mistral": {"intermediate_size": 48, "num_key_value_heads": 2, "sliding_window": None},
    "Mixtral": {"intermediate_size": 48, "num_key_value_heads": 2, "num_local_experts": 2, "sliding_window": None},
    "Qwen2": {"intermediate_size": 48, "num_key_value_heads": 2},
    "Falcon": {"num_kv_heads": 1, "new_decoder_architecture": False, "alibi": False},
    "Gemma": {"intermediate_size": 48, "num_key_value_heads": 1, "head_dim": 8},
    "GPTNeoX": {"intermediate_size": 48},
}
TARGETS = {
    "Falcon": ["dense_h_to_4h", "dense_4h_to_h"],
    "Mixtral": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "GPTNeoX": ["dense_h_to_4h", "dense_4h_to_h"],
}
EXAMPLES = [
    TuningExample(text, (code,)) for text, code in [("so slow", "slow"), ("it hangs", "hangs"), ("hi", "hello")]
]


def save_base(folder: Path, kind: str, **sizes: int) -> Path:
    """A model of two layers with random weights, and a tokenizer of bytes with a chat template."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=258,
        num_hidden_layers=2,
        num_attention_heads=4,
        eos_token_id=256,
        bos_token_id=257,
        pad_token_id=256,
        initializer_range=0.4,
        **{"hidden_size": 32, **KINDS[kind], **sizes},
    )
    getattr(transformers, f"{kind}ForCausalLM")(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def segment_of(text: str) -> Segment:
    return Segment(id=segment_id("s", "t", text), study="s", text=text, source="t")


def load(folder: Path) -> tuple[Any, Any]:
    return (
        transformers.AutoModelForCausalLM.from_pretrained(folder).eval(),
        transformers.AutoTokenizer.from_pretrained(folder),
    )


def test_an_adapter_is_put_on_the_feed_forward_layers_whatever_they_are_called(tmp_path, kind):
    model, _ = load(save_base(tmp_path, kind))
    assert lora_targets(model, Recipe("b").targets) == TARGETS.get(kind, ["gate_proj", "up_proj", "down_proj"])


def test_layers_that_nobody_knows_are_all_adapted(tmp_path):
    model, _ = load(save_base(tmp_path, "Llama"))
    model.config.model_type = "unheard-of"
    assert lora_targets(model, ("fc7",)) == "all-linear"


@pytest.mark.parametrize("fmt", ["plain", "chat"])
def test_a_base_is_tuned_two_steps_saved_loaded_and_served(tmp_path, kind, fmt):
    base = save_base(tmp_path / "base", kind)
    recipe = Recipe(base=str(base), epochs=1, batch=2, learning_rate=0.05, format=fmt)
    tuned = tune(recipe, EXAMPLES, EXAMPLES[:1], tmp_path / "run", cache=tmp_path, device="cpu")
    assert tuned.progress.updates == 2
    tuned.model.save_pretrained(tmp_path / "adapter")

    sampling = Sampling(max_new_tokens=6, temperature=0.0)
    pool, bare = GeneratorPool(tmp_path), GeneratorPool(tmp_path)
    worn = LoraCoder(
        [Member("m", str(base), tmp_path / "adapter", 1, format=fmt)], sampling=sampling, pool=pool
    ).propose([segment_of("so slow"), segment_of("it hangs a lot today")])
    plain = LoraCoder([Member("m", str(base), None, 1, format=fmt)], sampling=sampling, pool=bare).propose(
        [segment_of("so slow"), segment_of("it hangs a lot today")]
    )
    assert [[p.log_probability for p in each] for each in worn] != [[p.log_probability for p in each] for each in plain]


@pytest.mark.parametrize("fmt", ["plain", "chat"])
def test_the_loss_of_a_packed_row_is_that_of_each_pair_alone(tmp_path, kind, fmt):
    base = save_base(tmp_path, kind)
    model, tokenizer = load(base)
    recipe = Recipe(base=str(base), format=fmt)
    wrapped = attach_new_adapter(model, recipe).eval()
    head, encoded = encode(tokenizer, recipe, EXAMPLES)
    packed, count = summed_loss(wrapped, head, encoded, "cpu")
    alone = 0.0
    for example in EXAMPLES:
        row = prompt_row(recipe, example.text, ())
        before, after = prompt_ids(tokenizer, row.prefix, row.suffix, 1000, row.before)
        answer = answer_ids(tokenizer, example.codes[0], chat=fmt == "chat")
        ids = torch.tensor([[*before, *after, *answer]])
        logits = model(ids).logits[0, -len(answer) - 1 : -1].float()
        alone += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
    assert count == sum(len(answer_ids(tokenizer, e.codes[0], chat=fmt == "chat")) for e in EXAMPLES)
    assert packed.item() == pytest.approx(alone, rel=1e-3)


def test_batches_answer_as_the_library_answers_alone(tmp_path, kind):
    base = save_base(tmp_path, kind)
    model, tokenizer = load(base)
    recipe = Recipe(base=str(base), format="chat")
    rows = [prompt_row(recipe, text, ()) for text in ("so slow", "it crashes when I open it", "?")]
    given = Generator(model, tokenizer, AdapterRows(())).generate(rows, Sampling(max_new_tokens=6, temperature=0.0))
    for row, answer in zip(rows, given, strict=True):
        head, tail = prompt_ids(tokenizer, row.prefix, row.suffix, 1000, row.before)
        ids = torch.tensor([head + tail])
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
        expected = tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert expected.startswith(answer.text)
