"""From which confidence codes are accepted without a person, so that few of them are wrong: a promise with proof."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.errors import SettingError
from models.evaluation.clopper_pearson import interval
from models.ports import Floats
from models.routing.strata import drawn_by_chance, weighed

MOST_LABELS = 10_000  # said where no number of labels would do, and the most that is ever said
_EACH = 0.8  # of the level, at which every confidence is tested
_ROUNDING = 1e-9  # of numbers of labels that need not be whole
_SETTLED = 500  # codes accepted earlier from which what they saved counts whole: a few are no experience


@dataclass(frozen=True)
class Earlier:
    """What was accepted under the promise before."""

    codes: int = 0
    wrong_share: float = 0.0
    """The share of them that is wrong, as far as can be told."""

    def allowed(self, wrong_share: float, labels: float, certainty: float) -> float:
        """The share that may be wrong of as many further codes, for all together to be within the promise.

        Never under half of what was promised: by what happened before, nothing that is accepted now gets worse. What
        was saved counts as far as it is proven: the share is told by no more labels than the promise itself.

        Args:
            wrong_share: What was promised.
            labels: Labels of the sample by which the share is known.
            certainty: How sure it must be that so much was saved.
        """
        owed = min(0.0, wrong_share - self.wrong_share)
        saved = max(0.0, wrong_share - upper_share(self.wrong_share, labels, certainty))
        return min(0.99, max(wrong_share / 2, wrong_share + min(1.0, self.codes / _SETTLED) * (owed or saved)))


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
    """Whether more labels may help: it is not proven that even the surest codes are wrong more often than promised."""
    share: float | None = None
    """How much of what is accepted is wrong, as the labels tell; None where nothing is accepted."""
    weighed: bool = False
    """Whether labels count that were not drawn by chance."""
    unclear: bool = False
    """Whether more is wrong so far than was promised, by too few labels to tell: then at least so many are needed."""

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
    stream: Sequence[float] = (),
) -> RiskBound:
    """Find the lowest confidence above which the share of wrong codes is proven to be small enough.

    At every confidence "at least ``wrong_share`` of what is accepted from here on is wrong" is tested by the exact
    binomial tail ``P(Bin(n, wrong_share) <= wrong)``, and the lowest at which it is refused is taken. Whoever looks at
    many tests and takes what suits is wrong more often than at each; but these are of one sample, each of nearly the
    same labels as the next, so that they fail together. At ``_EACH`` of the level a promise is broken no more often
    than the level says, as counted (``python -m infra.experiments.loop.promises``).

    It holds for each sample by itself with probability ``certainty``; whoever looks again after every label looks at
    many samples. What was accepted earlier counts: where less of it is wrong than was promised, so much more may be of
    what comes (``Earlier.allowed``), but as counted on the labels never more than was promised.

    Args:
        confidences: What the system gave, shape ``(n,)``. Labels of equal confidence stand and fall together.
        accepted: Whether a person let the code stand, shape ``(n,)``. Without ``stream`` they must all be drawn by
            chance from what is to be accepted (``sample=True``). The confidence must not have been fitted on them.
        wrong_share: The largest share of wrong codes among the accepted ones, between 0 and 1.
        certainty: How sure that is, between 0 and 1.
        earlier: What was accepted under the promise before.
        stream: Confidences of what came lately, whether anybody looked at it or not: labels then may be of any that
            people were asked about by confidence, each weighed by how common codes as sure are; see ``weighed``. What
            was saved earlier is then not spent.

    Raises:
        SettingError: If share or certainty are not between 0 and 1.

    Source:
        Learn-Then-Test's tests and p-values (Angelopoulos, Bates, Candès, Jordan and Lei, 2021, section 2.3), without
        its fixed sequence from the surest downwards: that ends at the first unlucky label, and the promise with it.
    """
    fewest, labels = fewest_labels(wrong_share, certainty), len(confidences)
    known = weighed(confidences, accepted, stream) if len(stream) and labels else drawn_by_chance(confidences, accepted)
    sizes, wrongs = known.sizes, known.wrongs
    within = wrongs <= wrong_share * sizes + _ROUNDING
    allowed = (earlier or Earlier()).allowed(wrong_share, float(sizes[within].max(initial=0)), certainty)
    if len(stream):
        allowed = min(wrong_share, allowed)
    refused = _tails(sizes, wrongs, allowed) <= _level(certainty)
    proven = np.flatnonzero(refused & within & (sizes >= fewest - _ROUNDING))
    if not len(proven):
        unproven = RiskBound(None, 0, 0, labels, fewest, reachable=True)
        return _with_outlook(unproven, sizes, wrongs, wrong_share, certainty) if labels else unproven
    at = proven[-1]
    threshold = float(known.thresholds[at])
    above = [right for sure, right in zip(confidences, accepted, strict=True) if sure >= threshold]
    return RiskBound(
        threshold, len(above), above.count(False), labels, 0, True, float(wrongs[at] / sizes[at]), len(stream) > 0
    )


def _level(certainty: float) -> float:
    """The level of each test, of which the lowest confidence that passes is taken."""
    return _EACH * (1 - certainty)


def fewest_labels(wrong_share: float, certainty: float) -> int:
    """How many labels, all of them right, a promise needs at least.

    Raises:
        SettingError: If share or certainty are not between 0 and 1.
    """
    for name, value in (("share of wrong codes", wrong_share), ("certainty", certainty)):
        if not 0 < value < 1:
            raise SettingError(f"a promise's {name} is {value}; a number between 0 and 1 is expected")
    return math.ceil(round(math.log(_level(certainty)) / math.log(1 - wrong_share), 9))


def upper_share(share: float, labels: float, certainty: float) -> float:
    """A share of so many labels, bounded from above (Clopper-Pearson); 1 where there are no labels."""
    from scipy.stats import beta

    wrong = share * labels
    return float(beta.ppf(certainty, wrong + 1, labels - wrong)) if wrong < labels else 1.0


def error_rate(wrong: int, total: int, certainty: float = 0.95) -> tuple[float, float, float]:
    """A share with its exact (Clopper-Pearson) interval: ``(share, low, high)``; of nothing, ``(nan, 0, 1)``."""
    if not total:
        return math.nan, 0.0, 1.0
    return wrong / total, *interval(wrong, total, certainty)


def _tails(sizes: Floats, wrongs: Floats, share: float) -> Floats:
    """``P(Bin(size, share) <= wrong)``, of sizes and counts that need not be whole."""
    from scipy.special import betaincc

    left = np.maximum(sizes - wrongs, _ROUNDING)
    return np.asarray(np.where(sizes <= wrongs, 1.0, betaincc(wrongs + 1, left, share)), dtype=float)


def _with_outlook(bound: RiskBound, counts: Floats, wrongs: Floats, share: float, certainty: float) -> RiskBound:
    """What is not proven yet, with how many more labels would probably do, were the best part of these as wrong later.

    Out of reach is said as a promise is, by proof: of as many labels as a promise needs at least the best part is
    wrong so often that codes which keep the promise would seldom be (the exact binomial tail).
    """
    from scipy.special import betainc

    fewest, labels = fewest_labels(share, certainty), float(counts[-1])
    enough = np.flatnonzero(counts >= min(fewest, labels))
    tails = _tails(counts[enough], wrongs[enough], share)
    at = int(enough[int(np.argmin(tails))])
    rate, part = float(wrongs[at] / counts[at]), float(counts[at] / labels)
    if rate >= share:
        as_wrong = float(betainc(wrongs[at], counts[at] - wrongs[at] + 1, share))
        if labels >= fewest - _ROUNDING and as_wrong <= 1 - certainty:
            return replace(bound, labels_needed=MOST_LABELS, reachable=False)
        return replace(bound, unclear=True)
    sizes = np.arange(float(fewest), MOST_LABELS + 1)
    passing = np.flatnonzero(_tails(sizes, np.ceil((sizes * rate).round(9)), share) <= _level(certainty))
    most = float(sizes[passing[0]]) if len(passing) else float(MOST_LABELS)
    needed = min(MOST_LABELS, max(1, math.ceil(round(most / part - labels, 9))))
    return replace(bound, labels_needed=needed)
