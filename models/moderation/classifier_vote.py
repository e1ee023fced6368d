"""The best guess of a study's classifier, as a candidate beside what the members propose."""

from schemas import Proposal, Proposals
from schemas.coding import Classified

LIKELY = 0.5
"""Probability from which a guess is a candidate."""
CLASSIFIER = "classifier"
"""The name under which the guess of a study's classifier stands beside the members' proposals."""
GUESS_WEIGHT = 2.0
"""A guess's vote, as a multiple of all members together, times its probability.

Chosen on 500 texts of 20 of BANKING77's intents, read by the shipped members. With 100 of them labelled (6 draws), the
share of the others that got the human code was 0.639 without the classifier and 0.675, 0.692, 0.698, 0.690 and 0.691
at weights of 0.5, 1, 2, 4 and 8; without people's texts leading, 0.165 and 0.230, 0.434, 0.628, 0.629, 0.629. Where it
was sure, its guess was right 0.872 of the time, and letting it decide there changed 0.698 to 0.699.
"""


def guess_of(proposals: Proposals) -> Proposal | None:
    """The best guess of a study's classifier as a further proposal; None where there is none that is likely enough."""
    classified = proposals.classified
    return (
        said_by(classified)
        if classified is not None and (classified.sure or classified.guesses[0].probability >= LIKELY)
        else None
    )


def said_by(classified: Classified) -> Proposal:
    """A classifier's best guess as what a member says; its probability is no likelihood of words, so it has none."""
    return Proposal(member=CLASSIFIER, model=classified.model, label=classified.guesses[0].label, latency_s=0.0)


def is_confident(proposals: Proposals) -> bool:
    """Whether the classifier may decide: it was right often enough where it was as sure."""
    return proposals.classified is not None and proposals.classified.sure


def with_guess(proposals: Proposals) -> Proposals:
    """The proposals and the classifier's guess among them, for a moderator that is not to know who said what."""
    guess = guess_of(proposals)
    if guess is None or any(proposal.member == CLASSIFIER for proposal in proposals.proposals):
        return proposals
    return proposals.model_copy(update={"proposals": [*proposals.proposals, guess]})
