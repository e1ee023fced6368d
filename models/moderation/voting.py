"""Many proposals to one decision: what a moderator's answer becomes, and the consensus that stands in for it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import UncodableError
from models.moderation.classifier_vote import CLASSIFIER, GUESS_WEIGHT, guess_of
from models.ports import Embeddings
from schemas import Proposal, Proposals
from schemas.coding import usable
from schemas.ids import normalised_label

CONSENSUS = "consensus"
"""The version of the rule that needs no model."""

_NO_GAIN = 1e-5  # cosines are float32


@dataclass(frozen=True)
class Vote:
    """One label that a member gave to a segment, and its part of the member's vote."""

    label: str
    weight: float
    proposal: Proposal
    is_sample: bool
    """Whether it is a further answer that was sampled, not what the member said first."""


@dataclass(frozen=True)
class Consensus:
    """The label that the others are nearest to."""

    vote: Vote  # the first that stands for it
    agreement: float  # 0 to 1


def guess_votes(proposals: Proposals) -> list[Vote]:
    """The vote of the classifier's guess beside the members' ballot, one or none.

    It counts ``GUESS_WEIGHT`` times its probability, where all members together count one. Nobody votes twice: where
    the classifier was asked alone, its guess is the ballot.
    """
    guess = guess_of(proposals)
    if (
        proposals.classified is None
        or guess is None
        or any(proposal.member == CLASSIFIER for proposal in proposals.proposals)
    ):
        return []
    return [Vote(guess.label, GUESS_WEIGHT * proposals.classified.guesses[0].probability, guess, is_sample=False)]


def consensus(
    proposals: Sequence[Proposal], vectors: Mapping[str, Embeddings], further: Sequence[Vote] = ()
) -> Consensus:
    """Choose the label with the least expected loss, the loss being one minus the cosine.

    All labels that the ballot holds vote and may be chosen. Ties go by label, then what was said before what was
    drawn, then by member, never by order.

    Args:
        proposals: All proposals of a segment, usable or not.
        vectors: Embedding of each label of the ballot, shape ``(dim,)``.
        further: Votes beside the ballot, such as ``guess_votes``.

    Returns:
        The chosen label, and the mean cosine of the usable proposals to it (at least 0), times their share; labels
        that were drawn, and further votes, have no part in that.

    Raises:
        UncodableError: If no proposal is usable; it names their faults.

    Source:
        Kumar & Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", NAACL 2004.
    """
    if not usable(proposals):
        raise UncodableError(no_usable_label(proposals))
    votes = sorted([*ballot(proposals), *further], key=_rank)
    rows = np.stack([vectors[vote.label] for vote in votes])
    best = central(rows, [vote.weight for vote in votes])
    cosines = [float(vectors[proposal.label] @ rows[best]) for proposal in usable(proposals)]
    return Consensus(votes[best], mean_agreement(cosines, len(proposals)))


def ballot(proposals: Sequence[Proposal]) -> list[Vote]:
    """The votes of a segment's usable proposals, which add up to one; the order is the labels'.

    A member votes with a weight of ``exp(log_probability)``, how likely it found its label;
    one without a log-probability votes with the mean of the others. It is shared equally among what the member said
    and what it drew; a label that was drawn twice has two shares.
    """
    voting = sorted(usable(proposals), key=lambda p: (p.member, p.label, p.log_probability or 0.0))
    votes = []
    for proposal, weight in zip(voting, _weights(voting), strict=True):
        share = weight / (1 + len(proposal.drawn))
        votes.append(Vote(proposal.label, share, proposal, is_sample=False))
        votes += [Vote(label, share, proposal, is_sample=True) for label in proposal.drawn]
    return sorted(votes, key=_rank)


def central(rows: Embeddings, weights: Sequence[float]) -> int:
    """The row that the others, counted by their weights, are nearest to; the first of equals.

    Args:
        rows: Shape ``(n, dim)``, of unit length.
        weights: One a row.
    """
    gains = rows @ rows.T @ np.asarray(weights, dtype=np.float32)
    return int((gains >= gains.max() - _NO_GAIN * sum(weights)).argmax())  # a sum's last digits decide nothing


def _rank(vote: Vote) -> tuple[str, bool, str, str, float]:
    likelihood = vote.proposal.log_probability or 0.0
    return normalised_label(vote.label), vote.is_sample, vote.label, vote.proposal.member, likelihood


def _weights(proposals: Sequence[Proposal]) -> list[float]:
    """Votes that add up to one, one a proposal."""
    known = [math.exp(p.log_probability) for p in proposals if p.log_probability is not None]
    votes = iter(known)
    mean = sum(known) / len(known) if known else 1.0
    weights = [mean if p.log_probability is None else next(votes) for p in proposals]
    total = sum(weights)
    return [weight / total for weight in weights]


def mean_agreement(cosines: Sequence[float], asked: int) -> float:
    """Mean cosine of the usable proposals, lowered by the share of members that gave nothing usable."""
    return min(1.0, max(0.0, sum(cosines) / asked))


def no_usable_label(proposals: Sequence[Proposal]) -> str:
    """Say in one line why no proposal can be used."""
    faults = "; ".join(f"{p.member}: {p.fault}" for p in proposals)
    return f"no usable label from {len(proposals)} members ({faults})"


def agreed(proposals: Sequence[Proposal]) -> bool:
    """Whether more than half of the members said the same usable label: then there is nothing to moderate.

    What they drew does not count.
    """
    labels = Counter(normalised_label(proposal.label) for proposal in usable(proposals))
    return bool(labels) and max(labels.values()) * 2 > len(proposals)
