"""Base models that several users share: a member, a moderator and a verifier on one base hold its weights once."""

from collections.abc import Mapping
from pathlib import Path

from models.backends.lora.adapters import attach_adapters
from models.backends.lora.generation import Generator
from models.backends.token_usage import TokenUsage
from models.backends.weights import ONE_DEVICE, Placement, load_language_model

CHAT_BATCH_TOKENS = 16_384
"""Most tokens of a batch of chats. Each row keeps the whole prefix, so a smaller one would hold a handful of rows; keys
and values of as many take 0.5 GB on Qwen2.5 1.5B in bf16."""


class GeneratorPool:
    """One generator for each base with the same adapters; loaded when it is first asked for."""

    def __init__(
        self,
        cache: Path,
        device: str = "cpu",
        *,
        placements: Mapping[str, Placement] | None = None,
        batch_tokens: int = 4096,
        usage: TokenUsage | None = None,
    ) -> None:
        """Take what all have in common.

        Args:
            cache: Folder for converted weights.
            device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
            placements: Over which devices a base lies, and in how many bits; one that is not named lies on the device.
            batch_tokens: Most tokens of a batch, padding and room for the answers included.
            usage: Counts what is written.
        """
        self._cache, self._device, self._placements = cache, device, dict(placements or {})
        self._batch_tokens, self._usage = batch_tokens, usage
        self._generators: dict[tuple[str, str, tuple[str, ...]], Generator] = {}

    def generator(self, base: str, dtype: str, adapters: Mapping[str, Path], *, chat: bool = False) -> Generator:
        """The base's generator.

        Args:
            base: See ``load_language_model``.
            dtype: See ``choose_dtype``.
            adapters: Folder of each adapter, by the name that rows give.
            chat: Whether its prompts are long, with examples: then its batches hold more tokens.

        Raises:
            SettingError: If base or adapters are not to be had, or do not fit each other.
        """
        key = (base, dtype, tuple(sorted(adapters)))
        if key not in self._generators:
            placement = self._placements.get(base, ONE_DEVICE)
            model, tokenizer = load_language_model(
                base, cache=self._cache, device=self._device, dtype=dtype, placement=placement
            )
            rows = attach_adapters(model, adapters)
            room = max(self._batch_tokens, CHAT_BATCH_TOKENS) if chat else self._batch_tokens
            self._generators[key] = Generator(model, tokenizer, rows, batch_tokens=room, usage=self._usage)
        return self._generators[key]
