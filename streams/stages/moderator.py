"""What the moderator does with a batch: hold segments until all have read them, then settle on one label."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from models.errors import UnavailableError
from models.moderation.memory import StudyMemory
from models.moderation.precedents import Precedents
from models.moderation.proposal_join import Joined, ProposalJoin
from models.pipeline import Uncoded, moderate_batch
from models.ports import Clock, Moderator
from schemas import (
    Annotation,
    CodeEvent,
    Decision,
    Proposals,
)
from streams.publish import outgoing
from streams.stage import Answers, PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    CODEBOOK,
    DECISIONS,
    LABELS,
)


@dataclass
class ModeratorStage(PlainStage):
    """Hold each segment until all members, or a quorum by the deadline, have read it; then settle on one label."""

    moderator: Moderator
    join: ProposalJoin[Received]
    clock: Clock
    precedents: Precedents | None = None
    memory: StudyMemory | None = None
    role: str = "moderator"
    answers: Answers = field(default_factory=lambda: Answers(10_000), init=False)

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people decide, and the codebook, lead the moderator from the next batch on."""
        if self.precedents is None:
            return {}
        return {LABELS.name: self._update_annotations, CODEBOOK.name: self._update_codebook}

    def _update_codebook(self, values: Sequence[bytes | None]) -> None:
        if self.memory is not None:
            self.memory.update_codebook(readable(values, CodeEvent))

    def _update_annotations(self, values: Sequence[bytes | None]) -> None:
        assert self.precedents is not None
        self.precedents.update_annotations(readable(values, Annotation))

    def recalls(self) -> Mapping[str, Recall]:
        """What was decided: other labels of people may lead to another decision by now."""
        return {DECISIONS.name: Recall(2_000, self._recall)}

    def _recall(self, values: Sequence[bytes | None]) -> None:
        for decision in readable(values, Decision):
            self.answers.keep(decision.segment.id, outgoing(decision))

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
                self.answers.keep(outcome.segment.id, outgoing(outcome))
                result.send.append(self.answers[outcome.segment.id])
        result.done += [ticket for joined in ready for ticket in joined.tickets]
