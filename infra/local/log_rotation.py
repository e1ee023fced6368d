"""Logs that other processes write to, kept from growing without end."""

import os
import shutil
from pathlib import Path

MOST_BYTES = 10_000_000
"""From which size a log is begun anew."""
KEPT = 3
"""Earlier logs that are kept: ``web.log.1`` is the newest."""


def rotate(log: Path, most: int = MOST_BYTES, kept: int = KEPT) -> bool:
    """Begin a log anew where it has grown too large; whoever appends to it goes on doing so.

    What is written in the moment between the copy and the new beginning is lost.

    Returns:
        Whether it was too large.
    """
    try:
        if log.stat().st_size <= most:
            return False
        for number in range(kept - 1, 0, -1):
            earlier = _numbered(log, number)
            if earlier.exists():
                earlier.replace(_numbered(log, number + 1))
        shutil.copyfile(log, _numbered(log, 1))
    except OSError:
        pass  # no room for a copy: then the log is begun anew without one
    os.truncate(log, 0)
    return True


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
