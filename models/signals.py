"""What can be seen of how sure a code is, as numbers: of the members' votes, the reuse, the text and the precedents.

Nothing here is weighed: ``models.calibration`` learns from people's labels what the signals are worth together.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import numpy as np

from models.guesses import CLASSIFIER
from models.moderation import ballot, fell_back
from models.polarity import tones_clash
from models.ports import Embeddings
from schemas import Decision

ALIKE = 0.75
"""Cosine from which two labels say the same; the default of ``models.themes`` and the shipped refiner."""

_UNANIMOUS = {"entropy": 0.0, "clusters": 1.0, "vote_share": 1.0, "farthest_vote": 1.0}
_DIGITS = 4  # a cosine differs behind them with the batch that a text was embedded in
_WORD = re.compile(r"[^\W\d_]+")
_STEM = 5  # letters by which words are compared: "cheating" and "cheat" are not told apart
_GLANCE, _READ = 120, 400  # characters that tell English words, and a language
_LIKELY = ("en", "ar", "de", "el", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh")
_COMMON = (
    "a and are as at be but for from good great had has have i in is it its love my no not of on or so that the they "
    "this to was we were what when with would you your"
)
_ENGLISH = frozenset(_COMMON.split())
CLASSIFIER_SIGNALS = ("classifier", "classifier_margin", "classifier_agrees", "classifier_sure")
"""What ``classifier_signals`` gives; another release gives other numbers."""


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
    said = [proposal for proposal in decision.proposals if proposal.member != CLASSIFIER]
    members = decision.model_copy(update={"proposals": said})
    signals = {
        **reuse,
        **(_of_members(members) if said else {}),
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


def classifier_signals(
    guesses: Mapping[UUID, float], code: UUID, *, sure: bool, known: bool = True
) -> dict[str, float]:
    """What a study's classifier says of the code that a segment got.

    Args:
        guesses: The likeliest codes, as they are called now, and how likely each is, at least one.
        code: The segment's.
        sure: Whether the likeliest is sure.
        known: Whether the classifier knows the code at all; of one that it does not know it says nothing.

    Returns:
        ``classifier``: the code's probability, 0 where it is not among the likeliest; ``classifier_margin``: that less
        the best other code's; ``classifier_agrees`` and ``classifier_sure`` (0 or 1): whether the code is the
        likeliest, and surely so.
    """
    mine = guesses.get(code, 0.0)
    other = max((value for each, value in guesses.items() if each != code), default=0.0)
    agrees = code in guesses and mine >= other
    found = {"classifier": _rounded(mine)} if known else {}
    return found | {
        "classifier_margin": _rounded(mine - other),
        "classifier_agrees": float(agrees),
        "classifier_sure": float(agrees and sure),
    }


def _of_members(decision: Decision) -> dict[str, float]:
    usable = sum(proposal.fault is None for proposal in decision.proposals)
    return {"agreement": decision.agreement, "usable_share": usable / len(decision.proposals)}


def _of_votes(decision: Decision, code: str, vectors: Mapping[str, Embeddings]) -> dict[str, float]:
    """How the votes stand to each other, to the code and to the text."""
    text = decision.segment.text
    labels = {label for p in decision.proposals if p.fault is None for label in (p.label, *p.drawn)}
    if labels <= {code}:  # all said the same, or nothing
        near = _rounded(float(vectors[code] @ vectors[text]))
        return {"text_similarity": near} | (_UNANIMOUS | {"votes_text_similarity": near} if labels else {})
    weights: dict[str, float] = {}
    for vote in ballot(decision.proposals):
        weights[vote.label] = weights.get(vote.label, 0.0) + vote.weight
    rows = np.stack([vectors[name] for name in (code, text, *weights)])
    to_code, to_text, *cosines = (rows @ rows.T).tolist()
    shares = list(weights.values())
    grouped = [sum(shares[n] for n in group) for group in clusters([row[2:] for row in cosines])]
    return {
        "text_similarity": _rounded(to_code[1]),
        "entropy": _rounded(entropy(grouped)),
        "clusters": float(len(grouped)),
        "vote_share": _rounded(sum(w for w, near in zip(shares, to_code[2:], strict=True) if near >= ALIKE)),
        "farthest_vote": _rounded(min(to_code[2:])),
        "votes_text_similarity": _rounded(sum(w * near for w, near in zip(shares, to_text[2:], strict=True))),
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
    spread = math.sqrt(sum((one - mean) ** 2 for one in known) / len(known))
    return {
        "log_probability": _rounded(mean),
        "log_probability_best": _rounded(max(known)),
        "log_probability_spread": _rounded(spread),
    }


@lru_cache(maxsize=4_096)  # reviews repeat each other
def _of_words(text: str, code: str) -> Mapping[str, float]:
    """Lengths, and the share of the code's words that stand in the text, whole and by their first letters."""
    words, ours = text.split(), _WORD.findall(code.casefold())
    there = set(_WORD.findall(text.casefold()))
    stems = {word[:_STEM] for word in there}
    return {
        "words": float(len(words)),
        "log_words": _rounded(math.log1p(len(words))),
        "code_words": float(len(code.split())),
        "in_text": _rounded(sum(word in there for word in ours) / max(1, len(ours))),
        "stems_in_text": _rounded(sum(word[:_STEM] in stems for word in ours) / max(1, len(ours))),
    }


def precedent_signals(code: Embeddings, near: Sequence[Embeddings], similarities: Sequence[float]) -> dict[str, float]:
    """What the human-coded texts near to a segment say about its code.

    Args:
        code: The label's vector, shape ``(dim,)``.
        near: Per precedent, the nearest first, the vectors of its codes, shape ``(codes, dim)``.
        similarities: Cosine of each precedent's text to the segment's.

    Returns:
        Nothing where there is no precedent.
    """
    if not near:
        return {}
    backing = [float((vectors @ code).max()) for vectors in near]
    weights = [max(0.0, cosine) ** 3 for cosine in similarities]
    total = sum(weights) or 1.0
    return {
        "precedent_similarity": _rounded(similarities[0]),
        "precedent_mean_similarity": _rounded(sum(similarities) / len(similarities)),
        "precedent_support": _rounded(sum(w * b for w, b in zip(weights, backing, strict=True)) / total),
        "precedent_mass": _rounded(sum(w * b for w, b in zip(weights, backing, strict=True))),
        "precedent_share": _rounded(sum(w for w, b in zip(weights, backing, strict=True) if b >= ALIKE) / total),
        "precedent_nearest": _rounded(backing[0]),
        "precedent_best": _rounded(max(b * max(0.0, s) for b, s in zip(backing, similarities, strict=True))),
        "precedent_agreement": _rounded(_agreement([vectors[0] for vectors in near[:4]])),
    }


def _agreement(rows: Sequence[Embeddings]) -> float:
    """Mean cosine of every two rows; 1 for a single one."""
    if len(rows) == 1:
        return 1.0
    total = float(np.square(np.sum(rows, axis=0)).sum())  # of all pairs, each row with itself too
    return (total - len(rows)) / (len(rows) * (len(rows) - 1))


def not_english(text: str, language: str | None = None) -> bool:
    """Whether a text is probably not English; what its source says wins."""
    if language:
        return language.partition("-")[0].partition("_")[0].casefold() not in ("en", "eng", "english")
    return _reads_foreign(text[:_READ])


@lru_cache(maxsize=4_096)
def _reads_foreign(text: str) -> bool:
    """Two common English words, or fewer than four words in ASCII, pass; the rest goes to a model."""
    words = _WORD.findall(text[:_GLANCE].casefold())
    common = sum(word in _ENGLISH for word in words)
    if common >= 2 or not words or (len(words) < 4 and text.isascii()):
        return False
    return bool(_identifier().classify(text)[0] != "en")


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE)
    found.set_languages(list(_LIKELY))
    return found


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
