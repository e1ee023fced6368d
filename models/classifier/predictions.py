"""What a study's classifier says of segments, and the confidence signals that come of it."""

import heapq
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.classifier.registry import ReleaseRegistry, log
from models.codebook.codebook import Codebook
from models.ports import Classifier
from schemas import Annotation, CodeEvent, Segment
from schemas.coding import Classified, Guess, rounded_signal
from schemas.ids import normalised_label

GUESSES = 5
"""Codes that are told of a segment, at most."""


_DIGITS = 4  # decimals of a probability in a record: finer than any threshold is set


@dataclass(frozen=True)
class Redecided:
    """What a labelled segment would be coded with now, were its own label away."""

    label: str
    signals: Mapping[str, float]
    """Those that say how near it is to what people coded."""


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """What a release says of the segments that people labelled, each by a model that was not taught it."""

    labels: Mapping[UUID, str]
    """The codes that it knows."""
    probabilities: Mapping[UUID, Mapping[UUID, float]]
    """Segment to code to probability."""
    confidence_threshold: float | None = None
    """The best guess's probability from which it is sure; None where it never is."""
    decided: Mapping[UUID, Redecided] = field(default_factory=dict)
    """Segment to the code that people's other labels and this release come to; of some, or none."""

    @cached_property
    def _best(self) -> dict[UUID, dict[UUID, float]]:
        """Segment to its likeliest codes, best first; filled as it is asked."""
        return {}

    def best(self, segment: UUID) -> Mapping[UUID, float]:
        """The likeliest codes of a labelled segment with their probabilities, best first; none of an unknown one."""
        if segment not in self._best:
            row = self.probabilities.get(segment) or {}
            likeliest = heapq.nsmallest(GUESSES, row.items(), key=lambda each: (-each[1], each[0]))
            self._best[segment] = dict(likeliest)
        return self._best[segment]

    def classified(self, segment: UUID, version: str) -> Classified | None:
        """What the release says of a labelled segment, as the stream says it of others; None where it says nothing."""
        guesses = [
            Guess(code_id=code, label=self.labels[code], probability=round(value, _DIGITS))
            for code, value in self.best(segment).items()
        ]
        if not guesses:
            return None
        return Classified(model=version, guesses=guesses, sure=self._is_confident(guesses[0].probability))

    def _is_confident(self, probability: float) -> bool:
        return self.confidence_threshold is not None and probability >= self.confidence_threshold

    @cached_property
    def _by_label(self) -> dict[str, UUID]:
        return {normalised_label(label): code for code, label in self.labels.items()}

    def updated_signals(
        self, segment: UUID, signals: Mapping[str, float], code: UUID | None, label: str | None
    ) -> Mapping[str, float]:
        """A labelled segment's signals with this release's in the place of an earlier one's.

        Args:
            segment: Any; one that the release says nothing of keeps its signals.
            signals: As they were when the segment was routed.
            code: What it was coded with.
            label: That code's label, which finds it where ids do not.
        """
        guesses = self.best(segment)
        if not guesses or code is None:
            return signals
        if code not in self.labels:
            code = self._by_label.get(normalised_label(label or ""), code)
        confident = self._is_confident(max(guesses.values()))
        others = {name: value for name, value in signals.items() if name not in CLASSIFIER_SIGNALS}
        return others | classifier_signals(guesses, code, confident=confident, known=code in self.labels)

    def likely(self, segment: UUID, least: float) -> UUID | None:
        """The code that this release gives a labelled segment which it was not taught, if it is at least so likely."""
        best, probability = next(iter(self.best(segment).items()), (None, 0.0))
        return best if probability >= least else None

    def same(self, code: UUID, other: UUID | None, annotation: Annotation | None) -> bool:
        """Whether a code of this release is the one that an annotation's person was shown."""
        shown = None if annotation is None else annotation.shown
        return code == other or (shown is not None and self._by_label.get(normalised_label(shown)) == code)

    def among(self, code: UUID, labels: Mapping[UUID, str], codes: Sequence[UUID]) -> bool:
        """Whether a code of this release is among those that people gave, by its id or by its label."""
        return code in codes or code in {self._by_label.get(normalised_label(labels[each])) for each in codes}

    def of_known(self, signals: Mapping[str, float], code: UUID) -> dict[str, float]:
        """A routed segment's signals without a probability of 0 that only says that the code is not known here."""
        silent = code not in self.labels and not signals.get("classifier")
        return {name: value for name, value in signals.items() if not (silent and name == "classifier")}


@dataclass(frozen=True)
class StudyClassifier:
    """A classifier as the stream asks it."""

    classifier: Classifier
    labels: Sequence[str]
    """One a code, in the order of the classifier's codes."""
    confidence_threshold: float | None = None
    """The best guess's probability from which it is sure; None where it never is."""
    version: str = ""
    """That it was released as, where the classifier does not say it itself."""

    def classify(self, texts: Sequence[str]) -> list[Classified]:
        """The likeliest codes of each text, in order."""
        table = self.classifier.probabilities(texts)
        return [self._classified(row) for row in table]

    def _classified(self, row: NDArray[np.float64]) -> Classified:
        codes = self.classifier.codes
        best = np.argsort(-row, kind="stable")[:GUESSES].tolist()
        guesses = [
            Guess(code_id=codes[n], label=self.labels[n], probability=round(min(1.0, max(0.0, float(row[n]))), _DIGITS))
            for n in best
        ]
        confident = self.confidence_threshold is not None and guesses[0].probability >= self.confidence_threshold
        return Classified(model=self.version or self.classifier.version, guesses=guesses, sure=confident)


class Classifiers:
    """The classifiers of all studies, as coders use them."""

    def __init__(self, serving: ReleaseRegistry[StudyClassifier], *, first: bool = False) -> None:
        """Use what serves.

        Args:
            serving: May hear of releases while this classifies.
            first: Whether the members are spared where a classifier is sure: the cascade's first step.
        """
        self.serving, self.first = serving, first
        self._codebook = Codebook()
        self._lock = threading.Lock()

    def update_codebook(self, events: Iterable[CodeEvent]) -> None:
        """Hear of the codebook: codes that were retired or split are guessed no more."""
        with self._lock:
            self._codebook.add(events)

    def classify(self, segments: Sequence[Segment]) -> list[Classified | None]:
        """What each segment's study's classifier makes of it, in order; None where there is none.

        It adds to what the members say, so nothing is lost where it fails: that is logged and the members decide.
        """
        results: list[Classified | None] = [None] * len(segments)
        for study in dict.fromkeys(segment.study for segment in segments):
            serves = self.serving.of(study)
            if serves is None:
                continue
            ours = [n for n, segment in enumerate(segments) if segment.study == study]
            try:
                classified = serves.classify([segments[n].text for n in ours])
            except Exception:
                log.exception("the classifier of study %r failed on %d segments", study, len(ours))
                continue
            for n, each in zip(ours, classified, strict=True):
                results[n] = self._current(each)
        return results

    def _current(self, classified: Classified) -> Classified | None:
        """The guesses whose codes are still there; what was sure of one that is not is sure no more."""
        with self._lock:
            left = [guess for guess in classified.guesses if self._codebook.current_code(guess.code_id) is not None]
        if len(left) == len(classified.guesses):
            return classified
        if not left:
            return None
        confident = classified.sure and left[0] == classified.guesses[0]
        return classified.model_copy(update={"guesses": left, "sure": confident})


CLASSIFIER_SIGNALS = ("classifier", "classifier_margin", "classifier_agrees", "classifier_sure")
"""What ``classifier_signals`` gives; another release gives other numbers."""


def classifier_signals(
    guesses: Mapping[UUID, float], code: UUID, *, confident: bool, known: bool = True
) -> dict[str, float]:
    """What a study's classifier says of the code that a segment got.

    Args:
        guesses: The likeliest codes, as they are called now, and how likely each is, at least one.
        code: The segment's.
        confident: Whether the likeliest is sure.
        known: Whether the classifier knows the code at all; of one that it does not know it says nothing.

    Returns:
        ``classifier``: the code's probability, 0 where it is not among the likeliest; ``classifier_margin``: that less
        the best other code's; ``classifier_agrees`` and ``classifier_sure`` (0 or 1): whether the code is the
        likeliest, and surely so.
    """
    mine = guesses.get(code, 0.0)
    other = max((value for each, value in guesses.items() if each != code), default=0.0)
    agrees = code in guesses and mine >= other
    own = {"classifier": rounded_signal(mine)} if known else {}
    return own | {
        "classifier_margin": rounded_signal(mine - other),
        "classifier_agrees": float(agrees),
        "classifier_sure": float(agrees and confident),
    }
