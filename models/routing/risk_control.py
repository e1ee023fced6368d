"""From which confidence codes are accepted without a person, so that few of them are wrong: a promise with proof."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import SettingError
from models.evaluation.clopper_pearson import interval

MOST_LABELS = 10_000  # said where no number of labels would do, and the most that is ever said
_OPENING = 8  # the first test is on an eighth of the labels at least: below it an unlucky label would end the sequence
_FORGIVING, _PART = 2, 3  # nor on fewer than forgive two wrong ones, as soon as these are but a third of the labels
_MOST_TESTS = 1_000  # of more places every n-th is tested
_SETTLED = 500  # codes accepted earlier from which what they saved counts whole: a few are no experience


@dataclass(frozen=True)
class Earlier:
    """What was accepted under the promise before."""

    codes: int = 0
    wrong_share: float = 0.0
    """The share of them that is wrong, as far as can be told."""

    def allowed(self, wrong_share: float) -> float:
        """The share that may be wrong of as many further codes, for all together to be within the promise.

        Never under half of what was promised: by what happened before, nothing that is accepted now gets worse.
        """
        saved = min(1.0, self.codes / _SETTLED) * (wrong_share - self.wrong_share)
        return min(0.99, max(wrong_share / 2, wrong_share + saved))


@dataclass(frozen=True)
class RiskBound:
    """What a sample of labels says can be accepted without a person."""

    threshold: float | None
    """Confidence from which on codes are accepted; None where the promise cannot be kept yet."""
    accepted: int
    """Labels of the sample at or above the threshold."""
    wrong: int
    """Of these, the ones that a person did not accept."""
    labels: int
    """All labels of the sample."""
    labels_needed: int
    """How many more would probably be enough at the present error rate; 0 where the promise is kept."""
    reachable: bool
    """Whether more labels help at all: the surest codes are wrong less often than promised."""

    @property
    def satisfied(self) -> bool:
        """Whether anything may be accepted."""
        return self.threshold is not None


def promise(
    confidences: Sequence[float],
    accepted: Sequence[bool],
    *,
    wrong_share: float = 0.1,
    certainty: float = 0.95,
    earlier: Earlier | None = None,
    probabilities: bool = False,
) -> RiskBound:
    """Find the lowest confidence above which the share of wrong codes is proven to be small enough.

    Learn-Then-Test with one fixed sequence: "at least ``wrong_share`` of what is accepted from here on is wrong" is
    tested from the surest labels downwards, and the last rejection before the first failure is taken. How many labels
    the first test is on depends on nothing but their number. The sequence is MAPIE's (``control_fwer``). The p-values
    are the exact binomial tail ``P(Bin(n, wrong_share) <= wrong)`` and not MAPIE's Hoeffding-Bentkus ones with
    ``binary=True``: these are the same tail at ``ceil(n * (wrong / n))``, which floats round up to one label too many
    (7 of 25 counts as 8), so they are never smaller and at times larger.

    It holds for each sample by itself with probability ``certainty``; whoever looks again after every label looks at
    many samples. What was accepted earlier counts: where less of it is wrong than was promised, so much more may be of
    what comes (``Earlier.allowed``), but as counted on the labels never more than was promised.

    Args:
        confidences: What the system gave, shape ``(n,)``. Labels of equal confidence stand and fall together.
        accepted: Whether a person let the code stand, shape ``(n,)``. They must be drawn by chance from what is to be
            accepted (``sample=True``), and the confidence must not have been fitted on them.
        wrong_share: The largest share of wrong codes among the accepted ones, between 0 and 1.
        certainty: How sure that is, between 0 and 1.
        earlier: What was accepted under the promise before.
        probabilities: Whether the confidences are calibrated, each by other labels than its own. Then the sequence
            begins where they expect the clearest proof: begun at the very surest, one unlucky label would end it.

    Raises:
        SettingError: If share or certainty are not between 0 and 1.

    Source:
        Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test", 2021, section 2.3 and proposition 6.
    """
    level, labels = 1 - certainty, len(confidences)
    first = _first_test_size(labels, wrong_share, certainty)
    allowed = (earlier or Earlier()).allowed(wrong_share)
    thresholds, counts, wrongs = _from_the_surest(confidences, accepted)
    tested = np.flatnonzero(counts >= first)
    if probabilities and len(tested):
        tested = tested[_clearest(confidences, counts[tested], allowed) :]
    tested = tested[:: math.ceil(len(tested) / _MOST_TESTS) or 1]
    last = _last_rejected(_tails(counts[tested], wrongs[tested], allowed), level)
    while allowed > wrong_share and last is not None and wrongs[tested[last]] > wrong_share * counts[tested[last]]:
        last = last - 1 if last else None
    if last is None:
        needed = _needed(counts, wrongs, tested, wrong_share, certainty)
        return RiskBound(None, 0, 0, labels, needed or MOST_LABELS, needed is not None)
    at = tested[last]
    return RiskBound(float(thresholds[at]), int(counts[at]), int(wrongs[at]), labels, 0, True)


def fewest_labels(wrong_share: float, certainty: float) -> int:
    """How many labels, all of them right, a promise needs at least.

    Raises:
        SettingError: If share or certainty are not between 0 and 1.
    """
    for name, value in (("share of wrong codes", wrong_share), ("certainty", certainty)):
        if not 0 < value < 1:
            raise SettingError(f"a promise's {name} is {value}; a number between 0 and 1 is expected")
    return math.ceil(round(math.log(1 - certainty) / math.log(1 - wrong_share), 9))


def error_rate(wrong: int, total: int, certainty: float = 0.95) -> tuple[float, float, float]:
    """A share with its exact (Clopper-Pearson) interval: ``(share, low, high)``; of nothing, ``(nan, 0, 1)``."""
    if not total:
        return math.nan, 0.0, 1.0
    return wrong / total, *interval(wrong, total, certainty)


def _from_the_surest(
    confidences: Sequence[float], accepted: Sequence[bool]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct confidences, falling, and how many labels are at or above each, and how many of these wrong."""
    if len(confidences) != len(accepted):
        raise ValueError(f"{len(confidences)} confidences but {len(accepted)} labels")
    scores = np.asarray(confidences, dtype=float)
    order = np.argsort(-scores, kind="stable")
    wrongs = np.cumsum(~np.asarray(accepted, dtype=bool)[order])
    last_of_equals = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(scores) else order
    return scores[order][last_of_equals], last_of_equals + 1, wrongs[last_of_equals]


def _clearest(confidences: Sequence[float], counts: NDArray[np.int64], allowed: float) -> int:
    """At which of the counts, from the surest on, calibrated confidences expect the smallest p-value."""
    from scipy.stats import beta

    expected = np.cumsum(1 - np.sort(np.asarray(confidences, dtype=float))[::-1])[counts - 1]
    return int(np.argmin(beta.sf(allowed, expected + 1, np.maximum(counts - expected, 1e-9))))  # of parts of a code too


def _tails(
    counts: NDArray[np.int64], wrongs: NDArray[np.int64] | NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    from scipy.stats import binom

    return np.asarray(binom.cdf(wrongs, counts, share), dtype=float)


def _last_rejected(tails: NDArray[np.float64], level: float) -> int | None:
    """Where the sequence ends, if its first test succeeds."""
    if not len(tails):
        return None
    from mapie.risk_control import control_fwer  # three seconds, and only those who promise need it

    rejected = control_fwer(tails, level, "fixed_sequence")
    return int(rejected[-1]) if len(rejected) else None


def _first_test_size(labels: int, share: float, certainty: float) -> int:
    """How many labels the first test is on: one of the sizes from which one more wrong label is forgiven."""
    fewest = fewest_labels(share, certainty)
    if labels < fewest:
        return fewest
    from scipy.stats import binom

    sizes = np.arange(1, max(labels, fewest * (_FORGIVING + 2)) + 1)
    forgiven = binom.ppf(1 - certainty, sizes, share)  # one more than are
    steps = sizes[1:][np.diff(forgiven) > 0]
    steps = steps[steps >= fewest]
    small = steps[: _FORGIVING + 1][steps[: _FORGIVING + 1] <= labels / _PART]
    large = steps[steps >= labels / _OPENING]
    return max(fewest, int(small[-1]) if len(small) else 0, int(large[0]) if len(large) else 0)


def _needed(
    counts: NDArray[np.int64], wrongs: NDArray[np.int64], tested: NDArray[np.int64], share: float, certainty: float
) -> int | None:
    """How many more labels would probably do, were the best part of these as wrong later; None if none would."""
    fewest = fewest_labels(share, certainty)
    if not len(counts):
        return fewest
    labels = int(counts[-1])
    enough = np.flatnonzero(counts >= min(fewest, labels))
    tails = _tails(counts[enough], wrongs[enough], share)
    at = int(enough[int(np.argmin(tails))])
    if tails.min() <= 1 - certainty:  # it was the first test that failed
        at = int(tested[0])
    rate, part = float(wrongs[at] / counts[at]), float(counts[at] / labels)
    if rate >= share:
        return labels if tails.min() <= 1 - certainty else None
    sizes = np.arange(fewest, MOST_LABELS + 1)
    passing = np.flatnonzero(_tails(sizes, np.ceil((sizes * rate).round(9)), share) <= 1 - certainty)
    if not len(passing):
        return None
    return min(MOST_LABELS, max(1, math.ceil(int(sizes[passing[0]]) / part) - labels))
