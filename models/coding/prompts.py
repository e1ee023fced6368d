"""The paper's prompts, how a segment is put into them, and what may come back.

Source:
    "Measuring What Matters: Evaluating Ensemble LLMs with Label Refinement in Inductive Coding",
    appendix A (coding) and C (moderation). The words are the paper's; the order is ours: what never
    changes comes first and the segment last, so that the shared prefix is computed once.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

Ending = Literal["dot", "newline"]

CODING_PROMPTS: dict[int, str] = {
    1: "Summarize the main idea of a sentence",
    2: "Can you tell me what the main idea of this sentence is in just a few words?",
    3: "From the perspective of a social scientist, summarize the following sentence as you would in thematic coding",
    4: "If you were a social scientist doing thematic analysis, what code would you give to this citation?",
    5: "Explain in a couple of words the primary thought expressed in the following text",
    6: "What is the gist of this sentence?",
}
"""Appendix A, by the paper's numbers."""

MODERATOR_PROMPT = (
    "You will be given a paragraph from the text, which is: {description}. "
    "Definition of the code: A word or short phrase that symbolically assigns a summative, salient, "
    "essence-capturing, and/or evocative attribute for a portion of language-based or visual data. "
    "Please choose the best code or suggest a new code taking into account all these answers. "
    "The output should be the code with no longer than 5 words."
)
"""Appendix C, its static sentences first."""

OPEN, CLOSE = "<<<", ">>>"
"""What stands around a segment."""


def coding_prefix(prompt: int, ending: Ending) -> str:
    """The part of a coding prompt that is the same for every segment."""
    words = CODING_PROMPTS[prompt]
    if ending == "dot" and words[-1] not in ".?":
        words += "."
    return f"{words}\n{OPEN}"


def coding_suffix(text: str) -> str:
    """The part of a coding prompt that holds the segment; the model goes on with the code."""
    return f"{inside(text)}{CLOSE}\nCode:"


def moderator_prefix(description: str = "live feedback") -> str:
    """The part of the moderator's prompt that is the same for every segment of a study."""
    return f"{MODERATOR_PROMPT.format(description=inside(description))}\nHere is the excerpt to code: {OPEN}"


def moderator_suffix(text: str, labels: Sequence[str]) -> str:
    """The part of the moderator's prompt that holds the segment and the suggestions."""
    suggestions = "\n".join(f"{n}. {label}" for n, label in enumerate(labels, 1))
    return (
        f"{inside(text)}{CLOSE}\nHere are {len(labels)} coding suggestions from previous models:\n{suggestions}\nCode:"
    )


def inside(text: str) -> str:
    """Keep a segment inside its borders: no border marks, no line that looks like ours, no control characters."""
    text = re.sub(r"<{3,}", "<", re.sub(r">{3,}", ">", text))
    return " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in text).split())
