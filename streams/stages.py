"""What each role does with a batch: parse, take a pure step, say what to send and what is finished.

A stage knows no broker. It runs in a thread beside the event loop, one batch at a time.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from models.classifier.predictions import Classifiers
from models.errors import UnavailableError
from models.moderation.classifier_vote import CLASSIFIER
from models.moderation.precedents import Precedents
from models.moderation.proposal_join import Joined, ProposalJoin
from models.pipeline import Uncoded, code_batch, moderate_batch
from models.ports import Clock, Coder, Moderator
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import (
    Annotation,
    Assignment,
    CodeEvent,
    Decision,
    DriftAlert,
    ModelRelease,
    Proposals,
    Record,
    Segment,
    StudyRules,
)
from streams.publish import Outgoing, outgoing
from streams.stage import Answers, PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    ALERTS,
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


@dataclass
class CodersStage(PlainStage):
    """Every member of this process reads each segment."""

    coder: Coder
    text_limit: int
    clock: Clock
    classifiers: Classifiers | None = None
    role: str = "coders"
    answers: Answers = field(default_factory=lambda: Answers(4_000), init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """A classifier that is released reads from the next batch on; it is loaded while this one is worked on.

        What becomes of codes holds for its guesses from the next batch on too.
        """
        if self.classifiers is None:
            return {}
        return {RELEASES.name: self._update_releases, CODEBOOK.name: self._update_codebook}

    def _update_releases(self, values: Sequence[bytes | None]) -> None:
        assert self.classifiers is not None
        self.classifiers.serving.add_releases(readable(values, ModelRelease))

    def _update_codebook(self, values: Sequence[bytes | None]) -> None:
        assert self.classifiers is not None
        self.classifiers.update_codebook(readable(values, CodeEvent))

    def recalls(self) -> Mapping[str, Recall]:
        """What these members proposed: asked again, they would name other times, and sampling other labels."""
        return {PROPOSALS.name: Recall(500, self._recall)}

    def _recall(self, values: Sequence[bytes | None]) -> None:
        here = set(self.coder.members)
        for proposals in readable(values, Proposals):
            if proposals.answered - {CLASSIFIER} == here:  # else it is of members that live elsewhere
                self.answers.keep(proposals.segment.id, _proposed(proposals))

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Propose labels for a batch of segments; one that comes twice gets what was proposed first."""
        self.answers.forget()
        segments = self.read(batch, Segment, result)
        fresh = {segment.id: segment for _, segment in segments if segment.id not in self.answers}
        outcomes = code_batch(self.coder, list(fresh.values()), self.text_limit, self.classifiers)
        uncoded = {}
        for segment, outcome in zip(fresh.values(), outcomes, strict=True):
            if isinstance(outcome, Uncoded):
                uncoded[segment.id] = outcome.reason
            else:
                self.answers.keep(segment.id, _proposed(outcome))
        for message, segment in segments:
            reason = uncoded.get(segment.id)
            result.send.append(self.answers[segment.id] if reason is None else self.dead(message, reason, segment))


@dataclass
class ModeratorStage(PlainStage):
    """Hold each segment until all members, or a quorum by the deadline, have read it; then settle on one label."""

    moderator: Moderator
    join: ProposalJoin[Received]
    clock: Clock
    precedents: Precedents | None = None
    role: str = "moderator"
    answers: Answers = field(default_factory=lambda: Answers(10_000), init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people decide leads the moderator from the next batch on."""
        return {} if self.precedents is None else {LABELS.name: self._update_annotations}

    def _update_annotations(self, values: Sequence[bytes | None]) -> None:
        assert self.precedents is not None
        self.precedents.update_annotations(readable(values, Annotation))

    def recalls(self) -> Mapping[str, Recall]:
        """What was decided: other labels of people may lead to another decision by now."""
        return {DECISIONS.name: Recall(2_000, self._recall)}

    def _recall(self, values: Sequence[bytes | None]) -> None:
        for decision in readable(values, Decision):
            self.answers.keep(decision.segment.id, _decided(decision))

    def step(self, batch: Sequence[Received]) -> StageResult:
        """Decide the segments that this batch made ready; hold the others."""
        result = StageResult()
        self.work(batch, result)
        return result

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Join a batch; unlike in a plain stage only what was decided or set aside is finished."""
        self.answers.forget()
        proposals = self.read(batch, Proposals, result)
        undecided = [(m, p) for m, p in proposals if not self._decided_before(p, result)]
        held = {(m.partition, m.offset) for m, _ in undecided}
        result.done += [m for m in batch if (m.partition, m.offset) not in held]
        ready = [joined for m, p in undecided if (joined := self.join.add(m, p)) is not None]
        with self._held_again(ready):
            self._decide(ready, result)

    def _decided_before(self, proposals: Proposals, result: StageResult) -> bool:
        """Whether there is a decision already; it is sent again where all that it needs came again."""
        segment = proposals.segment.id
        if segment not in self.answers:
            return False
        if self.join.complete(proposals):
            result.send.append(self.answers[segment])
        return True

    def tick(self) -> StageResult:
        """Decide the segments whose deadline has passed."""
        result = StageResult()
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

    def _decide(self, ready: Sequence[Joined[Received]], result: StageResult) -> None:
        decide = [(joined.tickets[-1], joined.proposals) for joined in ready if joined.proposals is not None]
        outcomes = moderate_batch(self.moderator, [proposals for _, proposals in decide])
        for (message, proposals), outcome in zip(decide, outcomes, strict=True):
            if isinstance(outcome, Uncoded):
                result.send.append(self.dead(message, outcome.reason, proposals.segment))
            else:
                self.answers.keep(outcome.segment.id, _decided(outcome))
                result.send.append(self.answers[outcome.segment.id])
        result.done += [ticket for joined in ready for ticket in joined.tickets]


@dataclass
class RefinerStage(PlainStage):
    """Reuse an earlier code of the study, or create one. The code's event goes out before what refers to it."""

    refiner: Refiner
    clock: Clock
    load: Callable[[Sequence[CodeEvent]], None] | None = None
    """Makes index and thresholds what the codebook's events, in any order, and ``learns_from`` say."""
    learns_from: Mapping[str, Recall] = field(default_factory=dict)
    role: str = "refiner"
    _pending_events: deque[CodeEvent] = field(default_factory=deque, init=False)
    _history: list[CodeEvent] = field(default_factory=list, init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people do to the codebook holds for the next batch."""
        return {CODEBOOK.name: self._queue_events}

    def _queue_events(self, values: Sequence[bytes | None]) -> None:
        self._pending_events.extend(readable(values, CodeEvent))  # another thread works with the refiner

    def initial_inputs(self) -> Mapping[str, Recall]:
        """What thresholds are learned from."""
        return self.learns_from

    def side_inputs_loaded(self) -> None:
        """Start from the codebook as it is by now, rather than follow it there event by event."""
        self._history += self._take_events()
        if self.load is not None:
            self.load(self._history)
        self.refiner.apply_events(self._history)  # nothing of it is news where it was loaded
        self._history.clear()

    def _take_events(self) -> list[CodeEvent]:
        return [self._pending_events.popleft() for _ in range(len(self._pending_events))]

    def recalls(self) -> Mapping[str, Recall]:
        """What another refiner decided on these partitions, and the codes that it created for that."""
        assignments = Recall(2_000, lambda values: self.refiner.load_assignments(readable(values, Assignment)))
        return {CODEBOOK.name: Recall(2_000, self._queue_events), ASSIGNMENTS.name: assignments}

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Assign a code to each decision, by the codebook as it was last heard of."""
        self.refiner.apply_events(self._take_events())
        decisions = [decision for _, decision in self.read(batch, Decision, result)]
        refinement = self.refiner.decide(decisions)
        result.settle = partial(self.refiner.commit, refinement)
        for refined in refinement.refined:
            if refined.event is not None:
                result.before.append(Outgoing(CODEBOOK.name, _key(refined.event.code_id), refined.event.to_bytes()))
            result.send.append(_assigned(refined.assignment))


@dataclass
class RouterStage(PlainStage):
    """Give each assignment its confidence and route, and ask people about the doubtful ones."""

    router: Router
    clock: Clock
    role: str = "router"
    answers: Answers = field(default_factory=lambda: Answers(10_000), init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people decide, and the rules that they set, hold from the next batch on."""
        return {
            LABELS.name: lambda values: self.router.update_annotations(readable(values, Annotation)),
            STUDIES.name: lambda values: self.router.update_rules(readable(values, StudyRules)),
            RELEASES.name: lambda values: self.router.update_releases(readable(values, ModelRelease)),
        }

    def side_inputs_loaded(self) -> None:
        """Weigh the labels, so that the first batch does not wait for it."""
        self.router.warm_up()

    def recalls(self) -> Mapping[str, Recall]:
        """What was routed: by other labels and rules it may be routed otherwise now."""
        return {ASSIGNMENTS.name: Recall(2_000, self._recall)}

    def _recall(self, values: Sequence[bytes | None]) -> None:
        for assignment in readable(values, Assignment):
            if assignment.route is not None:
                self.answers.keep(_question(assignment), _assigned(assignment))

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Route a batch; assignments that have a route are our own and are passed over."""
        self.answers.forget()
        unrouted = [assignment for _, assignment in self.read(batch, Assignment, result) if assignment.route is None]
        questions = {_question(assignment): assignment for assignment in unrouted}
        fresh = {question: assignment for question, assignment in questions.items() if question not in self.answers}
        for question, routed in zip(fresh, self.router.route(list(fresh.values())), strict=True):
            self.answers.keep(question, _assigned(routed.assignment))
            if routed.request is not None:
                key = _key(routed.assignment.segment_id)
                result.before.append(Outgoing(REQUESTS.name, key, routed.request.to_bytes()))
        result.send += [self.answers[question] for question in questions]


class AnnotationLearner(Protocol):
    """Teaches classifiers what people's labels say."""

    def add_annotations(self, annotations: Sequence[Annotation]) -> Sequence[Record]:
        """Take a batch of labels in; returns the releases and requests that came of it, or of earlier ones."""
        ...

    def tick(self) -> Sequence[Record]:
        """What has come about since; all that was returned before has been published by now."""
        ...

    def add_records(self, records: Sequence[Record]) -> None:
        """Take other records in, from any thread; they count from the next call on."""
        ...


@dataclass
class TrainerStage(PlainStage):
    """Teach classifiers at every batch of labels, and publish what came of it as soon as it is there.

    Labels are acknowledged with their batch, before what they are taught in the background is done: the next start
    reads all of them again, from their topic's beginning, and so makes good what a kill cut off.
    """

    trainer: AnnotationLearner
    clock: Clock
    role: str = "trainer"

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """Codes, rules, releases (a person may have gone back to one) and alerts count from the next step on."""
        kinds: dict[str, type[Record]] = {
            CODEBOOK.name: CodeEvent,
            STUDIES.name: StudyRules,
            RELEASES.name: ModelRelease,
            ALERTS.name: DriftAlert,
        }
        return {name: partial(self._update, kind) for name, kind in kinds.items()}

    def initial_inputs(self) -> Mapping[str, Recall]:
        """All labels, those that were acknowledged too."""
        return {LABELS.name: Recall(None, partial(self._update, Annotation))}

    def _update(self, kind: type[Record], values: Sequence[bytes | None]) -> None:
        self.trainer.add_records(readable(values, kind))

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Learn a batch of labels."""
        annotations = [annotation for _, annotation in self.read(batch, Annotation, result)]
        result.send += [outgoing(record) for record in self.trainer.add_annotations(annotations)]

    def tick(self) -> StageResult:
        """Publish what came of work in the background."""
        return StageResult(send=[outgoing(record) for record in self.trainer.tick()])


_READ_BY_OTHERS = {each.name for role in ROLES if role.name != "recorder" for each in role.reads} | {DEAD_LETTERS.name}


@dataclass
class RecorderStage(PlainStage):
    """Write everything that passes into the read model."""

    record: Callable[[Sequence[Record]], None]
    clock: Clock
    role: str = "recorder"

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
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


def _proposed(proposals: Proposals) -> Outgoing:
    return Outgoing(PROPOSALS.name, _key(proposals.segment.id), proposals.to_bytes())


def _decided(decision: Decision) -> Outgoing:
    return Outgoing(DECISIONS.name, decision.segment.study.encode(), decision.to_bytes())


def _assigned(assignment: Assignment) -> Outgoing:
    return Outgoing(ASSIGNMENTS.name, _key(assignment.segment_id), assignment.to_bytes())


def _question(assignment: Assignment) -> tuple[UUID, UUID, datetime]:
    """What the router answers: a segment's code, as the refiner gave it at that moment."""
    return assignment.segment_id, assignment.code_id, assignment.assigned_at
