"""From signals to the probability that a person lets a code stand, learnt from people's labels."""

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np

from models.ports import Floats

LEAST = 40
"""Labels below which nothing is fitted."""
LEAST_EACH = 8
"""Labels of the rarer answer below which nothing is fitted."""
ISOTONIC_FROM = 300
"""Labels from which the curve may be bent to what was observed."""

_FOLDS = 5  # parts that take turns in being held out: four fifths of the labels teach
_PENALTY = 20.0  # of the squared weights, on standardised signals: three dozen signals, a few hundred labels
_STEPS = 50  # of Newton's method at most: it ends by itself when weights stand still
_FARTHEST = 3.0  # standard deviations behind which a signal counts no more: one long text must not decide alone
_EDGE = 1e-4  # nothing is certain


@dataclass(frozen=True)
class LabelledSignals:
    """An assignment that a person judged."""

    signals: Mapping[str, float]
    accepted: bool
    key: str
    """What it is of, such as the segment's id: labels under one key are always held out together."""


@dataclass(frozen=True)
class Bin:
    """Assignments of about one probability, and what people said to them."""

    low: float
    high: float
    count: int
    probability: float
    """The mean that was predicted."""
    accepted: float
    """The share that people let stand."""


@dataclass(frozen=True)
class Calibration:
    """A logistic regression on standardised signals, its outcome bent by a monotone curve where one was fitted."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    labels: int
    """How many it was fitted on."""
    curve: tuple[tuple[float, float], ...] = ()
    """Points from probability to probability, between which is a straight line; none: as it is."""

    def probability(self, signals: Mapping[str, float]) -> float:
        """How likely a person lets the code stand, above 0 and below 1; a signal that is missing counts as its mean."""
        score = self.intercept
        for name, mean, scale, weight in zip(self.names, self.means, self.scales, self.weights, strict=True):
            value = signals.get(name, mean)
            if math.isfinite(value):
                score += weight * max(-_FARTHEST, min(_FARTHEST, (value - mean) / scale))
        return self.bend(1 / (1 + math.exp(-score)) if score > 0 else math.exp(score) / (1 + math.exp(score)))

    def bend(self, plain: float) -> float:
        """What the regression's own probability comes to by the curve, if there is one."""
        if self.curve:
            places, values = zip(*self.curve, strict=True)
            plain = float(np.interp(plain, places, values))
        return min(1 - _EDGE, max(_EDGE, plain))

    def to_json(self) -> str:
        """Everything, in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote.

        Raises:
            ValueError: If it is not that.
        """
        try:
            fields = json.loads(text)
            names, means, scales, weights = (tuple(fields[key]) for key in ("names", "means", "scales", "weights"))
            curve = tuple((float(x), float(y)) for x, y in fields["curve"])
            return cls(names, means, scales, weights, float(fields["intercept"]), int(fields["labels"]), curve)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a calibration as JSON was expected, found {text[:60]!r}") from error


Fitting = Callable[[Sequence[LabelledSignals]], Calibration | None]


def fit(labelled: Sequence[LabelledSignals]) -> Calibration | None:
    """Learn what the signals are worth from what people let stand; the order of the labels does not matter.

    From ``ISOTONIC_FROM`` labels on, an isotonic curve over cross-fitted probabilities is added where that lowers the
    cross-validated log loss.

    Returns:
        ``None`` below ``LEAST`` labels or ``LEAST_EACH`` of either answer.

    Source:
        Platt, "Probabilistic Outputs for Support Vector Machines", 1999; Zadrozny and Elkan, "Transforming
        Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002 (isotonic).
    """
    rows = _in_order(labelled)
    plain = _logistic(rows)
    if plain is None or len(rows) < ISOTONIC_FROM:
        return plain
    return _bent(plain, rows, _held_out(rows, _FOLDS, 0, _logistic))


def fit_and_hold_out(labelled: Sequence[LabelledSignals]) -> tuple[Calibration | None, list[float]]:
    """What ``fit`` gives, and of each label the confidence that it would have had, had it not been among them.

    The confidences are on the calibration's own scale, so that a threshold found on them is one for it.

    Returns:
        The calibration, and one confidence a label in the given order; none at all where there is no calibration.
    """
    plain = _logistic(labelled)
    if plain is None:
        return None, []
    scores = _held_out(labelled, _FOLDS, 0, _logistic)
    fitted = plain if len(labelled) < ISOTONIC_FROM else _bent(plain, labelled, scores)
    return fitted, [fitted.bend(score) for score in scores.tolist()]


def _bent(plain: Calibration, rows: Sequence[LabelledSignals], scores: Floats) -> Calibration:
    """The calibration with an isotonic curve over cross-fitted scores, where that lowers the held-out log loss."""
    answers = np.array([row.accepted for row in rows], dtype=np.float64)
    folds = np.array([_fold(row.key, _FOLDS, 1) for row in rows])
    bent = np.array(scores)
    for fold in set(folds.tolist()):
        curve = _isotonic(scores[folds != fold], answers[folds != fold])
        places, values = zip(*curve, strict=True)
        bent[folds == fold] = np.interp(scores[folds == fold], places, values)
    if log_loss(bent, answers) >= log_loss(scores, answers):
        return plain
    return replace(plain, curve=_isotonic(scores, answers))


def cross_fitted(labelled: Sequence[LabelledSignals], folds: int = _FOLDS, seed: int = 0) -> list[float]:
    """The probability of each label by a calibration that did not see its key, in the given order.

    Where the other folds are too few to fit, the share that was accepted in them.

    Args:
        labelled: What people judged.
        folds: How many parts take turns in being held out.
        seed: Another one draws other folds.
    """
    return [float(p) for p in _held_out(labelled, folds, seed, fit)]


def reliability(probabilities: Sequence[float], accepted: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Predicted and observed, in bins of equal width over 0 to 1; empty ones are left out."""
    places = [min(bins - 1, int(p * bins)) for p in probabilities]
    filled = []
    for place in sorted(set(places)):
        here = [n for n, other in enumerate(places) if other == place]
        mean = math.fsum(probabilities[n] for n in here) / len(here)
        share = sum(accepted[n] for n in here) / len(here)
        filled.append(Bin(place / bins, (place + 1) / bins, len(here), mean, share))
    return filled


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of predicted and observed over all assignments, 0 to 1.

    Source:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    total = sum(filled.count for filled in bins)
    return (
        math.fsum(filled.count * abs(filled.probability - filled.accepted) for filled in bins) / total if total else 0.0
    )


def log_loss(probabilities: Sequence[float] | Floats, accepted: Sequence[bool] | Floats) -> float:
    """Mean of minus the log-probability of what people said, in nats."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EDGE, 1 - _EDGE)
    y = np.asarray(accepted, dtype=np.float64)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def _in_order(labelled: Sequence[LabelledSignals]) -> list[LabelledSignals]:
    """Sums in floating point depend on their order, so there is only one."""
    if len({label.key for label in labelled}) == len(labelled):  # as it nearly always is, and then much faster
        return sorted(labelled, key=lambda label: label.key)
    return sorted(labelled, key=lambda label: (label.key, label.accepted, sorted(label.signals.items())))


def _logistic(labelled: Sequence[LabelledSignals]) -> Calibration | None:
    rows = _in_order(labelled)
    answers = np.array([row.accepted for row in rows], dtype=np.float64)
    if len(rows) < LEAST or min(answers.sum(), len(rows) - answers.sum()) < LEAST_EACH:
        return None
    names = sorted({name for row in rows for name in row.signals})
    table = np.array([[row.signals.get(name, math.nan) for name in names] for row in rows], dtype=np.float64)
    table[~np.isfinite(table)] = math.nan
    known = [n for n in range(len(names)) if _spread(table[:, n]) > 1e-9]
    names, table = [names[n] for n in known], table[:, known]
    means, scales = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    places = np.clip(np.where(np.isnan(table), 0.0, (table - means) / scales), -_FARTHEST, _FARTHEST)
    weights = _newton(places, answers)
    return Calibration(
        names=tuple(names),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(weights[1:].tolist()),
        intercept=float(weights[0]),
        labels=len(rows),
    )


def _newton(places: Floats, answers: Floats) -> Floats:
    """Intercept and weights of a penalised logistic regression, shape ``(1 + signals,)``, by Newton's method.

    Importing scikit-learn for it would keep a router from its work for seconds.

    Source:
        Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, sections 4.4.1 and 4.4.4.
    """
    table = np.column_stack([np.ones(len(places)), places])
    penalty = np.full(table.shape[1], _PENALTY)
    penalty[0] = 0
    share = answers.mean()
    weights = np.zeros(table.shape[1])
    weights[0] = math.log(share / (1 - share))
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-table @ weights))
        slope = table.T @ (predicted - answers) + penalty * weights
        bend = (table * (predicted * (1 - predicted))[:, None]).T @ table + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _spread(column: Floats) -> float:
    """Standard deviation of what is known of a signal; 0 where nothing is."""
    known = column[~np.isnan(column)]
    return float(known.std()) if len(known) else 0.0


def _held_out(labelled: Sequence[LabelledSignals], folds: int, seed: int, fitting: Fitting) -> Floats:
    """Per label the probability by what was fitted on the other folds."""
    of = np.array([_fold(label.key, folds, seed) for label in labelled])
    probabilities = np.zeros(len(labelled))
    for fold in set(of.tolist()):
        others = [labelled[n] for n in np.flatnonzero(of != fold).tolist()]
        model = fitting(others)
        share = sum(label.accepted for label in others) / len(others) if others else 0.5
        for n in np.flatnonzero(of == fold).tolist():
            probabilities[n] = share if model is None else model.probability(labelled[n].signals)
    return probabilities


def _fold(key: str, folds: int, seed: int) -> int:
    return zlib.crc32(f"{seed} {key}".encode("utf-8", "surrogatepass")) % folds


def _isotonic(scores: Floats, answers: Floats) -> tuple[tuple[float, float], ...]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip").fit(scores, answers)
    return tuple(zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True))
