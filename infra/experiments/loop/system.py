"""The loop with the stream's own parts: pipeline, moderator, refiner, router, and the trainer's head and gate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from infra.experiments.loop.course import SPARED, LoopCourse, LoopRun, Texts
from infra.training.candidates import Candidate, Champion, compare, teach_head, teach_tuned
from infra.training.classifier_factory import ClassifierFactory
from infra.training.trainer import TrainerSettings
from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import Classifiers, OutOfFoldPredictions, StudyClassifier
from models.classifier.redecision import redecide
from models.classifier.registry import CLASSIFIERS, ReleaseRegistry
from models.classifier.schedule import labels_due
from models.classifier.training_set import TrainingSet, training_set
from models.codebook.codebook import Codebook
from models.fakes import HandClock, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import CodedText, PrecedentModerator, Precedents, opened
from models.pipeline import CodedSegment, CodingOutcome, Pipeline
from models.ports import Bools, Coder, Embedder, Moderator
from models.refinement.refiner import Refiner
from models.routing.router import Router
from models.text.labels import spoken
from schemas import Annotation, AnnotationRequest, ModelRelease, Proposal, Segment, StudyRules
from schemas.ids import code_id, normalised_label, segment_id

STUDY = "loop"
_PERSON = "simulated"
_TUNED_FROM, _TUNED_GROWTH = 75, 1.5  # a body is tuned from so many labels on, and anew after half more, or more often
_LONGEST = 60  # characters of a label: the codebook's own bound


class NearestLabel:
    """A member that costs nothing: the known code whose label is nearest to the text."""

    members = ("nearest label",)

    def __init__(self, embedder: Embedder) -> None:
        """Know no code yet."""
        self._embedder = embedder
        self._labels: dict[str, None] = {}

    def add_codes(self, labels: Sequence[str]) -> None:
        """Hear of codes that people opened."""
        self._labels |= dict.fromkeys(labels)

    def propose(self, segments: Sequence[Segment]) -> list[list[Proposal]]:
        """One proposal a segment; one that cannot be used as long as no code is known."""
        if not self._labels:
            return [[_proposal("", "no code is known yet")] for _ in segments]
        labels = list(self._labels)
        rows = self._embedder.embed([spoken(label) for label in labels])
        best = (self._embedder.embed([segment.text for segment in segments]) @ rows.T).argmax(axis=1)
        return [[_proposal(labels[at])] for at in best.tolist()]


def _proposal(label: str, fault: str | None = None) -> Proposal:
    return Proposal(member=NearestLabel.members[0], model="nearest label", label=label, fault=fault, latency_s=0.0)


class ReplayedMembers:
    """Members whose proposals are at hand, by text; where they are not, the nearest label stands in."""

    def __init__(self, proposals: Mapping[str, Sequence[Proposal]], rest: NearestLabel) -> None:
        """Take what ``qualstream code`` wrote of the texts."""
        self._proposals, self._rest = proposals, rest
        self.members = tuple(dict.fromkeys(each.member for given in proposals.values() for each in given))

    def propose(self, segments: Sequence[Segment]) -> list[list[Proposal]]:
        """What the members said of each segment."""
        instead = self._rest.propose(segments)
        return [
            list(self._proposals.get(segment.text, other)) for segment, other in zip(segments, instead, strict=True)
        ]


@dataclass
class _Serving:
    """A release, as those who serve it need it."""

    classifier: StudyClassifier
    predictions: OutOfFoldPredictions


class LoopSystem:
    """One study from its first segment on."""

    def __init__(
        self,
        texts: Texts,
        course: LoopCourse,
        factory: ClassifierFactory,
        *,
        precedents: bool = True,
        said: Mapping[str, Sequence[Proposal]] | None = None,
    ) -> None:
        """Begin without codes, labels and classifier.

        Args:
            texts: One seed's.
            course: What is promised, and how.
            factory: Makes classifiers; its base embeds texts and labels, and is tuned if the factory tunes.
            precedents: Whether what people coded leads the moderator; else the classifier stands alone.
            said: What members proposed for each text; without, a member that names the nearest label.
        """
        embedder = factory.base
        self._texts, self._course, self._embedder = texts, course, embedder
        self._clock, self._index = HandClock(), MemoryCodeIndex()
        self._nearest = NearestLabel(embedder)
        self._precedents = Precedents(embedder) if precedents else None
        self._releases: dict[str, _Serving] = {}
        self._trainer = _LoopTrainer(factory, precedents, often=course.often)
        coder: Coder = ReplayedMembers(said, self._nearest) if said else self._nearest
        self._router = Router(self._rules, ReleaseRegistry(lambda release: self._releases[release.version].predictions))
        self._classifiers = Classifiers(ReleaseRegistry(lambda release: self._releases[release.version].classifier))
        moderator: Moderator = ConsensusModerator(embedder)
        if self._precedents is not None:
            moderator = PrecedentModerator(moderator, embedder, self._precedents)
        self._pipeline = Pipeline(
            coder,
            moderator,
            Refiner(self._index, embedder, self._clock),
            self._router,
            batch=course.batch,
            classifiers=self._classifiers,
        )

    def _rules(self, study: str) -> StudyRules:
        course = self._course
        return StudyRules(
            study=study,
            mode="promise",
            wrong_share=course.wrong,
            certainty=course.certainty,
            audit_share=course.audit,
            author=_PERSON,
            at=self._clock.now(),
        )

    def run(self, sha256: str, arm: str) -> LoopRun:
        """Code all texts in their order; people answer after each batch."""
        reasons, right = [], []
        for start in range(0, len(self._texts.texts), self._course.batch):
            rows = range(start, min(start + self._course.batch, len(self._texts.texts)))
            outcomes = list(self._pipeline.run([self._segment(row) for row in rows]))
            reasons += [_reason(outcome) for outcome in outcomes]
            right += [self._is_right(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)]
            self._hear([(row, each) for row, each in zip(rows, outcomes, strict=True) if _reason(each) != SPARED])
            self._clock.advance(60.0)
        return LoopRun(
            data=self._texts.name,
            sha256=sha256,
            arm=arm,
            seed=self._texts.seed,
            course=self._course,
            reasons="".join(reasons),
            right="".join(right),
            codes=len(self._index.origins()),
            promised=next((n for n, reason in enumerate(reasons) if reason == SPARED), None),
        )

    def _segment(self, row: int) -> Segment:
        source = f"{self._texts.name} {self._texts.seed}"
        text = self._texts.texts[row]
        return Segment(id=segment_id(STUDY, source, str(row)), study=STUDY, text=text, source=source, language="en")

    def _is_right(self, row: int, outcome: CodingOutcome) -> str:
        if not isinstance(outcome, CodedSegment):
            return "0"
        given = normalised_label(outcome.assignment.label)
        return str(int(given in {normalised_label(code) for code in self._codes(self._texts.truth[row])}))

    def _codes(self, row: Bools) -> list[str]:
        return [self._texts.codes[at][:_LONGEST] for at in np.flatnonzero(row).tolist()]

    def _hear(self, asked: Sequence[tuple[int, CodingOutcome]]) -> None:
        """Let the person answer, and everybody hear of it."""
        words = [self._annotation(row, outcome) for row, outcome in asked]
        labels = [label for word in words for label in word.labels]
        coded = [CodedText(STUDY, label, label, (label,)) for label in labels]
        known = self._index.origins(STUDY)
        self._index.put([code for code in opened(coded, self._embedder) if code.id not in known])
        self._nearest.add_codes(labels)
        if self._precedents is not None:
            self._precedents.update_annotations(words)
        self._router.update_annotations(words)
        release = self._trainer.hear(words)
        if release is not None:
            self._releases = {release.version: self._trainer.taught}  # each may have a body of its own
            self._classifiers.serving.add_releases([release])
            self._router.update_releases([release])

    def _annotation(self, row: int, outcome: CodingOutcome) -> Annotation:
        codes = {code_id(STUDY, label): label for label in self._codes(self._texts.told[row])}
        now = self._clock.now()
        if not isinstance(outcome, CodedSegment):
            return Annotation.about(outcome.segment, _PERSON, codes, now)
        shown, request = outcome.assignment, outcome.request
        accepted = normalised_label(shown.label) in {normalised_label(label) for label in codes.values()}
        return Annotation.about(
            outcome.segment, _PERSON, codes, now, assignment=shown, request=request, accepted=accepted
        )


def _reason(outcome: CodingOutcome) -> str:
    if not isinstance(outcome, CodedSegment):
        return "u"
    request: AnnotationRequest | None = outcome.request
    if request is None:
        return SPARED
    return "a" if request.reason == "audit" else "s" if request.sample else "l"


@dataclass
class _LoopTrainer:
    """The trainer's heads, tuned bodies and gate, without folders and topics; what it teaches is there at once."""

    factory: ClassifierFactory
    precedents: bool = True
    settings: TrainerSettings = field(default_factory=TrainerSettings)
    often: bool = False
    """Whether bodies are tuned as often as in the stream."""

    def __post_init__(self) -> None:
        self._latest, self._codebook = LatestAnnotations(), Codebook()
        self._heard = self._tried = self._tuned = self._count = 0
        self._champion: Champion | None = None

    def hear(self, words: Sequence[Annotation]) -> ModelRelease | None:
        """Take labels in; a release where a head that was taught them may serve."""
        self._heard += sum(self._latest.add(word) for word in words)
        if self._heard < labels_due(self.settings.schedule, self._tried):
            return None
        self._tried = self._heard
        data = training_set(
            self._latest,
            self._codebook,
            least_examples=self.settings.least_examples,
        )
        if not data.codes or len(data.rows) < 2:
            return None
        for candidate in self._candidates(data):
            if compare(candidate, self._champion, self._codebook, self.settings.gate).promoted:
                return self._release(candidate, words[-1])
        return None

    def _candidates(self, data: TrainingSet) -> Iterator[Candidate]:
        """A tuned body where it is due; where that may not serve, a head on the body that does."""
        if self.factory.tunes and len(data.rows) >= max(_TUNED_FROM, self._tuned_anew()):
            self._tuned = len(data.rows)
            yield teach_tuned(self.factory, data)
        serves = self._champion
        body = self.factory.base if serves is None else serves.classifier.body
        yield teach_head(self.factory, body, data, {} if serves is None else serves.seen_by_body(self._codebook))

    def _tuned_anew(self) -> float:
        """From how many labels on a body is tuned again."""
        if self.often:
            return labels_due(self.settings.schedule, self._tuned)
        return _TUNED_GROWTH * self._tuned

    def _release(self, candidate: Candidate, last: Annotation) -> ModelRelease:
        self._count += 1
        version = f"{self._count:04d}"
        predictions = candidate.predictions
        if self.precedents:
            predictions = replace(predictions, decided=redecide(self._latest, predictions, self.factory.base))
        labels, sure = list(predictions.labels.values()), predictions.confidence_threshold
        self.taught = _Serving(StudyClassifier(candidate.classifier, labels, sure, version), predictions)
        self._champion = Champion(
            candidate.classifier,
            candidate.thresholds,
            version,
            len(candidate.data.rows),
            predictions.probabilities,
            candidate.tuned_on,
        )
        return ModelRelease(
            model=CLASSIFIERS + STUDY,
            version=version,
            study=STUDY,
            outcome="released",
            uri="memory",
            sha256="0" * 64,
            metrics={},
            labels=len(candidate.data.rows),
            author=_PERSON,
            why=candidate.description,
            released_at=last.decided_at,
        )
