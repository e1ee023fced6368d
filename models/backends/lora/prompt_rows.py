"""What a model is asked, before it is tokens."""

from dataclasses import dataclass

from models.coding.chat import Message


@dataclass(frozen=True)
class PromptRow:
    """One answer that is wanted."""

    adapter: str | None  # a name among the attached adapters; None is the base model itself
    prefix: str
    suffix: str
    seed: int = 0
    before: tuple[Message, ...] = ()
    """Messages before the one that prefix and suffix make up; none where the model reads plain text."""


@dataclass(frozen=True)
class BranchedRow:
    """A prompt that goes on in several ways: what they have in common is read once."""

    row: PromptRow
    ends: tuple[str, ...]
