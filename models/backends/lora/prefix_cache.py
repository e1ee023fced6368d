"""Keys and values of what is the same for every segment, computed once for each adapter and kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.backends.lora.adapters import AdapterRows

if TYPE_CHECKING:
    import torch

PrefixKey = tuple[str | None, tuple[int, ...]]
"""An adapter and the ids of a prefix."""
_KEPT = 64  # beginnings of prompts, by adapter, whose keys and values stay in memory: fewer are in use at once


class PrefixCache:
    """The prefixes of one model with its adapters."""

    def __init__(self, model: Any, adapter_rows: AdapterRows) -> None:
        """Take a model that the adapters are attached to."""
        self._model, self._adapter_rows = model, adapter_rows
        self._prefixes: dict[PrefixKey, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def read(self, keys: Sequence[PrefixKey]) -> tuple[Any, "torch.Tensor"]:
        """A cache that holds each row's prefix, padded on the left, and its mask, shape (rows, longest prefix)."""
        import torch
        from transformers import DynamicCache

        distinct = list(dict.fromkeys(keys))
        known = [self._prefix(*key) for key in distinct]
        longest = max(len(prefix) for _, prefix in distinct)
        pick = torch.tensor([distinct.index(key) for key in keys])  # layers may lie on several devices
        layers = []
        for parts in zip(*known, strict=True):  # one layer of every distinct prefix, each (heads, tokens, dim)
            layers.append(
                tuple(torch.stack([_left_pad_kv(pair[side], longest) for pair in parts])[pick] for side in (0, 1))
            )
        _, mask = left_padded([list(prefix) for _, prefix in keys], 0)
        return DynamicCache(layers), mask

    def _prefix(self, adapter: str | None, ids: tuple[int, ...]) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
        """Keys and values of one prefix, layer by layer; computed once."""
        import torch
        from transformers import DynamicCache

        if (adapter, ids) not in self._prefixes:
            cache = DynamicCache()
            self._adapter_rows.assign([adapter])
            tokens = torch.tensor([ids], device=self._model.device)
            self._model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            if len(self._prefixes) >= _KEPT:
                del self._prefixes[next(iter(self._prefixes))]
            self._prefixes[adapter, ids] = [(layer.keys[0], layer.values[0]) for layer in cache.layers]
        return self._prefixes[adapter, ids]


def left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Ids and mask, both shape (rows, longest)."""
    import torch

    longest = max(len(row) for row in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def _left_pad_kv(part: "torch.Tensor", length: int) -> "torch.Tensor":
    """Pad keys or values of shape (heads, tokens, dim) on the left to a length."""
    from torch.nn.functional import pad

    return pad(part, (0, 0, length - part.shape[1], 0))
