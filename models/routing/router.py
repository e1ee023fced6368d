"""Whether a person should look at an assignment, how urgently, and how they should read it."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.registry import ReleaseRegistry
from models.moderation.decision import fell_back
from models.moderation.voting import CONSENSUS
from models.routing.confidence import (
    ConfidenceModel,
    JudgedAssignment,
    RoutedLately,
    fit_confidence,
    is_covered,
    judged_assignments,
    load,
    may_promise,
)
from models.routing.rated_prior import elected_signals
from models.routing.suggestions import Suggestions
from schemas import Annotation, AnnotationRequest, Assignment, ModelRelease, StudyRules
from schemas.annotation import RequestReason
from schemas.coding import CONFIDENCE, Route
from schemas.ids import uniform

_FEW = 50  # a fiftieth of the labels must be new before they are weighed again: that costs up to a tenth of a second


@dataclass(frozen=True)
class Routed:
    """An assignment with confidence and route, and the request to a person, if one is made."""

    assignment: Assignment
    request: AnnotationRequest | None


def plain_rules(study: str) -> StudyRules:
    """The rules of a study that nobody has set any for, older than all that are set."""
    return StudyRules(study=study, author="defaults", at=datetime.fromtimestamp(0, UTC))


@dataclass
class _StudyState:
    """What is known of a study, and what was made of it."""

    rules: StudyRules
    annotations: LatestAnnotations = field(default_factory=LatestAnnotations)
    taught: OutOfFoldPredictions | None = None
    """What the classifier that serves says of the labelled segments."""
    model: ConfidenceModel | None = None
    counted: int = 0
    """Labels that the model was fitted on."""
    news: int = 0
    """Labels heard since."""
    lately: RoutedLately = field(default_factory=RoutedLately)
    suggestions: Suggestions = field(default_factory=Suggestions)
    judged: dict[UUID, JudgedAssignment | None] = field(default_factory=dict)
    """Labelled segments as they were judged last, for as long as that holds."""

    @property
    def stale(self) -> bool:
        return self.model is None or self.news * _FEW > max(_FEW - 1, self.counted)


class Router:
    """Accepts what is sure enough by a study's rules and asks people about the rest, and about some by chance.

    By the rules ``suggest`` nothing is sure enough until it is proven, and people are asked about the most doubtful.

    Safe to teach from one thread while another one routes.
    """

    def __init__(
        self,
        rules: Callable[[str], StudyRules] = plain_rules,
        classifiers: ReleaseRegistry[OutOfFoldPredictions] | None = None,
    ) -> None:
        """Know nobody's labels yet.

        Args:
            rules: Those of a study that has set none itself.
            classifiers: What the classifiers that serve say of labelled segments.
        """
        self._rules, self._classifiers = rules, classifiers
        self._studies: dict[str, _StudyState] = {}
        self._lock = threading.Lock()

    def update_annotations(self, annotations: Iterable[Annotation]) -> None:
        """Hear what people decided; it holds from the next batch on."""
        batch = list(annotations)
        if batch:
            load()  # here, where no batch waits for it
        with self._lock:
            for annotation in batch:
                study = self._of(annotation.study)
                if study.annotations.add(annotation):
                    study.news += 1
                    study.judged.pop(annotation.segment_id, None)

    def update_rules(self, rules: Iterable[StudyRules]) -> None:
        """Hear what studies want; the newest rules hold from the next batch on."""
        batch = list(rules)
        if any(newest.mode == "promise" for newest in batch):
            load()
        with self._lock:
            for newest in batch:
                study = self._of(newest.study)
                if newest.at >= study.rules.at and newest != study.rules:
                    study.rules, study.model = newest, None

    def update_releases(self, releases: Iterable[ModelRelease]) -> None:
        """Hear which classifiers serve; what their probabilities are worth is weighed for the next batch."""
        if self._classifiers is None:
            return
        for name in self._classifiers.add_releases(releases):
            taught = self._classifiers.of(name)
            with self._lock:
                study = self._of(name)
                study.taught, study.model, study.judged = taught, None, {}

    def recall(self, routed: Iterable[Assignment]) -> None:
        """Hear how segments were routed before, so that a promise goes on from there."""
        with self._lock:
            for assignment in routed:
                self._remember(assignment)

    def warm_up(self) -> None:
        """Weigh all labels heard so far, so that the first batch does not wait for it."""
        with self._lock:
            studies = list(self._studies)
        for study in studies:
            self.fitted(study)

    def fitted(self, study: str) -> tuple[StudyRules, ConfidenceModel]:
        """A study's rules, and what its labels say by them."""
        with self._lock:
            known = self._of(study)
            rules = known.rules
            if known.model is not None and not known.stale:
                return rules, known.model
            taught, news = known.taught, known.news
            earlier, stream = known.lately.earlier, known.lately.stream
            judged = judged_assignments(known.annotations, taught, known.judged)
        model = fit_confidence(judged, rules, promising=may_promise(rules, judged), earlier=earlier, stream=stream)
        with self._lock:
            if known.rules is rules and known.taught is taught:  # else it is made again for the next batch
                known.model, known.counted = model, len(judged)
                known.news -= news
        return rules, model

    def drawn_share(self, study: str) -> float:
        """The share of a study's segments that is drawn by chance, 0 to 1: all while a promise waits for its labels."""
        rules, known = self.fitted(study)
        return 1.0 if _waits(rules, known) else rules.audit_share

    def route(self, assignments: Sequence[Assignment]) -> list[Routed]:
        """Give each assignment its confidence and route, in order."""
        studies = dict.fromkeys(assignment.study for assignment in assignments)
        fitted = {study: self.fitted(study) for study in studies}
        with self._lock:
            taught = {study: self._of(study).taught for study in studies}
        known = [_as_known(assignment, taught[assignment.study]) for assignment in assignments]
        return [self._route(assignment, *fitted[assignment.study]) for assignment in known]

    def _route(self, assignment: Assignment, rules: StudyRules, known: ConfidenceModel) -> Routed:
        assignment = _with_confidence(assignment, known)
        with self._lock:
            suggestions = self._of(assignment.study).suggestions
            routed = _with_route(assignment, rules, known, suggestions)
            self._remember(routed)
        return Routed(routed, _request(routed, rules, known))

    def _remember(self, assignment: Assignment) -> None:
        study, accepted = self._of(assignment.study), assignment.route == "accepted"
        signals = assignment.signals if assignment.standing == "code" else None
        study.lately.add(assignment.segment_id, assignment.confidence, signals, accepted=accepted)
        if accepted:
            study.suggestions.discard(assignment.segment_id)
        elif assignment.standing == "code":
            study.suggestions.add(assignment.segment_id, assignment.signals)

    def _of(self, study: str) -> _StudyState:
        if study not in self._studies:
            self._studies[study] = _StudyState(self._rules(study))
        return self._studies[study]


def _as_known(assignment: Assignment, taught: OutOfFoldPredictions | None) -> Assignment:
    if taught is None:
        return assignment
    return assignment.model_copy(update={"signals": taught.of_known(assignment.signals, assignment.code_id)})


def _with_confidence(assignment: Assignment, known: ConfidenceModel) -> Assignment:
    moderator = assignment.models.get("moderator", CONSENSUS)
    fallen = {"fell_back": float(fell_back(assignment.verdict, moderator))}
    signals = assignment.signals | elected_signals(assignment) | fallen
    confidence = 0.0 if assignment.standing == "none" else known.confidence(signals)
    models = assignment.models | {CONFIDENCE: known.stage(signals)}
    return assignment.model_copy(update={"signals": signals, "confidence": confidence, "models": models})


def _with_route(
    assignment: Assignment, rules: StudyRules, known: ConfidenceModel, suggestions: Suggestions
) -> Assignment:
    segment, signals = assignment.segment_id, assignment.signals
    least = _least(rules, known, signals)
    route: Route = "people" if least is None or (assignment.confidence or 0.0) < least else "accepted"
    if rules.mode == "suggest" and is_covered(signals):
        route = "accepted"
    if assignment.standing != "code" or rules.mode == "people":
        route = "people"
    elif rules.mode == "suggest" and route == "people" and not _drawn(segment, rules):
        doubtful = suggestions.is_doubtful(segment, signals, rules.doubtful_share, known.confidence)
        route = "people" if doubtful else "suggested"
    return assignment.model_copy(update={"route": route})


def _least(rules: StudyRules, known: ConfidenceModel, signals: Mapping[str, float]) -> float | None:
    """The confidence from which a code is accepted; None where none is."""
    if rules.mode == "suggest":
        return known.proven_threshold(signals, rules)
    if rules.mode == "promise":
        return None if known.promise is None else known.promise.threshold
    return rules.certainty if rules.mode == "budget" else rules.threshold


def _waits(rules: StudyRules, known: ConfidenceModel) -> bool:
    """Whether a promise still needs labels: until it has them all that comes is its sample."""
    return rules.mode == "promise" and (known.promise is None or known.promise.threshold is None)


def _drawn(segment: UUID, rules: StudyRules) -> bool:
    """Whether a segment is in the sample that is drawn by chance, whatever its confidence."""
    return uniform(segment, "sample") < rules.audit_share


def _why(known: ConfidenceModel) -> str:
    if known.promise is not None and not known.promise.reachable:
        return "codes are wrong too often for the promise, however sure they are"
    about = "at least" if known.promise is not None and known.promise.unclear else "about"
    return f"the promise needs {about} {known.labels_needed} more labels"


def _request(routed: Assignment, rules: StudyRules, known: ConfidenceModel) -> AnnotationRequest | None:
    """Ask about a segment, as ``_priority`` orders them."""
    waits = _waits(rules, known)
    sample = waits or _drawn(routed.segment_id, rules)
    if routed.route == "suggested" or (routed.route == "accepted" and not sample):
        return None
    double = uniform(routed.segment_id, "double") < rules.double_share
    return AnnotationRequest.for_assignment(
        routed,
        "double coding" if double and routed.route == "people" else _reason(routed, rules),
        routed.assigned_at,  # not now: asked again after a crash, it is still the same request
        days=rules.expire_days,
        blind=double or sample,
        sample=sample,
        coders=2 if double else 1,
        priority=_priority(routed, rules, sample=sample),
        why=routed.why if routed.standing != "code" else _why(known) if waits else "",
    )


def _reason(routed: Assignment, rules: StudyRules) -> RequestReason:
    """Why a person is asked, where that is not for the sake of a second coder."""
    if routed.route == "accepted":
        return "audit"
    if routed.standing != "code":
        return "not in the codebook"
    return "every segment" if rules.mode == "people" else "low confidence"


def _priority(routed: Assignment, rules: StudyRules, *, sample: bool) -> float:
    """Those drawn by chance first, in their order, then those without a code in the codebook, then the telling ones.

    A label tells most where nobody knows, but of mere suggestions the least likely come first. Where people code
    everything they read in the order in which segments came.
    """
    if rules.mode == "people":
        return 0.0
    if sample:
        return 2 - uniform(routed.segment_id, "sample")
    confidence = routed.confidence or 0.0
    if routed.standing != "code":
        return 1.0
    return (1 - confidence) / 4 if rules.mode == "suggest" else confidence * (1 - confidence)
