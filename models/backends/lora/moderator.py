"""A moderator that runs in this process: a small model, taught by a LoRA adapter to pick or rewrite."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from models.backends.lora.adapters import attach_adapters
from models.backends.lora.coder import model_version
from models.backends.lora.generation import Generator, Sampling
from models.backends.lora.prompt_rows import PromptRow
from models.backends.parsing import candidates, row_seed
from models.backends.token_usage import TokenUsage
from models.backends.weights import ONE_DEVICE, Placement, load_language_model
from models.coding.prompts import moderator_prefix, moderator_suffix
from models.moderation.decision import Answer, moderate
from models.ports import Embedder
from schemas import Decision, Proposals

_GREEDY = Sampling(max_new_tokens=15, temperature=0.0, top_p=1.0)
"""The likeliest label, the same each time; fifteen tokens are enough for the five words that it may have."""


class LoraModerator:
    """Shows a model the excerpt and the usable labels; what it answers is settled by ``models.moderation.voting``."""

    def __init__(
        self,
        base: str,
        adapter: Path | None,
        embedder: Embedder,
        *,
        cache: Path,
        device: str = "cpu",
        dtype: str = "float32",
        placement: Placement = ONE_DEVICE,
        usage: TokenUsage | None = None,
    ) -> None:
        """Take what it needs; weights load on first use.

        Args:
            base: See ``load_language_model``.
            adapter: Folder of the adapter that taught it, or ``None`` for a model that needs none.
            embedder: For agreement and consensus.
            cache: Folder for converted weights.
            device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
            dtype: ``float32``, ``bfloat16`` or ``float16``.
            placement: Over which devices the base lies, and in how many bits.
            usage: Counts what is written.
        """
        self._base, self._adapter, self._embedder = base, adapter, embedder
        self._cache, self._device, self._dtype = cache, device, dtype
        self._placement = placement
        self._prefix, self._usage = moderator_prefix(), usage

    @cached_property
    def version(self) -> str:
        """The base and the adapter's revision.

        Raises:
            SettingError: If the adapter cannot be read.
        """
        return model_version(self._base, self._adapter)

    def load(self) -> None:
        """Load all weights now.

        Raises:
            SettingError: If base or adapter are not to be had, or do not fit each other.
        """
        _ = self.version, self._generator
        self._embedder.embed(["warm"])

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used; the caller halves the batch to find it.
            SettingError: See ``load``.
        """
        return self.decide_with(batch, _GREEDY, seed=0, version=self.version)

    def decide_with(self, batch: Sequence[Proposals], sampling: Sampling, *, seed: int, version: str) -> list[Decision]:
        """Decide each segment, in order, with answers chosen in a certain way.

        Args:
            batch: The segments with their proposals.
            sampling: How the answers' tokens are chosen.
            seed: Draws depend on it and the segment only.
            version: Who decides, as the decisions tell it.

        Raises:
            UncodableError, SettingError: See ``decide``.
        """

        def ask(asked: Sequence[Proposals]) -> list[Answer]:
            rows = [self._row(proposals, seed) for proposals in asked]
            return [Answer(given.text, given.log_probability) for given in self._generator.generate(rows, sampling)]

        return moderate(batch, ask, self._embedder, moderator=version)

    def _row(self, proposals: Proposals, seed: int) -> PromptRow:
        adapter = None if self._adapter is None else str(self._adapter)
        suffix = moderator_suffix(proposals.segment.text, candidates(proposals))
        return PromptRow(adapter, self._prefix, suffix, row_seed(proposals.segment, "moderator", seed))

    @cached_property
    def _generator(self) -> Generator:
        model, tokenizer = load_language_model(
            self._base, cache=self._cache, device=self._device, dtype=self._dtype, placement=self._placement
        )
        adapters = {} if self._adapter is None else {str(self._adapter): self._adapter}
        return Generator(model, tokenizer, attach_adapters(model, adapters), usage=self._usage)


class SampledModerator:
    """A ``LoraModerator`` that draws its answers: with each seed another reading, all on the same weights."""

    def __init__(self, model: LoraModerator, sampling: Sampling, seed: int) -> None:
        """Take the model, how tokens are drawn, and the seed that makes this reading its own."""
        self._model, self._sampling, self._seed = model, sampling, seed

    @property
    def version(self) -> str:
        """The model's version and the seed."""
        return f"{self._model.version}#{self._seed}"

    def load(self) -> None:
        """Load all weights now; see ``LoraModerator.load``."""
        self._model.load()

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order; see ``LoraModerator.decide``."""
        return self._model.decide_with(batch, self._sampling, seed=self._seed, version=self.version)
