"""A moderator's answer becomes a decision."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.coding.labels import clean_label, label_fault
from models.errors import UncodableError
from models.moderation.classifier_vote import CLASSIFIER, is_confident, with_guess
from models.moderation.voting import (
    CONSENSUS,
    Vote,
    agreed,
    ballot,
    consensus,
    guess_votes,
    mean_agreement,
    no_usable_label,
)
from models.ports import Embedder, Embeddings
from schemas import Decision, Proposals
from schemas.coding import Verdict, usable
from schemas.ids import normalised_label

REWRITE_LIMIT = 0.3
"""A rewritten label that is less similar than this to every proposal is not believed."""


@dataclass(frozen=True)
class Answer:
    """What a moderator wrote for one segment."""

    text: str
    log_probability: float | None = None  # mean per token, in nats


def fell_back(verdict: Verdict, moderator: str) -> bool:
    """Whether the consensus stood in for a model whose answer could not be taken; led by precedents it did not."""
    return verdict == "consensus" and not moderator.startswith(CONSENSUS)


def decide_from_answer(
    answer: str, proposals: Proposals, embedder: Embedder, *, log_probability: float | None, moderator: str
) -> Decision:
    """Turn what a moderator wrote for one segment into a decision; see ``decide_from_answers``."""
    return decide_from_answers([Answer(answer, log_probability)], [proposals], embedder, moderator=moderator)[0]


def decide_from_answers(
    answers: Sequence[Answer | None],
    batch: Sequence[Proposals],
    embedder: Embedder,
    *,
    moderator: str,
    limit: float = REWRITE_LIMIT,
) -> list[Decision]:
    """Turn what a moderator wrote into decisions; all labels are embedded in one call.

    An answer that equals what a member said or drew picks it; another valid label rewrites. The consensus of the
    proposals decides where the answer is invalid, or a rewrite has a cosine below ``limit`` to every proposal, or
    there is no answer.

    Args:
        answers: One a segment; ``None`` where the consensus decides by itself.
        batch: The proposals, in the same order.
        embedder: For agreement and consensus.
        moderator: Version of the model or rule that answered.
        limit: Cosine, -1 to 1.

    Raises:
        UncodableError: If no proposal of a segment is usable, whatever the moderator said: nothing vouches
            for its answer.
        ValueError: If there are not as many answers as segments.
    """
    if not batch:
        return []
    cases = [
        _Case(proposals, answer, CONSENSUS if answer is None else moderator)
        for proposals, answer in zip(batch, answers, strict=True)
    ]
    distinct = list(dict.fromkeys(label for case in cases for label in case.labels()))
    vectors = dict(zip(distinct, embedder.embed(distinct), strict=True))
    return [case.decide(vectors, limit) for case in cases]


def moderate(
    batch: Sequence[Proposals],
    ask: Callable[[Sequence[Proposals]], Sequence[Answer]],
    embedder: Embedder,
    *,
    moderator: str,
) -> list[Decision]:
    """Settle a batch with a moderator that is asked only where no majority agrees and no classifier is sure.

    Args:
        batch: The segments with their proposals.
        ask: Asks the moderator about some of them; one answer each, in order.
        embedder: For agreement and consensus.
        moderator: Version of the model that answers.

    Raises:
        UncodableError: See ``decide_from_answers``.
    """
    agree = [is_confident(proposals) or agreed(proposals.proposals) for proposals in batch]
    asked = [with_guess(proposals) for proposals, settled in zip(batch, agree, strict=True) if not settled]
    given = iter(ask(asked) if asked else ())
    answers = [None if settled else next(given) for settled in agree]
    return decide_from_answers(answers, batch, embedder, moderator=moderator)


def confident_decision(proposals: Proposals, vectors: Mapping[str, Embeddings]) -> Decision:
    """The classifier's own decision, where it is sure.

    Its guess is what an election comes to nearly always, so it is taken without one: then no model need be asked, and
    it does not matter whether a cascade asked the members.

    Args:
        proposals: A segment whose classifier is sure.
        vectors: Embedding of each usable proposal's label and of the guess, shape ``(dim,)``.
    """
    assert proposals.classified is not None
    best = proposals.classified.guesses[0]
    cosines = [float(vectors[proposal.label] @ vectors[best.label]) for proposal in usable(proposals.proposals)]
    return Decision(
        segment=proposals.segment,
        proposals=proposals.proposals,
        label=best.label,
        verdict="picked",
        picked=CLASSIFIER,
        why=f"the study's classifier is sure of {best.label!r}, {best.probability:.2f}",
        agreement=mean_agreement(cosines, len(proposals.proposals)),
        moderator=f"{CLASSIFIER} {proposals.classified.model}"[:120],
        skipped=proposals.skipped,
        classified=proposals.classified,
    )


class ConsensusModerator:
    """The consensus of the proposals, by itself: for as long as no moderator has been taught."""

    version = CONSENSUS

    def __init__(self, embedder: Embedder) -> None:
        """Measure similarity by the embedder."""
        self._embedder = embedder

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment is usable.
        """
        return decide_from_answers([None] * len(batch), batch, self._embedder, moderator=self.version)


class _Case:
    """One segment's usable proposals, what the moderator wrote about them, and the verdict on both."""

    def __init__(self, proposals: Proposals, answer: Answer | None, moderator: str) -> None:
        self.usable = usable(proposals.proposals)
        if not self.usable:
            raise UncodableError(no_usable_label(proposals.proposals))
        self.whole = proposals
        self.further = guess_votes(proposals)
        self.asked = len(proposals.proposals)
        self.written = None if answer is None else clean_label(answer.text)
        self.fault = None if self.written is None else label_fault(self.written)
        self.log_probability = None if answer is None else answer.log_probability
        self.moderator = moderator

    def labels(self) -> list[str]:
        """What is to be embedded: all that may be chosen, then the moderator's, where it is valid."""
        labels = [label for proposal in self.usable for label in (proposal.label, *proposal.drawn)]
        labels += [vote.label for vote in self.further]
        return [*labels, self.written] if self.written is not None and self.fault is None else labels

    def decide(self, vectors: Mapping[str, Embeddings], limit: float) -> Decision:
        """Decide by the embeddings of ``labels()``, each of shape ``(dim,)``."""
        if is_confident(self.whole):
            return confident_decision(self.whole, vectors)
        written = self.written
        if written is None:
            return self._consensus(vectors)
        if self.fault is not None:
            return self._consensus(vectors, f"the moderator's answer was not usable ({self.fault}); ")
        proposed = np.stack([vectors[proposal.label] for proposal in self.usable])  # (usable, dim)
        cosines: list[float] = (proposed @ vectors[written]).tolist()
        agreement = mean_agreement(cosines, self.asked)
        votes = [*ballot(self.usable), *self.further]
        same = [v for v in votes if normalised_label(v.label) == normalised_label(written)]
        if same:
            return self._picked(same, agreement)
        best = cosines.index(max(cosines))
        nearest = f"{self.usable[best].label!r} at {cosines[best]:.2f}"
        if cosines[best] < limit:
            far = f"the moderator wrote {written!r}, too far from the nearest proposal, {nearest}; "
            return self._consensus(vectors, far)
        why = f"the moderator wrote {written!r}; the nearest proposal is {nearest}"
        return self._decision(written, "rewrote", why, agreement, None)

    def _picked(self, same: Sequence[Vote], agreement: float) -> Decision:
        """Take what a member said before what one drew, and the likeliest of these."""

        def rank(vote: Vote) -> tuple[bool, float, str]:
            likelihood = vote.proposal.log_probability
            return not vote.is_sample, -math.inf if likelihood is None else likelihood, vote.proposal.member

        best = max(same, key=rank)
        names = ", ".join(dict.fromkeys(vote.proposal.member for vote in same if vote.is_sample == best.is_sample))
        origin = "drawn" if best.is_sample else "proposed"
        why = f"the moderator picked {best.label!r}, {origin} by {names}"
        return self._decision(best.label, "picked", why, agreement, best.proposal.member)

    def _consensus(self, vectors: Mapping[str, Embeddings], before: str = "") -> Decision:
        elected = consensus(self.usable, vectors, self.further)
        label, member = elected.vote.label, elected.vote.proposal.member
        samples = sum(len(proposal.drawn) for proposal in self.usable)
        why = (
            f"{before}{label!r}{f', drawn by {member},' if elected.vote.is_sample else ''} is nearest to the "
            f"{len(self.usable)} usable of {self.asked} proposals{f' and {samples} drawn labels' if samples else ''}"
            f"{', and the classifier' if self.further else ''}, "
            f"mean cosine {elected.agreement:.2f}"
        )
        return self._decision(label, "consensus", why, elected.agreement * len(self.usable) / self.asked, member)

    def _decision(self, label: str, verdict: Verdict, why: str, agreement: float, picked: str | None) -> Decision:
        return Decision(
            segment=self.whole.segment,
            proposals=self.whole.proposals,
            label=label,
            verdict=verdict,
            picked=picked,
            why=why,
            agreement=agreement,
            log_probability=None if verdict == "consensus" else self.log_probability,  # of an answer not taken
            moderator=self.moderator,
            skipped=self.whole.skipped,
            classified=self.whole.classified,
        )
