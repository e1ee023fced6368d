"""Weights that come with an installation: what they must be, byte for byte, before anything of them is read."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from models.errors import SettingError

_BLOCK = 1 << 20  # bytes read at once


def content_sha256(paths: Sequence[Path]) -> str:
    """SHA-256 of a file in one or several parts, or of a folder: of each file's name and digest, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_dir():
            for file in sorted(each for each in path.rglob("*") if each.is_file()):
                digest.update(f"{content_sha256([file])}  {file.relative_to(path)}\n".encode())
        else:
            with path.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()


@cache  # a process reads its weights once or twice; what it has checked stays open or loaded
def check_content(what: str, paths: tuple[Path, ...], expected: str, mend: str) -> None:
    """See that weights are what this version of Qualstream was made with.

    Args:
        what: As the error calls them.
        paths: The file's parts in order, or one folder.
        expected: As ``content_sha256`` has it.
        mend: What to do where they are not.

    Raises:
        SettingError: If they are not, or cannot be read.
    """
    try:
        digest = content_sha256(paths)
    except OSError as error:
        raise SettingError(f"{what} cannot be read ({error.strerror}); {mend}") from error
    if digest != expected:
        raise SettingError(f"{what} has SHA-256 {digest}, but {expected} is expected; nothing of it was read; {mend}")
