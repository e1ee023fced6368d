"""How unlikely a count is, and how unlikely it must be when a stream is looked at again and again."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NEAR_END = 0.5  # of its draws: a binomial count above is too near its end for a number of draws that was only fitted
_SOON = 100  # looks, some six windows, that may spend about alike before the spending begins to fall


def alpha_spent(look: int, soon: int = _SOON) -> float:
    """Share of all false alarms that one look may spend; over all looks, however many, these add up to at most 1.

    Look ``k`` may spend ``log(soon - 1) / (n log(n)^2)`` with ``n = k + soon``, whose sum to infinity is below the
    integral of ``1 / (n log(n)^2)``, which is ``-1 / log(n)``.

    >>> round(alpha_spent(0), 5), round(alpha_spent(10_000), 7)
    (0.00217, 5.4e-06)

    Args:
        look: Number of the look, from 0.
        soon: Looks that may spend about alike before the spending begins to fall, at least 3.

    Source:
        Lan & DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70 (1983), with a spending
        function ``1 / log``, so that a stream may go on for ever.
    """
    n = look + soon
    return math.log(soon - 1) / (n * math.log(n) ** 2)


def tails(
    observed: ArrayLike, mean: ArrayLike, variance: ArrayLike, most: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely a count is that is as low, or as high, as the observed one.

    The count is taken for binomial where its variance is below its mean, for negative binomial where above, with
    exactly this mean and variance: right far out in the tails, where a normal distribution is not. Mean ``m`` and
    variance ``v`` give ``n = m / p`` draws with ``p = 1 - v / m``, or ``r = m^2 / (v - m)`` and ``p = m / v``; both
    tails are incomplete beta functions, so counts need not be whole.

    >>> low, high = tails([9.0], mean=[5.0], variance=[2.5], most=[10.0])  # Binomial(10, 1/2)
    >>> round(float(high[0]), 6) == round(11 / 1024, 6)
    True

    Args:
        observed: Counts, any shape.
        mean: Expected counts, above 0, same shape.
        variance: Above 0, same shape.
        most: Largest counts that there could be, same shape. A binomial distribution that would end near the observed
            count, before these, is given as many draws as these.

    Returns:
        ``P(X <= observed)`` and ``P(X >= observed)``.

    Source:
        Johnson, Kemp & Kotz, "Univariate Discrete Distributions", Wiley (2005).
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


def gamma_tail(observed: float, mean: float, variance: float) -> float:
    """``P(X >= observed)`` of a gamma distribution, such as a squared distance has where nothing changed.

    >>> round(gamma_tail(3.0, mean=1.0, variance=1.0), 4)  # exponential
    0.0498
    """
    from scipy.special import gammaincc

    if mean <= 0 or variance <= 0:
        return 1.0
    return float(gammaincc(mean**2 / variance, max(observed, 0.0) * mean / variance))


def to_score(p: Any) -> Any:
    """``-log10`` of p-values, at most 300.

    >>> float(to_score(0.001))
    3.0
    """
    return -np.log10(np.maximum(p, 1e-300))
