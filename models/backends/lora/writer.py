"""A moderator's pen in this process: a chat model that sees the segment, the proposals and the study's memory."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_rows import PromptRow
from models.backends.parsing import candidates, row_seed
from models.coding.chat import excerpt, moderator_chat, shown_memory
from models.moderation.decision import Answer
from models.moderation.memory import StudyMemory
from schemas import Proposals


class ChatWriter:
    """Picks, reuses or writes a code; what it writes is validated and judged like any other."""

    def __init__(
        self,
        base: str,
        pool: GeneratorPool,
        memory: StudyMemory,
        *,
        sampling: Sampling,
        seed: int = 0,
        dtype: str = "auto",
        description: str = "live feedback",
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        """Take what it needs; weights load on first use.

        Args:
            base: A chat model; see ``load_language_model``.
            pool: Where its weights may be already.
            memory: Of all studies.
            sampling: How tokens are chosen.
            seed: The profile's; draws depend on it and the segment.
            dtype: See ``choose_dtype``.
            description: What the texts are.
            descriptions: The same for single studies.
        """
        self._base, self._pool, self._dtype, self._memory = base, pool, dtype, memory
        self._sampling, self._seed = sampling, seed
        self._description, self._descriptions = description, dict(descriptions or {})

    def load(self) -> None:
        """Load all weights now.

        Raises:
            SettingError: If they are not to be had.
        """
        _ = self._generator

    def write(self, batch: Sequence[Proposals]) -> list[Answer]:
        """One answer a segment, in order.

        Raises:
            UncodableError: If a segment has no usable proposal.
        """
        given = self._generator.generate([self._row(proposals) for proposals in batch], self._sampling)
        return [Answer(answer.text, answer.log_probability) for answer in given]

    def _row(self, proposals: Proposals) -> PromptRow:
        segment, labels = proposals.segment, candidates(proposals)
        chat = moderator_chat(self._descriptions.get(segment.study, self._description))
        recalled = self._memory.recall(segment.study, segment.text, labels)
        codes = [(code.label, code.definition, code.uses) for code in recalled.codes]
        texts = [(precedent.text, precedent.codes) for precedent in recalled.texts]
        suffix = excerpt(segment.text) + shown_memory(labels, codes, texts)
        return PromptRow(None, chat.opening, suffix, row_seed(segment, "moderator", self._seed), chat.before)

    @cached_property
    def _generator(self) -> Generator:
        return self._pool.generator(self._base, self._dtype, {}, chat=True)
