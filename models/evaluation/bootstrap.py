"""How sure a figure is: bootstrap over texts, the same draws for every system, so that differences are paired."""

from dataclasses import dataclass

import numpy as np

from models.ports import Floats

RESAMPLES, SEED, LEVEL = 2_000, 20_241, 0.95
"""Draws (fifty in each tail of an interval), what they begin with (any number), and the share an interval holds."""
_LEAST = 2  # texts that differ from draw to draw


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

    def to_json(self) -> dict[str, float | None]:
        """Value and interval, to four places; its ends are ``None`` where one text gives none."""
        return {"value": round(self.value, 4), "low": _known(self.low), "high": _known(self.high)}


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

    def to_json(self) -> dict[str, float | bool | None]:
        """Difference and interval, to four places; its ends are ``None`` where one text gives none."""
        ends = {"mean": round(self.mean, 4), "low": _known(self.low), "high": _known(self.high)}
        return {**ends, "excludes_zero": self.excludes_zero}


def resample(texts: int, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """How often each text is in each resample, shape ``(resamples, texts)``; every row sums to ``texts``.

    Source:
        Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979).
    """
    counts = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=resamples)
    return counts.astype(np.float32)


def draws_of(texts: int, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """The resamples of texts for an ``Estimate``, shape ``(resamples, texts)``.

    Of one text there is none: drawn again it is itself, and an interval without width would say that all is certain.
    """
    return resample(texts, resamples if texts >= _LEAST else 0, seed)


def estimated_mean(values: Floats, draws: Floats) -> Estimate:
    """The mean of one value a text, and what it is in each resample.

    Args:
        values: Shape ``(texts,)``.
        draws: From ``draws_of``, shape ``(resamples, texts)``.
    """
    return Estimate(float(values.mean()), draws @ values / len(values))


def centred(value: float, draws: Floats, most: float = float("inf")) -> Estimate:
    """An estimate of a figure of the whole set, such as a number of distinct codes.

    A resample repeats texts, so it holds fewer distinct words and codes than the set itself; the draws are moved
    so that their mean is the figure, and keep their spread, as far as the figure can be so low or so high.

    Args:
        value: The figure, 0 or more.
        draws: What it is in each resample.
        most: The highest that it can be.
    """
    return Estimate(value, np.clip(draws - draws.mean() + value, 0.0, most) if len(draws) else draws)


def difference(a: Estimate, b: Estimate) -> PairedDifference:
    """``a - b`` with its percentile interval over the draws that both share."""
    draws = a.draws - b.draws
    return PairedDifference(a.value - b.value, _quantile(draws, (1 - LEVEL) / 2), _quantile(draws, (1 + LEVEL) / 2))


def _quantile(draws: Floats, share: float) -> float:
    return float(np.quantile(draws, share)) if len(draws) else float("nan")


def _known(end: float) -> float | None:
    return None if np.isnan(end) else round(end, 4)
