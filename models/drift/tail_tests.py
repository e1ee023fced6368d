"""How unlikely a count is, and how unlikely it must be when a stream is looked at again and again."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_NEAR_END = 0.5
_SOON = 100  # looks after which the spending begins to fall


def spent(look: int) -> float:
    """Share of all false alarms that one look may spend; over all looks, however many, these add up to at most 1.

    Args:
        look: Number of the look, from 0.

    Source:
        Lan & DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70 (1983), with a spending
        function ``1 / log``, so that a stream may go on for ever.
    """
    n = look + _SOON
    return math.log(_SOON - 1) / (n * math.log(n) ** 2)


def tails(observed: ArrayLike, mean: ArrayLike, variance: ArrayLike, most: ArrayLike) -> tuple[Floats, Floats]:
    """How likely a count is that is as low, or as high, as the observed one.

    The count is taken for binomial where its variance is below its mean, for negative binomial where above, with
    exactly this mean and variance: right far out in the tails, where a normal distribution is not.

    Args:
        observed: Counts, any shape.
        mean: Expected counts, above 0, same shape.
        variance: Above 0, same shape.
        most: Largest counts that there could be, same shape. A binomial distribution that would end near the observed
            count, before these, is given as many draws as these.

    Returns:
        ``P(X <= observed)`` and ``P(X >= observed)``.
    """
    from scipy.special import betainc

    o, m, v, k = (np.asarray(a, dtype=np.float64) for a in (observed, mean, variance, most))
    k = np.maximum(k, m * (1 + 1e-6))
    short = (v < m) & (o > _NEAR_END * m**2 / np.maximum(m - v, 1e-12))
    v = np.where(short, np.maximum(v, m - m**2 / k), v)
    v = np.where(np.abs(v - m) < 1e-6 * m, m * (1 + 1e-6), v)  # Poisson, by way of its neighbour
    wide = v > m
    low, high = np.empty(o.shape), np.empty(o.shape)
    r, p = m[wide] ** 2 / (v[wide] - m[wide]), m[wide] / v[wide]
    low[wide], high[wide] = betainc(r, o[wide] + 1, p), betainc(np.maximum(o[wide], 1e-12), r, 1 - p)
    p = 1 - v[~wide] / m[~wide]
    n, x = m[~wide] / p, o[~wide]
    low[~wide] = betainc(np.maximum(n - x, 1e-9), x + 1, 1 - p)
    high[~wide] = betainc(np.maximum(x, 1e-12), np.maximum(n - x + 1, 1e-9), p)
    return low, high


def benjamini_hochberg(p: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Which of many tests stand when a share of ``rate`` of those that stand may be false.

    Args:
        p: P-values, shape ``(n,)``.
        rate: False discovery rate, 0 to 1.

    Source:
        Benjamini & Hochberg, "Controlling the False Discovery Rate", JRSS B 57 (1995).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    below = np.flatnonzero(values[order] <= rate * np.arange(1, len(values) + 1) / max(len(values), 1))
    stands = np.zeros(len(values), dtype=bool)
    if len(below):
        stands[order[: below[-1] + 1]] = True
    return stands


def gamma_tail(observed: float, mean: float, variance: float) -> float:
    """``P(X >= observed)`` of a gamma distribution, such as a squared distance has where nothing changed."""
    from scipy.special import gammaincc

    if mean <= 0 or variance <= 0:
        return 1.0
    return float(gammaincc(mean**2 / variance, max(observed, 0.0) * mean / variance))


def to_score(p: Any) -> Any:
    """``-log10`` of p-values, at most 300."""
    return -np.log10(np.maximum(p, 1e-300))
