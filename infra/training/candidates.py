"""A classifier that was just taught: how it does on segments that it was not taught, beside what serves and served.

It is taught all labels. What it makes of one is told by a classifier of its kind that was taught the other folds, so
that no label is lost to comparing: that costs a head milliseconds, and a tuned body as many tunings as there are folds.
A head on a tuned body cannot tell of the labels that the body was tuned on: what was known of them then stays.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from infra.training.classifier_factory import ClassifierFactory, TaughtClassifier, guesses
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.promotion import (
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
_Known = Mapping[UUID, Mapping[UUID, float]]
"""Labelled segment to code to probability, by classifiers that were not taught the segment."""
_LOOKED_AT, _LEAST_LOOKED_AT = 200, 30  # segments on which successive trainings are laid beside each other
_TRAININGS_KEPT = 20


@dataclass(frozen=True)
class Unseen:
    """What classifiers make of labelled segments that they were not taught."""

    rows: tuple[TrainingExample, ...]
    probabilities: NDArray[np.float64]
    """Shape ``(rows, codes)``."""

    def by_segment(self, codes: Sequence[UUID]) -> _Known:
        """The same by segment and code."""
        values = self.probabilities.tolist()
        return {row.segment: dict(zip(codes, line, strict=True)) for row, line in zip(self.rows, values, strict=True)}


@dataclass(frozen=True)
class Candidate:
    """A classifier that may come to serve."""

    data: TrainingSet
    tier: Literal["head", "tuned"]
    classifier: TaughtClassifier
    thresholds: tuple[float, ...]
    unseen: Unseen
    """What is known of all labels out of fold."""
    seconds: float
    """What teaching took."""
    description: str = "a head"
    """What was taught, in words."""
    tuned_on: frozenset[UUID] = frozenset()
    """Segments that its body has seen."""

    def name(self, code: UUID) -> str:
        """A code's label."""
        return self.data.names.get(code, str(code))

    @property
    def predictions(self) -> OutOfFoldPredictions:
        """What is known out of fold, as those who weigh labels need it."""
        codes = self.classifier.codes
        names = {code: self.name(code) for code in codes}
        return OutOfFoldPredictions(names, self.unseen.by_segment(codes), self.confidence_threshold)

    @property
    def confidence_threshold(self) -> float | None:
        """The probability from which its best guess is sure; none where that cannot be told."""
        return confidence_threshold(self.data.matrix(self.unseen.rows), self.unseen.probabilities)


@dataclass(frozen=True)
class Champion:
    """What serves, as far as a comparison needs it."""

    classifier: TaughtClassifier
    thresholds: tuple[float, ...]
    version: str
    labels: int = 0
    """How many it was taught; 0 where that is not known."""
    unseen: _Known = field(default_factory=dict)
    """Of all it was taught."""
    tuned_on: frozenset[UUID] = frozenset()
    """Segments that its body has seen."""

    def seen_by_body(self, codebook: Codebook) -> _Known:
        """What is known out of fold of the segments that its body has seen, by the codes as they are now."""
        return {segment: _by_current_code(self.unseen.get(segment, {}), codebook) for segment in self.tuned_on}


def _by_current_code(values: Mapping[UUID, float], codebook: Codebook) -> dict[UUID, float]:
    current: dict[UUID, float] = {}
    for code, value in values.items():
        now = codebook.current_code(code)
        if now is not None:
            current[now] = max(value, current.get(now, 0.0))
    return current


def teach_head(factory: ClassifierFactory, body: Embedder, data: TrainingSet, seen: _Known | None = None) -> Candidate:
    """Fit a head on a body as it is.

    Args:
        factory: Makes classifiers.
        body: Embeds texts.
        data: All labels.
        seen: The segments that the body was tuned on, and what was known of them out of fold when it was.
    """
    began, seen = time.perf_counter(), seen or {}
    texts, targets, codes = _teachable(data)
    classifier = factory.fit(body, texts, targets, codes)
    seconds = time.perf_counter() - began
    probabilities = _out_of_fold(
        data.rows, targets, _HEAD_FOLDS, lambda part, targets: factory.fit(body, part, targets, codes, like=classifier)
    )
    for n, row in enumerate(data.rows):
        if row.segment in seen:
            probabilities[n] = [seen[row.segment].get(code, 0.0) for code in data.codes]
    limits, unseen = thresholds(targets, probabilities), Unseen(data.rows, probabilities)
    return Candidate(data, "head", classifier, limits, unseen, seconds, tuned_on=frozenset(seen))


def teach_tuned(factory: ClassifierFactory, data: TrainingSet) -> Candidate:
    """Tune the body and fit a head on it; then bodies on parts of the labels, for what it makes of the others."""
    began = time.perf_counter()
    texts, targets, codes = _teachable(data)
    classifier = factory.fit_tuned(texts, targets, codes)
    probabilities = _out_of_fold(
        data.rows, targets, _TUNED_FOLDS, lambda part, targets: factory.fit_tuned(part, targets, codes)
    )
    seconds, tuned_on = time.perf_counter() - began, frozenset(row.segment for row in data.rows)
    limits, unseen = thresholds(targets, probabilities), Unseen(data.rows, probabilities)
    return Candidate(data, "tuned", classifier, limits, unseen, seconds, factory.tuned_description, tuned_on)


def compare(
    candidate: Candidate, champion: Champion | None, codebook: Codebook, criteria: PromotionCriteria
) -> PromotionResult:
    """Put a candidate beside what serves, or against who knows the commonest code alone.

    On all labels, by what is known of each out of fold where it was taught the segment, and else by what it says.
    """
    data, rows = candidate.data, candidate.data.rows
    theirs = [] if champion is None else [codebook.current_code(code) for code in champion.classifier.codes]
    codes = tuple(dict.fromkeys([*data.codes, *(code for code in theirs if code is not None)]))
    truth = data.matrix(rows, codes)
    known = candidate.unseen.by_segment(candidate.classifier.codes)
    own = _unseen_guesses(candidate.classifier, rows, candidate.thresholds, known)
    mine = _columns(own, candidate.classifier.codes, codes)
    if champion is None:
        old, name = commonest(truth, len(truth)), "always saying the commonest code"
    else:
        predicted = _unseen_guesses(champion.classifier, rows, champion.thresholds, champion.unseen)
        old = _columns(predicted, theirs, codes)
        name = f"version {champion.version}"
    grown = champion is not None and _grown(candidate, champion, criteria)
    return compare_to_champion(truth, mine, old, codes, criteria, champion=name, grown=grown)


def _same_body(candidate: Candidate, champion: Champion) -> bool:
    return candidate.classifier.body.version == champion.classifier.body.version


def _grown(candidate: Candidate, champion: Champion, criteria: PromotionCriteria) -> bool:
    """Whether a head differs from what serves only by many more labels."""
    same = candidate.tier == "head" and _same_body(candidate, champion)
    return same and 0 < champion.labels * criteria.growth <= len(candidate.data.rows)


def _unseen_guesses(
    classifier: TaughtClassifier,
    rows: Sequence[TrainingExample],
    thresholds: Sequence[float],
    known: _Known,
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


def _teachable(data: TrainingSet) -> tuple[list[str], Matrix, list[tuple[UUID, str]]]:
    """Texts, targets and codes, as a classifier is taught them."""
    codes = [(code, data.names.get(code, str(code))) for code in data.codes]
    return [row.text for row in data.rows], data.matrix(data.rows), codes


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


def _columns(decided: Matrix, has: Sequence[UUID | None], codes: Sequence[UUID]) -> Matrix:
    """Guesses in other columns: of codes that were merged into one, any counts; one that is not known is never said."""
    at: Mapping[UUID, int] = {code: n for n, code in enumerate(codes)}
    columns = np.zeros((len(decided), len(codes)), dtype=np.bool_)
    for n, code in enumerate(has):
        if code is not None and code in at:
            columns[:, at[code]] |= decided[:, n]
    return columns
