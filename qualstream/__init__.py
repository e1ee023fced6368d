"""Codes live feedback: small language models propose, people decide the doubtful rest.

    import qualstream

    coder = qualstream.Coder(study="spring")
    for each in coder.code(["It crashes when I upload a photo.", "Too dear for what it does."]):
        print(each.code, each.confidence)

``Coder`` codes texts in this process; ``connect`` reaches a running stack; ``evaluate`` measures codes against
people's; ``scan`` looks for changes over time; ``mask`` takes personal data out of texts. The command line does the
same and more: ``qualstream --help``.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.api.coding import Coded, Coder
    from infra.api.connection import Connection, Ingested, connect
    from infra.api.drift import scan
    from infra.api.masking import mask
    from infra.api.measuring import evaluate
    from infra.drift.scan_file import ScanResult
    from models.errors import InputError, QualstreamError, SettingError, UnavailableError
    from models.evaluation.report import Evaluation

__all__ = [
    "Coded",
    "Coder",
    "Connection",
    "Evaluation",
    "Ingested",
    "InputError",
    "QualstreamError",
    "ScanResult",
    "SettingError",
    "UnavailableError",
    "__version__",
    "connect",
    "evaluate",
    "mask",
    "scan",
]

_PACKAGES = ("infra", "models", "schemas", "streams")
_HERE = Path(__file__).parent
_INSTALLED = (_HERE / "infra").is_dir()
"""Whether the four packages stand inside this one, as in a wheel; in a checkout they stand beside it."""
_HOMES = {
    "Coded": "infra.api.coding",
    "Coder": "infra.api.coding",
    "Connection": "infra.api.connection",
    "Ingested": "infra.api.connection",
    "connect": "infra.api.connection",
    "scan": "infra.api.drift",
    "ScanResult": "infra.drift.scan_file",
    "evaluate": "infra.api.measuring",
    "mask": "infra.api.masking",
    "Evaluation": "models.evaluation.report",
    "InputError": "models.errors",
    "QualstreamError": "models.errors",
    "SettingError": "models.errors",
    "UnavailableError": "models.errors",
}
"""Where each public name is defined; it is imported when it is first asked for, so that others wait for nothing."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("qualstream")
    if name not in _HOMES:
        raise AttributeError(f"module 'qualstream' has no attribute {name!r}")
    home = f"{__name__}.{_HOMES[name]}" if _INSTALLED else _HOMES[name]
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _refuse_collisions() -> None:
    """Say at once where a package of somebody else's stands in a checkout's way.

    Raises:
        ImportError: If one of the four names leads elsewhere.
    """
    for name in _PACKAGES:
        spec = find_spec(name)
        place = spec.origin if spec else None
        if place != str(_HERE.parent / name / "__init__.py"):
            raise ImportError(
                f"'{name}' is {place or 'not found'}, but a checkout of Qualstream needs {_HERE.parent / name} under "
                "that name; rename the other one, or install Qualstream as a wheel (`pip install .`), whose packages "
                "stand inside 'qualstream'"
            )


if not _INSTALLED:
    _refuse_collisions()
