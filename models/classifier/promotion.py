"""Whether a new classifier takes the old one's place: only if it is better on labels that neither was taught."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.classifier.training_set import Matrix
from models.evaluation.bootstrap import LEVEL, PairedDifference, resample
from models.evaluation.clopper_pearson import lower_bound
from models.evaluation.metrics import f1_by_code
from models.ports import Floats

HALF = 0.5  # probability from which a code without a threshold of its own is decided: the likelier of yes and no
_GRID = np.round(np.arange(0.1, 0.901, 0.05), 2)  # thresholds that are tried: finer ones would fit the few labels
_LEAST_POSITIVE = 4  # examples of a code from which its own threshold is fitted
_LEAST_GUESSES = 20  # guesses from which it can be compared how often they are right
_CERTAINTY = 0.8  # that they are right so often


@dataclass(frozen=True)
class PromotionCriteria:
    """What a new classifier must show."""

    least: int = 40
    """Labels below which nothing is compared."""
    certainty: float = 0.8
    """Share of the bootstrap's draws in which it must be better. Not 0.95: a study has few labels, every
    classifier is judged on all of them again, and one that is taken wrongly is as good as the old one, about."""
    resamples: int = 1_000
    growth: float = 1.1
    """A head that was taught so many times the labels of the one that serves takes its place unless it is worse: what
    is like it in all but what it knows need not prove that knowing more helps."""


@dataclass(frozen=True)
class CodeScore:
    """How well one code is compared, by the new classifier and by what serves."""

    f1: float
    before: float
    examples: int
    """Segments that have it."""


@dataclass(frozen=True)
class PromotionResult:
    """Whether a new classifier takes the old one's place, and why."""

    promoted: bool
    why: str
    macro_f1: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """Ends of the 95% interval of the macro-F1."""
    before: float = 0.0
    """The macro-F1 of what serves."""
    difference: PairedDifference | None = None
    better: float = 0.0
    """Share of the bootstrap's draws in which the new one is better."""
    per_code: Mapping[UUID, CodeScore] = field(default_factory=dict)


def compare_to_champion(
    truth: Matrix,
    new: Matrix,
    old: Matrix,
    codes: Sequence[UUID],
    criteria: PromotionCriteria,
    *,
    champion: str = "",
    grown: bool = False,
) -> PromotionResult:
    """Compare two classifiers on the same labelled segments.

    Macro-F1 is the mean over the codes that any segment has; a code that a classifier does not know counts
    as never guessed. The draws of the bootstrap are the same for both.

    Args:
        truth: Which segment has which code, shape ``(n, k)``.
        new: What the new classifier says, of the same shape.
        old: What it must be better than.
        codes: The columns.
        criteria: What it must show.
        champion: What ``old`` is, in words.
        grown: Whether the new one differs from it only by having been taught many more labels; see ``growth``.
    """
    if len(truth) < criteria.least:
        return PromotionResult(False, _too_few(len(truth), criteria.least))
    compared: NDArray[np.bool_] = np.asarray(truth.any(axis=0))
    if not compared.any():
        return PromotionResult(False, f"none of the {len(truth)} labels has a code that could be compared")
    draws = resample(len(truth), criteria.resamples)
    mine, theirs = f1_by_code(truth, new), f1_by_code(truth, old)
    macro, before = float(mine[compared].mean()), float(theirs[compared].mean())
    macros = _macro_draws(truth, new, draws)
    differences = macros - _macro_draws(truth, old, draws)
    (low, high), ends = _ends(macros), _ends(differences)
    difference = PairedDifference(macro - before, *ends)
    better = float((differences > 0).mean())
    promoted = (macro > before and better >= criteria.certainty) or (grown and macro >= before)
    scores = {
        code: CodeScore(float(mine[n]), float(theirs[n]), int(truth[:, n].sum()))
        for n, code in enumerate(codes)
        if compared[n]
    }
    return PromotionResult(
        promoted=promoted,
        why=_why(promoted, difference, macro, before, champion, len(truth)),
        macro_f1=macro,
        low=low,
        high=high,
        before=before,
        difference=difference,
        better=better,
        per_code=scores,
    )


def _ends(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _too_few(labels: int, least: int) -> str:
    return f"{labels} labels are too few to compare on, {least} are needed: {least - labels} more"


def _why(
    promoted: bool, difference: PairedDifference, macro: float, before: float, champion: str, compared: int
) -> str:
    comparison = (
        f"macro-F1 {macro:.3f} against {before:.3f} of {champion or 'what serves'} on {compared} labels "
        f"({difference.mean:+.3f}, 95% interval {difference.low:+.3f} to {difference.high:+.3f})"
    )
    if promoted:
        return f"{'better' if macro > before else 'taught more, and not worse'}: {comparison}"
    return f"not better: {comparison}" if macro <= before else f"not surely better: {comparison}"


def _macro_draws(truth: Matrix, predicted: Matrix, draws: NDArray[np.floating[Any]]) -> Floats:
    """Macro-F1 in each draw over the codes that it holds, shape ``(resamples,)``."""
    hits, there, given = (draws @ each.astype(np.float32) for each in (truth & predicted, truth, predicted))
    scores = _ratio(2.0 * hits, there + given)
    held = there > 0
    return _ratio((scores * held).sum(axis=1), held.sum(axis=1))


def _ratio(part: Any, whole: Any) -> Floats:
    ratio: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
    return ratio


def commonest(truth: Matrix, rows: int) -> Matrix:
    """What somebody says who knows only which code is the commonest: that one of every segment.

    Args:
        truth: Labels to learn the commonest code from, shape ``(n, k)``.
        rows: How many segments to say it of.
    """
    predicted = np.zeros((rows, truth.shape[1]), dtype=np.bool_)
    if truth.size and truth.any():
        predicted[:, int(truth.sum(axis=0).argmax())] = True
    return predicted


def thresholds(truth: Matrix, probabilities: Floats) -> tuple[float, ...]:
    """The probability from which each code counts as there: that with the best F1, near 0.5 where several are.

    Args:
        truth: Which segment has which code, shape ``(n, k)``.
        probabilities: By classifiers that were not taught the segment, of the same shape.

    Returns:
        One a code; 0.5 for a code with fewer than four examples.
    """
    by_distance = sorted(_GRID.tolist(), key=lambda threshold: (abs(threshold - HALF), threshold))
    scores = np.stack([f1_by_code(truth, probabilities >= threshold) for threshold in by_distance])  # (grid, k)
    best = scores.argmax(axis=0)
    enough = truth.sum(axis=0) >= _LEAST_POSITIVE
    return tuple(
        by_distance[at] if is_enough else HALF for at, is_enough in zip(best.tolist(), enough.tolist(), strict=True)
    )


def confidence_threshold(
    truth: Matrix,
    probabilities: Floats,
    *,
    right: float = 0.9,
    certainty: float = _CERTAINTY,
    least: int = _LEAST_GUESSES,
) -> float | None:
    """The lowest probability from which the likeliest code is right often enough, as far as labels can tell.

    Of the guesses at or above it so many were right that a share below ``right`` would come to that less often than
    ``1 - certainty`` (Clopper and Pearson's lower bound). The lowest of many probabilities at which a share as it was
    counted is high enough would be one at which chance was kind.

    Args:
        truth: Which segment has which code, shape ``(n, k)``.
        probabilities: By classifiers that were not taught the segment, of the same shape.
        right: How often it must be.
        certainty: How sure that is, at each probability by itself.
        least: Guesses of that probability or more that there must be to tell.

    Returns:
        The probability; none where there are too few guesses, or they are wrong too often.

    Source:
        ``python -m benchmarks.sure --draws 20``, 20 of BANKING77's intents a draw. Where it was sure, a head that was
        taught 100 labels was right 0.921 of the time (as counted: 0.874; by an isotonic curve: 0.949), and at least
        0.9 in 12 of the 17 draws in which it was sure at all (8 of 20; 17 of 19), of 0.346 of the texts (0.466;
        0.346). With 250 labels 0.930 (0.921; 0.974) in 20 of 20 draws (17; 20), of 0.945 (0.968; 0.730).
    """
    if not truth.size:
        return None
    best = probabilities.argmax(axis=1)
    guesses = probabilities[np.arange(len(best)), best]
    hits = truth[np.arange(len(best)), best]
    order = np.argsort(-guesses, kind="stable")
    guesses, counts = guesses[order], np.arange(1, len(order) + 1)
    rights = np.cumsum(hits[order])
    bounds = lower_bound(rights, counts, certainty)
    last_of_equals = np.append(guesses[1:] < guesses[:-1], True)  # equal guesses are sure together or not at all
    good = np.flatnonzero((bounds >= right) & (counts >= least) & last_of_equals)
    return float(guesses[good[-1]]) if len(good) else None


def even_folds(rows: Sequence[UUID], targets: Matrix, folds: int) -> NDArray[np.intp]:
    """A fold for each segment, from 0, shape ``(n,)``: the same in every run, and each code in as many as can be.

    A code with few examples must not lose several of them at once: whoever is judged by such folds seems worse than
    one that was taught all.

    Args:
        rows: The segments.
        targets: Which segment has which code, shape ``(n, k)``.
        folds: How many parts take turns in being left out.
    """
    sizes = targets.sum(axis=0)
    order = np.argsort([row.int % (1 << 61) for row in rows], kind="stable")
    dealt: Counter[int] = Counter()
    fold_of_row = np.empty(len(rows), dtype=np.intp)
    for row in order.tolist():
        codes = np.flatnonzero(targets[row])
        rarest = int(codes[np.argmin(sizes[codes])]) if len(codes) else -1
        fold_of_row[row] = (dealt[rarest] + max(0, rarest)) % max(1, folds)
        dealt[rarest] += 1
    return fold_of_row
