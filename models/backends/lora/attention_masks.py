"""Attention masks for models some of whose layers see a window of the last tokens only, such as Gemma 3."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def window(config: Any) -> int | None:
    """How many tokens a layer with a window sees, itself included; ``None`` if all layers see everything."""
    kinds = getattr(config, "layer_types", None) or ()
    return int(config.sliding_window) if "sliding_attention" in kinds else None


def by_layer(config: Any, seen: "torch.Tensor", queries: "torch.Tensor", keys: "torch.Tensor") -> Any:
    """Narrow a mask for the layers that have a window, by places in the text: padding and branches take no room.

    Args:
        config: The model's.
        seen: Which key a query may see, bool, shape (rows, 1, queries, keys).
        queries: Place of each query in its text, shape (rows, queries).
        keys: Place of each key, shape (rows, keys).

    Returns:
        What the model takes as ``attention_mask``: one mask a kind of layer, or ``seen`` where there is one kind.
    """
    size = window(config)
    if size is None:
        return seen
    near = queries[:, None, :, None] - keys[:, None, None, :] < size
    return {"full_attention": seen, "sliding_attention": seen & near}


def padded(config: Any, mask: "torch.Tensor", new: int) -> Any:
    """The mask of the last ``new`` tokens of rows that hold padding anywhere.

    Args:
        config: The model's.
        mask: 1 for a token and 0 for padding, shape (rows, tokens).
        new: How many of the tokens are read now; the others are in the cache.

    Returns:
        What the model takes as ``attention_mask``; ``mask`` itself where all layers see everything.
    """
    import torch

    if window(config) is None:
        return mask
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    at = torch.arange(mask.shape[1], device=mask.device)
    earlier = at[None, :] <= at[-new:, None]
    seen = mask[:, None, None, :].bool() & earlier
    return by_layer(config, seen, places[:, -new:], places)
