"""Whether the texts themselves moved, as their embeddings tell it."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

import numpy as np

from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.drift.tail_tests import alpha_spent, gamma_tail
from models.drift.two_sample import bandwidth, fourier_features, gaussian, mmd_test
from models.ports import Embeddings

_KEPT = 400
"""Texts of the reference, and of the newest ones, that are compared: a window's worth."""
_EXACT = 400
"""Texts of each up to which all pairs are compared; beyond, random features stand for the kernel."""
_BLOCKS = 16
"""Blocks from one test to the next, one window: each deals all texts out hundreds of times."""
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
    """Of the window, the oldest first."""
    before: int
    examples: tuple[UUID, ...]
    """Those that the reference has the least like."""


class TextWatch:
    """Compares each window of texts with the first texts of the reference, within sources.

    The squared maximum mean discrepancy of the two sets of embeddings, with a Gaussian kernel as wide as the median
    distance in the reference. Its p-value is that of permutations within sources, of runs of eight neighbours; far out
    in the tail that of a gamma distribution with the permutations' mean and variance.

    Example:
        >>> from datetime import UTC, datetime
        >>> rng, watch = np.random.default_rng(1), TextWatch(DriftSettings(), budget=1.0)
        >>> for n in range(800):
        ...     vector = (rng.standard_normal(4) + (n >= 400)).astype(np.float32)
        ...     watch.add(Observed(datetime.now(UTC), UUID(int=n), "shop", "late", vector=vector), float(n))
        >>> finding = watch.test(block=16)
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

    def add(self, observed: Observed, at: float) -> None:
        """Remember one text."""
        if observed.vector is None:
            return
        text = EmbeddedText(at, observed.segment, observed.source, observed.vector.reshape(-1))
        if len(self.reference) < _KEPT:
            self.reference.append(text)
        else:
            self.recent.append(text)

    def test(self, block: int) -> TextFinding | None:
        """At the end of a window: whether its texts are others than the reference's."""
        if block % _BLOCKS or len(self.recent) < self.settings.least:
            return None
        alpha = self.settings.false_alarms * self.budget * alpha_spent(self.looks)
        self.looks += 1
        finding = self._compare(tuple(self.recent))
        if finding is None or finding.p > alpha:
            return None
        return replace(finding, p=finding.p / alpha)

    def moved(self) -> bool | None:
        """Whether the newest texts are others than the reference's, looked at once; none where there are too few."""
        newest = tuple(self.recent)[-self.settings.least :]
        finding = self._compare(newest) if len(newest) >= self.settings.least // 2 else None
        return None if finding is None else finding.p <= _MOVED

    def rebase(self) -> None:
        """Begin the reference anew behind a change."""
        self.reference = []
        self.recent.clear()

    def _compare(self, newest: tuple[EmbeddedText, ...]) -> TextFinding | None:
        sources = {text.source for text in self.reference} & {text.source for text in newest}
        old = [text for text in self.reference if text.source in sources]
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
        unlike = np.argsort(kernel[newer][:, ~newer].mean(axis=1), kind="stable")[:_EXAMPLES]
        examples = tuple(new[n].segment for n in unlike)
        return TextFinding(p if p > _RELIABLE / _PERMUTATIONS else far, effect, tuple(new), len(old), examples)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "looks": self.looks,
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
        return watch


def _encode(text: EmbeddedText) -> list[Any]:
    return [text.at, text.segment.hex, text.source, [float(x) for x in text.vector]]


def _decode(encoded: list[Any]) -> EmbeddedText:
    at, segment, source, vector = encoded
    return EmbeddedText(at, UUID(segment), source, np.array(vector, dtype=np.float32))
