"""Batched decoding over one base model that wears several LoRA adapters at once, and how prompts become token ids."""

from collections.abc import Sequence
from typing import Any

_TEXT_ENDS = ">>>\n"  # models.prompts: a segment holds no line break, so this is where its border stands


def prompt_ids(tokenizer: Any, prefix: str, suffix: str, max_tokens: int) -> tuple[list[int], list[int]]:
    """Turn a prompt into token ids, prefix and suffix apart, so that tuning and serving see the same ids.

    What stands in the text like a special token is read as plain characters. A text that is too long loses
    its right end; the prefix and what follows the text are never cut.

    Args:
        tokenizer: A ``transformers`` tokenizer.
        prefix: What is the same for every segment.
        suffix: The segment and what follows it, from ``models.prompts``.
        max_tokens: Most tokens of both together.

    Returns:
        Ids of the prefix (with the tokenizer's BOS, if it puts one) and of the suffix.
    """
    first = tokenizer("").input_ids[:1]
    opening = first if first and first[0] == tokenizer.bos_token_id else []
    head = opening + _plain_ids(tokenizer, prefix)
    tail = _plain_ids(tokenizer, suffix)
    if len(head) + len(tail) > max_tokens:
        text, mark, rest = suffix.partition(_TEXT_ENDS)
        end = _plain_ids(tokenizer, mark + rest)
        tail = _plain_ids(tokenizer, text)[: max(0, max_tokens - len(head) - len(end))] + end
    return head, tail


def answer_ids(tokenizer: Any, code: str) -> list[int]:
    """The ids that a model should answer with: a space, the code, the end-of-sequence token."""
    return [*_plain_ids(tokenizer, f" {code}"), tokenizer.eos_token_id]


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)
