"""What the recorder does with a batch: write everything that passes into the read model."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.bisection import isolate_failures
from models.errors import QualstreamError, UncodableError, WorkerFault
from models.ports import Clock
from schemas import (
    Record,
)
from streams.stage import PlainStage, Received, StageResult
from streams.topology import (
    DEAD_LETTERS,
    ROLES,
    topic,
)

log = logging.getLogger(__name__)
_READ_BY_OTHERS = {each.name for role in ROLES if role.name != "recorder" for each in role.reads} | {DEAD_LETTERS.name}


@dataclass
class RecorderStage(PlainStage):
    """Write everything that passes into the read model."""

    record: Callable[[Sequence[Record]], None]
    clock: Clock
    role: str = "recorder"

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Store a batch. What another role reads too, that role sets aside where it cannot be read."""
        records: list[tuple[Received, Record]] = []
        for message in batch:
            if message.value is None:
                continue  # a deletion: what it deletes is not here any more
            try:
                records.append((message, topic(message.topic).record.from_bytes(message.value)))
            except ValueError as error:
                if message.topic not in _READ_BY_OTHERS:
                    result.send.append(self.dead(message, str(error)))
        for (message, _), outcome in zip(records, isolate_failures(self._write, records), strict=True):
            if isinstance(outcome, UncodableError):
                self._set_aside(message, outcome, result)

    def _write(self, records: Sequence[tuple[Received, Record]]) -> list[None]:
        """Write records, all or none; only what the database refuses by itself is one record's fault."""
        try:
            self.record([record for _, record in records])
        except QualstreamError:
            raise
        except Exception as error:
            raise WorkerFault(f"a batch cannot be recorded: {type(error).__name__}: {error}") from error
        return [None] * len(records)

    def _set_aside(self, message: Received, error: UncodableError, result: StageResult) -> None:
        """A record that cannot be kept becomes a dead letter; of a dead letter only the log can tell."""
        if message.topic == DEAD_LETTERS.name:
            log.error("a dead letter at offset %d cannot be recorded and stays on its topic: %s", message.offset, error)
        else:
            result.send.append(self.dead(message, str(error)))
