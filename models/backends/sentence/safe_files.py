"""Refuses files that could run when they are read: a classifier is safetensors, JSON and plain text."""

from pathlib import Path

from models.errors import SettingError

ENDINGS = (".json", ".safetensors", ".txt")
"""Of files that hold no code; nothing else is read."""
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself has it


def refuse_unsafe(folder: Path) -> None:
    """See that no file of a folder could hold code: by its ending, and by how it begins.

    Raises:
        SettingError: One line that names the file and what was expected.
    """
    expected = "a classifier is made of .safetensors, .json and .txt files alone, because others run when they are read"
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise SettingError(
                f"{path} is no plain file and is not read: {expected}; remove the folder, or train again"
            )
        if path.is_dir():
            continue
        if path.suffix not in ENDINGS:
            raise SettingError(f"{path} is not read: {expected}; remove the folder, or train again")
        if path.suffix == ".safetensors" and not _is_safetensors(path):
            raise SettingError(
                f"{path} is not read: it does not begin as a safetensors file does ({_looks_like(path)}); remove the "
                "folder, or train again"
            )


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins with its header's length and the header, a JSON object."""
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return len(start) == 9 and start[8:] == b"{" and length <= min(_LONGEST_HEADER, path.stat().st_size - 8)


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:1] == b"\x80":
        return "it is a pickle"
    return "it is a zip archive, as torch.save writes them" if start[:2] == b"PK" else f"it begins with {start!r}"
