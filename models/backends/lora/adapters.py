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
class AdapterRows:
    """Which rows of the batch under way go through which adapter; the rows of one adapter stand together."""

    names: tuple[str, ...]
    ranges: list[tuple[str, int, int]] = field(default_factory=list)  # adapter, first row, row after the last

    def assign(self, rows: Sequence[str | None]) -> None:
        """Take the adapter of each row of the next forward pass; ``None`` has none."""
        self.ranges = []
        for at, name in enumerate(rows):
            if name is None:
                continue
            if self.ranges and self.ranges[-1][0] == name and self.ranges[-1][2] == at:
                self.ranges[-1] = (name, self.ranges[-1][1], at + 1)
            else:
                self.ranges.append((name, at, at + 1))


def attach_adapters(model: Any, adapters: Mapping[str, Path]) -> AdapterRows:
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

    adapter_rows = AdapterRows(tuple(adapters))
    peft_model: Any = None
    for name, place in adapters.items():
        try:
            if peft_model is None:
                peft_model = PeftModel.from_pretrained(model, str(place), adapter_name=_key(adapter_rows, name))
            else:
                peft_model.load_adapter(str(place), adapter_name=_key(adapter_rows, name))
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SettingError(
                f"the adapter in {place} does not fit {model.config.name_or_path!r}: {_first_line(error)}; "
                "give a folder written by `qualstream finetune` for this base model"
            ) from error
    if peft_model is None:
        return adapter_rows
    layers = [layer for layer in peft_model.modules() if isinstance(layer, LoraLayer)]
    adapted = [(layer.get_base_layer(), _matrices(layer, adapter_rows, model.dtype)) for layer in layers]
    peft_model.unload()
    for linear, matrices in adapted:
        linear.register_forward_hook(_hook(adapter_rows, matrices))
    return adapter_rows


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


def _key(adapter_rows: AdapterRows, name: str) -> str:
    return f"adapter{adapter_rows.names.index(name)}"  # peft refuses dots in names


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _matrices(
    layer: Any, adapter_rows: AdapterRows, dtype: "torch.dtype"
) -> dict[str, tuple["torch.Tensor", "torch.Tensor"]]:
    """Take A, shape (in, rank), and scaled B, shape (rank, out), of each adapter out of one layer.

    In the number type of what the layer reads, which is not that of its weights where these are held in few bits.
    """
    import torch

    base = layer.get_base_layer()
    if not isinstance(base, torch.nn.Linear) or layer.lora_variant:
        raise SettingError(
            f"one of the adapters {', '.join(adapter_rows.names)} is not plain LoRA on a linear layer "
            f"(found {type(base).__name__}); train it without DoRA and on linear layers only"
        )
    matrices = {}
    for name in adapter_rows.names:
        key = _key(adapter_rows, name)
        if key in layer.lora_A:
            a, b = layer.lora_A[key].weight, layer.lora_B[key].weight * layer.scaling[key]
            matrices[name] = tuple(m.detach().to(_device(base), dtype).t().contiguous() for m in (a, b))
    return matrices


def _device(base: Any) -> "torch.device":
    """Where a layer computes: where ``accelerate`` lets it, or else where its weights lie."""
    device: torch.device = getattr(getattr(base, "_hf_hook", None), "execution_device", None) or base.weight.device
    return device


def _hook(adapter_rows: AdapterRows, matrices: Mapping[str, tuple["torch.Tensor", "torch.Tensor"]]) -> Any:
    def add(_: Any, inputs: tuple["torch.Tensor"], output: "torch.Tensor") -> "torch.Tensor":
        for name, start, stop in adapter_rows.ranges:
            if name in matrices:
                a, b = matrices[name]
                output[start:stop] += (inputs[0][start:stop] @ a) @ b  # (rows, tokens, out)
        return output

    return add
