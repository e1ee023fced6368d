"""A classifier that was just taught: how it does on segments that it was not taught, beside what serves and served.

A head is taught all labels. What it makes of one is told by a head that was taught the other folds, which costs
milliseconds; so the segments on which classifiers are compared need not be lost to it. A tuned body never sees them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from infra.training.classifier_factory import ClassifierFactory, TaughtClassifier, guesses
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.promotion import (
    HALF,
    PromotionCriteria,
    PromotionResult,
    commonest,
    compare_to_champion,
    confidence_threshold,
    even_folds,
    thresholds,
)
from models.classifier.stopping import advise
from models.classifier.training_set import Matrix, TrainingExample, TrainingSet
from models.codebook.codebook import Codebook
from models.ports import Embedder

_HEAD_FOLDS, _TUNED_FOLDS = 10, 3
"""Out of fold a head costs milliseconds, a tuned body as much as the tuning itself."""
_LOOKED_AT, _LEAST_LOOKED_AT = 200, 30  # segments on which successive trainings are laid beside each other
_TRAININGS_KEPT = 20


@dataclass(frozen=True)
class Unseen:
    """What classifiers make of labelled segments that they were not taught."""

    rows: tuple[TrainingExample, ...]
    probabilities: NDArray[np.float64]
    """Shape ``(rows, codes)``."""

    def by_segment(self, codes: Sequence[UUID]) -> dict[UUID, dict[UUID, float]]:
        """Segment to code to probability."""
        values = self.probabilities.tolist()
        return {row.segment: dict(zip(codes, line, strict=True)) for row, line in zip(self.rows, values, strict=True)}


@dataclass(frozen=True)
class Candidate:
    """A classifier that may come to serve."""

    data: TrainingSet
    tier: Literal["head", "tuned"]
    classifier: TaughtClassifier
    thresholds: tuple[float, ...]
    unseen: Unseen | None
    """None where it was not worth its time: what is not better needs none."""
    seconds: float
    """What teaching took."""
    description: str = "a head"
    """What was taught, in words."""
    untuned: bool = False
    """Whether its body has seen no labels, so that what is known out of fold is known of all of them."""

    @property
    def taught(self) -> tuple[TrainingExample, ...]:
        """What it was taught: a head all labels, a tuned body those that are not held out."""
        return self.data.rows if self.tier == "head" else self.data.training

    def name(self, code: UUID) -> str:
        """A code's label."""
        return self.data.names.get(code, str(code))

    @property
    def predictions(self) -> OutOfFoldPredictions:
        """What is known out of fold, as those who weigh labels need it."""
        codes = self.classifier.codes
        rows = {} if self.unseen is None else self.unseen.by_segment(codes)
        return OutOfFoldPredictions({code: self.name(code) for code in codes}, rows, self.confidence_threshold)

    @property
    def confidence_threshold(self) -> float | None:
        """The probability from which its best guess is sure; none where that cannot be told."""
        if self.unseen is None:
            return None
        return confidence_threshold(self.data.matrix(self.unseen.rows), self.unseen.probabilities)


@dataclass(frozen=True)
class Champion:
    """What serves, as far as a comparison needs it."""

    classifier: TaughtClassifier
    thresholds: tuple[float, ...]
    version: str
    labels: int = 0
    """How many it was taught; 0 where that is not known."""
    unseen: Mapping[UUID, Mapping[UUID, float]] = field(default_factory=dict)
    """Labelled segment to code to probability, by classifiers that were not taught it; of all it was taught."""


def teach_head(factory: ClassifierFactory, body: Embedder, data: TrainingSet) -> Candidate:
    """Fit a head on a body as it is to all labels, and thresholds out of fold to those that are not held out."""
    began = time.perf_counter()
    rows = (*data.training, *data.held_out)
    texts, targets, codes = _teachable(data, rows)
    classifier = factory.fit(body, texts, targets, codes)
    seconds = time.perf_counter() - began
    probabilities = _out_of_fold(
        rows, targets, _HEAD_FOLDS, lambda part, targets: factory.fit(body, part, targets, codes, like=classifier)
    )
    kept = len(data.training)  # the rows come first that are not held out
    limits = thresholds(targets[:kept], probabilities[:kept])
    unseen = Unseen(rows, probabilities)
    return Candidate(data, "head", classifier, limits, unseen, seconds, untuned=body is factory.base)


def teach_tuned(factory: ClassifierFactory, data: TrainingSet) -> Candidate:
    """Tune the body and fit a head on it."""
    began = time.perf_counter()
    texts, targets, codes = _teachable(data, data.training)
    classifier = factory.fit_tuned(texts, targets, codes)
    seconds = time.perf_counter() - began
    return Candidate(data, "tuned", classifier, (HALF,) * len(codes), None, seconds, factory.tuned_description)


def with_unseen(factory: ClassifierFactory, candidate: Candidate) -> Candidate:
    """The same with what is known out of fold: for a tuned body that takes twice as long as the tuning."""
    if candidate.unseen is not None or not factory.tunes:
        return candidate
    data = candidate.data
    _, targets, codes = _teachable(data, data.training)
    probabilities = _out_of_fold(
        data.training, targets, _TUNED_FOLDS, lambda part, targets: factory.fit_tuned(part, targets, codes)
    )
    return replace(candidate, unseen=_with_held_out(data, candidate.classifier, probabilities))


def compare(
    candidate: Candidate, champion: Champion | None, codebook: Codebook, criteria: PromotionCriteria
) -> PromotionResult:
    """Put a candidate beside what serves, or against who knows the commonest code alone.

    By what is known of each out of fold where it was taught a segment. Two heads on a body that has seen no labels are
    compared on all of them, which tells more than the held-out ones; others on those, which no body was tuned on.
    """
    data, rows = candidate.data, _compared(candidate, champion)
    theirs = [] if champion is None else [codebook.current_code(code) for code in champion.classifier.codes]
    codes = tuple(dict.fromkeys([*data.codes, *(code for code in theirs if code is not None)]))
    truth = data.matrix(rows, codes)
    known = {} if candidate.unseen is None else candidate.unseen.by_segment(candidate.classifier.codes)
    own = _unseen_guesses(candidate.classifier, rows, candidate.thresholds, known)
    mine = _columns(own, candidate.classifier.codes, codes)
    if champion is None:
        old, name = commonest(data.matrix(data.training, codes), len(truth)), "always saying the commonest code"
    else:
        predicted = _unseen_guesses(champion.classifier, rows, champion.thresholds, champion.unseen)
        old = _columns(predicted, theirs, codes)
        name = f"version {champion.version}"
    grown = champion is not None and _grown(candidate, champion, criteria)
    return compare_to_champion(truth, mine, old, codes, criteria, share=data.held_out_share, champion=name, grown=grown)


def _compared(candidate: Candidate, champion: Champion | None) -> tuple[TrainingExample, ...]:
    """The segments on which they are compared."""
    if champion is None or not candidate.untuned or not champion.unseen or not _same_body(candidate, champion):
        return candidate.data.held_out
    return candidate.data.rows


def _same_body(candidate: Candidate, champion: Champion) -> bool:
    return candidate.classifier.body.version == champion.classifier.body.version


def _grown(candidate: Candidate, champion: Champion, criteria: PromotionCriteria) -> bool:
    """Whether a head differs from what serves only by many more labels."""
    same = candidate.tier == "head" and _same_body(candidate, champion)
    return same and 0 < champion.labels * criteria.growth <= len(candidate.taught)


def _unseen_guesses(
    classifier: TaughtClassifier,
    rows: Sequence[TrainingExample],
    thresholds: Sequence[float],
    known: Mapping[UUID, Mapping[UUID, float]],
) -> Matrix:
    """Which codes a classifier gives each segment out of fold; it is asked itself about those it was not taught."""
    new = [row for row in rows if row.segment not in known]
    asked = dict(
        zip((row.segment for row in new), guesses(classifier, [row.text for row in new], thresholds), strict=True)
    )
    decided = np.zeros((len(rows), len(classifier.codes)), dtype=np.bool_)
    for n, row in enumerate(rows):
        if row.segment in asked:
            decided[n] = asked[row.segment]
            continue
        values = [known[row.segment].get(code, 0.0) for code in classifier.codes]
        decided[n] = np.array(values) >= np.asarray(thresholds)
    return decided


class StoppingMonitor:
    """Whether the last trainings still change their mind, on segments nobody had labelled when the first was made."""

    def __init__(self) -> None:
        """Begin; a trainer that starts again begins anew, and says nothing till it has seen some trainings."""
        self._texts: tuple[str, ...] = ()
        self._decided: list[tuple[tuple[UUID, ...], Matrix]] = []

    def update(self, candidate: Candidate, texts: Sequence[str]) -> dict[str, float]:
        """Take a training in.

        Args:
            candidate: What was trained.
            texts: Of unlabelled segments; the first ones given stay those that are looked at.

        Returns:
            Numbers for its release, see ``Advice.metrics``; none where there are too few segments to tell.
        """
        if not self._texts and len(texts) >= _LEAST_LOOKED_AT:
            self._texts = tuple(texts[:_LOOKED_AT])
        if not self._texts:
            return {}
        decided = guesses(candidate.classifier, self._texts, candidate.thresholds)
        self._decided = [*self._decided, (candidate.classifier.codes, decided)][-_TRAININGS_KEPT:]
        codes = tuple(dict.fromkeys(code for known, _ in self._decided for code in known))
        return advise([_columns(decided, known, codes) for known, decided in self._decided]).metrics


def _teachable(data: TrainingSet, rows: Sequence[TrainingExample]) -> tuple[list[str], Matrix, list[tuple[UUID, str]]]:
    """Texts, targets and codes, as a classifier is taught them."""
    codes = [(code, data.names.get(code, str(code))) for code in data.codes]
    return [row.text for row in rows], data.matrix(rows), codes


def _out_of_fold(
    rows: Sequence[TrainingExample],
    targets: Matrix,
    folds: int,
    teach: Callable[[Sequence[str], Matrix], TaughtClassifier],
) -> NDArray[np.float64]:
    """What classifiers that were taught the other folds make of each, shape ``(rows, codes)``."""
    texts = [row.text for row in rows]
    at = even_folds([row.segment for row in rows], targets, min(folds, len(texts)))
    probabilities = np.zeros(targets.shape, dtype=np.float64)
    for fold in np.unique(at):
        here = at == fold
        part = teach(_select(texts, ~here), targets[~here])
        probabilities[here] = part.probabilities(_select(texts, here))
    return probabilities


def _select(texts: Sequence[str], which: NDArray[np.bool_]) -> list[str]:
    return [texts[n] for n in np.flatnonzero(which).tolist()]


def _with_held_out(data: TrainingSet, classifier: TaughtClassifier, probabilities: NDArray[np.float64]) -> Unseen:
    """What is known out of fold, and what the classifier itself makes of what it was never taught."""
    held = classifier.probabilities([row.text for row in data.held_out]) if data.held_out else None
    both = probabilities if held is None else np.vstack([probabilities, held])
    return Unseen((*data.training, *data.held_out), both)


def _columns(decided: Matrix, has: Sequence[UUID | None], codes: Sequence[UUID]) -> Matrix:
    """Guesses in other columns: of codes that were merged into one, any counts; one that is not known is never said."""
    at: Mapping[UUID, int] = {code: n for n, code in enumerate(codes)}
    columns = np.zeros((len(decided), len(codes)), dtype=np.bool_)
    for n, code in enumerate(has):
        if code is not None and code in at:
            columns[:, at[code]] |= decided[:, n]
    return columns
