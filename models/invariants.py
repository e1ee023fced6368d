"""What must hold of a study's records, whatever was killed or came twice; and the segments of which it does not."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from schemas import (
    AnnotationRequest,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    Proposals,
    Record,
    Segment,
)

_ENDS = ("merged", "split", "retired")
TAKEN_IN = "every outcome is a segment's that was taken in"
ONE_DECISION = "one decision a segment"
ONE_CODE = "one code a segment"
IN_CODEBOOK = "every code is in the codebook"
ASKED = "routed to people is asked"
SAME_BYTES = "what was written twice is the same, byte for byte"
INVARIANTS = (TAKEN_IN, ONE_DECISION, ONE_CODE, IN_CODEBOOK, ASKED, SAME_BYTES)


class Fault(NamedTuple):
    """An invariant that does not hold."""

    invariant: str
    what: str
    ids: tuple[UUID, ...]
    """Of segments; of codes or their events where ``what`` says so."""


@dataclass(frozen=True)
class Tally:
    """How many of the segments that were taken in stand where; they add up."""

    taken_in: int
    open: int
    coded: int
    set_aside: int


class Copies:
    """Messages that say one thing, and whether those that come again say it in the same bytes."""

    def __init__(self) -> None:
        """Start without any."""
        self._first: dict[Hashable, bytes] = {}
        self.repeated = 0
        self.differing: dict[UUID, None] = {}

    def add(self, about: UUID, says: Hashable, raw: bytes) -> None:
        """Count a message about something that has an id; ``says`` tells apart what is not to be the same."""
        digest = blake2b(raw, digest_size=16).digest()
        first = self._first.setdefault((about, says), digest)
        if first is not digest:
            self.repeated += first == digest
            if first != digest:
                self.differing[about] = None


class Audit:
    """Takes records in, in any order between topics, and says which invariants they break."""

    def __init__(self) -> None:
        """Start without any."""
        self.copies: defaultdict[str, Copies] = defaultdict(Copies)
        self._taken_in: set[UUID] = set()
        self._set_aside: set[UUID] = set()
        self._given: defaultdict[UUID, list[UUID]] = defaultdict(list)
        """The codes that a refiner gave a segment, each in place of the one before it."""
        self._coded: dict[UUID, UUID] = {}
        self._to_people: set[UUID] = set()
        self._asked: set[UUID] = set()
        self._created: set[UUID] = set()
        self._outside: set[UUID] = set()
        """What stands for a code where the codebook has none."""
        self._ended: set[UUID] = set()

    def add(self, record: Record, raw: bytes) -> None:
        """Take a record in (any kind: others count for nothing), and the bytes that it stands as."""
        match record:
            case Segment():
                self._taken_in.add(record.id)
            case Proposals():
                self.copies["proposals"].add(record.segment.id, frozenset(record.answered), raw)
            case Decision():
                self.copies["decisions"].add(record.segment.id, None, raw)
            case Assignment():
                self._assign(record, raw)
            case AnnotationRequest():
                self._asked.add(record.segment_id)
            case CodeEvent():
                self._change(record, raw)
            case DeadLetter() if record.segment_id is not None:
                self._set_aside.add(record.segment_id)

    def _assign(self, assignment: Assignment, raw: bytes) -> None:
        segment, code = assignment.segment_id, assignment.code_id
        self.copies["assignments"].add(segment, (code, assignment.route is None), raw)
        if assignment.standing != "code":
            self._outside.add(code)
        if assignment.route is None:
            given = self._given[segment]
            if given[-1:] != [code]:
                given.append(code)
            return
        self._coded[segment] = code
        if assignment.route == "people":
            self._to_people.add(segment)

    def _change(self, event: CodeEvent, raw: bytes) -> None:
        self.copies["code events"].add(event.id, None, raw)
        if event.kind == "created":
            self._created.add(event.code_id)
        elif event.kind in _ENDS:
            self._ended.add(event.code_id)

    @property
    def repeated(self) -> dict[str, int]:
        """By kind, how many messages were written again in the same bytes."""
        return {kind: copies.repeated for kind, copies in self.copies.items()}

    def tally(self) -> Tally:
        """Where the segments that were taken in stand; one that was set aside and coded later is coded."""
        coded = self._taken_in & self._coded.keys()
        aside = (self._taken_in & self._set_aside) - coded
        return Tally(len(self._taken_in), len(self._taken_in) - len(coded) - len(aside), len(coded), len(aside))

    def faults(self, *, all_taken_in: bool) -> list[Fault]:
        """The invariants that do not hold.

        Args:
            all_taken_in: Whether every segment ever taken in is known: a topic forgets the oldest.
        """
        codes = {code: None for given in self._given.values() for code in given} | dict.fromkeys(self._coded.values())
        decided = self.copies["decisions"].differing
        broken: list[tuple[str, str, Iterable[UUID]]] = [
            (ONE_DECISION, "decided twice, differently", decided),
            (ONE_CODE, "given another code though its first one stands", filter(self._recoded, self._given)),
            (IN_CODEBOOK, "codes that no event created", (c for c in codes if c not in self._created | self._outside)),
            (ASKED, "routed to people, whom nobody asks", self._to_people - self._asked),
            *((SAME_BYTES, f"{kind} in other bytes", copies.differing) for kind, copies in self._copied().items()),
        ]
        if all_taken_in:
            without = self._coded.keys() - self._taken_in
            broken.insert(0, (TAKEN_IN, "coded and never taken in", without))
        faults = [Fault(invariant, what, tuple(sorted(ids))) for invariant, what, ids in broken]
        return [fault for fault in faults if fault.ids]

    def _copied(self) -> Mapping[str, Copies]:
        return {kind: copies for kind, copies in self.copies.items() if kind != "decisions"}

    def _recoded(self, segment: UUID) -> bool:
        """Whether a refiner gave it another code in place of one that people have not ended."""
        return any(code not in self._ended for code in self._given[segment][:-1])


def study_of(record: Record) -> str | None:
    """The study that a record belongs to; none where it belongs to none or cannot be told."""
    owner = record.segment if isinstance(record, Proposals | Decision) else record
    study: str | None = getattr(owner, "study", None)
    return study
