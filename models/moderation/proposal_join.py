"""Bring together what several groups of members say about one segment.

Holds no table: what is unfinished is read again after a crash.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from models.moderation.classifier_vote import CLASSIFIER
from models.ports import Clock
from schemas import Proposal, Proposals
from schemas.coding import Classified

_REMEMBERED = 50_000  # finished segments: a proposal for one of them comes late or again, and is dropped
T = TypeVar("T")


@dataclass
class _Open(Generic[T]):
    since: float
    tickets: list[T] = field(default_factory=list)
    last: Proposals | None = None
    by_member: dict[str, Proposal] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    classified: Classified | None = None

    @property
    def heard(self) -> set[str]:
        """Members that need not be waited for: they have answered, or are not asked about this segment."""
        return (self.by_member.keys() - {CLASSIFIER}) | self.skipped

    @property
    def answers(self) -> dict[str, Proposal]:
        """What members said; the classifier's own guess, as it stands in a message without members, if none did."""
        members = {name: proposal for name, proposal in self.by_member.items() if name != CLASSIFIER}
        return members or self.by_member

    def add(self, proposals: Proposals) -> None:
        """Take one group's message in. All groups classify; of two releases the later one counts."""
        self.by_member |= {proposal.member: proposal for proposal in proposals.proposals}
        self.skipped |= set(proposals.skipped)
        classified, before = proposals.classified, self.classified
        if classified is not None and (before is None or classified.model >= before.model):
            self.classified = classified


@dataclass(frozen=True)
class Joined(Generic[T]):
    """A segment that is ready: its messages' tickets, and all that was proposed for it."""

    tickets: list[T]
    proposals: Proposals | None  # None: it came after the decision and is only to be acknowledged
    missing: tuple[str, ...] = ()
    since: float = 0.0


@dataclass(frozen=True)
class JoinSettings:
    """When a segment is ready: all members have answered, or a quorum and the deadline has passed.

    A member that a cascade skipped counts as one that answered; a classifier is no member.
    """

    members: tuple[str, ...]
    quorum: int
    deadline_s: float
    patience_s: float  # without a quorum: then it is given up, as a dead letter


class ProposalJoin(Generic[T]):
    """Hold each segment's messages until it is ready.

    ``T`` is whatever the caller needs to acknowledge a message (its ticket).
    """

    def __init__(self, settings: JoinSettings, clock: Clock) -> None:
        """Start empty."""
        self.settings = settings
        self._clock = clock
        self._open: dict[UUID, _Open[T]] = {}
        self._finished: OrderedDict[UUID, None] = OrderedDict()

    def __len__(self) -> int:
        """Number of segments that are being held."""
        return len(self._open)

    def add(self, ticket: T, proposals: Proposals) -> Joined[T] | None:
        """Take one group's message; returns the segment if that made it ready."""
        segment = proposals.segment.id
        waiting = self._open.get(segment)
        if waiting is None and not self.complete(proposals) and segment in self._finished:
            return Joined([ticket], None)
        waiting = waiting or _Open(self._clock.monotonic())
        if ticket not in waiting.tickets:  # a step that is taken again after an outage brings the same message
            waiting.tickets.append(ticket)
        waiting.last = proposals
        waiting.add(proposals)
        self._open[segment] = waiting
        return self._finish(segment) if waiting.heard >= set(self.settings.members) else None

    def complete(self, proposals: Proposals) -> bool:
        """Whether one message holds what all members say."""
        return proposals.answered >= set(self.settings.members)

    def due(self) -> tuple[list[Joined[T]], list[Joined[T]]]:
        """Segments whose deadline has passed: with a quorum, and given up without one."""
        now = self._clock.monotonic()
        ready, given_up = [], []
        for segment, waiting in list(self._open.items()):
            held_s = now - waiting.since
            if len(waiting.heard) >= self.settings.quorum and held_s >= self.settings.deadline_s:
                ready.append(self._finish(segment))
            elif held_s >= self.settings.patience_s:
                given_up.append(self._finish(segment))
        return ready, given_up

    def take_back(self, joined: Iterable[Joined[T]]) -> None:
        """Hold segments again that could not be decided now, as they were held before."""
        for returned in joined:
            if returned.proposals is None:
                continue
            segment = returned.proposals.segment.id
            self._finished.pop(segment, None)
            self._open[segment] = _Open(returned.since, list(returned.tickets), returned.proposals)
            self._open[segment].add(returned.proposals)

    def forget(self, revoked: Callable[[T], bool]) -> None:
        """Drop segments of which any message now belongs to another worker; it will read them again."""
        self._open = {s: w for s, w in self._open.items() if not any(revoked(ticket) for ticket in w.tickets)}

    def _finish(self, segment: UUID) -> Joined[T]:
        waiting = self._open.pop(segment)
        self._finished[segment] = None
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)
        assert waiting.last is not None
        order = {name: n for n, name in enumerate(self.settings.members)}
        answers = waiting.answers
        ranked = sorted(waiting.heard | answers.keys(), key=lambda name: (order.get(name, len(order)), name))
        together = {
            "proposals": [answers[name] for name in ranked if name in answers],
            "skipped": [name for name in ranked if name not in answers],
            "classified": waiting.classified,
        }
        proposals = waiting.last.model_copy(update=together)
        missing = tuple(name for name in self.settings.members if name not in waiting.heard)
        return Joined(waiting.tickets, proposals, missing, waiting.since)
