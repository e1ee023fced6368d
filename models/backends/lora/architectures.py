"""Which layers of a base model an adapter is put on, whatever its architecture calls them."""

from collections.abc import Sequence
from typing import Any

ALL_LINEAR = "all-linear"
_TARGETS: dict[str, tuple[str, ...]] = {
    "falcon": ("dense_h_to_4h", "dense_4h_to_h"),
    "mixtral": ("q_proj", "k_proj", "v_proj", "o_proj"),  # its experts' weights lie in one tensor, not in layers
    "gpt_neox": ("dense_h_to_4h", "dense_4h_to_h"),
    "phi": ("fc1", "fc2"),
}
"""By ``model_type``: the feed-forward layers, as in the paper's appendix E, where they have names of their own."""


def lora_targets(model: Any, wanted: Sequence[str]) -> list[str] | str:
    """The layers to adapt, as ``peft`` takes them.

    Args:
        model: The base, of ``transformers``.
        wanted: Names of layers; taken where the model has linear layers of all of these names.

    Returns:
        Names of layers that the model has, or ``all-linear`` where neither these nor the table's are there.
    """
    from torch.nn import Linear

    there = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, Linear)}
    for names in (tuple(wanted), _TARGETS.get(model.config.model_type, ())):
        if names and there.issuperset(names):
            return list(names)
    return ALL_LINEAR
