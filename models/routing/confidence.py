"""How far a study's codes can be trusted, as people's labels tell it: a confidence, and from which one on it holds."""

import math
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from uuid import UUID

from models.annotation.human_decision import HumanDecision, LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions, Redecided
from models.moderation.classifier_vote import LIKELY
from models.moderation.precedents import PrecedentSettings
from models.routing.calibration import LEAST, Calibration, LabelledSignals, fit, fit_and_hold_out
from models.routing.rated_prior import RATED_CERTAINTY, rated_probability, rated_threshold
from models.routing.risk_control import Earlier, RiskBound, promise
from schemas import Annotation, StudyRules
from schemas.annotation import RequestReason
from schemas.coding import OUTSIDE_CODEBOOK, STRETCHED, ConfidenceStage
from schemas.ids import code_id, normalised_label

_AGREEMENT, _MARGIN, _LIKELIHOOD = 0.5, 0.3, 0.2  # weights; they add up to one
_CLASH = 0.6  # what is left where the segment praises and its code blames, or the other way round
_STRETCH = 0.4  # what is left where no code was near enough, and a deductive study got the nearest
_FALLBACK = 0.7  # what is left of the confidence where the moderator's answer could not be taken
_OF_THE_TEXT = ("words", "log_words", "not_english")  # signals that stay whichever code the segment gets
_NOBODYS = UUID(int=0)  # in place of the id of a code that is known by its label
_DRAWN = 100  # labels drawn by chance, and segments that came, from which a promise looks at what comes alone
ACCEPTED_LATELY, ROUTED_LATELY = 2_000, 1_000
"""How many of the codes accepted last, and of the segments routed last, are remembered of a study."""
_ASKED: frozenset[RequestReason | None] = frozenset(("low confidence", "double coding", "not in the codebook"))
"""Why people are asked where the confidence, or having none, is what decides."""


def prior(signals: Mapping[str, float]) -> float:
    """Weigh the signals of an assignment, as long as nobody's labels say what they are worth.

    Formula:
        ``0.5 * agreement + 0.3 * clip(0.5 + margin, 0, 1) + 0.2 * exp(moderator_log_probability)``, divided by
        the weights that were used (the last term only counts where the moderator gave a log-probability), and
        times 0.7 where the moderator's answer was invalid and the consensus stood in, times 0.6 where the tones of
        segment and code clash, times 0.4 where a deductive study got the nearest code though it is under the
        threshold. Where the study's classifier is sure of the code, its probability stands for the agreement if it is
        higher: that is a share of right codes that was seen, while members that differ may all
        mean the same. A classifier that is not sure, or names another code, lowers nothing: nobody has said yet what
        that is worth. So the score never falls when one of the first three signals or the classifier's rises.

        Where a verifier judged the code, or rated members elected it, blind ratings say what the signals are worth
        (``rated_prior.json``, by ``benchmarks.rating.prior``): the probability of a logistic regression takes the place
        of the sum, with the same factors.

    Args:
        signals: ``agreement`` and ``classifier`` (0 to 1), ``margin`` (a difference of cosines), ``fell_back``,
            ``tone_clash``, ``stretched`` and ``classifier_sure`` (0 or 1; all 0 where they are missing), and
            ``moderator_log_probability`` (mean per token, in nats) where there is one; ``verifier`` (0 to 1) with
            ``log_probability`` (the members' mean per token, in nats), or ``elected_rating``. Others are not looked at.

    Returns:
        0 to 1. Where codes were rated, how many like this a rater lets stand; else a score to sort and route by.
    """
    classifier = signals.get("classifier", 0.0) if signals.get("classifier_sure") else 0.0
    factors = (("fell_back", _FALLBACK), ("tone_clash", _CLASH), (STRETCHED, _STRETCH))
    left = math.prod(factor for name, factor in factors if signals.get(name))
    judged = rated_probability(signals)
    return min(1.0, (_weighed(signals, classifier) if judged is None else max(judged, classifier)) * left)


def _weighed(signals: Mapping[str, float], classifier: float) -> float:
    """The sum of what members and moderator say, 0 to 1."""
    agreement = min(1.0, max(0.0, signals.get("agreement", 0.0), classifier))
    margin = min(1.0, max(0.0, 0.5 + signals.get("margin", 0.0)))
    total, weights = _AGREEMENT * agreement + _MARGIN * margin, _AGREEMENT + _MARGIN
    log_probability = signals.get("moderator_log_probability")
    if log_probability is not None:
        total += _LIKELIHOOD * math.exp(min(0.0, log_probability))
        weights += _LIKELIHOOD
    return total / weights


@dataclass(frozen=True)
class JudgedAssignment:
    """A segment whose code people judged."""

    segment: UUID
    signals: Mapping[str, float]
    accepted: bool
    sample: bool
    """Whether it was drawn by chance."""
    redecided: bool = False
    """Whether it is what the system would say now, by all that it has learnt but the segment's own label.

    What the classifier that serves was not taught yet is, as it was said when it came.
    """
    asked: bool = False
    """Whether people were asked about it because of its confidence, by nobody's choice."""

    @property
    def weighable(self) -> bool:
        """Whether it tells of codes that are as sure now, beside those that were drawn by chance."""
        return self.asked and self.redecided


def judged_assignments(
    latest: LatestAnnotations,
    taught: OutOfFoldPredictions | None = None,
    known: MutableMapping[UUID, JudgedAssignment | None] | None = None,
) -> list[JudgedAssignment]:
    """What people have decided about the system's codes, one judgement a segment; see ``HumanDecision.accepted``.

    Segments whose signals nobody passed on are left out: nothing can be learnt from them.

    Args:
        latest: What people said about a study.
        taught: What the classifier that serves now would have said of segments that it was not taught: it takes
            the place of what an earlier one, or none, had said.
        known: Judgements that still hold, segment by segment; those that are missing are added.
    """
    known = {} if known is None else known
    for segment in latest:
        if segment not in known:
            known[segment] = _judged(segment, latest, taught)
    return [assignment for segment in latest if (assignment := known[segment]) is not None]


def _judged(segment: UUID, latest: LatestAnnotations, taught: OutOfFoldPredictions | None) -> JudgedAssignment | None:
    decision = latest.decision(segment)
    if decision is None:
        return None
    sample = any(annotation.sample for annotation in decision.standing)
    last = next((annotation for annotation in reversed(decision.standing) if annotation.signals), None)
    again = None if taught is None or decision.undecided else taught.decided.get(segment)
    if taught is not None and again is not None:
        return _judged_again(segment, taught, again, decision, last, sample=sample)
    guess = None if taught is None else taught.likely(segment, LIKELY)
    shown = None if last is None else _shown_code(last)
    if taught is not None and guess is not None and not decision.undecided and not taught.same(guess, shown, last):
        kept = {name: last.signals[name] for name in _OF_THE_TEXT if name in last.signals} if last else {}
        signals = taught.updated_signals(segment, kept, guess, None)
        return JudgedAssignment(segment, signals, taught.among(guess, decision.labels, decision.codes), sample)
    if decision.accepted is None or last is None or last.signals.get(OUTSIDE_CODEBOOK):
        return None  # what stands outside the codebook is never accepted, so it says nothing of what is
    signals = last.signals if taught is None else taught.updated_signals(segment, last.signals, shown, last.shown)
    newer = taught is not None and segment not in taught.probabilities  # than the release, as what comes is
    return JudgedAssignment(segment, signals, decision.accepted, sample, redecided=newer, asked=_asked(decision))


def _judged_again(
    segment: UUID,
    taught: OutOfFoldPredictions,
    again: Redecided,
    decision: HumanDecision,
    last: Annotation | None,
    *,
    sample: bool,
) -> JudgedAssignment:
    """Judge what the system would say of a segment now; what was seen of another code than that says nothing of it."""
    label = normalised_label(again.label)
    code = next((each for each, name in decision.labels.items() if normalised_label(name) == label), None)
    same = last is not None and last.shown is not None and normalised_label(last.shown) == label
    earlier = last.signals if last else {}
    kept = earlier if same else {name: earlier[name] for name in _OF_THE_TEXT if name in earlier}
    signals = taught.updated_signals(segment, {**kept, **again.signals}, code or _NOBODYS, again.label)
    accepted = code is not None and code in decision.codes
    return JudgedAssignment(segment, signals, accepted, sample, redecided=True, asked=_asked(decision))


def _asked(decision: HumanDecision) -> bool:
    return any(annotation.reason in _ASKED for annotation in decision.standing)


def _shown_code(annotation: Annotation) -> UUID | None:
    """The id of the code that was shown: as the person chose it, else by its label."""
    if annotation.shown is None:
        return None
    ids = dict(zip(annotation.labels, annotation.code_ids, strict=False))
    return ids.get(annotation.shown) or code_id(annotation.study, annotation.shown)


class RoutedLately:
    """The segments of a study that were routed last, and how likely each code that was accepted is wrong."""

    def __init__(self, accepted: int = ACCEPTED_LATELY, stream: int = ROUTED_LATELY) -> None:
        """Remember so many accepted codes, and so many segments' signals, at most."""
        self._accepted, self._stream = accepted, stream
        self._wrong: OrderedDict[UUID, float] = OrderedDict()
        self._signals: OrderedDict[UUID, Mapping[str, float]] = OrderedDict()

    def add(
        self, segment: UUID, confidence: float | None, signals: Mapping[str, float] | None = None, *, accepted: bool
    ) -> None:
        """Hear how a segment was routed; its last route counts.

        Args:
            segment: Any.
            confidence: Of its code.
            signals: Of its code; none where it has no code that could be accepted.
            accepted: Whether it was accepted without a person.
        """
        self.add_accepted(segment, confidence if accepted else None)
        self.add_signals(segment, signals or {})

    def add_accepted(self, segment: UUID, confidence: float | None) -> None:
        """Hear of an accepted code, or, without a confidence, that a segment's was not."""
        self._wrong.pop(segment, None)
        if confidence is not None:
            self._wrong[segment] = 1 - confidence
        while len(self._wrong) > self._accepted:
            self._wrong.popitem(last=False)

    def add_signals(self, segment: UUID, signals: Mapping[str, float]) -> None:
        """Hear what is known of the code of a segment that came; of one without signals nothing is."""
        self._signals.pop(segment, None)
        if signals:
            self._signals[segment] = signals
        while len(self._signals) > self._stream:
            self._signals.popitem(last=False)

    @property
    def earlier(self) -> Earlier:
        """What a promise counts of the accepted ones."""
        codes = len(self._wrong)
        return Earlier(codes, math.fsum(self._wrong.values()) / codes if codes else 0.0)

    @property
    def stream(self) -> dict[UUID, Mapping[str, float]]:
        """The signals of what came, whether it was accepted or not, oldest first."""
        return dict(self._signals)


@dataclass(frozen=True)
class ConfidenceModel:
    """What a study's labels say, as far as they were looked at."""

    calibration: Calibration | None = None
    promise: RiskBound | None = None

    def confidence(self, signals: Mapping[str, float]) -> float:
        """The probability that a person lets the code stand; before there are enough labels, the score above."""
        return prior(signals) if self.calibration is None else self.calibration.probability(signals)

    def stage(self, signals: Mapping[str, float]) -> ConfidenceStage:
        """Where that confidence comes from: the study's labels, ratings of other codes, or a formula."""
        if self.calibration is not None:
            return "calibrated"
        return "uncalibrated" if rated_probability(signals) is None else "rated"

    def proven_threshold(self, signals: Mapping[str, float], rules: StudyRules) -> float | None:
        """The confidence from which a code like this may be accepted because labels, or ratings, prove it.

        Args:
            signals: Of the code's assignment.
            rules: The largest share of wrong codes among the accepted, and how sure that must be.

        Returns:
            ``None`` where nothing is proven.
        """
        if self.promise is not None and self.promise.satisfied:
            return self.promise.threshold
        if self.stage(signals) != "rated" or rules.certainty > RATED_CERTAINTY:
            return None
        return rated_threshold(signals, rules.wrong_share)

    @property
    def labels_needed(self) -> int:
        """How many more labels, drawn by chance, the promise probably needs."""
        return 0 if self.promise is None else self.promise.labels_needed


def is_covered(signals: Mapping[str, float]) -> bool:
    """Whether people's own decisions stand behind a code: they coded such a text so, or their classifier is sure of it.

    Args:
        signals: Of its assignment: ``classifier_sure`` (0 or 1), ``precedent_similarity`` and ``precedent_nearest``
            (cosines of the nearest text that people coded, and of its codes); what is missing covers nothing.
    """
    same = PrecedentSettings.same
    coded_so = signals.get("precedent_similarity", 0.0) >= same and signals.get("precedent_nearest", 0.0) >= same
    return bool(signals.get("classifier_sure")) or coded_so


def may_promise(rules: StudyRules, judged: Sequence[JudgedAssignment]) -> bool:
    """Whether by a study's rules codes are accepted where labels prove that few are wrong; without labels none do."""
    return rules.mode == "promise" or (rules.mode == "suggest" and bool(judged))


def load() -> None:
    """Import what weighs labels, seconds, before a batch waits for it."""
    for name in ("scipy.stats", "sklearn.isotonic", "sklearn.linear_model"):
        import_module(name)


def fit_confidence(
    judged: Sequence[JudgedAssignment],
    rules: StudyRules,
    *,
    promising: bool,
    earlier: Earlier | None = None,
    stream: Mapping[UUID, Mapping[str, float]] | None = None,
) -> ConfidenceModel:
    """Fit a calibration, and with it find what can be promised.

    All labels that were drawn by chance test a promise; see ``unseen_confidences``. Where enough were drawn, those that
    people were asked for by confidence lately test it too, each weighed by how common codes as sure are in the stream.

    Args:
        judged: A study's, one a segment.
        rules: What is to be promised.
        promising: Whether a promise is wanted at all.
        earlier: What was accepted under the promise before.
        stream: Signals of the segments that came lately.
    """
    if not promising:
        labelled = _labelled(judged)
        return ConfidenceModel(fit(labelled) if len(labelled) >= LEAST else None)  # who has none need not load it
    fitted, unseen = _unseen(judged)
    known = ConfidenceModel(fitted)
    came = stream if stream and len(stream) >= _DRAWN and _enough(judged) else {}
    tests = [(each, sure) for each, sure in unseen if each.sample or (each.weighable and each.segment in came)]
    bound = promise(
        [sure for _, sure in tests],
        [each.accepted for each, _ in tests],
        wrong_share=rules.wrong_share,
        certainty=rules.certainty,
        earlier=earlier,
        stream=_confidences(came, known, unseen),
    )
    return replace(known, promise=bound)


def _confidences(
    stream: Mapping[UUID, Mapping[str, float]],
    known: ConfidenceModel,
    unseen: Sequence[tuple[JudgedAssignment, float]],
) -> list[float]:
    """How sure the system is now of what came: of the labelled without their labels, of the rest as it was said."""
    again = {each.segment: sure for each, sure in unseen}
    return [again[segment] if segment in again else known.confidence(signals) for segment, signals in stream.items()]


def unseen_confidences(
    judged: Sequence[JudgedAssignment],
) -> tuple[Calibration | None, list[tuple[float, bool]]]:
    """What labels teach a promise's confidence, and what it is tested on.

    Where enough labels were drawn by chance, they teach, and with them what was decided again since. The others do not:
    people saw most of them because the system was in doubt, and what it said then says little of what it would say now.

    Returns:
        The calibration, and of each label drawn by chance the confidence that it would have had, had it not been among
        those that taught, with whether it was accepted.
    """
    fitted, unseen = _unseen(judged)
    return fitted, [(sure, each.accepted) for each, sure in unseen if each.sample]


def _unseen(judged: Sequence[JudgedAssignment]) -> tuple[Calibration | None, list[tuple[JudgedAssignment, float]]]:
    """The calibration, and of each label that teaches it the confidence without it."""
    taught = [each for each in judged if each.sample or each.redecided] if _enough(judged) else judged
    fitted, unseen = fit_and_hold_out(_labelled(taught)) if len(taught) >= LEAST else (None, [])
    confidences = unseen if fitted is not None else [prior(assignment.signals) for assignment in taught]
    return fitted, list(zip(taught, confidences, strict=True))


def _enough(judged: Sequence[JudgedAssignment]) -> bool:
    """Whether so many labels were drawn by chance that they can stand alone."""
    return sum(assignment.sample for assignment in judged) >= _DRAWN


def _labelled(judged: Sequence[JudgedAssignment]) -> list[LabelledSignals]:
    return [LabelledSignals(each.signals, each.accepted, str(each.segment)) for each in judged]
