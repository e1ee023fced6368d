"""What coders do with a batch: every member of the process reads each segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.classifier.predictions import Classifiers
from models.moderation.classifier_vote import CLASSIFIER
from models.pipeline import Uncoded, code_batch
from models.ports import Clock, Coder
from schemas import (
    CodeEvent,
    ModelRelease,
    Proposals,
    Segment,
)
from streams.publish import outgoing
from streams.stage import Answers, PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    CODEBOOK,
    PROPOSALS,
    RELEASES,
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
                self.answers.keep(proposals.segment.id, outgoing(proposals))

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
                self.answers.keep(segment.id, outgoing(outcome))
        for message, segment in segments:
            reason = uncoded.get(segment.id)
            result.send.append(self.answers[segment.id] if reason is None else self.dead(message, reason, segment))
