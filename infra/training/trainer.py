"""The trainer: teaches each study's classifier what people's labels say, and releases what is better than before.

A head is fitted at every batch of labels, at once. The body is tuned in the background when it is due. Both go through
the same gate. Everything is derived from topics that are kept for ever, so that a trainer that dies loses nothing: the
next one reads the labels, sees that they are others than the last attempt had, and trains again.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from infra.training.background import BackgroundTask
from infra.training.candidates import (
    Candidate,
    Champion,
    StoppingMonitor,
    compare,
    teach_head,
    teach_tuned,
)
from infra.training.checkpoints import Checkpoint, Checkpoints
from infra.training.classifier_factory import ClassifierFactory
from infra.training.query_pool import OpenPool, Pool, ask
from infra.training.releases import announce, choice_holds_for
from infra.training.state import TrainingState, read_training_state, write_training_state
from models.annotation.human_decision import LatestAnnotations
from models.classifier.promotion import PromotionCriteria, PromotionResult
from models.classifier.redecision import redecide
from models.classifier.registry import ReleaseRegistry
from models.classifier.schedule import Cause, Schedule, Tuned, due
from models.classifier.training_set import TrainingSet, training_set
from models.codebook.codebook import Codebook
from models.errors import QualstreamError, UnavailableError
from models.ports import Clock
from models.routing.router import plain_rules
from schemas import Annotation, AnnotationRequest, CodeEvent, DriftAlert, ModelRelease, Record, StudyRules

log = logging.getLogger(__name__)
_SAYS_NOTHING = frozenset({"defined", "moved"})
"""Codebook events that leave every label as it was, unless they take another one back."""


@dataclass(frozen=True)
class TrainerSettings:
    """How a trainer works."""

    least_examples: int = 4
    """How often a code must be among what is taught."""
    schedule: Schedule = field(default_factory=Schedule)
    gate: PromotionCriteria = field(default_factory=PromotionCriteria)
    keep: int = 5
    """Classifiers of a study that stay on the disk beside the one that serves."""
    pool: int = 1_000
    """Newest unlabelled segments among which it chooses what people should see."""


@dataclass(frozen=True)
class Served:
    """What serves a study."""

    release: ModelRelease
    checkpoint: Checkpoint
    champion: Champion


class TrainingRecord(NamedTuple):
    """One training, for whoever keeps a log of them."""

    study: str
    cause: Cause
    candidate: Candidate
    result: PromotionResult
    asked: Sequence[AnnotationRequest]
    release: ModelRelease


class TuningResult(NamedTuple):
    """What came of a tuning in the background."""

    study: str
    cause: Cause
    candidate: Candidate | None
    asked: Sequence[AnnotationRequest]
    stopping_metrics: Mapping[str, float]


@dataclass
class _StudyTraining:
    """What is known of one study."""

    name: str
    attempts: TrainingState
    rules: StudyRules
    annotations: LatestAnnotations = field(default_factory=LatestAnnotations)
    codebook: Codebook = field(default_factory=Codebook)
    alert: datetime | None = None
    changed: bool = False
    """Whether labels or codes are others than at the last look."""
    data: TrainingSet = field(default_factory=lambda: TrainingSet((), ()))
    tuning: Tuned | None = None
    """What a tuning under way has. It is an attempt when it is done: a trainer that dies before that tunes again."""
    stopping: StoppingMonitor = field(default_factory=StoppingMonitor)
    """Of those trained in the background; only the one that trains looks into it."""
    stopping_metrics: Mapping[str, float] = field(default_factory=dict)


class Trainer:
    """One trainer of all studies. ``add_records`` may be called from any thread while it works."""

    def __init__(
        self,
        factory: ClassifierFactory,
        checkpoints: Checkpoints,
        background: BackgroundTask[TuningResult],
        clock: Clock,
        settings: TrainerSettings,
        *,
        pool: OpenPool | None = None,
        rules: Callable[[str], StudyRules] = plain_rules,
        track: Callable[[TrainingRecord], None] | None = None,
    ) -> None:
        """Begin; what was being written when the last trainer died is removed.

        Args:
            factory: Makes and opens classifiers.
            checkpoints: Where they lie; the caller holds the folder.
            background: Where bodies are tuned.
            clock: Tells the time.
            settings: How to work.
            pool: Opens what people can be asked about; nobody is asked anything without.
            rules: Those of a study that has set none itself.
            track: Told of every training that went through the gate.
        """
        self._factory, self._checkpoints, self._background = factory, checkpoints, background
        self._clock, self._settings, self._pool, self._track = clock, settings, pool, track
        self._rules = rules
        self._studies: dict[str, _StudyTraining] = {}
        self._serving: ReleaseRegistry[Served] = ReleaseRegistry(self._open)
        self._incoming: deque[Record] = deque()
        self._tried: dict[str, TrainingState] = {}
        self._results: list[Record] = []
        for folder in checkpoints.clean():
            log.warning(
                "'%s' was being written when a trainer died; it is removed, and trained again if need be", folder
            )

    def add_records(self, records: Iterable[Record]) -> None:
        """Take in labels, codebook events, rules, releases and alerts; they count from the next step on."""
        self._incoming.extend(records)

    def add_annotations(self, annotations: Sequence[Annotation]) -> list[Record]:
        """Take a batch of labels in and fit heads on them.

        Returns:
            What is to be published: releases, and requests to people.
        """
        self.add_records(annotations)
        return self.tick()

    def tick(self) -> list[Record]:
        """See what is due; whatever the last call returned counts as published now.

        Raises:
            UnavailableError: If nothing can be written; the same call may be made again later.
        """
        self._absorb()
        for name, attempts in self._tried.items():
            write_training_state(self._checkpoints.study_folder(name), attempts)
        self._tried.clear()
        self._collect()
        for study in self._studies.values():
            self._fit(study)
        for study in self._studies.values():
            if not self._background.busy:
                self._begin(study)
        results, self._results = self._results, []
        return results

    # What it takes in

    def _study(self, name: str) -> _StudyTraining:
        if name not in self._studies:
            attempts = read_training_state(self._checkpoints.study_folder(name)) or TrainingState()
            self._studies[name] = _StudyTraining(name, attempts, self._rules(name))
        return self._studies[name]

    def _absorb(self) -> None:
        releases, events = [], dict[str, list[CodeEvent]]()
        for _ in range(len(self._incoming)):
            match self._incoming.popleft():
                case Annotation() as annotation:
                    study = self._study(annotation.study)
                    study.changed |= study.annotations.add(annotation)
                case CodeEvent() as event:
                    study = self._study(event.study)
                    events.setdefault(event.study, []).append(event)
                    study.changed |= event.undoes is not None or event.kind not in _SAYS_NOTHING
                case StudyRules() as rules:
                    study = self._study(rules.study)
                    if study.rules.at <= rules.at:
                        study.rules = rules
                case DriftAlert() as alert:
                    study = self._study(alert.study)
                    study.alert = max(study.alert or alert.detected_at, alert.detected_at)
                case ModelRelease() as release:
                    releases.append(release)
        for name, history in events.items():
            self._study(name).codebook.add(history)
        self._serving.add_releases(releases)

    def _open(self, release: ModelRelease) -> Served:
        checkpoint = self._checkpoints.load(release)
        thresholds = tuple(code.threshold for code in checkpoint.manifest.codes)
        classifier = self._factory.open(checkpoint)
        labels, unseen = checkpoint.manifest.labels, checkpoint.out_of_fold()
        champion = Champion(classifier, thresholds, release.version, labels, unseen, checkpoint.tuned_on())
        return Served(release, checkpoint, champion)

    # At every batch of labels

    def _fit(self, study: _StudyTraining) -> None:
        """Fit a head where labels or codes have changed, on the body of what serves."""
        if not study.changed:
            return
        study.changed = False
        data = study.data = training_set(
            study.annotations,
            study.codebook,
            least_examples=self._settings.least_examples,
        )
        served = self._serving.of(study.name)
        known = data.digest in (study.attempts.head, served and served.checkpoint.manifest.data)
        if known or not _teachable(data) or self._rolled_back(study, served):
            return
        body = served.champion.classifier.body if served else self._factory.base
        seen = served.champion.seen_by_body(study.codebook) if served else {}
        candidate = teach_head(self._factory, body, data, seen)
        result = compare(candidate, served.champion if served else None, study.codebook, self._settings.gate)
        study.attempts = study.attempts.model_copy(update={"head": data.digest})
        self._tried[study.name] = study.attempts
        last_announced = study.attempts.told
        news = last_announced is None or abs(len(data.rows) - last_announced) >= self._settings.schedule.every_labels
        if result.promoted or news:
            self._announce(study, candidate, result)

    def _rolled_back(self, study: _StudyTraining, served: Served | None) -> bool:
        """Whether a person chose what serves and has hardly labelled anything since: their choice stands till then."""
        return served is not None and choice_holds_for(served.release, study.data, self._settings.schedule) > 0

    # In the background

    def _begin(self, study: _StudyTraining) -> None:
        """Start a tuning where one is due."""
        data, served, now = study.data, self._serving.of(study.name), self._clock.now()
        if not _teachable(data) or self._rolled_back(study, served):
            return
        cause = due(self._settings.schedule, len(data.rows), data.digest, study.attempts.tuned, study.alert, now)
        if cause is None:
            return
        study.tuning = Tuned(len(data.rows), now, data.digest)
        codebook, rules = study.codebook.copy(), study.rules
        log.info("study %r: training in the background (%s), %d labels", study.name, cause, len(data.rows))
        self._background.start(lambda: self._tune(study, cause, data, served, codebook, rules))

    def _tune(
        self,
        study: _StudyTraining,
        cause: Cause,
        data: TrainingSet,
        served: Served | None,
        codebook: Codebook,
        rules: StudyRules,
    ) -> TuningResult:
        """Tune, and choose what people should see next; beside the stream, so on nothing that it changes."""
        champion = served.champion if served else None
        candidate = None
        better = False
        if self._factory.tunes and len(data.rows) >= self._settings.gate.least:
            candidate = teach_tuned(self._factory, data)
            better = compare(candidate, champion, codebook, self._settings.gate).promoted
        trained = candidate or teach_head(self._factory, self._factory.base, data)
        asks = champion.classifier if champion and not better else trained.classifier
        try:
            pool = self._pool(study.name, self._settings.pool) if self._pool else Pool(())
        except UnavailableError as error:
            log.warning("study %r: nobody is asked for more labels this time: %s", study.name, error)
            pool = Pool(())
        asked = ask(asks, data, pool, rules, self._clock.now())
        stopping_metrics = study.stopping.update(trained, [row.text for row in pool.rows])
        return TuningResult(study.name, cause, candidate, asked, stopping_metrics)

    def _collect(self) -> None:
        """Release, or refuse, what was tuned: against what serves now, which may be newer than when it began."""
        try:
            tuning = self._background.collect()
        except Exception:  # a body that cannot be tuned leaves the heads at work; it is tried again when next due
            log.exception("a training in the background failed; what serves goes on serving")
            self._tuned()
            return
        if tuning is None:
            return
        self._tuned()
        study, served = self._study(tuning.study), self._serving.of(tuning.study)
        self._tried[tuning.study] = study.attempts
        self._results += tuning.asked
        study.stopping_metrics = tuning.stopping_metrics or study.stopping_metrics
        if tuning.candidate is None:
            return
        result = compare(tuning.candidate, served.champion if served else None, study.codebook, self._settings.gate)
        self._announce(study, tuning.candidate, result, tuning.cause, tuning.asked)

    def _tuned(self) -> None:
        """Count what was tuned as tried, whatever came of it: what failed is tried again when next due, not at once."""
        for study in self._studies.values():
            if study.tuning is not None:
                study.attempts = study.attempts.model_copy(update={"tuned": study.tuning})
                study.tuning = None

    # What it says

    def _announce(
        self,
        study: _StudyTraining,
        candidate: Candidate,
        result: PromotionResult,
        cause: Cause = "labels",
        asked: Sequence[AnnotationRequest] = (),
    ) -> None:
        """Keep a classifier that is better, and say what was decided about it."""
        served = self._serving.of(study.name)
        serves = served.release if served else None
        try:
            release = announce(
                self._checkpoints, study.name, candidate, result, serves, self._clock.now(),
                lambda predictions: redecide(study.annotations, predictions, self._factory.base),
            )  # fmt: skip
            release = release.model_copy(update={"metrics": {**release.metrics, **study.stopping_metrics}})
            if result.promoted:
                needed = [release.version, *([serves.version] if serves else [])]
                self._checkpoints.prune(study.name, self._settings.keep, needed)
        except OSError as error:
            study.changed = True
            again = {"tuned": None} if candidate.tier == "tuned" else {"head": ""}
            study.attempts = self._tried[study.name] = study.attempts.model_copy(update=again)
            raise UnavailableError(f"a classifier cannot be written to '{self._checkpoints.root}': {error}") from error
        log.info("study %r: %s %s: %s", study.name, release.version, release.outcome, release.why)
        self._results.append(release)
        self._serving.add_releases([release])
        study.attempts = study.attempts.model_copy(update={"told": len(candidate.data.rows)})
        self._tried[study.name] = study.attempts
        if self._track is not None:
            try:
                self._track(TrainingRecord(study.name, cause, candidate, result, asked, release))
            except (QualstreamError, OSError) as error:
                log.warning("study %r: the training could not be logged: %s", study.name, error)


def _teachable(data: TrainingSet) -> bool:
    return bool(data.codes) and len(data.rows) > 1
