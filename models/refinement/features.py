"""What can be seen of how sure a code is, as numbers: of the members' votes, the reuse, the text and the precedents.

Nothing here is weighed: ``models.routing.calibration`` learns from people's labels what the signals are worth together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from models.codebook.clustering import ALIKE
from models.moderation.classifier_vote import CLASSIFIER
from models.moderation.decision import fell_back
from models.moderation.voting import ballot
from models.ports import Embeddings
from models.text.language import WORD, not_english
from models.text.polarity import tones_clash
from schemas import Decision
from schemas.coding import rounded_signal

_UNANIMOUS = {"entropy": 0.0, "clusters": 1.0, "vote_share": 1.0, "farthest_vote": 1.0}
"""What the votes' signals are where all said the same."""
_STEM = 5  # letters by which words are compared: "cheating" and "cheat" are not told apart


def embedded_for(decisions: Iterable[Decision], codes: Iterable[str]) -> list[str]:
    """The texts whose vectors ``signals_of`` needs, each once."""
    texts: dict[str, None] = {}
    for decision, code in zip(decisions, codes, strict=True):
        texts[decision.segment.text] = texts[code] = texts[decision.label] = None
        texts.update((label, None) for p in decision.proposals if p.fault is None for label in (p.label, *p.drawn))
    return list(texts)


def signals_of(
    decision: Decision, code: str, reuse: Mapping[str, float], vectors: Mapping[str, Embeddings]
) -> dict[str, float]:
    """All signals of one assignment.

    Args:
        decision: The moderator's; its own signals (of precedents) are among the result.
        code: The label of the code that the segment got.
        reuse: What the refiner saw: ``similarity`` and ``margin`` (cosines), ``new`` (0 or 1).
        vectors: Of all of ``embedded_for``, unit length.

    Returns:
        Name to number; a name is left out where it is not known, such as ``moderator_log_probability``, or what only
        members can say where a cascade asked none of them.
    """
    answers = [proposal for proposal in decision.proposals if proposal.member != CLASSIFIER]
    members = decision.model_copy(update={"proposals": answers})
    signals = {
        **reuse,
        **(_of_members(members) if answers else {}),
        **_of_votes(members, code, vectors),
        **_of_likelihoods(members),
        **_of_words(decision.segment.text, code),
        "tone_clash": float(tones_clash(decision.segment.text, code)),
        "not_english": float(not_english(decision.segment.text, decision.segment.language)),
        "fell_back": float(fell_back(decision.verdict, decision.moderator)),
        "verdict_consensus": float(decision.verdict == "consensus"),
        "verdict_rewrote": float(decision.verdict == "rewrote"),
        "verdict_precedent": float(decision.verdict == "precedent"),
    }
    if decision.log_probability is not None:
        signals["moderator_log_probability"] = decision.log_probability
    return signals | decision.signals


def _of_members(decision: Decision) -> dict[str, float]:
    usable = sum(proposal.fault is None for proposal in decision.proposals)
    return {"agreement": decision.agreement, "usable_share": usable / len(decision.proposals)}


def _of_votes(decision: Decision, code: str, vectors: Mapping[str, Embeddings]) -> dict[str, float]:
    """How the votes stand to each other, to the code and to the text."""
    text = decision.segment.text
    labels = {label for p in decision.proposals if p.fault is None for label in (p.label, *p.drawn)}
    if labels <= {code}:  # all said the same, or nothing
        near = rounded_signal(float(vectors[code] @ vectors[text]))
        return {"text_similarity": near} | (_UNANIMOUS | {"votes_text_similarity": near} if labels else {})
    weights: dict[str, float] = {}
    for vote in ballot(decision.proposals):
        weights[vote.label] = weights.get(vote.label, 0.0) + vote.weight
    rows = np.stack([vectors[name] for name in (code, text, *weights)])
    to_code, to_text, *cosines = (rows @ rows.T).tolist()
    shares = list(weights.values())
    grouped = [sum(shares[n] for n in group) for group in clusters([row[2:] for row in cosines])]
    return {
        "text_similarity": rounded_signal(to_code[1]),
        "entropy": rounded_signal(entropy(grouped)),
        "clusters": float(len(grouped)),
        "vote_share": rounded_signal(sum(w for w, near in zip(shares, to_code[2:], strict=True) if near >= ALIKE)),
        "farthest_vote": rounded_signal(min(to_code[2:])),
        "votes_text_similarity": rounded_signal(sum(w * near for w, near in zip(shares, to_text[2:], strict=True))),
    }


def clusters(cosines: Sequence[Sequence[float]], threshold: float = ALIKE) -> list[list[int]]:
    """Group rows that a chain of neighbours connects, each at or above the threshold; by their first row."""
    groups: list[list[int]] = [[0]] if len(cosines) else []
    for n, row in enumerate(cosines[1:], 1):
        near = [group for group in groups if any(row[other] >= threshold for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append(sorted([n, *(other for group in near for other in group)]))
    return sorted(groups)


def entropy(shares: Sequence[float]) -> float:
    """Shannon's entropy of shares that add up to one, in nats: 0 where all say the same.

    Source:
        Kuhn, Gal and Farquhar, "Semantic Uncertainty", ICLR 2023: entropy over clusters of one meaning.
    """
    return max(0.0, -sum(share * math.log(share) for share in shares if share > 0))


def _of_likelihoods(decision: Decision) -> dict[str, float]:
    """How likely the members found what they said: mean, best and spread, in nats a token."""
    known = [p.log_probability for p in decision.proposals if p.fault is None and p.log_probability is not None]
    if not known:
        return {}
    mean = sum(known) / len(known)
    spread = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known))
    return {
        "log_probability": rounded_signal(mean),
        "log_probability_best": rounded_signal(max(known)),
        "log_probability_spread": rounded_signal(spread),
    }


@lru_cache(maxsize=4_096)  # reviews repeat each other
def _of_words(text: str, code: str) -> Mapping[str, float]:
    """Lengths, and the share of the code's words that stand in the text, whole and by their first letters."""
    words, ours = text.split(), WORD.findall(code.casefold())
    there = set(WORD.findall(text.casefold()))
    stems = {word[:_STEM] for word in there}
    return {
        "words": float(len(words)),
        "log_words": rounded_signal(math.log1p(len(words))),
        "code_words": float(len(code.split())),
        "in_text": rounded_signal(sum(word in there for word in ours) / max(1, len(ours))),
        "stems_in_text": rounded_signal(sum(word[:_STEM] in stems for word in ours) / max(1, len(ours))),
    }
