"""LoRA adapters on one base model, several in the same batch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import SettingError

if TYPE_CHECKING:
    import torch


@dataclass
class Wardrobe:
    """Says which rows of the batch under way wear which adapter; the rows of one adapter stand together."""

    names: tuple[str, ...]
    worn: list[tuple[str, int, int]] = field(default_factory=list)  # adapter, first row, row after the last

    def dress(self, rows: Sequence[str | None]) -> None:
        """Take the adapter of each row of the next forward pass; ``None`` wears none."""
        self.worn = []
        for at, name in enumerate(rows):
            if name is None:
                continue
            if self.worn and self.worn[-1][0] == name and self.worn[-1][2] == at:
                self.worn[-1] = (name, self.worn[-1][1], at + 1)
            else:
                self.worn.append((name, at, at + 1))


def wear(model: Any, adapters: Mapping[str, Path]) -> Wardrobe:
    """Load adapters with ``peft`` and hang them on the model as forward hooks.

    ``peft``'s own mixed batches (``adapter_names``) gather and scatter rows by index in every layer; rows sorted by
    adapter need views only, which took a fifth off decoding in bf16 and a tenth in fp32. The model stays a plain one.

    Args:
        model: A causal language model of ``transformers``; changed in place.
        adapters: Folder of each adapter, by the name that rows will give.

    Raises:
        SettingError: If a folder holds no adapter, or one that does not fit the model or is not plain LoRA.
    """
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    wardrobe = Wardrobe(tuple(adapters))
    dressed: Any = None
    for name, place in adapters.items():
        try:
            if dressed is None:
                dressed = PeftModel.from_pretrained(model, str(place), adapter_name=_key(wardrobe, name))
            else:
                dressed.load_adapter(str(place), adapter_name=_key(wardrobe, name))
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SettingError(
                f"the adapter in {place} does not fit {model.config.name_or_path!r}: {_first_line(error)}; "
                "give a folder written by `qualstream finetune` for this base model"
            ) from error
    if dressed is None:
        return wardrobe
    layers = [layer for layer in dressed.modules() if isinstance(layer, LoraLayer)]
    hung = [(layer.get_base_layer(), _matrices(layer, wardrobe)) for layer in layers]
    dressed.unload()
    for linear, matrices in hung:
        linear.register_forward_hook(_hook(wardrobe, matrices))
    return wardrobe


def adapter_revision(adapter: Path) -> str:
    """First eight hex digits of the SHA-256 of an adapter's weights.

    Raises:
        SettingError: If the folder holds no ``adapter_model.safetensors``.
    """
    try:
        with (adapter / "adapter_model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:8]
    except OSError as error:
        raise SettingError(
            f"no adapter in {adapter}: adapter_model.safetensors cannot be read ({error.strerror}); "
            "train one with `qualstream finetune` or correct the profile"
        ) from error


def _key(wardrobe: Wardrobe, name: str) -> str:
    return f"adapter{wardrobe.names.index(name)}"  # peft refuses dots in names


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _matrices(layer: Any, wardrobe: Wardrobe) -> dict[str, tuple["torch.Tensor", "torch.Tensor"]]:
    """Take A, shape (in, rank), and scaled B, shape (rank, out), of each adapter out of one layer."""
    import torch

    base = layer.get_base_layer()
    if not isinstance(base, torch.nn.Linear) or layer.lora_variant:
        raise SettingError(
            f"one of the adapters {', '.join(wardrobe.names)} is not plain LoRA on a linear layer "
            f"(found {type(base).__name__}); train it without DoRA and on linear layers only"
        )
    matrices = {}
    for name in wardrobe.names:
        key = _key(wardrobe, name)
        if key in layer.lora_A:
            a, b = layer.lora_A[key].weight, layer.lora_B[key].weight * layer.scaling[key]
            matrices[name] = tuple(m.detach().to(base.weight).t().contiguous() for m in (a, b))
    return matrices


def _hook(wardrobe: Wardrobe, matrices: Mapping[str, tuple["torch.Tensor", "torch.Tensor"]]) -> Any:
    def add(_: Any, inputs: tuple["torch.Tensor"], output: "torch.Tensor") -> "torch.Tensor":
        for name, start, stop in wardrobe.worn:
            if name in matrices:
                a, b = matrices[name]
                output[start:stop] += (inputs[0][start:stop] @ a) @ b  # (rows, tokens, out)
        return output

    return add
