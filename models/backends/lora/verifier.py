"""A verifier that runs in this process: a chat model, asked of each code whether it would stand."""

from collections.abc import Sequence
from functools import cached_property

from models.backends.lora.generation import Generator
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_rows import BranchedRow, PromptRow
from models.coding.chat import excerpt, judged_code, verifier_chat
from models.moderation.verified import Question

_YES, _NO = ("yes", "Yes"), ("no", "No")


class ChatVerifier:
    """Reads each text once, and each code after it; what it says is the share of yes against no in the next token.

    Source:
        Kadavath et al., "Language Models (Mostly) Know What They Know", 2022: P(True).
    """

    def __init__(
        self,
        base: str,
        pool: GeneratorPool,
        *,
        dtype: str = "auto",
        examples: Sequence[tuple[str, str, bool]] = (),
    ) -> None:
        """Take what it needs; weights load on first use.

        Args:
            base: A chat model; see ``load_language_model``.
            pool: Where its weights may be already.
            dtype: See ``choose_dtype``.
            examples: Texts, a code for each, and whether it stands.
        """
        self._base, self._pool, self._dtype = base, pool, dtype
        self._chat = verifier_chat(examples)

    @property
    def version(self) -> str:
        """The base's name."""
        return self._base

    def load(self) -> None:
        """Load all weights now.

        Raises:
            SettingError: If they are not to be had.
        """
        _ = self._generator

    def judge(self, questions: Sequence[Question]) -> list[list[float]]:
        """Judge every label of every question; see ``models.moderation.verified.Verifier``."""
        chat = self._chat
        rows = [
            BranchedRow(
                PromptRow(None, chat.opening, excerpt(question.text), 0, chat.before),
                tuple(judged_code(label) for label in question.labels),
            )
            for question in questions
        ]
        return self._generator.compare(rows, (_YES, _NO)) if rows else []

    @cached_property
    def _generator(self) -> Generator:
        return self._pool.generator(self._base, self._dtype, {}, chat=True)
