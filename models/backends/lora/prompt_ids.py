"""How prompts become token ids, so that tuning and serving see the same ones."""

from collections.abc import Sequence
from typing import Any

from models.coding.chat import Message, without_system
from models.errors import SettingError

_TEXT_ENDS = ">>>"  # models.coding.prompts: a segment holds no such mark, so this is where its border stands
_HERE = "\u2063here\u2063"  # stands for what changes while a chat template is filled in; no template knows it


def prompt_ids(
    tokenizer: Any, prefix: str, suffix: str, max_tokens: int, before: Sequence[Message] = ()
) -> tuple[list[int], list[int]]:
    """Turn a prompt into token ids, prefix and suffix apart, so that tuning and serving see the same ids.

    What stands in the text like a special token is read as plain characters. A text that is too long loses
    its right end; the prefix and what follows the text are never cut.

    Args:
        tokenizer: A ``transformers`` tokenizer.
        prefix: What is the same for every segment.
        suffix: The segment and what follows it, from ``models.coding.prompts``.
        max_tokens: Most tokens of both together.
        before: Messages before: then prefix and suffix are the user's last one, in the model's chat template.

    Returns:
        Ids of the prefix (with the tokenizer's BOS, if it puts one) and of the suffix.

    Raises:
        SettingError: If there are messages but the model has no chat template.
    """
    if before:
        head, after = chat_ids(tokenizer, tuple(before), prefix)
        return head, text_ids(tokenizer, suffix, max_tokens - len(head) - len(after)) + after
    first = tokenizer("").input_ids[:1]
    opening = first if first and first[0] == tokenizer.bos_token_id else []
    head = opening + plain_ids(tokenizer, prefix)
    return head, text_ids(tokenizer, suffix, max_tokens - len(head))


def text_ids(tokenizer: Any, suffix: str, room: int) -> list[int]:
    """Ids of a segment and what follows it; where there are more than ``room``, the text loses its right end."""
    ids = plain_ids(tokenizer, suffix)
    if len(ids) > room:
        text, mark, rest = suffix.partition(_TEXT_ENDS)
        end = plain_ids(tokenizer, mark + rest)
        ids = plain_ids(tokenizer, text)[: max(0, room - len(end))] + end
    return ids


def answer_ids(tokenizer: Any, code: str, *, chat: bool = False) -> list[int]:
    """The ids that a model should answer with: a space, the code, the end-of-sequence token; in a chat no space.

    There the end is what the template puts behind an assistant's words.
    """
    if not chat:
        return [*plain_ids(tokenizer, f" {code}"), tokenizer.eos_token_id]
    words = _rendered(tokenizer, (Message("user", "."), Message("assistant", _HERE)), answering=False)
    return [*plain_ids(tokenizer, code), _special_ids(tokenizer, words.partition(_HERE)[2])[0]]


def chat_ids(tokenizer: Any, before: tuple[Message, ...], opening: str) -> tuple[list[int], list[int]]:
    """A conversation around what changes with the segment, as the model's template has it.

    Args:
        tokenizer: One with a chat template.
        before: Whole messages.
        opening: How the user's last message begins.

    Returns:
        Ids up to the segment, and those from the end of the message to where the assistant begins.

    Raises:
        SettingError: If the model has no chat template.
    """
    text = _rendered(tokenizer, (*before, Message("user", opening + _HERE)), answering=True)
    head, _, after = text.partition(_HERE)
    return _special_ids(tokenizer, head), _special_ids(tokenizer, after)


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text in which nothing is special, whatever it looks like."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)


def _special_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of what a template wrote, whose marks are special."""
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def _rendered(tokenizer: Any, messages: Sequence[Message], *, answering: bool) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise SettingError(
            f"{tokenizer.name_or_path!r} has no chat template, but its member's format is 'chat'; set it to 'plain'"
        )

    def render(written: Sequence[Message]) -> str:
        return str(
            tokenizer.apply_chat_template(
                [message._asdict() for message in written], tokenize=False, add_generation_prompt=answering
            )
        )

    try:
        return render(messages)
    except TemplateError:  # some models know no system message
        return render(without_system(messages))
