"""Several moderators, and the best of what they settle on: the paper's section 4.2, without a human reference."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bisection import isolate_failures
from models.errors import QualstreamError, SettingError, UnavailableError, UncodableError
from models.evaluation.metrics import COMPOSITE_PARTS, length_penalty, words_of
from models.moderation.voting import CONSENSUS, no_usable_label
from models.ports import Embedder, Embeddings, Moderator, load
from schemas import Decision, Proposals
from schemas.coding import usable
from schemas.ids import normalised_label

_RECALL = 9  # times as heavy as precision, in Banerjee and Lavie
_LONGEST_VERSION = 120  # schemas.CodeEvent.author


def word_overlap(label: str, reference: str) -> float:
    """How many words two labels share, recall weighted 9 to 1: METEOR's F-mean over equal words, 0 to 1.

    METEOR itself would punish short codes: its penalty for scattered matches halves the score of one word that
    equals its reference. It also loads WordNet, and seconds of imports, into every moderator.

    Source:
        Banerjee and Lavie, "METEOR: An Automatic Metric for MT Evaluation with Improved Correlation with Human
        Judgments", 2005, section 2.2, first stage.
    """
    words, theirs = Counter(words_of(label)), Counter(words_of(reference))
    shared = (words & theirs).total()
    return shared * (1 + _RECALL) / (theirs.total() * _RECALL + words.total()) if shared else 0.0


def reference_free_composite(label: str, references: Sequence[str], cosines: Sequence[float]) -> float:
    """What a label is worth beside the members' proposals, 0 to 1.

    The mean of three components of the paper's composite, normalised as in ``absolute_composite``: cosine, word overlap
    (each averaged over the references) and one minus the length penalty. The fourth, Jensen-Shannon divergence,
    compares the words of two whole sets of codes and cannot be had for one label.

    Args:
        label: The code, as one moderator settled on it.
        references: The usable proposals, at least one; equal ones count as often as they were proposed.
        cosines: Of the label to each reference.
    """
    components = {
        "cosine": np.array(cosines, dtype=np.float64),
        "meteor": np.array([word_overlap(label, reference) for reference in references]),
        "length_penalty": np.array([length_penalty(len(label.split()))]),
    }
    parts = [COMPOSITE_PARTS[name](values).mean() for name, values in components.items()]
    return round(float(np.mean(parts)), 6)  # equals stay equal, whatever the sum's last bits


@dataclass(frozen=True)
class _Vote:
    """What one moderator settled on."""

    moderator: str
    decision: Decision

    def rank(self, scores: dict[str, float]) -> tuple[float, str, str, bool, bool, str]:
        """The best comes first; of equal labels the one that a model stands behind, then no fallback."""
        decision = self.decision
        by_rule = decision.verdict == "consensus"
        fell_back = by_rule and decision.moderator != CONSENSUS
        return (
            -scores[decision.label],
            normalised_label(decision.label),
            decision.label,
            by_rule,
            fell_back,
            self.moderator,
        )


class PanelModerator:
    """N moderators decide each segment; the best output by ``reference_free_composite`` is taken."""

    def __init__(self, moderators: Sequence[Moderator], embedder: Embedder) -> None:
        """Take the moderators.

        Args:
            moderators: At least one; their order does not matter.
            embedder: For the cosines.

        Raises:
            SettingError: If there is none.
        """
        if not moderators:
            raise SettingError("the panel has no moderator; give it one or more")
        self._moderators, self._embedder = tuple(moderators), embedder

    @property
    def version(self) -> str:
        """The versions of all moderators, or of as many as fit, with a digest of all."""
        versions = [moderator.version for moderator in self._moderators]
        whole = f"panel({', '.join(versions)})"
        if len(whole) <= _LONGEST_VERSION:
            return whole
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        end = f"…, {len(versions)} in all)@{digest}"
        return whole[: _LONGEST_VERSION - len(end)] + end

    def load(self) -> None:
        """Load all weights now.

        Raises:
            SettingError: If a moderator's are not to be had.
        """
        for moderator in self._moderators:
            load(moderator)

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        A moderator that is away, or fails for a segment, is left out there as long as another one answers.

        Raises:
            UncodableError: If no proposal of a segment can be used, or no moderator could code it.
            UnavailableError: If no moderator answered and one that is away now may do so later.
            SettingError: If a moderator refuses for good.
            Exception: What broke the first moderator, where each one failed and one of them broke: the caller tells
                a broken model from a bad segment.
        """
        for proposals in batch:
            if not usable(proposals.proposals):
                raise UncodableError(no_usable_label(proposals.proposals))
        versions = [moderator.version for moderator in self._moderators]
        answers = [_ask(moderator, batch) for moderator in self._moderators]
        cases = [
            _PanelCase(proposals, versions, given)
            for proposals, given in zip(batch, zip(*answers, strict=True), strict=True)
        ]
        labels = sorted({label for case in cases for label in case.labels()})
        vectors = self._embedder.embed(labels) if labels else np.zeros((0, 0), dtype=np.float32)
        rows = {label: n for n, label in enumerate(labels)}
        return [case.decide(vectors, rows, self.version) for case in cases]


def _ask(moderator: Moderator, batch: Sequence[Proposals]) -> list[Decision | UncodableError | UnavailableError]:
    """A moderator's decisions, or why there is none, one a segment."""
    try:
        return [*isolate_failures(moderator.decide, batch)]
    except UnavailableError as error:
        return [error for _ in batch]


class _PanelCase:
    """One segment: the votes of those who decided, and the reasons of those who did not."""

    def __init__(
        self,
        proposals: Proposals,
        versions: Sequence[str],
        answers: Sequence[Decision | UncodableError | UnavailableError],
    ) -> None:
        given = list(zip(versions, answers, strict=True))
        self.references = sorted(proposal.label for proposal in usable(proposals.proposals))
        self.votes = [_Vote(version, answer) for version, answer in given if isinstance(answer, Decision)]
        self.failures = [(version, answer) for version, answer in given if not isinstance(answer, Decision)]
        if not self.votes:
            raise self._failure()

    def labels(self) -> list[str]:
        """What is to be embedded."""
        return [*self.references, *(vote.decision.label for vote in self.votes)]

    def decide(self, vectors: Embeddings, rows: dict[str, int], version: str) -> Decision:
        """Take the best vote.

        Args:
            vectors: Embeddings of all labels of the batch, shape ``(labels, dim)``.
            rows: A label's row there.
            version: The panel's.
        """
        references = vectors[[rows[label] for label in self.references]]
        scores = {
            label: reference_free_composite(label, self.references, (references @ vectors[rows[label]]).tolist())
            for label in {vote.decision.label for vote in self.votes}
        }
        best = min(self.votes, key=lambda vote: vote.rank(scores))
        decision = best.decision
        # Where the rule itself was chosen it stays the one who decided: else the router would take it for a fallback.
        moderator = CONSENSUS if decision.moderator == CONSENSUS else version
        why = self._why(best, scores[decision.label])
        return decision.model_copy(update={"why": why, "moderator": moderator})

    def _why(self, best: _Vote, score: float) -> str:
        label = best.decision.label
        same = sum(normalised_label(vote.decision.label) == normalised_label(label) for vote in self.votes)
        settled = f"{same} of {len(self.votes)} moderators settled on {label!r} (composite {score:.2f})"
        absent = "".join(f"; left out {version}: {reason}" for version, reason in self.failures)
        return f"{settled}; {best.moderator}: {best.decision.why}{absent}"

    def _failure(self) -> Exception:
        """What to raise where nobody decided: waiting comes before giving up, a broken model before a bad segment."""
        reasons = "; ".join(f"{version}: {reason}" for version, reason in self.failures)
        message = f"none of {len(self.failures)} moderators decided ({reasons})"
        if any(isinstance(reason, UnavailableError) for _, reason in self.failures):
            return UnavailableError(message)
        causes = [reason.__cause__ for _, reason in self.failures]
        broken = [cause for cause in causes if isinstance(cause, Exception) and not isinstance(cause, QualstreamError)]
        return broken[0] if broken else UncodableError(message)
