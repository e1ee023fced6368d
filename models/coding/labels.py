"""A label out of a model's answer, and what may not be one."""

import re

from models.coding.prompts import CLOSE, CODING_PROMPTS, MODERATOR_PROMPT, OPEN

MAX_WORDS = 5  # of a label, as the coding prompt asks for


_QUOTES = "\"'`“”‘’«»*_#"


_LEAD = re.compile(r"^(?:the\s+)?(?:code|label|theme|answer|output)\s*[:=-]\s*", re.IGNORECASE)


def clean_label(answer: str) -> str:
    """Take the code out of what a model wrote: its first line, without quotes, list marks and final stop."""
    lines = [line.strip() for line in answer.strip().splitlines() if line.strip()]
    label = lines[0] if lines else ""
    label = _LEAD.sub("", re.sub(r"^(?:\d+[.)]|[-•])\s+", "", label))
    label = "".join(c for c in label if c.isprintable())
    return " ".join(label.strip(_QUOTES + " ").rstrip(".,;:!").split())


def label_fault(label: str) -> str | None:
    """Say why a cleaned label may not be used as a code, or ``None`` if it may.

    Source: house plan, decision 11: at most five words, printable, no echo of the prompt.
    """
    words = label.split()
    if not any(c.isalnum() for c in label):
        return "empty"
    if len(words) > MAX_WORDS:
        return f"{len(words)} words, at most {MAX_WORDS} expected"
    if len(label) > 80:
        return f"{len(label)} characters, at most 80 expected"
    if OPEN in label or CLOSE in label or _echoes_prompt(label):
        return "repeats the prompt"
    if len(words) > 2 and len({w.casefold() for w in words}) == 1:
        return "one word over and over"
    return None


_PROMPT_TEXT = " ".join([*CODING_PROMPTS.values(), MODERATOR_PROMPT]).casefold()


def _echoes_prompt(label: str) -> bool:
    folded = label.casefold()
    return len(folded.split()) >= 3 and folded in _PROMPT_TEXT
