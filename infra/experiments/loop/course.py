"""What one run of the loop is about: texts in their order, a person who knows their codes, and what came of each."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from infra.experiments.active_learning.datasets import CodedTexts
from models.errors import InputError
from models.ports import Bools

ARMS = ("whole", "classifier", "precedents", "head", "random", "people", "oracle")
Arm = Literal["whole", "classifier", "precedents", "head", "random", "people", "oracle"]
NAMES: dict[str, str] = {
    "whole": "whole system",
    "classifier": "classifier alone",
    "precedents": "precedents alone",
    "head": "head alone",
    "random": "random share",
    "people": "everything to people",
    "oracle": "oracle",
}
SPARED = "-"
"""How a segment that nobody looked at stands among the reasons."""
REASONS = {"l": "low confidence", "s": "drawn by chance", "a": "audit", "u": "no code yet"}
LATEST = 500


@dataclass(frozen=True)
class LoopCourse:
    """How the loop goes."""

    wrong: float = 0.1
    """The largest share of wrong codes among the accepted that is promised."""
    certainty: float = 0.95
    audit: float = 0.02
    """Share of segments drawn by chance."""
    error_rate: float = 0.0
    """How often the person gives a wrong code."""
    limit: int | None = 3_000
    """So many texts of the file; ``None``: all."""
    shuffled: bool = True
    """Whether the seed draws the order; else it is the file's, and only the person and the audits differ by seed."""
    batch: int = 25
    """Segments that are coded before people answer."""
    tune: bool = True
    """Whether the classifier's body is tuned, as in the stream; else heads alone are fitted."""
    often: bool = False
    """Whether it is tuned as often as in the stream, which takes longer; else after half more labels."""


@dataclass(frozen=True)
class Texts:
    """One seed's texts in their order."""

    name: str
    seed: int
    texts: tuple[str, ...]
    codes: tuple[str, ...]
    truth: Bools
    """Shape ``(n, k)``."""
    told: Bools
    """What the person says, who errs at times, of the same shape."""


@dataclass(frozen=True)
class LoopRun:
    """What came of one arm on one seed, segment by segment."""

    data: str
    sha256: str
    arm: str
    seed: int
    course: LoopCourse
    reasons: str
    """Of each segment why a person looked at it, see ``REASONS``; ``SPARED`` where nobody did."""
    right: str
    """Of each segment whether the system's code was right: 1 or 0."""
    codes: int = 0
    promised: int | None = None
    """The first segment that was accepted; ``None`` where none was."""

    @property
    def spared(self) -> Bools:
        """Which segments nobody looked at, shape ``(n,)``."""
        return np.array([reason == SPARED for reason in self.reasons])

    @property
    def wrong(self) -> Bools:
        """Which of the spared have a wrong code, shape ``(n,)``."""
        wrong: Bools = self.spared & np.array([each == "0" for each in self.right], dtype=np.bool_)
        return wrong

    @property
    def key(self) -> str:
        """What tells this run from others."""
        return run_key(self.sha256, self.arm, self.seed, self.course)

    @property
    def labels(self) -> Counter[str]:
        """How many labels people gave, by reason."""
        return Counter(REASONS[reason] for reason in self.reasons if reason != SPARED)

    def to_json(self) -> dict[str, Any]:
        """Everything, for a line of a file."""
        return {"key": self.key, **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What ``to_json`` gave."""
        fields = {name: value for name, value in values.items() if name != "key"}
        course = {"tune": False} | fields["course"]  # runs of before bodies were tuned do not say so
        return cls(**{**fields, "course": LoopCourse(**course)})


def run_key(sha256: str, arm: str, seed: int, course: LoopCourse) -> str:
    """Sixteen hex digits that stay the same as long as everything that a run depends on does."""
    what = json.dumps([sha256, arm, seed, asdict(course)], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def lay_out(data: CodedTexts, course: LoopCourse, seed: int) -> Texts:
    """A seed's texts in their order, and what the person says of each.

    Raises:
        InputError: If fewer than fifty texts are coded.
    """
    rows = np.flatnonzero(data.judgeable)
    if len(rows) < 2 * course.batch:
        raise InputError(f"{data.name} has {len(rows)} coded texts; at least {2 * course.batch} are needed for a loop")
    draw = np.random.default_rng([seed, 17])
    if course.shuffled:
        rows = draw.permutation(rows)
    rows = rows[: course.limit]
    truth = data.judged[rows]
    errs = np.flatnonzero(draw.random(len(rows)) < course.error_rate)
    told = truth.copy()
    told[errs] = truth[draw.integers(0, len(rows), len(errs))]
    return Texts(data.name, seed, tuple(data.texts[row] for row in rows), data.codes, truth, told)
