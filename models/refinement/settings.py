"""When an earlier code is used again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.errors import SettingError
from models.refinement.thresholds import Threshold

By = Literal["code", "text", "both"]


@dataclass(frozen=True)
class RefinerSettings:
    """When a code is near enough to be reused.

    Source: house plan, decision 6; in the paper the best threshold ran from 0.5 to 0.8, by study.
    """

    threshold: float = 0.7
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Study to threshold, where people set one for it."""
    adaptive: bool = False
    """Whether a vague label needs more and a clear one less; see ``models.refinement.thresholds.adapted``."""
    by: By = "code"
    """What is compared: the codes, the texts they were created for, or the mean direction of both."""
    fit: float = 0.5
    """Cosine from which a deductive study gets the nearest code where none reaches the threshold.

    Of 154 texts of four open human-coded sets, with their own codebooks of 71 to 298 codes: 90 got the nearest code so,
    which was a person's in 26%; of 53 that reached a threshold of 0.8 it was in 58%, of 11 under this in none
    (docs/results/coding-modes.md).
    """
    polarity_gate: bool = True
    """Whether a code that says the opposite is refused, however near it is."""

    def __post_init__(self) -> None:
        """Refuse what cannot be a threshold.

        Raises:
            SettingError: If a value is out of its range.
        """
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"the refiner's threshold is {self.threshold}; a cosine from 0 to 1 is expected")
        for study, threshold in self.thresholds.items():
            if not 0 <= threshold <= 1:
                raise SettingError(f"study {study!r} has threshold {threshold}; a cosine from 0 to 1 is expected")
        if not 0 <= self.fit <= 1:
            raise SettingError(f"the refiner's fit is {self.fit}; a cosine from 0 to 1 is expected")
        if self.by not in ("code", "text", "both"):
            raise SettingError(f"the refiner compares by {self.by!r}; 'code', 'text' or 'both' is expected")

    def of(self, study: str) -> Threshold:
        """The study's threshold before anything is learned."""
        if study in self.thresholds:
            return Threshold(self.thresholds[study], "set for this study")
        return Threshold(self.threshold, "the default")
