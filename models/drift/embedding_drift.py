"""Whether the texts themselves moved, as their embeddings tell it."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import numpy as np

from models.drift.observation import Observed
from models.drift.settings import DriftSettings
from models.drift.tail_tests import gamma_tail, spent
from models.drift.two_sample import bandwidth, fourier_features, gaussian, mmd_test
from models.ports import Embeddings

_KEPT, _EXACT, _BLOCKS = 400, 400, 16
_DEALT = 499
_TOGETHER = 8  # neighbours that may be about the same event


@dataclass(frozen=True)
class Text:
    """One text, as its embedding tells it."""

    at: float
    segment: UUID
    source: str
    vector: Embeddings


@dataclass(frozen=True)
class TextsMoved:
    """A window of texts that differs from the reference."""

    p: float
    """After paying for all looks, as a share of the false alarms that texts may raise."""
    effect: float
    """Squared MMD."""
    texts: tuple[Text, ...]
    """Of the window, the oldest first."""
    before: int
    examples: tuple[UUID, ...]
    """Those that the reference has the least like."""


class TextWatch:
    """Compares each window of texts with the first texts of the reference, within sources."""

    def __init__(self, settings: DriftSettings, budget: float) -> None:
        self.settings, self.budget = settings, budget
        self.reference: list[Text] = []
        self.recent: deque[Text] = deque(maxlen=_KEPT)
        self.looks = 0

    def take(self, observed: Observed, at: float) -> None:
        """Remember one text."""
        if observed.vector is None:
            return
        text = Text(at, observed.segment, observed.source, observed.vector.reshape(-1))
        if len(self.reference) < _KEPT:
            self.reference.append(text)
        else:
            self.recent.append(text)

    def look(self, block: int) -> TextsMoved | None:
        """At the end of a window: whether its texts are others than the reference's."""
        if block % _BLOCKS or len(self.recent) < self.settings.least:
            return None
        allowed = self.settings.false_alarms * self.budget * spent(self.looks)
        self.looks += 1
        found = self._compare(tuple(self.recent))
        if found is None or found.p > allowed:
            return None
        return TextsMoved(found.p / allowed, found.effect, found.texts, found.before, found.examples)

    def moved(self) -> bool | None:
        """Whether the newest texts are others than the reference's, looked at once; none where there are too few."""
        newest = tuple(self.recent)[-self.settings.least :]
        found = self._compare(newest) if len(newest) >= self.settings.least // 2 else None
        return None if found is None else found.p <= 0.05

    def rebase(self) -> None:
        """Begin the reference anew behind a change."""
        self.reference = []
        self.recent.clear()

    def _compare(self, newest: tuple[Text, ...]) -> TextsMoved | None:
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
        effect, p, dealt = mmd_test(kernel, newer, strata, _DEALT, self.settings.seed, _TOGETHER)
        low = float(dealt.min()) - float(dealt.std())  # beyond the dealt ones by a gamma distribution like theirs
        far = gamma_tail(effect - low, float(dealt.mean()) - low, float(dealt.var()))
        unlike = np.argsort(kernel[newer][:, ~newer].mean(axis=1), kind="stable")[:5]
        examples = tuple(new[n].segment for n in unlike)
        return TextsMoved(p if p > 10 / _DEALT else far, effect, tuple(new), len(old), examples)

    def state(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "looks": self.looks,
            "reference": [_told(text) for text in self.reference],
            "recent": [_told(text) for text in self.recent],
        }

    @classmethod
    def restore(cls, settings: DriftSettings, budget: float, state: dict[str, Any]) -> Self:
        """Go on from :meth:`state`."""
        watch = cls(settings, budget)
        watch.looks = state["looks"]
        watch.reference = [_heard(found) for found in state["reference"]]
        watch.recent.extend(_heard(found) for found in state["recent"])
        return watch


def _told(text: Text) -> list[Any]:
    return [text.at, text.segment.hex, text.source, [float(x) for x in text.vector]]


def _heard(found: list[Any]) -> Text:
    return Text(found[0], UUID(found[1]), found[2], np.array(found[3], dtype=np.float32))
