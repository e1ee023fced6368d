"""How far two windows lie apart, and how often chance alone would put them so far."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.ports import Embeddings

Floats = NDArray[np.float64]

_PERMUTATIONS, _SEED = 999, 20_241


def jensen_shannon(a: ArrayLike, b: ArrayLike) -> float:
    """Jensen-Shannon divergence of two rows of counts, in bits: 0 where they are alike, 1 where nothing is shared.

    Source:
        Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Information Theory 37 (1991).
    """
    p, q = (np.asarray(counts, dtype=np.float64) for counts in (a, b))
    p, q = p / max(p.sum(), 1e-12), q / max(q.sum(), 1e-12)
    middle = (p + q) / 2
    return max(0.0, (_relative(p, middle) + _relative(q, middle)) / 2 / math.log(2))


def g_statistic(a: ArrayLike, b: ArrayLike) -> float:
    """Likelihood-ratio statistic of two rows of counts against one common distribution, in nats times two.

    Source:
        Woolf, "The Log Likelihood Ratio Test (the G-Test)", Annals of Human Genetics 21 (1957).
    """
    table = np.stack([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    due = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / max(table.sum(), 1e-12)
    seen = table > 0
    return float(2 * (table[seen] * np.log(table[seen] / due[seen])).sum())


def permuted(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Callable[[ArrayLike, ArrayLike], float] = g_statistic,
    permutations: int = _PERMUTATIONS,
    seed: int = _SEED,
) -> float:
    """P-value of a statistic of counts: how often dealing the same segments out anew puts them as far apart.

    Args:
        a: Counts of one window, shape ``(cells,)``, or ``(strata, cells)`` to deal within strata only.
        b: Counts of the other, same shape.
        statistic: Larger where they lie further apart; of the counts summed over strata.
        permutations: How often to deal.
        seed: Of the dealing.
    """
    rows, others = (np.atleast_2d(np.asarray(counts, dtype=np.int64)) for counts in (a, b))
    rng, whole = np.random.default_rng(seed), rows + others
    dealt = np.zeros((permutations, rows.shape[1]), dtype=np.int64)
    for part, both in zip(rows, whole, strict=True):
        dealt += rng.multivariate_hypergeometric(both, int(part.sum()), size=permutations)
    total = whole.sum(axis=0)
    found = statistic(rows.sum(axis=0), others.sum(axis=0))
    as_far = sum(statistic(one, total - one) >= found - 1e-12 for one in dealt)
    return (1 + as_far) / (1 + permutations)


def bandwidth(vectors: Embeddings) -> float:
    """Median distance of two rows: the usual width of a Gaussian kernel; above 0."""
    squared = _squared_distances(vectors, vectors)[np.triu_indices(len(vectors), 1)]
    return float(np.sqrt(np.median(squared))) if len(squared) and np.median(squared) > 0 else 1.0


def gaussian(vectors: Embeddings, width: float) -> Floats:
    """Kernel of all pairs of rows, shape ``(n, n)``."""
    return np.asarray(np.exp(-_squared_distances(vectors, vectors) / (2 * width**2)))


def squared_mmd(kernel: Floats, newer: NDArray[np.bool_]) -> float:
    """Squared maximum mean discrepancy of two windows; about 0 where they are alike, at times slightly below.

    Args:
        kernel: Of all pairs, shape ``(n, n)``.
        newer: Which rows are of the newer window, shape ``(n,)``; at least two are, and two are not.

    Source:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), Lemma 6.
    """
    return float(_squared_mmds(kernel, newer[None])[0])


def mmd_test(
    kernel: Floats,
    newer: NDArray[np.bool_],
    strata: ArrayLike,
    permutations: int = _PERMUTATIONS,
    seed: int = _SEED,
    together: int = 1,
) -> tuple[float, float, Floats]:
    """Squared MMD of two windows, its permutation p-value, and its values where rows are dealt out anew.

    Args:
        kernel: Of all pairs, shape ``(n, n)``.
        newer: Which rows are of the newer window, shape ``(n,)``.
        strata: Rows are dealt within equal ones only, shape ``(n,)``.
        permutations: How often to deal.
        seed: Of the dealing.
        together: Neighbours of a stratum that are dealt as one, where they may be about the same event.
    """
    rng, labels = np.random.default_rng(seed), np.asarray(strata)
    places = [np.flatnonzero(labels == one) for one in np.unique(labels)]
    shuffled = np.tile(newer, (permutations, 1))
    for dealt_out in shuffled:
        for place in places:
            runs = rng.permutation(-(-len(place) // together))
            order = (runs[:, None] * together + np.arange(together)).ravel()
            dealt_out[place] = newer[place[order[order < len(place)]]]
    found, dealt = squared_mmd(kernel, newer), _squared_mmds(kernel, shuffled)
    return found, float((1 + (dealt >= found - 1e-12).sum()) / (1 + permutations)), dealt


def fourier_features(vectors: Embeddings, width: float, features: int = 256, seed: int = _SEED) -> Floats:
    """Features whose dot products are about a Gaussian kernel, for windows too large for all pairs, ``(n, features)``.

    Source:
        Rahimi & Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS 2007.
    """
    rng = np.random.default_rng(seed)
    turn = rng.standard_normal((vectors.shape[1], features)) / width
    shift = rng.uniform(0, 2 * np.pi, features)
    return np.asarray(np.sqrt(2 / features) * np.cos(vectors.astype(np.float64) @ turn + shift))


def _squared_mmds(kernel: Floats, newer: NDArray[np.bool_]) -> Floats:
    """As :func:`squared_mmd`, for many choices of the newer rows, shape ``(choices, n)``, that are equally many."""
    chosen = newer.astype(np.float64)
    m = chosen[0].sum()
    n = len(kernel) - m
    rows, own = chosen @ kernel, np.diag(kernel)
    new, either = (rows * chosen).sum(axis=1), rows.sum(axis=1)
    both = either - new
    old = kernel.sum() - 2 * both - new
    mine = chosen @ own
    return np.asarray((new - mine) / (m * (m - 1)) + (old - (own.sum() - mine)) / (n * (n - 1)) - 2 * both / (m * n))


def _relative(p: Floats, q: Floats) -> float:
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / q[seen])).sum())


def _squared_distances(a: Embeddings, b: Embeddings) -> Floats:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return np.asarray(np.maximum((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T, 0.0))
