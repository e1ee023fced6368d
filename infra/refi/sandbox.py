"""Projects and codebooks of strangers, read in a process of their own; see ``infra.files.sandbox``."""

import sys
from pathlib import Path

from pydantic import TypeAdapter

from infra.files.sandbox import copied_input, read_apart, within_limits
from infra.refi.reading import RefiContent, read_refi

_CONTENT: TypeAdapter[RefiContent] = TypeAdapter(RefiContent)


def read_refi_apart(path: Path, name: str, coder: str) -> bytes:
    """Read a project or a codebook in a process of its own.

    Returns:
        Its content as JSON, for ``parse_refi``.

    Raises:
        InputError: If the file cannot be read, or would take more memory, time or room than it may.
        ReadersBusy: If others' files are being read; try again in a moment.
    """
    return read_apart(path, __name__, ["refi", name, coder])


def parse_refi(content: bytes) -> RefiContent:
    """What ``read_refi_apart`` gave as JSON."""
    return _CONTENT.validate_json(content)


def main() -> None:
    """Read standard input; see ``within_limits``."""
    _, _, name, coder = sys.argv
    within_limits(name, lambda: _read(name, coder))


def _read(name: str, coder: str) -> bytes:
    with copied_input(name) as path:
        return _CONTENT.dump_json(read_refi(path, coder, name))


if __name__ == "__main__":
    main()
