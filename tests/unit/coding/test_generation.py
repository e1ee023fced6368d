"""The decoding loop against transformers' own, on a tiny random model with three adapters."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from models.backends.lora.adapters import adapter_revision, attach_adapters
from models.backends.lora.generation import Generator, Sampling, choose
from models.backends.lora.prompt_ids import answer_ids, prompt_ids
from models.backends.lora.prompt_rows import PromptRow
from models.backends.token_usage import TokenUsage
from models.coding.prompts import coding_prefix, coding_suffix, moderator_suffix
from models.errors import SettingError

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

GREEDY = Sampling(temperature=0.0)
DRAWN = Sampling(temperature=1.0, top_p=0.9)
FOUR = Sampling(temperature=0.0, num_samples=4, sample_temperature=1.0, sample_top_p=0.9)
TEXTS = ["so slow", "I love it", "it crashes when I open the camera and then it is gone", "?", "عربي", "😀😀", "a" * 90]


def byte_tokenizer(*, bos: bool = False) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: n for n, c in enumerate([*alphabet, "<end>", "<start>"])}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    if bos:
        plain.post_processor = processors.TemplateProcessing(
            single="<start> $A", special_tokens=[("<start>", vocabulary["<start>"])]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<end>", bos_token="<start>", pad_token="<end>"
    )


def tiny_model(hidden: int = 32, kind: str = "Llama") -> Any:
    """Gemma's first layer sees a window of 24 tokens, far less than a prompt."""
    torch.manual_seed(7)
    windows = {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"], "head_dim": 8}
    config = getattr(transformers, {"Llama": "LlamaConfig", "Gemma3": "Gemma3TextConfig"}[kind])(
        vocab_size=258,
        hidden_size=hidden,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.4,
        eos_token_id=256,
        bos_token_id=257,
        pad_token_id=256,
        tie_word_embeddings=False,
        **(windows if kind == "Gemma3" else {}),
    )
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval()


def save_adapter(folder: Path, seed: int, hidden: int = 32) -> Path:
    config = peft.LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["gate_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
        init_lora_weights=False,
    )
    model = tiny_model(hidden)
    torch.manual_seed(seed)
    peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


@dataclass
class Tiny:
    generator: Generator
    model: Any
    tokenizer: Any
    adapters: dict[str, Path]
    kind: str

    def rows(self) -> list[PromptRow]:
        """Every text under every adapter and under none, the prefixes of different lengths."""
        worn = [(None, 4), *((name, n + 1) for n, name in enumerate(self.adapters))]
        return [
            PromptRow(name, coding_prefix(prompt, "dot"), coding_suffix(text), seed)
            for seed, text in enumerate(TEXTS)
            for name, prompt in worn
        ]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {f"v1.{n}": save_adapter(folder / str(n), n) for n in range(3)}


@pytest.fixture(params=["Llama", "Gemma3"])
def tiny(adapters: dict[str, Path], request: pytest.FixtureRequest) -> Tiny:
    model, tokenizer = tiny_model(kind=request.param), byte_tokenizer(bos=request.param == "Gemma3")
    return Tiny(
        Generator(model, tokenizer, attach_adapters(model, adapters)), model, tokenizer, adapters, request.param
    )


def plain_answer(tiny: Tiny, row: PromptRow, count: int = 15) -> list[int]:
    """What transformers' and peft's own code writes, one row at a time and without any cached prefix."""
    model = tiny_model(kind=tiny.kind)
    if row.adapter is not None:
        model = peft.PeftModel.from_pretrained(model, tiny.adapters[row.adapter]).eval()
    head, tail = prompt_ids(tiny.tokenizer, row.prefix, row.suffix, 1000)
    ids = torch.tensor([head + tail])
    wanted = transformers.GenerationConfig(max_new_tokens=count, do_sample=False, eos_token_id=256, pad_token_id=256)
    written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=wanted)
    return written[0, ids.shape[1] :].tolist()


def until_line_break(text: str) -> str:
    return text.lstrip().split("\n")[0].rstrip()


def test_a_mixed_batch_with_kept_prefixes_answers_as_plain_generation_does(tiny: Tiny) -> None:
    rows = tiny.rows()
    answers = tiny.generator.generate(rows, GREEDY)
    for row, answer in zip(rows, answers, strict=True):
        expected = tiny.tokenizer.decode(plain_answer(tiny, row), skip_special_tokens=True)
        assert until_line_break(answer.text) == until_line_break(expected), row
    assert len({answer.text for answer in answers}) > len(rows) // 2  # the model does tell them apart


def test_the_log_probability_is_the_mean_over_the_tokens_that_were_written(tiny: Tiny) -> None:
    for row in tiny.rows()[:4]:
        (answer,) = tiny.generator.generate([row], Sampling(max_new_tokens=3, temperature=0.0))
        written = plain_answer(tiny, row, 3)
        model = tiny_model(kind=tiny.kind)
        if row.adapter is not None:
            model = peft.PeftModel.from_pretrained(model, tiny.adapters[row.adapter]).eval()
        head, tail = prompt_ids(tiny.tokenizer, row.prefix, row.suffix, 1000)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([head + tail + written])).logits[0]
        at = len(head) + len(tail) - 1
        values = [logits[at + n].log_softmax(-1)[token].item() for n, token in enumerate(written)]
        assert answer.log_probability == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_small_batches_answer_as_one_large_batch_does(tiny: Tiny) -> None:
    small = Generator(tiny.model, tiny.tokenizer, tiny.generator._adapter_rows, batch_tokens=1)
    for settings in (GREEDY, DRAWN):
        together, alone = (g.generate(tiny.rows(), settings) for g in (tiny.generator, small))
        assert [a.text for a in together] == [a.text for a in alone]


def test_a_draw_depends_on_the_rows_own_seed_and_not_on_its_neighbours(tiny: Tiny) -> None:
    rows = tiny.rows()
    together = tiny.generator.generate(rows, DRAWN)
    assert tiny.generator.generate(rows[5:6], DRAWN)[0].text == together[5].text
    assert [a.text for a in tiny.generator.generate(rows[::-1], DRAWN)] == [a.text for a in together[::-1]]
    reseeded = [PromptRow(row.adapter, row.prefix, row.suffix, row.seed + 1000) for row in rows]
    assert [a.text for a in tiny.generator.generate(reseeded, DRAWN)] != [a.text for a in together]


def test_a_prefix_is_read_once(tiny: Tiny) -> None:
    lengths: list[int] = []

    def note(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        lengths.append(kwargs["input_ids"].numel())

    tiny.model.register_forward_pre_hook(note, with_kwargs=True)
    row = PromptRow("v1.0", coding_prefix(1, "dot"), coding_suffix("slow"))
    one_token = Sampling(max_new_tokens=1, temperature=0.0)
    head, tail = prompt_ids(tiny.tokenizer, row.prefix, row.suffix, 1000)
    tiny.generator.generate([row], one_token)
    tiny.generator.generate([row], one_token)
    assert lengths == [len(head), len(tail), len(tail)]


def tokens_read(model: Any) -> list[int]:
    """Filled with the tokens of each forward pass from here on, padding included."""
    read: list[int] = []
    model.register_forward_pre_hook(lambda _, __, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True)
    return read


def test_a_first_answer_is_the_same_whether_others_are_drawn_or_not(tiny: Tiny) -> None:
    alone, beside = (tiny.generator.generate(tiny.rows(), settings) for settings in (GREEDY, FOUR))
    assert [answer.text for answer in beside] == [answer.text for answer in alone]
    for one, other in zip(alone, beside, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
        assert (one.samples, len(other.samples)) == ((), 4)


def test_a_drawn_answer_is_what_a_call_of_its_own_with_the_next_seed_draws(tiny: Tiny) -> None:
    rows = tiny.rows()
    beside = tiny.generator.generate(rows, FOUR)
    for n in range(4):
        own = tiny.generator.generate([replace(row, seed=row.seed + n + 1) for row in rows], FOUR.for_samples())
        assert [answer.samples[n].text for answer in beside] == [answer.text for answer in own]
        ours, theirs = ([answer.log_probability for answer in some] for some in ([a.samples[n] for a in beside], own))
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert sum(len({a.text, *(d.text for d in a.samples)}) for a in beside) > 3 * len(rows)


def test_draws_depend_neither_on_the_batch_nor_on_the_order(tiny: Tiny) -> None:
    small = Generator(tiny.model, tiny.tokenizer, tiny.generator._adapter_rows, batch_tokens=1)
    rows = tiny.rows()[:8]
    together, alone, turned = (
        g.generate(r, FOUR) for g, r in ((tiny.generator, rows), (small, rows), (small, rows[::-1]))
    )
    texts = [[sample.text for sample in answer.samples] for answer in together]
    assert [[sample.text for sample in answer.samples] for answer in alone] == texts
    assert [[sample.text for sample in answer.samples] for answer in turned[::-1]] == texts


def test_a_prompt_is_read_once_for_all_its_answers(tiny: Tiny) -> None:
    rows = tiny.rows()
    reads = []
    for num_samples in (0, 8):
        fresh = Generator(tiny.model, tiny.tokenizer, tiny.generator._adapter_rows, batch_tokens=1_000_000)
        read = tokens_read(tiny.model)
        fresh.generate(rows, replace(FOUR, max_new_tokens=1, num_samples=num_samples))
        reads.append(list(read))
    assert reads[0] == reads[1]
    assert sum(reads[0]) > 0


def test_answers_are_written_once_for_as_long_as_they_are_equal(tiny: Tiny) -> None:
    row = replace(tiny.rows()[0], adapter=None)
    sure = replace(FOUR, sample_top_p=1e-9)  # so that all draws are what greedy writes
    read = tokens_read(tiny.model)
    (answer,) = tiny.generator.generate([row], sure)
    assert {sample.text for sample in answer.samples} == {answer.text}
    assert set(read[2:]) <= {1}  # after prefix and suffix
    read.clear()
    tiny.generator.generate([row], replace(FOUR, sample_temperature=2.0, sample_top_p=1.0))
    assert max(read[2:] or read) == 5


def test_a_batch_counts_each_answer_to_a_prompt(tiny: Tiny) -> None:
    row = tiny.rows()[0]
    head, tail = prompt_ids(tiny.tokenizer, row.prefix, row.suffix, 1000)
    room = (len(head) + len(tail) + FOUR.max_new_tokens) * 5
    widest = []
    for fits, settings in ((1, FOUR), (5, GREEDY)):
        made = Generator(tiny.model, tiny.tokenizer, tiny.generator._adapter_rows, batch_tokens=room)
        made.generate([row], settings)  # the prefix is kept from here on
        read = tokens_read(tiny.model)
        made.generate([row] * 10, settings)
        widest.append(read[0] // len(tail))
        assert widest[-1] == fits


def test_the_vocabulary_is_looked_at_for_the_last_token_of_a_row_alone(tiny: Tiny) -> None:
    seen = []
    tiny.model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    tiny.generator.generate(tiny.rows(), GREEDY)
    assert set(seen) == {1}


def test_tokens_that_were_written_are_counted(tiny: Tiny) -> None:
    usage = TokenUsage()
    counting = Generator(tiny.model, tiny.tokenizer, tiny.generator._adapter_rows, usage=usage)
    counting.generate(tiny.rows(), replace(GREEDY, max_new_tokens=1))
    assert usage.tokens == len(tiny.rows())


def test_no_row_gives_no_answer(tiny: Tiny) -> None:
    assert tiny.generator.generate([], GREEDY) == []


@pytest.mark.parametrize(
    "text", ["", "\x00", "\u202eאבג", "😀" * 40, "word " * 20_000, "<end>" * 3, "\ud800", ">>>" * 9]
)
def test_hostile_text_never_raises(tiny: Tiny, text: str) -> None:
    (answer,) = tiny.generator.generate([PromptRow("v1.1", coding_prefix(2, "dot"), coding_suffix(text))], GREEDY)
    assert isinstance(answer.text, str)
    assert answer.log_probability <= 0


def test_a_long_text_loses_its_end_and_the_prompt_nothing() -> None:
    tokenizer = byte_tokenizer()
    for suffix in (coding_suffix("x" * 500), moderator_suffix("x" * 500, ["slow app", "lag"])):
        head, tail = prompt_ids(tokenizer, "Say it\n<<<", suffix, 160)
        assert len(head) + len(tail) == 160
        assert tokenizer.decode(head) == "Say it\n<<<"
        assert tokenizer.decode(tail).startswith("xxx")
        assert tokenizer.decode(tail).lstrip("x") == suffix.lstrip("x")


def test_a_special_token_in_the_text_is_read_as_plain_characters() -> None:
    head, tail = prompt_ids(byte_tokenizer(), "<end>", "<end><start>", 100)
    assert not {256, 257} & {*head, *tail}


def test_the_opening_token_is_put_where_the_tokenizer_puts_one() -> None:
    assert prompt_ids(byte_tokenizer(), "ab", "c", 9)[0][:1] != [257]
    head, tail = prompt_ids(byte_tokenizer(bos=True), "ab", "c", 9)
    assert (head[0], len(head), len(tail)) == (257, 3, 1)


def test_an_answer_to_learn_is_a_space_the_code_and_the_end() -> None:
    tokenizer = byte_tokenizer()
    *code, end = answer_ids(tokenizer, "slow app")
    assert (tokenizer.decode(code), end) == (" slow app", 256)


@pytest.mark.parametrize("tiny", ["Llama"], indirect=True)
def test_a_line_break_ends_the_answer_once_something_was_said(tiny: Tiny) -> None:
    line_break = tiny.tokenizer("\n").input_ids[0]
    spoken = tiny.tokenizer("a").input_ids[0]
    scripted = iter([line_break, spoken, line_break, spoken])

    def say(_: Any, __: Any, logits: Any) -> Any:
        forced = torch.zeros_like(logits)
        forced[..., next(scripted)] = 100
        return forced

    row = PromptRow(None, "p", "s")
    tiny.generator.generate([row], Sampling(max_new_tokens=1))  # the prefix is kept from here on
    tiny.model.get_output_embeddings().register_forward_hook(say)
    assert tiny.generator.generate([row], GREEDY)[0].text == "\na\n"


def test_the_nucleus_holds_no_more_than_the_likeliest_tokens_that_reach_top_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(100, 1)
    draws = torch.linspace(0, 0.999, 100)
    for top_p, expected in ((0.01, {0}), (0.49, {0}), (0.7, {0, 1}), (0.9, {0, 1, 2}), (0.99, {0, 1, 2, 3})):
        tokens, _ = choose(logits, Sampling(temperature=1.0, top_p=top_p), draws)
        assert set(tokens.tolist()) == expected
    tokens, values = choose(logits, Sampling(temperature=1.0, top_p=0.7), draws)
    assert tokens.tolist().count(0) == pytest.approx(62.5, abs=1)  # 0.5 of 0.8
    assert values[0].item() == pytest.approx(-0.693, abs=1e-3)  # the model's own, not the nucleus'


def test_a_flat_distribution_is_drawn_from_its_whole_vocabulary() -> None:
    logits = torch.zeros(1000, 500)
    tokens, _ = choose(logits, Sampling(temperature=1.0, top_p=1.0), torch.rand(1000, generator=torch.manual_seed(0)))
    assert len(set(tokens.tolist())) > 400


@pytest.mark.parametrize("spoil", ["missing", "no weights", "other base", "dora"])
def test_an_adapter_that_cannot_be_worn_is_a_setting_error(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "adapter"
    if spoil == "dora":
        save_dora(folder)
    elif spoil != "missing":
        save_adapter(folder, 1, hidden=64 if spoil == "other base" else 32)
    if spoil == "no weights":
        (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(SettingError, match="adapter"):
        attach_adapters(tiny_model(), {"a": folder})


def save_dora(folder: Path) -> None:
    config = peft.LoraConfig(r=4, target_modules=["gate_proj"], task_type="CAUSAL_LM", use_dora=True)
    peft.get_peft_model(tiny_model(), config).save_pretrained(folder)


def test_a_revision_is_the_weights_digest_and_a_missing_one_a_setting_error(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    assert adapter_revision(tmp_path) == "9a129038"
    with pytest.raises(SettingError, match="qualstream finetune"):
        adapter_revision(tmp_path / "elsewhere")
