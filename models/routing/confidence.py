"""How far a study's codes can be trusted, as people's labels tell it: a confidence, and from which one on it holds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from uuid import UUID

from models.classifier.predictions import Taught
from models.routing.calibration import LEAST, Calibration, Labelled, fit
from models.routing.risk_control import Promise, promise
from schemas import Annotation, StudyRules
from schemas.ids import code_id, uniform

_AGREEMENT, _MARGIN, _LIKELIHOOD = 0.5, 0.3, 0.2  # weights; they add up to one
_CLASH = 0.6  # what is left where the segment praises and its code blames, or the other way round
_FALLBACK = 0.7  # what is left of the confidence where the moderator's answer could not be taken
_HALVES = 2  # a promise is tested on labels that its calibration has not seen


def prior(signals: Mapping[str, float]) -> float:
    """Weigh the signals of an assignment, as long as nobody's labels say what they are worth.

    Formula:
        ``0.5 * agreement + 0.3 * clip(0.5 + margin, 0, 1) + 0.2 * exp(moderator_log_probability)``, divided by
        the weights that were used (the last term only counts where the moderator gave a log-probability), and
        times 0.7 where the moderator's answer was invalid and the consensus stood in, times 0.6 where the tones of
        segment and code clash. Where the study's classifier is sure of the code, its probability stands for the
        agreement if it is higher: that is a share of right codes that was seen, while members that differ may all
        mean the same. A classifier that is not sure, or names another code, lowers nothing: nobody has said yet what
        that is worth. So the score never falls when one of the first three signals or the classifier's rises.

    Args:
        signals: ``agreement`` and ``classifier`` (0 to 1), ``margin`` (a difference of cosines), ``fell_back``,
            ``tone_clash`` and ``classifier_sure`` (0 or 1; all 0 where they are missing), and
            ``moderator_log_probability`` (mean per token, in nats) where there is one. Others are not looked at.

    Returns:
        0 to 1; a score to sort and route by, not a probability.
    """
    sure = signals.get("classifier", 0.0) if signals.get("classifier_sure") else 0.0
    agreement = min(1.0, max(0.0, signals.get("agreement", 0.0), sure))
    margin = min(1.0, max(0.0, 0.5 + signals.get("margin", 0.0)))
    total, weights = _AGREEMENT * agreement + _MARGIN * margin, _AGREEMENT + _MARGIN
    log_probability = signals.get("moderator_log_probability")
    if log_probability is not None:
        total += _LIKELIHOOD * math.exp(min(0.0, log_probability))
        weights += _LIKELIHOOD
    left = (_FALLBACK if signals.get("fell_back") else 1.0) * (_CLASH if signals.get("tone_clash") else 1.0)
    return min(1.0, total / weights * left)


@dataclass(frozen=True)
class Judged:
    """A segment whose code people judged."""

    segment: UUID
    signals: Mapping[str, float]
    accepted: bool
    sample: bool
    """Whether it was drawn by chance."""

    @property
    def held_out(self) -> bool:
        """Whether it belongs to a promise, and no calibration is fitted on it: half of those drawn by chance."""
        return self.sample and uniform(self.segment, "half") < 1 / _HALVES


@dataclass(frozen=True)
class _Word:
    """What a person said last about a segment's code; ``accepted`` is None where they said nothing of it."""

    at: datetime
    settles: bool
    accepted: bool | None
    sample: bool
    signals: Mapping[str, float]
    code: UUID | None
    """The code that was judged, as far as the decision tells it."""
    shown: str | None
    """Its label then."""


class Labels:
    """What people said about a study's codes; of each person the last word on a segment."""

    def __init__(self, annotations: Iterable[Annotation] = ()) -> None:
        """Start with some."""
        self._words: dict[UUID, dict[str, _Word]] = {}
        for one in annotations:
            self.add(one)

    def add(self, said: Annotation) -> bool:
        """Take a decision in, whatever the order they come in; returns whether it was news."""
        words = self._words.setdefault(said.segment_id, {})
        before = words.get(said.annotator)
        accepted = None if said.withdrawn else said.accepted
        settles = said.kind == "adjudication"
        word = _Word(said.decided_at, settles, accepted, said.sample, said.signals, _judged_code(said), said.shown)
        if before is not None and (before.at > word.at or before == word):
            return False
        words[said.annotator] = word
        return True

    def judged(self, taught: Taught | None = None) -> list[Judged]:
        """One judgement a segment: that of those who settle it, else of the majority; a tie is no acceptance.

        Segments whose signals nobody passed on are left out: nothing can be learnt from them.

        Args:
            taught: What the classifier that serves now would have said of segments that it was not taught: it takes
                the place of what an earlier one, or none, had said.
        """
        found = []
        for segment, words in self._words.items():
            said = sorted((word for word in words.values() if word.accepted is not None), key=lambda word: word.at)
            settling = [word for word in said if word.settles] or said
            last = next((word for word in reversed(said) if word.signals), None)
            if last is not None:
                signals = last.signals if taught is None else taught.said(segment, last.signals, last.code, last.shown)
                accepting = sum(word.accepted is True for word in settling)
                sample = any(word.sample for word in said)
                found.append(Judged(segment, signals, 2 * accepting > len(settling), sample))
        return found


def _judged_code(said: Annotation) -> UUID | None:
    """The id of the code that was shown: as the person chose it, else by its label."""
    if said.shown is None:
        return None
    chosen = dict(zip(said.labels, said.code_ids, strict=False))
    return chosen.get(said.shown) or code_id(said.study, said.shown)


@dataclass(frozen=True)
class Trust:
    """What a study's labels say, as far as they were looked at."""

    calibration: Calibration | None = None
    promise: Promise | None = None

    def confidence(self, signals: Mapping[str, float]) -> float:
        """The probability that a person accepts the code; before there are enough labels, the score above."""
        return prior(signals) if self.calibration is None else self.calibration.probability(signals)

    @property
    def labels_needed(self) -> int:
        """How many more labels, drawn by chance, the promise probably needs: half of them will not be for it."""
        return 0 if self.promise is None else _HALVES * self.promise.labels_needed


def load() -> None:
    """Import what weighs labels, three seconds, before a batch waits for it."""
    for name in ("scipy.stats", "sklearn.isotonic", "sklearn.linear_model", "mapie.risk_control"):
        import_module(name)


def trust(judged: Sequence[Judged], rules: StudyRules, *, promising: bool) -> Trust:
    """Fit a calibration, and with it find what can be promised on labels that it has not seen.

    Args:
        judged: A study's, one a segment.
        rules: What is to be promised.
        promising: Whether a promise is wanted at all.
    """
    fitting = [Labelled(one.signals, one.accepted, str(one.segment)) for one in judged if not one.held_out]
    fitted = fit(fitting) if len(fitting) >= LEAST else None  # whoever has no labels need not load what fits them
    learnt = Trust(fitted)
    if not promising:
        return learnt
    tests = [one for one in judged if one.held_out]
    made = promise(
        [learnt.confidence(one.signals) for one in tests],
        [one.accepted for one in tests],
        wrong_share=rules.wrong_share,
        certainty=rules.certainty,
    )
    return Trust(fitted, made)
