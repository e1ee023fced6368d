"""What each role does with a batch: parse, take a pure step, say what to send and what is finished.

A stage knows no broker. It runs in a thread beside the event loop, one batch at a time.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from models.errors import UnavailableError
from models.joining import Joined, ProposalJoin
from models.pipeline import Uncoded, code_batch, moderate_batch
from models.ports import Clock, Coder, Moderator
from models.precedents import Precedents, from_annotations
from models.refinement import Refiner
from models.routing import Router
from models.serving import Classifiers
from schemas import (
    Annotation,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    ModelRelease,
    Proposals,
    Record,
    Segment,
    StudyRules,
)
from schemas.ids import dead_letter_id
from streams.publish import Header, Outgoing
from streams.topology import (
    ASSIGNMENTS,
    CODEBOOK,
    DEAD_LETTERS,
    DECISIONS,
    LABELS,
    PROPOSALS,
    RELEASES,
    REQUESTS,
    ROLES,
    STUDIES,
    topic,
)

R = TypeVar("R", bound=Record)
Hear = Callable[[Sequence[bytes | None]], None]


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


@dataclass
class Result:
    """What came of a batch: messages to deliver, and then messages to acknowledge."""

    send: list[Outgoing] = field(default_factory=list)
    done: list[Received] = field(default_factory=list)


class Stage(Protocol):
    """A role's work."""

    def step(self, batch: Sequence[Received]) -> Result:
        """Work on a batch. What is not among the result's ``done`` is held, and acknowledged later.

        Raises:
            UnavailableError: If a store or model server is away; the step is taken again later.
        """
        ...

    def tick(self) -> Result:
        """Called now and then, also when nothing comes in."""
        ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """These partitions now belong to another worker."""
        ...

    def hears(self) -> Mapping[str, Hear]:
        """Topics that every worker of the role listens to beside its batches, and what takes their messages in.

        They are read from the beginning, outside the consumer group, while batches are worked on.
        """
        ...


class PlainStage(ABC):
    """A stage that finishes all of a batch at once and sets aside what it cannot read."""

    role: str
    clock: Clock

    def step(self, batch: Sequence[Received]) -> Result:
        """Work on a batch; all of it is finished."""
        result = Result(done=list(batch))
        self.work(batch, result)
        return result

    @abstractmethod
    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Work on a batch and put what is to be sent into ``result``."""

    def tick(self) -> Result:
        """Nothing is held, so nothing falls due."""
        return Result()

    def revoked(self, partitions: set[tuple[str, int]]) -> None:  # noqa: B027 - nothing is held, so nothing to do
        """Nothing is held."""

    def hears(self) -> Mapping[str, Hear]:
        """Nothing but its batches."""
        return {}

    def read(self, batch: Sequence[Received], record: type[R], result: Result) -> list[tuple[Received, R]]:
        """Parse a batch; what cannot be parsed becomes a dead letter in ``result``."""
        readable = []
        for message in batch:
            try:
                readable.append((message, record.from_bytes(message.value)))
            except ValueError as error:
                result.send.append(self.dead(message, str(error)))
        return readable

    def dead(self, message: Received, reason: str, segment: Segment | None = None) -> Outgoing:
        """The dead letter for a message."""
        letter = DeadLetter(
            id=dead_letter_id(message.topic, message.partition, message.offset, message.value or b""),
            reason=reason,
            role=self.role,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            raw=message.value,
            study=segment.study if segment else None,
            segment_id=segment.id if segment else _segment_in(message),
            at=self.clock.now(),
        )
        return Outgoing(DEAD_LETTERS.name, message.key or b"", letter.to_bytes())


def _segment_in(message: Received) -> UUID | None:
    """The segment that an unreadable message was about, where its key tells."""
    try:
        return UUID((message.key or b"").decode("ascii"))
    except ValueError:
        return None


@dataclass
class CodersStage(PlainStage):
    """Every member of this process reads each segment."""

    coder: Coder
    text_limit: int
    clock: Clock
    classifiers: Classifiers | None = None
    role: str = "coders"

    def hears(self) -> Mapping[str, Hear]:
        """A classifier that is released reads from the next batch on; it is loaded while this one is worked on.

        What becomes of codes holds for its guesses from the next batch on too.
        """
        if self.classifiers is None:
            return {}
        return {RELEASES.name: self._hear, CODEBOOK.name: self._follow}

    def _hear(self, values: Sequence[bytes | None]) -> None:
        assert self.classifiers is not None
        self.classifiers.serving.hear(readable(values, ModelRelease))

    def _follow(self, values: Sequence[bytes | None]) -> None:
        assert self.classifiers is not None
        self.classifiers.follow(readable(values, CodeEvent))

    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Propose labels for a batch of segments."""
        readable = self.read(batch, Segment, result)
        outcomes = code_batch(self.coder, [one for _, one in readable], self.text_limit, self.classifiers)
        for (message, segment), outcome in zip(readable, outcomes, strict=True):
            if isinstance(outcome, Uncoded):
                result.send.append(self.dead(message, outcome.reason, segment))
            else:
                result.send.append(Outgoing(PROPOSALS.name, _key(segment.id), outcome.to_bytes()))


@dataclass
class ModeratorStage(PlainStage):
    """Hold each segment until all members, or a quorum by the deadline, have read it; then settle on one label."""

    moderator: Moderator
    join: ProposalJoin[Received]
    clock: Clock
    precedents: Precedents | None = None
    role: str = "moderator"

    def hears(self) -> Mapping[str, Hear]:
        """What people decide leads the moderator from the next batch on."""
        return {} if self.precedents is None else {LABELS.name: self._learn}

    def _learn(self, values: Sequence[bytes | None]) -> None:
        assert self.precedents is not None
        self.precedents.learn(from_annotations(readable(values, Annotation)))

    def step(self, batch: Sequence[Received]) -> Result:
        """Decide the segments that this batch made ready; hold the others."""
        result = Result()
        self.work(batch, result)
        return result

    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Join a batch; unlike in a plain stage only what was decided or set aside is finished."""
        readable = self.read(batch, Proposals, result)
        good = {(m.partition, m.offset) for m, _ in readable}
        result.done += [m for m in batch if (m.partition, m.offset) not in good]
        ready = [joined for m, p in readable if (joined := self.join.add(m, p)) is not None]
        with self._held_again(ready):
            self._decide(ready, result)

    def tick(self) -> Result:
        """Decide the segments whose deadline has passed."""
        result = Result()
        ready, given_up = self.join.due()
        with self._held_again([*ready, *given_up]):
            self._decide(ready, result)
        for joined in given_up:
            segment = joined.proposals.segment if joined.proposals else None
            reason = (
                f"only {len(self.join.settings.members) - len(joined.missing)} of "
                f"{len(self.join.settings.members)} members answered within {self.join.settings.patience_s:g} s "
                f"(quorum {self.join.settings.quorum}); missing: {', '.join(joined.missing)}"
            )
            result.send.append(self.dead(joined.tickets[-1], reason, segment))
            result.done += joined.tickets
        return result

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """Drop what is held from these partitions."""
        self.join.forget(lambda message: (message.topic, message.partition) in partitions)

    @contextmanager
    def _held_again(self, joined: Sequence[Joined[Received]]) -> Iterator[None]:
        """Where the moderator is away, the step is taken again later: what it was about must still be there then."""
        try:
            yield
        except UnavailableError:
            self.join.take_back(joined)
            raise

    def _decide(self, ready: Sequence[Joined[Received]], result: Result) -> None:
        decide = [(joined.tickets[-1], joined.proposals) for joined in ready if joined.proposals is not None]
        outcomes = moderate_batch(self.moderator, [proposals for _, proposals in decide])
        for (message, proposals), outcome in zip(decide, outcomes, strict=True):
            if isinstance(outcome, Uncoded):
                result.send.append(self.dead(message, outcome.reason, proposals.segment))
            else:
                result.send.append(Outgoing(DECISIONS.name, outcome.segment.study.encode(), outcome.to_bytes()))
        result.done += [ticket for joined in ready for ticket in joined.tickets]


@dataclass
class RefinerStage(PlainStage):
    """Reuse an earlier code of the study, or create one. The code's event goes out before what refers to it."""

    refiner: Refiner
    clock: Clock
    history: InitVar[Iterable[CodeEvent] | None] = None
    """The codebook's events that the index holds already; without them it follows nobody."""
    role: str = "refiner"
    _heard: deque[CodeEvent] = field(default_factory=deque, init=False)

    def __post_init__(self, history: Iterable[CodeEvent] | None) -> None:
        """Know the history, so that what is heard of it again is no news."""
        self._follows = history is not None
        self.refiner.recall(history or ())

    def hears(self) -> Mapping[str, Hear]:
        """What people do to the codebook holds for the next batch."""
        return {CODEBOOK.name: self._hear} if self._follows else {}

    def _hear(self, values: Sequence[bytes | None]) -> None:
        self._heard.extend(readable(values, CodeEvent))  # another thread works with the refiner

    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Assign a code to each decision, by the codebook as it was last heard of."""
        self.refiner.follow([self._heard.popleft() for _ in range(len(self._heard))])
        readable = self.read(batch, Decision, result)
        for refined in self.refiner.refine([decision for _, decision in readable]):
            if refined.event is not None:
                result.send.append(Outgoing(CODEBOOK.name, _key(refined.event.code_id), refined.event.to_bytes()))
            key = _key(refined.assignment.segment_id)
            result.send.append(Outgoing(ASSIGNMENTS.name, key, refined.assignment.to_bytes()))


@dataclass
class RouterStage(PlainStage):
    """Give each assignment its confidence and route, and ask people about the doubtful ones."""

    router: Router
    clock: Clock
    role: str = "router"

    def hears(self) -> Mapping[str, Hear]:
        """What people decide, and the rules that they set, hold from the next batch on."""
        return {
            LABELS.name: lambda values: self.router.learn(readable(values, Annotation)),
            STUDIES.name: lambda values: self.router.follow(readable(values, StudyRules)),
            RELEASES.name: lambda values: self.router.hear(readable(values, ModelRelease)),
        }

    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Route a batch; assignments that have a route are our own and are passed over."""
        readable = self.read(batch, Assignment, result)
        for routed in self.router.route([a for _, a in readable if a.route is None]):
            key = _key(routed.assignment.segment_id)
            if routed.request is not None:
                result.send.append(Outgoing(REQUESTS.name, key, routed.request.to_bytes()))
            result.send.append(Outgoing(ASSIGNMENTS.name, key, routed.assignment.to_bytes()))


_READ_BY_OTHERS = {each.name for one in ROLES if one.name != "recorder" for each in one.reads} | {DEAD_LETTERS.name}


@dataclass
class RecorderStage(PlainStage):
    """Write everything that passes into the read model."""

    record: Callable[[Sequence[Record]], None]
    clock: Clock
    role: str = "recorder"

    def work(self, batch: Sequence[Received], result: Result) -> None:
        """Store a batch. What another role reads too, that role sets aside where it cannot be read."""
        records: list[Record] = []
        for message in batch:
            try:
                records.append(topic(message.topic).record.from_bytes(message.value))
            except ValueError as error:
                if message.topic not in _READ_BY_OTHERS:
                    result.send.append(self.dead(message, str(error)))
        self.record(records)


def _key(identity: UUID) -> bytes:
    return str(identity).encode("ascii")


def readable(values: Iterable[bytes | None], record: type[R]) -> list[R]:
    """A topic's messages as records; what cannot be read was set aside by the role that read it first."""
    records = []
    for value in values:
        try:
            records.append(record.from_bytes(value))
        except ValueError:
            continue
    return records
