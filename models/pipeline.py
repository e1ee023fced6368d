"""The steps from segment to routed assignment, as plain functions; the streaming agents call the same ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from models.bisection import isolate_failures
from models.classifier.predictions import Classifiers
from models.errors import QualstreamError, UncodableError, WorkerFault
from models.moderation.classifier_vote import said_by
from models.moderation.voting import no_usable_label
from models.ports import Coder, Moderator, load
from models.refinement.refiner import Refiner
from models.routing.router import Router
from models.text.truncation import prepare
from schemas import AnnotationRequest, Assignment, CodeEvent, Decision, Proposal, Proposals, Segment
from schemas.coding import Classified, usable

T = TypeVar("T")
R = TypeVar("R")
_LONGEST_REASON = 300  # characters
_TELLING = 8  # segments that must all fail before the model is blamed and not the segments


@dataclass(frozen=True)
class Uncoded:
    """A segment that could not be coded, and why, in one line."""

    segment: Segment
    reason: str


@dataclass(frozen=True)
class CodedSegment:
    """A segment with its code, and everything that was decided on the way."""

    segment: Segment
    decision: Decision
    assignment: Assignment
    event: CodeEvent | None
    request: AnnotationRequest | None


CodingOutcome = CodedSegment | Uncoded


def code_batch(
    coder: Coder, segments: Sequence[Segment], limit: int, classifiers: Classifiers | None = None
) -> list[Proposals | Uncoded]:
    """Let the members read a batch.

    Args:
        coder: The members.
        segments: As their sources had them.
        limit: Characters of a text at most; longer ones are cut.
        classifiers: What people's labels have taught, asked before the members; of a cascade they are the first step.

    Returns:
        One a segment, in order. A segment that the members fail on is alone in its failure.

    Raises:
        UnavailableError, SettingError, WorkerFault: As ``models.bisection.isolate_failures`` does.
        WorkerFault: If 8 or more segments reached the members and all of them failed there.
    """
    prepared = [_prepared(segment, limit) for segment in segments]
    return _through(lambda batch: _read(coder, batch, classifiers), prepared, lambda segment: segment)


def _read(coder: Coder, batch: Sequence[Segment], classifiers: Classifiers | None) -> list[Proposals]:
    classified = classifiers.classify(batch) if classifiers else [None] * len(batch)
    spared = [bool(classifiers and classifiers.first and guesses and guesses.sure) for guesses in classified]
    asked = [segment for segment, without in zip(batch, spared, strict=True) if not without]
    labels = coder.propose(asked) if asked else []
    if len(labels) != len(asked):
        raise WorkerFault(f"the members read {len(labels)} of {len(asked)} segments; a list for each was expected")
    proposed = iter(labels)
    return [
        _proposals(segment, [said_by(guesses)] if guesses and without else next(proposed), coder.members, guesses)
        for segment, guesses, without in zip(batch, classified, spared, strict=True)
    ]


def _proposals(
    segment: Segment, given: Sequence[Proposal], members: Sequence[str], classified: Classified | None
) -> Proposals:
    answered = {proposal.member for proposal in given}
    skipped = [name for name in members if name not in answered]
    return Proposals(segment=segment, proposals=list(given), skipped=skipped, classified=classified)


def moderate_batch(moderator: Moderator, batch: Sequence[Proposals]) -> list[Decision | Uncoded]:
    """Let the moderator decide a batch; what has no usable proposal does not come before it.

    Returns:
        One a segment, in order.

    Raises:
        UnavailableError, SettingError, WorkerFault: As ``models.bisection.isolate_failures`` does.
        WorkerFault: If 8 or more segments reached the moderator and all of them failed there.
    """
    return _through(
        moderator.decide, [_with_a_label(proposals) for proposals in batch], lambda proposals: proposals.segment
    )


@dataclass(frozen=True)
class Pipeline:
    """All steps in one process, without a broker."""

    coder: Coder
    moderator: Moderator
    refiner: Refiner
    router: Router
    text_limit: int = 4_000
    """Characters of a text at most."""
    batch: int = 32
    """Segments that go through the steps together."""
    classifiers: Classifiers | None = None
    """What people's labels have taught."""

    def run(self, segments: Iterable[Segment]) -> Iterator[CodingOutcome]:
        """Code the segments, taken and coded batch by batch as outcomes are asked for.

        Yields:
            One outcome a segment, in order.

        Raises:
            UnavailableError, SettingError, WorkerFault: As ``models.bisection.isolate_failures`` does.
            WorkerFault: If the models cannot be loaded; no segment is blamed for that, and none tries again.
        """
        _load_models(self.coder, self.moderator)
        source = iter(segments)
        while batch := list(islice(source, self.batch)):
            yield from self._code(batch)

    def _code(self, segments: Sequence[Segment]) -> Iterator[CodingOutcome]:
        proposed = code_batch(self.coder, segments, self.text_limit, self.classifiers)
        settled = moderate_batch(
            self.moderator, [proposals for proposals in proposed if isinstance(proposals, Proposals)]
        )
        refined = self.refiner.refine([decision for decision in settled if isinstance(decision, Decision)])
        routed = self.router.route([refinement.assignment for refinement in refined])
        moderated, assigned = iter(settled), zip(refined, routed, strict=True)
        for outcome in proposed:
            decided = next(moderated) if isinstance(outcome, Proposals) else outcome
            if isinstance(decided, Uncoded):
                yield decided
                continue
            code, sent = next(assigned)
            yield CodedSegment(decided.segment, decided, sent.assignment, code.event, sent.request)


def _load_models(*models: object) -> None:
    try:
        for model in models:
            load(model)
    except QualstreamError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
        raise WorkerFault(f"the models cannot be loaded ({reason}); no segment was read") from error


def _prepared(segment: Segment, limit: int) -> Segment | Uncoded:
    try:
        return prepare(segment, limit)
    except UncodableError as error:
        return Uncoded(segment, str(error))


def _with_a_label(proposals: Proposals) -> Proposals | Uncoded:
    if usable(proposals.proposals):
        return proposals
    return Uncoded(proposals.segment, no_usable_label(proposals.proposals))


def _through(
    step: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T | Uncoded], segment: Callable[[T], Segment]
) -> list[R | Uncoded]:
    """Take what is not uncoded yet through a step; what fails there becomes uncoded."""
    came_out = isolate_failures(step, [item for item in items if not isinstance(item, Uncoded)])
    _refuse_a_broken_model(came_out)
    results = iter(came_out)
    done: list[R | Uncoded] = []
    for item in items:
        if isinstance(item, Uncoded):
            done.append(item)
            continue
        result = next(results)
        done.append(Uncoded(segment(item), str(result)) if isinstance(result, UncodableError) else result)
    return done


def _refuse_a_broken_model(results: Sequence[object]) -> None:
    """Stop rather than set a whole stream aside. What a model itself calls uncodable is no failure of the model."""
    failed = [r for r in results if isinstance(r, UncodableError) and not isinstance(r.__cause__, UncodableError)]
    if len(results) >= _TELLING and len(failed) == len(results):
        raise WorkerFault(
            f"every one of {len(failed)} segments failed in the model: {failed[0]}; "
            "the model is broken, not the segments"
        ) from failed[0]
