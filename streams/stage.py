"""What every role's stage is: batches of messages in, messages to send and to acknowledge out.

A stage knows no broker. It runs in a thread beside the event loop, one batch at a time.
"""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from models.ports import Clock
from schemas import DeadLetter, Record, Segment
from schemas.ids import dead_letter_id
from streams.publish import Header, Outgoing
from streams.topology import DEAD_LETTERS, LARGEST_MESSAGE, topic

R = TypeVar("R", bound=Record)
RAW_KEPT = 1024 * 1024
"""Bytes of a message that a dead letter keeps whole."""
_HEAD_KEPT = 64 * 1024
_KEY_KEPT = 1024
_REASON_KEPT = 2_000  # characters
_NOWHERE = -1  # the partition and the offset of a record that never came to stand on its topic


class Received(NamedTuple):
    """A message as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    sent_ms: int = 0
    """When it was published, in milliseconds of Unix time; 0 where that is unknown."""
    read_ns: int = 0
    """When it was read, in nanoseconds of Unix time."""


SideInputHandler = Callable[[Sequence[bytes | None]], None]


class Recall(NamedTuple):
    """What a worker reads of a topic before it works on a batch, and does not follow."""

    last: int | None
    """So many messages of each partition, the newest; of a topic that the worker writes more than a predecessor can
    have written and not acknowledged (what was written lately is read besides). None where it is all of them."""
    handler: SideInputHandler


class Answers:
    """The last messages that were published, each by what it answers; so many are kept from batch to batch."""

    def __init__(self, most: int) -> None:
        """Start without any.

        Args:
            most: How many are kept from batch to batch, the newest.
        """
        self._most = most
        self._messages: OrderedDict[Hashable, Outgoing] = OrderedDict()

    def __contains__(self, question: Hashable) -> bool:
        """Whether it was answered lately."""
        return question in self._messages

    def __getitem__(self, question: Hashable) -> Outgoing:
        """The answer that it got; raises ``KeyError`` where none is kept."""
        return self._messages[question]

    def keep(self, question: Hashable, answer: Outgoing) -> None:
        """Know an answer; one that is read from a topic counts more than what was kept before."""
        self._messages[question] = answer
        self._messages.move_to_end(question)

    def forget(self) -> None:
        """Forget the oldest beyond those that are to be kept; before a batch, whose answers must all be there."""
        while len(self._messages) > self._most:
            self._messages.popitem(last=False)


@dataclass
class StageResult:
    """What came of a batch: messages to deliver, and then messages to acknowledge."""

    send: list[Outgoing] = field(default_factory=list)
    done: list[Received] = field(default_factory=list)
    before: list[Outgoing] = field(default_factory=list)
    """What must stand on its topic before anything of ``send`` goes out, as that refers to it."""
    settle: Callable[[], None] | None = None
    """What the stage keeps of the batch; called once it is sure that the batch is still this worker's."""

    @property
    def messages(self) -> list[Outgoing]:
        """All that is to be delivered, in its order."""
        return [*self.before, *self.send]


class Stage(Protocol):
    """A role's work."""

    def step(self, batch: Sequence[Received]) -> StageResult:
        """Work on a batch. What is not among the result's ``done`` is held, and acknowledged later.

        Raises:
            UnavailableError: If a store or model server is away; the step is taken again later.
        """
        ...

    def dead(self, message: Received, reason: str) -> Outgoing:
        """The dead letter for a message that cannot be worked on."""
        ...

    def tick(self) -> StageResult:
        """Called now and then, also when nothing comes in."""
        ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """These partitions now belong to another worker."""
        ...

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """Topics that every worker of the role listens to beside its batches, and what takes their messages in.

        They are read from the beginning, outside the consumer group; what stands on them at the start is handed over
        before the first batch, the rest while batches are worked on.
        """
        ...

    def initial_inputs(self) -> Mapping[str, Recall]:
        """Topics that are read once, before the first batch, as far as they go by then."""
        ...

    def side_inputs_loaded(self) -> None:
        """Called once before the first batch: all is handed over that stood on the topics of the two above.

        Raises:
            UnavailableError: If a store or model server is away; it is called again later.
            SettingError: If the worker cannot start so.
        """
        ...

    def recalls(self) -> Mapping[str, Recall]:
        """Topics whose last messages are read again before the first batch of partitions that a worker was given.

        Another worker may have had them until then, and have answered what it did not acknowledge.
        """
        ...


class PlainStage(ABC):
    """A stage that finishes all of a batch at once and sets aside what it cannot read."""

    role: str
    clock: Clock

    def step(self, batch: Sequence[Received]) -> StageResult:
        """Work on a batch; all of it is finished."""
        result = StageResult(done=list(batch))
        self.work(batch, result)
        return result

    @abstractmethod
    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Work on a batch and put what is to be sent into ``result``."""

    def tick(self) -> StageResult:
        """Nothing is held, so nothing falls due."""
        return StageResult()

    def revoked(self, partitions: set[tuple[str, int]]) -> None:  # noqa: B027 - nothing is held, so nothing to do
        """Nothing is held."""

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """Nothing but its batches."""
        return {}

    def initial_inputs(self) -> Mapping[str, Recall]:
        """Nothing but what it hears."""
        return {}

    def side_inputs_loaded(self) -> None:  # noqa: B027 - most stages make nothing of it
        """Nothing is left to be made of what was heard."""

    def recalls(self) -> Mapping[str, Recall]:
        """Nothing: what it writes may be written again."""
        return {}

    def read(self, batch: Sequence[Received], record: type[R], result: StageResult) -> list[tuple[Received, R]]:
        """Parse a batch; what cannot be parsed becomes a dead letter in ``result``.

        A message without a value is a deletion: nothing is to be made of it, and nothing of it is to be kept.
        """
        readable = []
        for message in batch:
            if message.value is None:
                continue
            try:
                readable.append((message, record.from_bytes(message.value)))
            except ValueError as error:
                result.send.append(self.dead(message, str(error)))
        return readable

    def dead(self, message: Received, reason: str, segment: Segment | None = None) -> Outgoing:
        """The dead letter for a message."""
        study, about = (segment.study, segment.id) if segment else (None, _segment_in(message))
        letter = DeadLetter(
            id=dead_letter_id(message.topic, message.partition, message.offset, message.value or b""),
            reason=reason,
            role=self.role,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            raw=message.value,
            study=study,
            segment_id=about,
            at=self.clock.now(),
        )
        return as_message(letter)


def as_message(letter: DeadLetter) -> Outgoing:
    """A dead letter on its topic; of what is too large to stand there its head, its size and its digest."""
    raw, key = letter.raw or b"", letter.key and letter.key[:_KEY_KEPT]
    kept = letter.model_copy(update={"key": key, "reason": letter.reason[:_REASON_KEPT]})
    if len(raw) > RAW_KEPT:
        digest = hashlib.sha256(raw).hexdigest()
        kept = kept.model_copy(update={"raw": raw[:_HEAD_KEPT], "size": len(raw), "sha256": digest})
    return Outgoing(DEAD_LETTERS.name, key or b"", kept.to_bytes())


def refused(message: Outgoing, role: str, clock: Clock) -> Outgoing:
    """What is written in place of a record that the brokers refuse for its size: its segment is set aside."""
    raw = message.value or b""
    record: Any = topic(message.topic).record.from_bytes(raw)
    about = record if isinstance(record, Segment) else getattr(record, "segment", None)
    letter = DeadLetter(
        id=dead_letter_id(message.topic, _NOWHERE, _NOWHERE, raw),
        reason=(
            f"the record for '{message.topic}' has {len(raw):,} bytes, which the brokers refuse; Qualstream "
            f"writes at most {LARGEST_MESSAGE:,}, and a topic's own max.message.bytes may be less"
        ),
        role=role,
        topic=message.topic,
        partition=_NOWHERE,
        offset=_NOWHERE,
        key=message.key,
        raw=message.value,
        study=about.study if about else getattr(record, "study", None),
        segment_id=about.id if about else getattr(record, "segment_id", None),
        at=clock.now(),
    )
    return as_message(letter)


def _segment_in(message: Received) -> UUID | None:
    """The segment that an unreadable message was about, where its key tells."""
    try:
        return UUID((message.key or b"").decode("ascii"))
    except ValueError:
        return None


def readable(values: Iterable[bytes | None], record: type[R]) -> list[R]:
    """A topic's messages as records; what cannot be read was set aside by the role that read it first."""
    records = []
    for value in values:
        try:
            records.append(record.from_bytes(value))
        except ValueError:
            continue
    return records
