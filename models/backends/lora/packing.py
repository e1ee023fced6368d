"""Pairs of text and code laid out as rows of tokens, and the loss on the code alone.

Several codes of a text, and several texts of a batch, share what they have in common: one row of tokens holds the
prompt's prefix once, each text once and each code once, and the attention mask lets a token see its own ancestors
only. That is the same as one row a pair, without padding and at a fraction of the tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.backends.lora import attention_masks
from models.backends.lora.prompt_ids import answer_ids, prompt_ids
from models.backends.lora.prompt_rows import PromptRow
from models.coding.chat import Format, coding_chat, excerpt, moderator_chat, shown_memory
from models.coding.prompts import Ending, coding_prefix, coding_suffix, moderator_prefix, moderator_suffix

AdapterRole = Literal["member", "moderator"]
Tokens = list[int]

MAX_TOKENS = 192
"""Most tokens of a prompt in tuning; longer texts are cut by the rule that serving has, at a lower limit."""

ROW_TOKENS = 384
"""Most tokens of one row, unless a single text needs more: attention grows with its square."""


@dataclass(frozen=True)
class TuningExample:
    """A text, the codes that fit it, and for a moderator the proposals it is shown."""

    text: str
    codes: tuple[str, ...]
    proposals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How an adapter is tuned. The LoRA part is the paper's appendix E."""

    base: str
    prompt: int = 1
    ending: Ending = "dot"
    role: AdapterRole = "member"
    epochs: int = 2
    batch: int = 8
    learning_rate: float = 6e-4
    seed: int = 0
    patience: int = 1
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    """Of models that have layers of these names; see ``models.backends.lora.architectures`` for the others."""
    format: Format = "plain"


@dataclass(frozen=True)
class Encoded:
    """One text in tokens: what follows the shared prefix, and its answers with the end-of-sequence token."""

    suffix: Tokens
    answers: tuple[Tokens, ...]

    def __len__(self) -> int:
        return len(self.suffix) + sum(len(answer) - 1 for answer in self.answers)


def encode(tokenizer: Any, recipe: Recipe, examples: Sequence[TuningExample]) -> tuple[Tokens, list[Encoded]]:
    """Turn examples into tokens, with the very ids that serving will use.

    Returns:
        The prefix that all share, and one ``Encoded`` an example.
    """
    is_member, chat = recipe.role == "member", recipe.format == "chat"
    first = prompt_row(recipe, "", ())
    head: Tokens = prompt_ids(tokenizer, first.prefix, "", MAX_TOKENS, first.before)[0]
    longest = MAX_TOKENS + (0 if is_member and not chat else len(head))
    encoded = []
    for example in examples:
        row = prompt_row(recipe, example.text, example.proposals)
        tail = prompt_ids(tokenizer, row.prefix, row.suffix, longest, row.before)[1]
        encoded.append(Encoded(tail, tuple(answer_ids(tokenizer, code, chat=chat) for code in example.codes)))
    return head, encoded


def prompt_row(
    recipe: Recipe, text: str, labels: Sequence[str], adapter: str | None = None, seed: int = 0
) -> PromptRow:
    """What a model is asked about a text under a recipe, in tuning as in serving.

    Args:
        recipe: Its prompt, ending, role and format are used.
        text: The segment's.
        labels: What members proposed, for a moderator.
        adapter: The row's adapter.
        seed: The row's seed.
    """
    member = recipe.role == "member"
    if recipe.format == "chat":
        chat = coding_chat(recipe.prompt) if member else moderator_chat()
        suffix = excerpt(text) + ("" if member else shown_memory(labels, (), ()))
        return PromptRow(adapter, chat.opening, suffix, seed, chat.before)
    prefix = coding_prefix(recipe.prompt, recipe.ending) if member else moderator_prefix()
    return PromptRow(adapter, prefix, coding_suffix(text) if member else moderator_suffix(text, labels), seed)


def rows(encoded: Sequence[Encoded], limit: int) -> Iterator[list[Encoded]]:
    """Group texts into rows of at most ``limit`` tokens; a longer text gets its own row."""
    row: list[Encoded] = []
    for item in encoded:
        if row and sum(map(len, row)) + len(item) > limit:
            yield row
            row = []
        row.append(item)
    if row:
        yield row


def pack(head: Tokens, row: Sequence[Encoded], device: str) -> tuple[dict[str, Any], Any, Any]:
    """Lay a prefix, its texts and their codes out as one row.

    Returns:
        The model's inputs (ids and positions of shape ``(1, n)``, mask of shape ``(1, 1, n, n)``), the positions
        ``(m,)`` whose outputs are judged, and the tokens ``(m,)`` expected there.
    """
    import torch

    ids, places = list(head), list(range(len(head)))
    text_of, code_of = [0] * len(head), [0] * len(head)  # 0: seen by all
    judged: list[int] = []
    expected: list[int] = []
    branch = 0
    for number, item in enumerate(row, 1):
        start = len(head)
        ids += item.suffix
        places += range(start, start + len(item.suffix))
        text_of += [number] * len(item.suffix)
        code_of += [0] * len(item.suffix)
        fork = len(ids) - 1
        for answer in item.answers:
            branch += 1
            judged += [fork, *range(len(ids), len(ids) + len(answer) - 1)]
            expected += answer
            ids += answer[:-1]
            places += range(start + len(item.suffix), start + len(item.suffix) + len(answer) - 1)
            text_of += [number] * (len(answer) - 1)
            code_of += [branch] * (len(answer) - 1)
    text, code = (torch.tensor(x, device=device) for x in (text_of, code_of))
    same_code = (code[None] == 0) | (code[None] == code[:, None])
    seen = (text[None] == 0) | ((text[None] == text[:, None]) & same_code)
    inputs = {
        "input_ids": torch.tensor([ids], device=device),
        "position_ids": torch.tensor([places], device=device),
        "attention_mask": seen.tril()[None, None],
    }
    return inputs, torch.tensor(judged, device=device), torch.tensor(expected, device=device)


def summed_loss(model: Any, head: Tokens, row: Sequence[Encoded], device: str) -> tuple[Any, int]:
    """Cross-entropy of a row's code and end-of-sequence tokens, summed, and their number."""
    import torch

    inputs, judged, expected = pack(head, row, device)
    causal = model.get_base_model()
    places = inputs["position_ids"]
    inputs["attention_mask"] = attention_masks.by_layer(causal.config, inputs["attention_mask"], places, places)
    hidden = causal.get_decoder()(**inputs, use_cache=False).last_hidden_state[0]
    logits = causal.get_output_embeddings()(hidden[judged])  # the vocabulary is wide: only where a code is written
    return torch.nn.functional.cross_entropy(logits.float(), expected, reduction="sum"), len(expected)
