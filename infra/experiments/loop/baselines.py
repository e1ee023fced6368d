"""What the loop is compared with: one score and one threshold that a bound on recent forecasts allows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from infra.experiments.loop.course import SPARED, LoopCourse, LoopRun, Texts
from models.backends.sentence.heads import LogisticHead
from models.evaluation.clopper_pearson import interval
from models.ports import Bools, Embeddings, Floats

_EVERY = 50  # labels between two fits
_RECENT = 600  # forecasts that the bound looks at
_LEAST = 40  # forecasts below which nothing is accepted
_NEIGHBOURS = 8


@dataclass
class _Scores:
    """One arm's code and score for a text, taught by the labels so far."""

    arm: str
    vectors: Embeddings
    told: Bools
    draw: np.random.Generator
    head: LogisticHead | None = None
    known: list[int] = field(default_factory=list)
    """Rows that are labelled."""
    fitted: int = 0

    def of(self, row: int) -> tuple[int, float]:
        """The code of a row, by its column, and the score."""
        if self.arm == "precedents":
            return self._nearest(row)
        if self.head is None:
            return -1, 0.0
        chances = self.head.probabilities(self.vectors[row : row + 1])[0]
        best = int(chances.argmax())
        return best, float(self.draw.random()) if self.arm == "random" else float(chances[best])

    def _nearest(self, row: int) -> tuple[int, float]:
        if not self.known:
            return -1, 0.0
        cosines = np.clip(self.vectors[self.known] @ self.vectors[row], 0, 1)
        near = np.argsort(-cosines, kind="stable")[:_NEIGHBOURS]
        votes = (cosines[near] ** 3) @ self.told[np.array(self.known)[near]]
        best = int(votes.argmax())
        return best, float(votes[best] / max(1e-9, float((cosines[near] ** 3).sum())))

    def hear(self, row: int) -> None:
        """Take a label in."""
        self.known.append(row)
        if self.arm != "precedents" and len(self.known) - self.fitted >= _EVERY:
            self.fitted = len(self.known)
            self.head = LogisticHead.fit(self.vectors[self.known], self.told[self.known], start=self.head)


def threshold(scores: Sequence[float], right: Sequence[bool], course: LoopCourse) -> float | None:
    """The lowest score above which the recent forecasts' error is bounded, each threshold by itself."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    wrongs: Floats = np.cumsum(~np.asarray(right, dtype=bool)[order])
    best = None
    for count in range(_LEAST, len(order) + 1, 5):
        upper = interval(int(wrongs[count - 1]), count, 2 * course.certainty - 1)[1]
        if upper <= course.wrong:
            best = float(np.asarray(scores)[order[count - 1]])
    return best


def run_baseline(texts: Texts, vectors: Embeddings, course: LoopCourse, arm: str, sha256: str) -> LoopRun:
    """Play one arm through: it accepts from the threshold on, and a person labels the rest and the audits.

    Args:
        texts: One seed's.
        vectors: Of the texts, shape ``(n, dim)``.
        course: What is promised, and how.
        arm: ``head`` (one logistic head), ``precedents`` (nearest labelled texts) or ``random`` (the head's codes,
            and a score by chance).
        sha256: Of the file.
    """
    draw = np.random.default_rng([texts.seed, 29])
    scores = _Scores(arm, vectors, texts.told, draw)
    given: list[tuple[float, bool]] = []
    reasons, right, least = [], [], None
    for row in range(len(texts.texts)):
        code, score = scores.of(row)
        hit = code >= 0 and bool(texts.truth[row, code])
        audited = draw.random() < course.audit
        accepted = least is not None and score >= least
        reasons.append(SPARED if accepted and not audited else "a" if accepted else "u" if code < 0 else "l")
        right.append("1" if hit else "0")
        if reasons[-1] == SPARED:
            continue
        if code >= 0:
            given.append((score, bool(texts.told[row, code])))
        scores.hear(row)
        if len(given) >= _LEAST and len(scores.known) % 10 == 0:
            recent = given[-_RECENT:]
            least = threshold([s for s, _ in recent], [ok for _, ok in recent], course)
    first = next((n for n, reason in enumerate(reasons) if reason == SPARED), None)
    return LoopRun(
        texts.name, sha256, arm, texts.seed, course, "".join(reasons), "".join(right), texts.truth.shape[1], first
    )
