"""Batched decoding over one base model with several LoRA adapters at once.

What is the same for every segment is computed once per adapter and kept; a batch then reads its suffixes and
decodes them together. A prompt that is answered several times is read once, and what its answers begin with in
common is written once. Knows nothing about codes: text in, text out.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from models.backends.lora import attention_masks
from models.backends.lora.adapters import AdapterRows
from models.backends.lora.comparing import Comparer
from models.backends.lora.prefix_cache import PrefixCache, left_padded
from models.backends.lora.prompt_ids import prompt_ids
from models.backends.lora.prompt_rows import BranchedRow, PromptRow
from models.backends.token_usage import TokenUsage

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 is greedy. The paper's values: 15, 0.7, 0.7."""

    max_new_tokens: int = 15
    temperature: float = 0.7
    top_p: float = 0.7
    num_samples: int = 0
    """Further answers to each row, drawn with a temperature and top-p of their own."""
    sample_temperature: float = 0.8
    sample_top_p: float = 0.95

    def for_samples(self) -> "Sampling":
        """How the tokens of the further answers are chosen."""
        return replace(self, temperature=self.sample_temperature, top_p=self.sample_top_p)


@dataclass(frozen=True)
class Completion:
    """What the model wrote, and how likely it found that: mean per token in nats, the end token included."""

    text: str
    log_probability: float
    samples: "tuple[Completion, ...]" = ()
    """The further answers, in the order of their seeds."""


@dataclass
class _Sequence:
    """An answer on its way."""

    settings: Sampling
    seed: int
    written: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)

    def answer(self, tokenizer: Any, samples: tuple[Completion, ...] = ()) -> Completion:
        text = tokenizer.decode(self.written, skip_special_tokens=True)
        likelihood = sum(self.log_probabilities) / max(1, len(self.log_probabilities))
        return Completion(text, min(0.0, likelihood), samples)


@dataclass
class _Prompt:
    """A row as ids, and the answers to it."""

    at: int  # its place in the call
    row: PromptRow
    prefix: tuple[int, ...]
    suffix: list[int]
    sequences: list[_Sequence]  # the answer, then the samples

    def answer(self, tokenizer: Any) -> Completion:
        first, *others = self.sequences
        return first.answer(tokenizer, tuple(sequence.answer(tokenizer) for sequence in others))


_MOST_PADDING = 512  # tokens read for nothing in a batch before a new one begins; not tuned


class Generator:
    """Decodes rows in batches. Safe to call from several threads: calls wait for each other."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        adapter_rows: AdapterRows,
        *,
        batch_tokens: int = 4096,
        max_tokens: int = 1024,
        usage: TokenUsage | None = None,
    ) -> None:
        """Take a model that the adapters are attached to.

        Args:
            model: A causal language model in evaluation mode.
            tokenizer: Its tokenizer.
            adapter_rows: What ``attach_adapters`` returned for the model.
            batch_tokens: Most tokens of a batch, padding and room for the answer included; bounds memory.
            max_tokens: Most tokens of a prompt; longer texts are cut.
            usage: Counts what is written.
        """
        self._model, self._tokenizer, self._adapter_rows = model, tokenizer, adapter_rows
        self._batch_tokens, self._max_tokens = batch_tokens, max_tokens
        self._usage = usage or TokenUsage()
        self._prefixes = PrefixCache(model, adapter_rows)
        self._comparer = Comparer(
            model, tokenizer, adapter_rows, self._prefixes, batch_tokens=batch_tokens, max_tokens=max_tokens
        )
        self._pieces: dict[int, str] = {}
        ends = model.generation_config.eos_token_id  # one id, several, or none
        model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        self._ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
        self._lock = threading.Lock()

    def generate(self, rows: Sequence[PromptRow], settings: Sampling) -> list[Completion]:
        """Answer every row, in order.

        What a row's answers draw comes from its own seed, so they depend on its neighbours only through rounding.
        """
        import torch

        ways = [settings, *[settings.for_samples()] * settings.num_samples]
        with self._lock, torch.inference_mode():
            prompts = []
            for at, row in enumerate(rows):
                prefix, suffix = prompt_ids(self._tokenizer, row.prefix, row.suffix, self._max_tokens, row.before)
                sequences = [_Sequence(way, row.seed + n) for n, way in enumerate(ways)]
                prompts.append(_Prompt(at, row, tuple(prefix), suffix, sequences))
            for batch in self._batches(prompts, settings.max_new_tokens):
                self._decode(batch, settings.max_new_tokens)
            self._usage.add(sum(len(sequence.written) for prompt in prompts for sequence in prompt.sequences))
            return [prompt.answer(self._tokenizer) for prompt in prompts]

    def compare(self, rows: Sequence[BranchedRow], answers: tuple[Sequence[str], Sequence[str]]) -> list[list[float]]:
        """How likely the model begins with one of two answers after each end of each row; see ``Comparer``."""
        import torch

        with self._lock, torch.inference_mode():
            return self._comparer.compare(rows, answers)

    def _batches(self, prompts: Sequence[_Prompt], room: int) -> Iterator[list[_Prompt]]:
        """Cut into batches of like length, longest first; inside, the rows of one adapter stand together.

        A prompt counts as often as it is answered: in the end each answer may need its own copy of the cache.
        """
        batch: list[_Prompt] = []
        widest, padding = (0, 0), 0
        for prompt in sorted(prompts, key=lambda p: -len(p.suffix)):
            wider = (max(widest[0], len(prompt.prefix)), max(widest[1], len(prompt.suffix)))
            full = (len(batch) + 1) * len(prompt.sequences) * (sum(wider) + room) > self._batch_tokens
            padding += wider[1] - len(prompt.suffix)
            if batch and (full or padding > _MOST_PADDING):
                yield sorted(batch, key=lambda p: (p.row.adapter or "", p.at))
                batch, wider, padding = [], (len(prompt.prefix), len(prompt.suffix)), 0
            batch.append(prompt)
            widest = wider
        if batch:
            yield sorted(batch, key=lambda p: (p.row.adapter or "", p.at))

    def _decode(self, batch: list[_Prompt], room: int) -> None:
        """Write all answers to the prompts; those of a prompt share a row of the batch for as long as they are equal.

        Args:
            batch: The prompts; each is a row until its answers begin to differ.
            room: Most tokens of an answer.
        """
        import torch

        device = self._model.device
        cache, mask = self._prefixes.read([(p.row.adapter, p.prefix) for p in batch])
        ids, suffix_mask = left_padded([p.suffix for p in batch], self._tokenizer.pad_token_id)
        ids, mask = ids.to(device), torch.cat([mask, suffix_mask], dim=1).to(device)
        active = [(n, sequence) for n, prompt in enumerate(batch) for sequence in prompt.sequences]  # each with its row
        draws = {id(sequence): _draws(sequence.seed, room) for _, sequence in active}
        adapters = [p.row.adapter for p in batch]
        for step in range(room):
            logits = self._forward(adapters, ids, mask, cache)
            _write(active, logits, torch.stack([draws[id(sequence)][step] for _, sequence in active]).to(device))
            active = [(row, sequence) for row, sequence in active if not self._ended(sequence)]
            if not active:
                break
            nodes = list(dict.fromkeys((row, sequence.written[-1]) for row, sequence in active))
            places = {node: n for n, node in enumerate(nodes)}
            active = [(places[row, sequence.written[-1]], sequence) for row, sequence in active]
            rows = [row for row, _ in nodes]
            if rows != list(range(len(adapters))):  # a row that is done costs as much as one that is not
                kept = torch.tensor(rows)  # an index from the processor fits each layer's device
                cache.batch_select_indices(kept)
                adapters, mask = [adapters[row] for row in rows], mask[kept]
            ids = torch.tensor([[token] for _, token in nodes], device=device)
            mask = torch.cat([mask, mask.new_ones(len(nodes), 1)], dim=1)

    def _forward(self, adapters: Sequence[str | None], ids: Any, mask: Any, cache: Any) -> "torch.Tensor":
        """Logits of the last position, shape (rows, vocabulary)."""
        self._adapter_rows.assign(adapters)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self._model(
            input_ids=ids,
            attention_mask=attention_masks.padded(self._model.config, mask, ids.shape[1]),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _ended(self, sequence: _Sequence) -> bool:
        """At the end token, or at a line break after something was said."""
        if sequence.written[-1] in self._ends:
            return True
        pieces = [self._piece(t) for t in sequence.written]
        return "\n" in pieces[-1] and ("".join(pieces[:-1]) + pieces[-1].split("\n")[0]).strip() != ""

    def _piece(self, token: int) -> str:
        if token not in self._pieces:
            self._pieces[token] = self._tokenizer.decode([token])
        return self._pieces[token]


def _write(active: Sequence[tuple[int, _Sequence]], logits: "torch.Tensor", draws: "torch.Tensor") -> None:
    """Put the next token to each answer.

    Args:
        active: The answers, each with its row in ``logits``.
        logits: Shape (rows, vocabulary).
        draws: One number in [0, 1) an answer.
    """
    for settings in dict.fromkeys(sequence.settings for _, sequence in active):
        at = [n for n, (_, sequence) in enumerate(active) if sequence.settings == settings]
        rows = [active[n][0] for n in at]
        picked = logits if rows == list(range(len(logits))) else logits[rows]  # a copy costs
        tokens, values = choose(picked, settings, draws[at])
        for n, token, value in zip(at, tokens.tolist(), values.tolist(), strict=True):
            active[n][1].written.append(token)
            active[n][1].log_probabilities.append(value)


def choose(logits: "torch.Tensor", settings: Sampling, draws: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Choose the next token of each row.

    Args:
        logits: Shape (rows, vocabulary).
        settings: Greedy at temperature 0, else nucleus sampling.
        draws: One number in [0, 1) a row.

    Returns:
        Token ids, and their log-probability under the model as it is (no temperature, no nucleus), in nats.
    """
    logits = logits.float()
    tokens = logits.argmax(-1)
    if settings.temperature > 0:
        tokens = _nucleus(logits / settings.temperature, settings.top_p, draws)
    return tokens, logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)


def _nucleus(logits: "torch.Tensor", top_p: float, draws: "torch.Tensor", first: int = 64) -> "torch.Tensor":
    """Draw from the fewest likeliest tokens that hold ``top_p``; the whole vocabulary is sorted only if it must be.

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, section 3.1.
    """
    values, tokens = logits.topk(min(first, logits.shape[-1]))
    shares = (values - logits.logsumexp(-1, keepdim=True)).exp()
    upto = shares.cumsum(-1)
    if values.shape[-1] < logits.shape[-1] and bool((upto[:, -1] < top_p).any()):
        return _nucleus(logits, top_p, draws, first=logits.shape[-1])
    inside = upto - shares < top_p
    inside[:, 0] = True
    mass = (shares * inside).sum(-1)
    place = (upto <= (draws * mass)[:, None]).sum(-1).clamp(max=inside.sum(-1) - 1)
    return tokens.gather(-1, place[:, None])[:, 0]


def _contiguous(_: Any, inputs: tuple["torch.Tensor"]) -> tuple["torch.Tensor"]:
    """Spare the last layer a slice of a longer tensor, for which torch 2.13 copies the vocabulary once a row."""
    return (inputs[0].contiguous(),)


def _draws(seed: int, count: int) -> "torch.Tensor":
    import torch

    return torch.rand(count, generator=torch.Generator().manual_seed(seed))
