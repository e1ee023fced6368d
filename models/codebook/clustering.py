"""Rows into groups, by how near they are to each other."""

import numpy as np
from numpy.typing import NDArray

from models.ports import Embeddings

_DIGITS = 5  # a cosine differs behind them with the batch that a label was embedded in


def agglomerate(vectors: Embeddings, weights: NDArray[np.float64], threshold: float) -> list[list[int]]:
    """Group rows by average linkage over their cosines, each row counting by its weight.

    Args:
        vectors: Rows of unit length, shape ``(n, dim)``.
        weights: Above 0, shape ``(n,)``.
        threshold: Least mean cosine of two groups that become one.

    Returns:
        Groups of row numbers, each ascending, by their first row.

    Source:
        Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011, section 2 (UPGMA, here weighted).
    """
    if not len(vectors):
        return []
    near = np.round(vectors.astype(np.float64) @ vectors.T.astype(np.float64), _DIGITS)
    np.fill_diagonal(near, -np.inf)
    groups, sizes = [[n] for n in range(len(vectors))], weights.astype(np.float64)
    best = near.argmax(axis=1)
    while len(groups) > 1:
        a = int(near[np.arange(len(near)), best].argmax())
        b = int(best[a])
        if round(float(near[a, b]), _DIGITS) < threshold:
            break
        a, b = min(a, b), max(a, b)
        row = (sizes[a] * near[a] + sizes[b] * near[b]) / (sizes[a] + sizes[b])
        row[[a, b]] = -np.inf
        near[a] = near[:, a] = row
        near[b] = near[:, b] = -np.inf
        groups[a], groups[b], sizes[a] = sorted(groups[a] + groups[b]), [], sizes[a] + sizes[b]
        stale = np.flatnonzero((best == a) | (best == b) | (row > near[np.arange(len(near)), best]))
        stale = np.union1d(stale, [a, b])
        best[stale] = near[stale].argmax(axis=1)
    return [group for group in groups if group]


ALIKE = 0.75
"""Cosine from which two labels say the same; the default of ``models.codebook.themes`` and the shipped refiner."""
