"""How far a study's codes can be trusted, as people's labels tell it: a confidence, and from which one on it holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from uuid import UUID

from models.annotation.latest import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions
from models.routing.calibration import LEAST, Calibration, LabelledSignals, fit
from models.routing.risk_control import RiskBound, promise
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
    classifier = signals.get("classifier", 0.0) if signals.get("classifier_sure") else 0.0
    agreement = min(1.0, max(0.0, signals.get("agreement", 0.0), classifier))
    margin = min(1.0, max(0.0, 0.5 + signals.get("margin", 0.0)))
    total, weights = _AGREEMENT * agreement + _MARGIN * margin, _AGREEMENT + _MARGIN
    log_probability = signals.get("moderator_log_probability")
    if log_probability is not None:
        total += _LIKELIHOOD * math.exp(min(0.0, log_probability))
        weights += _LIKELIHOOD
    left = (_FALLBACK if signals.get("fell_back") else 1.0) * (_CLASH if signals.get("tone_clash") else 1.0)
    return min(1.0, total / weights * left)


@dataclass(frozen=True)
class JudgedAssignment:
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


def judged_assignments(latest: LatestAnnotations, taught: OutOfFoldPredictions | None = None) -> list[JudgedAssignment]:
    """What people have decided about the system's codes, one judgement a segment; see ``HumanDecision.accepted``.

    Segments whose signals nobody passed on are left out: nothing can be learnt from them.

    Args:
        latest: What people said about a study.
        taught: What the classifier that serves now would have said of segments that it was not taught: it takes
            the place of what an earlier one, or none, had said.
    """
    judged = (_judged(segment, latest, taught) for segment in latest)
    return [assignment for assignment in judged if assignment is not None]


def _judged(segment: UUID, latest: LatestAnnotations, taught: OutOfFoldPredictions | None) -> JudgedAssignment | None:
    decision = latest.decision(segment)
    if decision is None or decision.accepted is None:
        return None
    last = next((annotation for annotation in reversed(decision.standing) if annotation.signals), None)
    if last is None:
        return None
    signals = (
        last.signals if taught is None else taught.updated_signals(segment, last.signals, _shown_code(last), last.shown)
    )
    sample = any(annotation.sample for annotation in decision.standing)
    return JudgedAssignment(segment, signals, decision.accepted, sample)


def _shown_code(annotation: Annotation) -> UUID | None:
    """The id of the code that was shown: as the person chose it, else by its label."""
    if annotation.shown is None:
        return None
    ids = dict(zip(annotation.labels, annotation.code_ids, strict=False))
    return ids.get(annotation.shown) or code_id(annotation.study, annotation.shown)


@dataclass(frozen=True)
class ConfidenceModel:
    """What a study's labels say, as far as they were looked at."""

    calibration: Calibration | None = None
    promise: RiskBound | None = None

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


def fit_confidence(judged: Sequence[JudgedAssignment], rules: StudyRules, *, promising: bool) -> ConfidenceModel:
    """Fit a calibration, and with it find what can be promised on labels that it has not seen.

    Args:
        judged: A study's, one a segment.
        rules: What is to be promised.
        promising: Whether a promise is wanted at all.
    """
    fitting = [
        LabelledSignals(assignment.signals, assignment.accepted, str(assignment.segment))
        for assignment in judged
        if not assignment.held_out
    ]
    fitted = fit(fitting) if len(fitting) >= LEAST else None  # whoever has no labels need not load what fits them
    model = ConfidenceModel(fitted)
    if not promising:
        return model
    tests = [assignment for assignment in judged if assignment.held_out]
    bound = promise(
        [model.confidence(assignment.signals) for assignment in tests],
        [assignment.accepted for assignment in tests],
        wrong_share=rules.wrong_share,
        certainty=rules.certainty,
    )
    return ConfidenceModel(fitted, bound)
