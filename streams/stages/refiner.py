"""What the refiner does with a batch: reuse an earlier code of the study, or create one."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from models.ports import Clock
from models.refinement.refiner import Refiner
from schemas import (
    Assignment,
    CodeEvent,
    Decision,
    StudyRules,
)
from streams.publish import outgoing
from streams.stage import PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    ASSIGNMENTS,
    CODEBOOK,
    STUDIES,
)

T = TypeVar("T")


@dataclass
class RefinerStage(PlainStage):
    """Reuse an earlier code of the study, or create one where its coding mode allows.

    The code's event goes out before what refers to it.
    """

    refiner: Refiner
    clock: Clock
    load: Callable[[Sequence[CodeEvent]], None] | None = None
    """Makes index and thresholds what the codebook's events, in any order, and ``learns_from`` say."""
    learns_from: Mapping[str, Recall] = field(default_factory=dict)
    role: str = "refiner"
    _pending_events: deque[CodeEvent] = field(default_factory=deque, init=False)
    _pending_rules: deque[StudyRules] = field(default_factory=deque, init=False)
    _history: list[CodeEvent] = field(default_factory=list, init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people do to the codebook, and where studies want their codes to come from, holds for the next batch."""
        return {CODEBOOK.name: self._queue_events, STUDIES.name: self._queue_rules}

    def _queue_rules(self, values: Sequence[bytes | None]) -> None:
        self._pending_rules.extend(readable(values, StudyRules))

    def _queue_events(self, values: Sequence[bytes | None]) -> None:
        self._pending_events.extend(readable(values, CodeEvent))  # another thread works with the refiner

    def initial_inputs(self) -> Mapping[str, Recall]:
        """What thresholds are learned from."""
        return self.learns_from

    def side_inputs_loaded(self) -> None:
        """Start from the codebook as it is by now, rather than follow it there event by event."""
        self._history += _drained(self._pending_events)
        if self.load is not None:
            self.load(self._history)
        self.refiner.apply_events(self._history)  # nothing of it is news where it was loaded
        self._history.clear()

    def recalls(self) -> Mapping[str, Recall]:
        """What another refiner decided on these partitions, and the codes that it created for that."""
        assignments = Recall(2_000, lambda values: self.refiner.load_assignments(readable(values, Assignment)))
        return {CODEBOOK.name: Recall(2_000, self._queue_events), ASSIGNMENTS.name: assignments}

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Assign a code to each decision, by the codebook as it was last heard of."""
        self.refiner.apply_events(_drained(self._pending_events))
        self.refiner.update_rules(_drained(self._pending_rules))
        decisions = [decision for _, decision in self.read(batch, Decision, result)]
        refinement = self.refiner.decide(decisions)
        result.settle = partial(self.refiner.commit, refinement)
        for refined in refinement.refined:
            if refined.event is not None:
                result.before.append(outgoing(refined.event))
            result.send.append(outgoing(refined.assignment))


def _drained(pending: deque[T]) -> list[T]:
    """What has come so far; another thread may be adding more."""
    return [pending.popleft() for _ in range(len(pending))]
