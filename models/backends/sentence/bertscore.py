"""Tokens in their context, for BERTScore: the hidden states of a sentence model's body at one layer."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.backends.sentence.embedder import sentence_model_source
from models.backends.weights import PACKAGED, quiet, weights_sha256
from models.errors import SettingError
from models.ports import Embeddings

_BATCH = 64  # texts in one pass, which memory bounds; scores do not depend on it but for rounding
_LAYERS = {"roberta-large": 17, "bert-base-uncased": 9, "distilbert-base-uncased": 5, "all-MiniLM-L6-v2": 5}
"""The first three as in the package ``bert-score``; MiniLM's, as it does for DistilBERT: the fifth of six."""


class TokenStates:
    """A ``transformers`` encoder, cut off at a layer."""

    def __init__(
        self,
        name: str = "all-MiniLM-L6-v2",
        layer: int | None = None,
        device: str = "cpu",
        cache: Path | None = None,
    ) -> None:
        """Take the model's name; weights load on first use.

        Args:
            name: A name in ``weights.PACKAGED``, a folder, or a hub's name; the usual one is ``roberta-large``.
            layer: From 1 to the model's last; by default the one that BERTScore takes of this model, else the last
                but one.
            device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
            cache: Where models lie that were brought with ``qualstream weights``.
        """
        self._name, self._layer, self._device, self._cache = name, layer, device, cache

    @cached_property
    def layer(self) -> int:
        """The layer in use.

        Raises:
            SettingError: If the model has no such layer, or is not to be had.
        """
        last = int(self._parts[0].config.num_hidden_layers)
        layer = self._layer or _LAYERS.get(self._name, max(1, last - 1))
        if not 1 <= layer <= last:
            raise SettingError(f"layer {layer} of {self._name!r} was asked for but it has 1 to {last}; choose one")
        return layer

    @cached_property
    def version(self) -> str:
        """The model, with eight hex digits of its weights' SHA-256 where a package carries it, and the layer."""
        digest = weights_sha256(self._name)
        return f"{self._name}{'@' + digest[:8] if digest else ''}, layer {self.layer}"

    def embed_tokens(self, texts: Sequence[str]) -> list[tuple[Embeddings, NDArray[Any]]]:
        """Per text its tokens' directions, shape ``(tokens, dim)``, unit rows, and weights, shape ``(tokens,)``.

        What the tokenizer sets around any text weighs 0, as the markers do in the package ``bert-score``.

        Raises:
            SettingError: If the model is not to be had.
        """
        embedded: list[tuple[Embeddings, NDArray[Any]]] = []
        for start in range(0, len(texts), _BATCH):
            embedded += self._batch(texts[start : start + _BATCH])
        return embedded

    def _batch(self, texts: Sequence[str]) -> list[tuple[Embeddings, NDArray[Any]]]:
        import torch

        model, tokenizer = self._parts
        readable = [text.encode("utf-8", "replace").decode().strip() for text in texts]  # lone surrogates have no UTF-8
        batch = tokenizer(readable, padding=True, truncation=True, max_length=512, return_tensors="pt")
        with torch.inference_mode():
            states = model(**batch.to(self._device), output_hidden_states=True).hidden_states[self.layer]
            states = torch.nn.functional.normalize(states, dim=-1).cpu().numpy()  # (texts, tokens, dim)
        there = batch["attention_mask"].bool().cpu().numpy()
        ids = batch["input_ids"].cpu().numpy()
        markers = tokenizer("")["input_ids"]
        return [
            (rows[kept], (~np.isin(tokens[kept], markers)).astype(np.float32))
            for rows, tokens, kept in zip(states, ids, there, strict=True)
        ]

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        if self._name in PACKAGED:
            quiet()
        source = sentence_model_source(self._name, self._cache)
        try:
            model = AutoModel.from_pretrained(source).to(self._device).eval()
            return model, AutoTokenizer.from_pretrained(source)
        except OSError as error:
            raise SettingError(
                f"no model {self._name!r} for BERTScore: it is neither in a package ({', '.join(PACKAGED)}), nor a "
                f"folder, nor on the hub ({str(error).splitlines()[0]})"
            ) from error
