"""Room where a process keeps its data: work waits before the disk is full, and goes on when there is room again."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from models.errors import UnavailableError

_MIB = 1024 * 1024
LEAST_BYTES = 64 * _MIB
"""What must be free before work begins: twice what the code index takes at once. It maps its files into memory, and a
process that writes there when the disk is full is ended by the system."""


@dataclass(frozen=True)
class FreeSpace:
    """Says when there is too little room in a folder."""

    folder: Path
    least_bytes: int = LEAST_BYTES

    def check(self) -> None:
        """Look; a folder that is not there yet is somebody else's to make.

        Raises:
            UnavailableError: If less is free than must be.
        """
        if not self.folder.exists():
            return
        free = shutil.disk_usage(self.folder).free
        if free < self.least_bytes:
            raise UnavailableError(
                f"{free // _MIB} MiB are free where '{self.folder}' lies, and {self.least_bytes // _MIB} are needed; "
                "make room: the work waits, and goes on by itself"
            )
