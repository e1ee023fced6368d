"""The exact interval of a share, by Clopper and Pearson."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def lower_bound(hits: ArrayLike, total: ArrayLike, certainty: float) -> NDArray[Any]:
    """The share below which so many hits, or more, would come less often than ``1 - certainty``.

    The ``1 - certainty`` quantile of ``Beta(hits, total - hits + 1)``; 0 where there is no hit.

    >>> round(float(lower_bound(10, 10, 0.95)), 9) == round(0.05 ** (1 / 10), 9)
    True

    Args:
        hits: How often it was so; any shape.
        total: Of how many, at least as many; the same shape.
        certainty: How sure the bound is, 0 to 1; of a two-sided interval at 95%, 0.975.

    Source:
        Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    """
    from scipy.stats import beta

    hits, total = np.asarray(hits), np.asarray(total)
    return np.where(hits > 0, beta.ppf(1 - certainty, np.maximum(hits, 1), total - hits + 1), 0.0)


def interval(hits: int, total: int, certainty: float = 0.95) -> tuple[float, float]:
    """Both ends of a share's interval; from 0 to 1 where nothing was counted.

    >>> low, high = interval(3, 50)
    >>> round(low, 4), round(high, 4)
    (0.0125, 0.1655)
    """
    one_sided = (1 + certainty) / 2
    return float(lower_bound(hits, total, one_sided)), 1.0 - float(lower_bound(total - hits, total, one_sided))
