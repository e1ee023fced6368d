"""How sure a figure is: bootstrap over texts, the same draws for every system, so that differences are paired."""

from dataclasses import dataclass

import numpy as np

from models.ports import Floats

RESAMPLES, SEED, LEVEL = 2_000, 20_241, 0.95
"""Draws (fifty in each tail of an interval), what they begin with (any number), and the share an interval holds."""


@dataclass(frozen=True)
class Estimate:
    """A figure of one system, with what it would have been on other draws of as many texts."""

    value: float
    draws: Floats
    """Shape ``(resamples,)``."""

    @property
    def low(self) -> float:
        """Lower end of the 95% interval."""
        return _quantile(self.draws, (1 - LEVEL) / 2)

    @property
    def high(self) -> float:
        """Upper end of the 95% interval."""
        return _quantile(self.draws, (1 + LEVEL) / 2)

    def to_json(self) -> dict[str, float]:
        """Value and interval, to four places."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True)
class PairedDifference:
    """A paired difference of two systems on the same texts, with its 95% interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, float | bool]:
        """Difference and interval, to four places."""
        ends = {"mean": round(self.mean, 4), "low": round(self.low, 4), "high": round(self.high, 4)}
        return {**ends, "excludes_zero": self.excludes_zero}


def resample(texts: int, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """How often each text is in each resample, shape ``(resamples, texts)``; every row sums to ``texts``.

    Source:
        Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979).
    """
    counts = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=resamples)
    return counts.astype(np.float32)


def centred(value: float, draws: Floats) -> Estimate:
    """An estimate of a figure of the whole set, such as a number of distinct codes.

    A resample repeats texts, so it holds fewer distinct words and codes than the set itself; the draws are moved
    so that their mean is the figure, and keep their spread.
    """
    return Estimate(value, draws - draws.mean() + value if len(draws) else draws)


def difference(a: Estimate, b: Estimate) -> PairedDifference:
    """``a - b`` with its percentile interval over the draws that both share."""
    draws = a.draws - b.draws
    return PairedDifference(a.value - b.value, _quantile(draws, (1 - LEVEL) / 2), _quantile(draws, (1 + LEVEL) / 2))


def _quantile(draws: Floats, share: float) -> float:
    return float(np.quantile(draws, share)) if len(draws) else float("nan")
