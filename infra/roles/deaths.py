"""What a worker was at when its process died: a message that ends processes is found by counting, and set aside."""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from streams.stage import Received

log = logging.getLogger(__name__)
_CAREFUL = 2  # deaths over a batch, from which on its messages are taken one by one
_HOPELESS = 3  # deaths over one message, from which on it is not taken any more


class _Stretch(NamedTuple):
    """Messages of one partition, from the first to the last offset.

    The first one's checksum tells them from others at the same place: a fresh broker counts from the start again.
    """

    topic: str
    partition: int
    first: int
    last: int
    checksum: int

    def covers(self, message: Received) -> bool:
        """Whether a message stands there."""
        if (message.topic, message.partition) != (self.topic, self.partition):
            return False
        return self.first <= message.offset <= self.last


def _stretch(messages: Sequence[Received]) -> _Stretch:
    """The stretch that messages of one partition take up, in order."""
    first, last = messages[0], messages[-1]
    return _Stretch(first.topic, first.partition, first.offset, last.offset, crc32(first.value or b""))


class DeathFile:
    """Counts, in a file, how often a process died over the same messages.

    The file is not flushed to the disk: it has to outlive the process, not the machine.
    """

    def __init__(self, path: Path) -> None:
        """Read what the process before was at; a file that cannot be read counts for nothing.

        Args:
            path: The worker's own; its folder is made.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        state = _read(path)
        self._deaths: dict[_Stretch, int] = {_Stretch(*stretch): deaths for *stretch, deaths in state.get("deaths", [])}
        for each in state.get("under_way", []):
            died_over = _Stretch(*each)
            self._deaths[died_over] = self._deaths.get(died_over, 0) + 1
            place = (died_over.first, died_over.last, died_over.topic)
            log.warning("a process died over offsets %d to %d of %s, %d times by now", *place, self._deaths[died_over])

    def careful(self, messages: Sequence[Received]) -> bool:
        """Whether messages are to be taken one by one."""
        limits = ((stretch, _CAREFUL if stretch.first < stretch.last else 1) for stretch in self._deaths)
        risky = [stretch for stretch, limit in limits if self._deaths[stretch] >= limit]
        return any(stretch.covers(message) for stretch in risky for message in messages)

    def hopeless(self, message: Received) -> bool:
        """Whether a message has ended so many processes by itself that it is to be set aside."""
        return self._deaths.get(_stretch([message]), 0) >= _HOPELESS

    def begin(self, messages: Sequence[Received]) -> None:
        """These are worked on from now on."""
        partitions: dict[tuple[str, int], list[Received]] = {}
        for message in messages:
            partitions.setdefault((message.topic, message.partition), []).append(message)
        self._write([_stretch(each) for each in partitions.values()])

    def end(self, messages: Sequence[Received]) -> None:
        """They have been worked on, and nothing died."""
        self._deaths = {
            stretch: deaths
            for stretch, deaths in self._deaths.items()
            if not any(stretch.covers(message) and message.offset == stretch.last for message in messages)
        }
        self._write([])

    def _write(self, under_way: Sequence[_Stretch]) -> None:
        deaths = [[*stretch, count] for stretch, count in self._deaths.items()]
        with suppress(OSError):  # on a full disk nothing is counted, and nothing ends for that
            self._path.write_text(json.dumps({"under_way": under_way, "deaths": deaths}), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
