"""Whether two ways to part the same things go together, and how strongly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.ports import Floats


@dataclass(frozen=True)
class Association:
    """Pearson's chi-square of a table of counts, and its effect size."""

    chi2: float
    degrees: int
    """Degrees of freedom."""
    p: float
    v: float
    """Cramer's V, from 0 (none) to 1."""
    least_expected: float
    """The smallest count that independence would have expected; under 5 the p is rough."""


def chi_square(table: Sequence[Sequence[int]]) -> Association | None:
    """Test a table of counts, without correction for continuity.

    Args:
        table: Counts, shape ``(rows, columns)``; each thing stands in one cell. Rows and columns of zeros are left out.

    Returns:
        None where fewer than two rows or columns hold anything.

    Source:
        Cramer, "Mathematical Methods of Statistics" (1946), section 21.9.
    """
    counts = np.asarray(table, dtype=float)
    if counts.ndim != 2:
        return None
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return None
    from scipy.stats import chi2_contingency

    tested = chi2_contingency(counts, correction=False)
    v = math.sqrt(tested.statistic / (counts.sum() * (min(counts.shape) - 1)))
    return Association(
        float(tested.statistic), int(tested.dof), float(tested.pvalue), v, float(tested.expected_freq.min())
    )


def auroc(
    scores: Sequence[float] | Floats, answers: Sequence[bool] | Floats, counts: Floats | None = None
) -> float | None:
    """Share of pairs of a yes and a no whose yes has the higher score, ties half; none where all say the same.

    Args:
        scores: Shape ``(n,)``.
        answers: Whether each is a yes.
        counts: How often each counts, such as a row of resamples; once each where it is not given.
    """
    values, place = np.unique(np.asarray(scores), return_inverse=True)
    positive = np.asarray(answers, dtype=bool)
    weights = np.ones(len(place)) if counts is None else counts
    yes, no = (np.bincount(place, weights * side, len(values)) for side in (positive, ~positive))
    pairs = yes.sum() * no.sum()
    return float((yes * (np.cumsum(no) - no / 2)).sum() / pairs) if pairs else None
