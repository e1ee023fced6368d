"""How far two windows lie apart, and how often chance alone would put them so far."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.ports import Embeddings

_PERMUTATIONS = 999
"""Times that rows are dealt out anew: p-values down to one in a thousand."""
_SEED = 20_241
"""Of the dealing; any number, and the same one in every run."""


def g_statistic(a: ArrayLike, b: ArrayLike) -> float:
    """Likelihood-ratio statistic of two rows of counts against one common distribution, in nats times two.

    ``G = 2 sum O log(O / E)`` over both rows, with ``E`` the counts due if both were drawn from their sum.

    >>> g_statistic([30, 50, 20], [30, 50, 20]), round(g_statistic([30, 50, 20], [41, 19, 22]), 4)
    (0.0, 14.4618)

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

    With ``k`` of ``n`` dealings as far, it is ``(1 + k) / (1 + n)``: exact in that it is never below its true level.

    >>> permuted([90, 10], [10, 90])
    0.001

    Args:
        a: Counts of one window, shape ``(cells,)``, or ``(strata, cells)`` to deal within strata only.
        b: Counts of the other, same shape.
        statistic: Larger where they lie further apart; of the counts summed over strata.
        permutations: How often to deal.
        seed: Of the dealing.

    Source:
        Phipson & Smyth, "Permutation P-values Should Never Be Zero", SAGMB 9 (2010).
    """
    rows, others = (np.atleast_2d(np.asarray(counts, dtype=np.int64)) for counts in (a, b))
    rng, whole = np.random.default_rng(seed), rows + others
    dealt = np.zeros((permutations, rows.shape[1]), dtype=np.int64)
    for part, both in zip(rows, whole, strict=True):
        dealt += rng.multivariate_hypergeometric(both, int(part.sum()), size=permutations)
    total = whole.sum(axis=0)
    distance = statistic(rows.sum(axis=0), others.sum(axis=0))
    as_far = sum(statistic(counts, total - counts) >= distance - 1e-12 for counts in dealt)
    return (1 + as_far) / (1 + permutations)


def bandwidth(vectors: Embeddings) -> float:
    """Median distance of two rows: the usual width of a Gaussian kernel; above 0.

    >>> bandwidth(np.array([[0.0], [3.0]], dtype=np.float32))
    3.0

    Source:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), section 8.
    """
    squared = _squared_distances(vectors, vectors)[np.triu_indices(len(vectors), 1)]
    return float(np.sqrt(np.median(squared))) if len(squared) and np.median(squared) > 0 else 1.0


def gaussian(vectors: Embeddings, width: float) -> NDArray[np.float64]:
    """Gaussian kernel ``exp(-|x - y|^2 / (2 width^2))`` of all pairs of rows, shape ``(n, n)``.

    >>> gaussian(np.array([[0.0], [1.0]], dtype=np.float32), width=1.0).round(4)
    array([[1.    , 0.6065],
           [0.6065, 1.    ]])
    """
    return np.asarray(np.exp(-_squared_distances(vectors, vectors) / (2 * width**2)))


def squared_mmd(kernel: NDArray[np.float64], newer: NDArray[np.bool_]) -> float:
    """Squared maximum mean discrepancy of two windows; about 0 where they are alike, at times slightly below.

    ``MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)``, unbiased: pairs of a row with itself are left out.

    >>> rows = np.array([[0.0], [0.1], [2.0], [2.1]], dtype=np.float32)
    >>> round(squared_mmd(gaussian(rows, 1.0), np.array([False, False, True, True])), 3)
    1.717

    Args:
        kernel: Of all pairs, shape ``(n, n)``.
        newer: Which rows are of the newer window, shape ``(n,)``; at least two are, and two are not.

    Source:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), Lemma 6.
    """
    return float(_squared_mmds(kernel, newer[None])[0])


def mmd_test(
    kernel: NDArray[np.float64],
    newer: NDArray[np.bool_],
    strata: ArrayLike,
    permutations: int = _PERMUTATIONS,
    seed: int = _SEED,
    together: int = 1,
) -> tuple[float, float, NDArray[np.float64]]:
    """Squared MMD of two windows, its permutation p-value, and its values where rows are dealt out anew.

    >>> rows = np.random.default_rng(1).standard_normal((60, 3)).astype(np.float32)
    >>> newer = np.arange(60) >= 30
    >>> rows[newer] += 1
    >>> effect, p, _ = mmd_test(gaussian(rows, bandwidth(rows)), newer, np.zeros(60), permutations=199)
    >>> effect > 0.05, p
    (True, 0.005)

    Args:
        kernel: Of all pairs, shape ``(n, n)``.
        newer: Which rows are of the newer window, shape ``(n,)``.
        strata: Rows are dealt within equal ones only, shape ``(n,)``.
        permutations: How often to deal.
        seed: Of the dealing.
        together: Neighbours of a stratum that are dealt as one, where they may be about the same event.

    Source:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012).
    """
    rng, labels = np.random.default_rng(seed), np.asarray(strata)
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shuffled = np.tile(newer, (permutations, 1))
    for dealt_out in shuffled:
        for place in places:
            runs = rng.permutation(-(-len(place) // together))
            order = (runs[:, None] * together + np.arange(together)).ravel()
            dealt_out[place] = newer[place[order[order < len(place)]]]
    effect, dealt = squared_mmd(kernel, newer), _squared_mmds(kernel, shuffled)
    return effect, float((1 + (dealt >= effect - 1e-12).sum()) / (1 + permutations)), dealt


def fourier_features(vectors: Embeddings, width: float, features: int = 256, seed: int = _SEED) -> NDArray[np.float64]:
    """Features whose dot products are about a Gaussian kernel, for windows too large for all pairs, ``(n, features)``.

    ``sqrt(2 / features) cos(w x + b)`` with ``w`` normal of deviation ``1 / width`` and ``b`` uniform on a circle.

    >>> rows = np.array([[0.0], [1.0]], dtype=np.float32)
    >>> features = fourier_features(rows, width=1.0, features=20_000)
    >>> bool(np.allclose(features @ features.T, gaussian(rows, 1.0), atol=0.03))
    True

    Source:
        Rahimi & Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS 2007.
    """
    rng = np.random.default_rng(seed)
    turn = rng.standard_normal((vectors.shape[1], features)) / width
    shift = rng.uniform(0, 2 * np.pi, features)
    return np.asarray(np.sqrt(2 / features) * np.cos(vectors.astype(np.float64) @ turn + shift))


def _squared_mmds(kernel: NDArray[np.float64], newer: NDArray[np.bool_]) -> NDArray[np.float64]:
    """As :func:`squared_mmd`, for many choices of the newer rows, shape ``(choices, n)``, that are equally many."""
    flags = newer.astype(np.float64)
    m = flags[0].sum()
    n = len(kernel) - m
    rows, own = flags @ kernel, np.diag(kernel)
    new, either = (rows * flags).sum(axis=1), rows.sum(axis=1)
    both = either - new
    old = kernel.sum() - 2 * both - new
    mine = flags @ own
    return np.asarray((new - mine) / (m * (m - 1)) + (old - (own.sum() - mine)) / (n * (n - 1)) - 2 * both / (m * n))


def _squared_distances(a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return np.asarray(np.maximum((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T, 0.0))
