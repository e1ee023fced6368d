"""Installs torch, first and alone: any other package would pull a build of its own choice. Says which, and how large.

    .venv/bin/python infra/setup/install_torch.py

Taken is, the first that applies: the index in TORCH_INDEX; with an NVIDIA driver, with TORCH_BUILD=cuda or away from
Linux the default index, whose wheels for Linux bring CUDA (4.9 GB with torch); the PyTorch project's CPU index where
it answers at once; the default index. The version is requirements.lock's; so are the hashes, on the default index.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LOCK = Path(__file__).parents[2] / "requirements.lock"
_AT_ONCE_S = 2.0
_PACKAGES_GB = {"cuda": 7.0, "cpu": 3.5}
"""What all packages take that are installed after this, torch among them, by its build."""
_WHEELS_GB = {"cuda": 3.0, "cpu": 1.0}
"""What pip keeps in the folder for temporary files while it installs torch."""
_DRIVER = Path("/proc/driver/nvidia/version")


class Choice(NamedTuple):
    """Where torch is taken from."""

    address: str | None
    """Its address; ``None`` for pip's default index."""
    reason: str


def choose(
    environment: Mapping[str, str], platform: str, has_driver: Callable[[], bool], answers: Callable[[str], bool]
) -> Choice:
    """Decide where torch is taken from.

    Args:
        environment: ``TORCH_INDEX`` and ``TORCH_BUILD`` are looked up.
        platform: As ``sys.platform``.
        has_driver: Whether an NVIDIA driver is here.
        answers: Whether an index answers at once and has the wheel.
    """
    build = environment.get("TORCH_BUILD") or "auto"
    if build not in ("auto", "cuda", "cpu"):
        raise SystemExit(f"TORCH_BUILD is {build!r}; auto, cuda or cpu is expected: set one of them, or none")
    if index := environment.get("TORCH_INDEX"):
        return Choice(index, "TORCH_INDEX names it")
    if build != "auto":
        return Choice(CPU_INDEX if build == "cpu" else None, f"TORCH_BUILD={build}")
    if platform != "linux":
        return Choice(None, f"its wheels for {platform} bring no CUDA")
    if has_driver():
        return Choice(None, "an NVIDIA driver is here")
    if answers(CPU_INDEX):
        return Choice(CPU_INDEX, "no NVIDIA driver is here, and it answers")
    return Choice(None, f"{CPU_INDEX} does not answer; brings CUDA, 4.9 GB: set TORCH_INDEX for another")


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed and loaded."""
    return _DRIVER.exists() or shutil.which("nvidia-smi") is not None


def lists(index: str, wanted: str, within_s: float = _AT_ONCE_S) -> bool:
    """Whether an index answers at once and lists this version of torch for the CPU."""
    try:
        with urlopen(f"{index}/torch/", timeout=within_s) as answer:
            page = answer.read().decode("utf-8", errors="replace")
    except (OSError, HTTPException, ValueError):
        return False
    return any(f"torch-{wanted}{plus}cpu-" in page for plus in ("+", "%2B", "%2b"))


def pinned(lock: str) -> tuple[str, str]:
    """The version of torch in a lock file, and its requirement there with the hashes."""
    lines = lock.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("torch=="))
    last = next(n for n in range(first, len(lines)) if not lines[n].endswith("\\"))
    return lines[first].removeprefix("torch==").split()[0], "\n".join(lines[first : last + 1]) + "\n"


def installed() -> str | None:
    """The version that is installed, without what it was built for."""
    try:
        return version("torch").partition("+")[0]
    except PackageNotFoundError:
        return None


def size_gb(folder: Path) -> float:
    """What a folder's files take on the disk, as ``du`` counts."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_blocks * 512 for file in files) / 1e9


def full_disk(build: str, free_gb: Mapping[Path, float], same_disk: bool) -> str | None:
    """What to say where a disk has no room for the packages; ``None`` where there is room.

    Args:
        build: ``cuda`` or ``cpu``.
        free_gb: What is free in the folder of packages, then in that for temporary files.
        same_disk: Whether both lie on one disk.
    """
    needs = [_PACKAGES_GB[build], _WHEELS_GB[build]]
    if same_disk:
        needs[0] += needs[1]
    for (folder, free), need in zip(free_gb.items(), needs, strict=True):
        if free < need:
            smaller = "; or set TORCH_BUILD=cpu, which needs half" if build == "cuda" else ""
            return (
                f"about {need:g} GB are needed to install the packages, and {free:.1f} GB are free in {folder}: "
                f"make room there{smaller}"
            )
    return None


def install(choice: Choice, wanted: str, requirement: str) -> None:
    """Let pip install torch and what it needs.

    Raises:
        CalledProcessError: If pip fails; it has said why.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if choice.address is not None:
        subprocess.run([*pip, f"torch=={wanted}", "--index-url", choice.address], check=True)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as hashed:
        hashed.write(requirement)
        hashed.flush()
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", hashed.name], check=True)
    subprocess.run([*pip, f"torch=={wanted}"], check=True)  # what torch needs: CUDA's packages, as it pins them itself


def main() -> None:
    """Install torch where it is missing or another version, and say which was taken and how large it is."""
    wanted, requirement = pinned(LOCK.read_text(encoding="utf-8"))
    if installed() == wanted:
        print(f"torch {version('torch')} is installed")
        return
    choice = choose(os.environ, sys.platform, has_driver, lambda index: lists(index, wanted))
    print(f"torch {wanted} from {choice.address or 'the default index'}: {choice.reason}", flush=True)
    packages, temporary = Path(sysconfig.get_path("purelib")), Path(tempfile.gettempdir())
    build = "cuda" if choice.address is None and sys.platform == "linux" else "cpu"
    free_gb = {folder: shutil.disk_usage(folder).free / 1e9 for folder in (packages, temporary)}
    if no_room := full_disk(build, free_gb, packages.stat().st_dev == temporary.stat().st_dev):
        raise SystemExit(no_room)
    before = size_gb(packages)
    try:
        install(choice, wanted, requirement)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None
    print(f"torch and what it needs take {size_gb(packages) - before:.1f} GB")


if __name__ == "__main__":
    main()
