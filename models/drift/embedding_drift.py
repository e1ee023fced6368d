"""Whether the texts themselves moved, as their embeddings tell it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.drift.tail_tests import alpha_spent, gamma_tail
from models.drift.two_sample import bandwidth, fourier_features, gaussian, mmd_test
from models.ports import Embeddings

_KEPT = 400
"""Texts of the reference, and of the newest ones, that are compared: a window's worth."""
_EXACT = 400
"""Texts of each up to which all pairs are compared; beyond, random features stand for the kernel."""
_STEPS = (25, 200)
"""Texts from one test to the next: a quarter of what there is, but within these; each test deals all texts out."""
_PERMUTATIONS = 499
"""Times that texts are dealt out anew; smaller p-values are those of a gamma distribution fitted to them."""
_TOGETHER = 8  # neighbours that may be about the same event, so that they are dealt as one
_RELIABLE = 10  # dealings as far from which on their share is taken for the p-value
_MOVED = 0.05  # p-value up to which texts that are looked at once count as moved
_EXAMPLES = 5  # texts that an alert shows


@dataclass(frozen=True)
class EmbeddedText:
    """One text, as its embedding tells it."""

    at: float
    segment: UUID
    source: str
    vector: Embeddings


@dataclass(frozen=True)
class TextFinding:
    """A window of texts that differs from the reference."""

    p: float
    """After paying for all looks, as a share of the false alarms that texts may raise."""
    effect: float
    """Squared MMD."""
    texts: tuple[EmbeddedText, ...]
    """Those since the change, the oldest first."""
    before: int
    """Texts of those compared that were before the change."""
    examples: tuple[UUID, ...]
    """Those that the reference has the least like."""


class TextWatch:
    """Compares the newest texts with the first ones since the last change, within sources.

    From 200 texts on, half with half, and ever more seldom; from 800 on the newest 400 with the first 400.

    The squared maximum mean discrepancy of the two sets of embeddings, with a Gaussian kernel as wide as the median
    distance in the reference. Its p-value is that of permutations within sources, of runs of eight neighbours; far out
    in the tail that of a gamma distribution with the permutations' mean and variance.

    Example:
        >>> from datetime import UTC, datetime
        >>> rng, watch = np.random.default_rng(1), TextWatch(DriftSettings(), budget=1.0)
        >>> for n in range(800):
        ...     vector = (rng.standard_normal(4) + (n >= 400)).astype(np.float32)
        ...     watch.add(Observed(datetime.now(UTC), UUID(int=n), "shop", "late", vector=vector), float(n))
        >>> finding = watch.test()
        >>> finding.p < 0.01, finding.before, len(finding.texts)
        (True, 400, 400)

    Source:
        Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012); Gretton et al., "A Fast, Consistent Kernel
        Two-Sample Test", NeurIPS 2009 (the gamma distribution).
    """

    def __init__(self, settings: DriftSettings, budget: float) -> None:
        self.settings, self.budget = settings, budget
        self.reference: list[EmbeddedText] = []
        self.recent: deque[EmbeddedText] = deque(maxlen=_KEPT)
        self.looks = 0
        self.came = 0
        self.next_look = settings.least

    @property
    def known(self) -> int:
        """Texts since the last change."""
        return self.came

    @property
    def needed(self) -> int:
        """Texts at the first test."""
        return self.settings.least

    def add(self, observed: Observed, at: float) -> None:
        """Remember one text."""
        if observed.vector is None:
            return
        self.came += 1
        text = EmbeddedText(at, observed.segment, observed.source, observed.vector.reshape(-1))
        if len(self.reference) < _KEPT:
            self.reference.append(text)
        else:
            self.recent.append(text)

    def test(self) -> TextFinding | None:
        """At the end of a block: whether the newest texts are others than the reference's, if it is time to test it."""
        if self.came < self.next_look:
            return None
        self.next_look = self.came + min(max(self.came // 4, _STEPS[0]), _STEPS[1])
        alpha = self.settings.false_alarms * self.budget * alpha_spent(self.looks)
        self.looks += 1
        finding = self._compare(*self._halves())
        if finding is None or finding.p > alpha:
            return None
        return replace(finding, p=finding.p / alpha)

    def look_next(self) -> None:
        """Let the next test take place if there are texts enough for any: the stream ends."""
        self.next_look = max(self.settings.least, min(self.next_look, self.came))

    def rebase_to(self, texts: Sequence[EmbeddedText]) -> None:
        """Let the texts since a change be the reference."""
        self.rebase()
        self.reference = list(texts)[:_KEPT]
        self.recent.extend(list(texts)[_KEPT:])
        self.came = len(texts)
        self.next_look = max(self.settings.least, self.came + self.came // 4)

    def _halves(self) -> tuple[list[EmbeddedText], list[EmbeddedText]]:
        """The first texts and the newest: 400 of each, or half of each while there are fewer."""
        texts = [*self.reference, *self.recent]
        half = min(len(texts) // 2, _KEPT)
        return texts[:half], texts[-half:]

    def moved(self) -> bool | None:
        """Whether the newest texts are others than the reference's, looked at once; none where there are too few."""
        newest = tuple(self.recent)[-self.settings.least :]
        finding = self._compare(self.reference, newest) if len(newest) >= self.settings.least // 2 else None
        return None if finding is None else finding.p <= _MOVED

    def rebase(self) -> None:
        """Begin the reference anew behind a change."""
        self.reference = []
        self.recent.clear()
        self.came, self.next_look = 0, self.settings.least

    def _compare(self, oldest: Sequence[EmbeddedText], newest: Sequence[EmbeddedText]) -> TextFinding | None:
        sources = {text.source for text in oldest} & {text.source for text in newest}
        old = [text for text in oldest if text.source in sources]
        new = [text for text in newest if text.source in sources]
        if min(len(old), len(new)) < 2:
            return None
        vectors = np.stack([text.vector for text in [*old, *new]])
        newer = np.arange(len(vectors)) >= len(old)
        width = bandwidth(vectors[: len(old)])
        if len(vectors) <= 2 * _EXACT:
            kernel = gaussian(vectors, width)
        else:
            features = fourier_features(vectors, width, seed=self.settings.seed)
            kernel = features @ features.T
        strata = [text.source for text in [*old, *new]]
        effect, p, dealt = mmd_test(kernel, newer, strata, _PERMUTATIONS, self.settings.seed, _TOGETHER)
        low = float(dealt.min()) - float(dealt.std())  # beyond the dealt ones by a gamma distribution like theirs
        far = gamma_tail(effect - low, float(dealt.mean()) - low, float(dealt.var()))
        split = split_of(kernel, strata)
        after = [*old, *new][split:]
        unlike = np.argsort(kernel[split:][:, :split].mean(axis=1), kind="stable")[:_EXAMPLES]
        examples = tuple(after[n].segment for n in unlike)
        return TextFinding(p if p > _RELIABLE / _PERMUTATIONS else far, effect, tuple(after), split, examples)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "looks": self.looks,
            "came": [self.came, self.next_look],
            "reference": [_encode(text) for text in self.reference],
            "recent": [_encode(text) for text in self.recent],
        }

    @classmethod
    def restore(cls, settings: DriftSettings, budget: float, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        watch = cls(settings, budget)
        watch.looks = state["looks"]
        watch.reference = [_decode(encoded) for encoded in state["reference"]]
        watch.recent.extend(_decode(encoded) for encoded in state["recent"])
        known = len(watch.reference) + len(watch.recent)  # of a state of before, which does not say
        watch.came, watch.next_look = state.get("came", [known, known])
        return watch


def split_of(kernel: NDArray[np.float64], strata: Sequence[str]) -> int:
    """Where two parts of a sequence of texts differ most: the index of the first text of the second part.

    The place of the largest ``|S_t|^2 / (t (n - t))``, where ``S_t`` is the sum of the first ``t`` texts' features,
    each less the mean of its source.

    >>> rows = np.array([[0.0], [0.1], [0.0], [2.0], [2.1], [2.0], [1.9]], dtype=np.float32)
    >>> split_of(gaussian(rows, 1.0), ["shop"] * 7)
    3

    Args:
        kernel: Of all pairs, in order of time, shape ``(n, n)``, ``n >= 2``.
        strata: The texts' sources, in the same order.

    Source:
        Csörgő & Horváth, "Limit Theorems in Change-Point Analysis", Wiley (1997).
    """
    _, places = np.unique(np.asarray(strata), return_inverse=True)
    share = np.equal.outer(places, places) / np.bincount(places)[places][:, None]
    centred = kernel - share @ kernel
    centred = centred - centred @ share.T
    sums = np.diag(centred.cumsum(axis=0).cumsum(axis=1))[:-1]
    t = np.arange(1, len(kernel))
    return int((sums / (t * (len(kernel) - t))).argmax()) + 1


def _encode(text: EmbeddedText) -> list[Any]:
    return [text.at, text.segment.hex, text.source, [float(x) for x in text.vector]]


def _decode(encoded: list[Any]) -> EmbeddedText:
    at, segment, source, vector = encoded
    return EmbeddedText(at, UUID(segment), source, np.array(vector, dtype=np.float32))
