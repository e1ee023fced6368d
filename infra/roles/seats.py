"""Which of a host's workers of a role a process is: the same number again when it is started again.

Kafka gives a worker that comes back under the name that it had its partitions back at once. Under a new name it waits
until the old one's session has ended.
"""

import fcntl
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from infra.settings import Settings


@dataclass(frozen=True)
class Seat:
    """A worker's place among those of its group on a data folder.

    Attributes:
        number: 0 for the first, and so on.
        name: The host, its start, the data folder and the number, in characters that Kafka takes.
    """

    number: int
    name: str

    def instance(self, base: str) -> str:
        """What this process is called for people: the first as the settings say, the others with a number behind."""
        return f"{base}-{self.number + 1}" if self.number else base


@contextmanager
def seat(settings: Settings, group: str) -> Iterator[Seat]:
    """Hold the lowest number of a consumer group that no other process on this data folder holds.

    It is held by a file lock, which ends with the process however that ends.

    Yields:
        The worker's place.
    """
    folder = settings.data_dir / "seats"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.stat()
    for number in count():
        file = _locked(folder / f"{_plain(group)}-{number}.lock")
        if file is not None:
            with file:
                where = f"{socket.gethostname()}-{_boot()}-{place.st_dev:x}-{place.st_ino:x}"
                yield Seat(number, _plain(f"{where}-{number}"))
            return


@contextmanager
def member(settings: Settings, group: str) -> Iterator[str]:
    """Hold a name in a consumer group: the lowest number among those that are members now."""
    with seat(settings, f"{group}.member") as place:
        yield place.name


def _boot() -> str:
    """What tells machines apart that were cloned with one name and one disk."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "0"


def _locked(path: Path) -> IO[str] | None:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
