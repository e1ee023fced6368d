"""When labelling more of the same stops paying: how much each training still changed, by small-text's criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.ports import Bools

WINDOW = 3
"""Over how many trainings in a row little must have changed."""
KAPPA, DELTA_F = 0.99, 0.05
"""From which mean agreement, and below which change of F, a training counts as one that changed little."""


@dataclass(frozen=True)
class Advice:
    """Whether the classifier's decisions have settled."""

    kappa_stops: bool
    delta_f_stops: bool
    kappa: float | None
    """Cohen's kappa of successive decisions, mean over the window; ``None`` before the second training."""
    delta_f: float | None
    """The largest change of F1 between successive decisions in the window; ``None`` likewise."""
    trainings: int

    @classmethod
    def of(cls, metrics: Mapping[str, float]) -> Self | None:
        """What a release says of it, see ``metrics``; ``None`` where it says nothing."""
        if "stop_kappa" not in metrics:
            return None
        return cls(
            kappa_stops=metrics["stop_kappa"] > 0,
            delta_f_stops=metrics.get("stop_delta_f", 0.0) > 0,
            kappa=metrics.get("kappa"),
            delta_f=metrics.get("delta_f"),
            trainings=int(metrics.get("trainings", WINDOW + 1)),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers for a release; what is not known is left out."""
        known = {"kappa": self.kappa, "delta_f": self.delta_f}
        return {
            "trainings": float(self.trainings),
            "stop_kappa": float(self.kappa_stops),
            "stop_delta_f": float(self.delta_f_stops),
        } | {name: round(value, 4) for name, value in known.items() if value is not None}

    @property
    def stops(self) -> bool:
        """Whether both criteria say that more of the same does not pay."""
        return self.kappa_stops and self.delta_f_stops

    @property
    def sentence(self) -> str:
        """What the lead reads."""
        if self.trainings <= WINDOW:
            return (
                f"Too early to tell whether more labels pay: {WINDOW + 1} trainings are needed, there "
                f"{'was' if self.trainings == 1 else 'were'} {self.trainings}."
            )
        kappa, change = _shown(self.kappa), _shown(self.delta_f)
        criteria = f"agreement {kappa}, stops from {KAPPA}; change of F {change}, below {DELTA_F}"
        if self.stops:
            return (
                f"Labelling more of the same has stopped paying: the last {WINDOW} trainings changed almost none of "
                f"the classifier's decisions ({criteria}). New sources and rare codes may still need labels."
            )
        if self.kappa_stops or self.delta_f_stops:
            return (
                f"Labelling pays less and less: one of two criteria says that the decisions have settled ({criteria})."
            )
        return f"Labelling still pays: the classifier's decisions still change with each training ({criteria})."


def advise(decisions: Sequence[Bools]) -> Advice:
    """Compare what successive classifiers decided about the same segments.

    Each pair of segment and code is one yes or no, so that both criteria, which know one class a text, hold for
    several codes a text.

    Args:
        decisions: After each training, oldest first: shape ``(n, k)``, the same segments and codes each time.

    Raises:
        ValueError: If the shapes differ.

    Source:
        Bloodgood & Vijay-Shanker, "A Method for Stopping Active Learning Based on Stabilizing Predictions", CoNLL
        2009 (kappa); Altschuler & Bloodgood, "Stopping Active Learning based on Predicted Change of F Measure", ICSC
        2019 (F).
    """
    shapes = {each.shape for each in decisions}
    if len(shapes) > 1:
        raise ValueError(f"decisions of shapes {sorted(shapes)}; the same segments and codes are expected each time")
    if len(decisions) < 2:  # nothing to compare: the criteria and their imports are not needed
        return Advice(kappa_stops=False, delta_f_stops=False, kappa=None, delta_f=None, trainings=len(decisions))
    from small_text.stopping_criteria import DeltaFScore, KappaAverage

    kappa, change = KappaAverage(2, WINDOW, KAPPA), DeltaFScore(2, WINDOW, DELTA_F)
    stops = [_fed(criterion, decisions) for criterion in (kappa, change)]
    return Advice(
        kappa_stops=stops[0],
        delta_f_stops=stops[1],
        kappa=_known(np.mean(kappa.kappa_history[-WINDOW:])),
        delta_f=_known(np.max(change.delta_history[-WINDOW:])),
        trainings=len(decisions),
    )


def _fed(criterion: Any, decisions: Sequence[Bools]) -> bool:
    """What the criterion says after the last training."""
    with np.errstate(divide="ignore", invalid="ignore"):  # F of no decisions at all is unknown, and stops nothing
        return [bool(criterion.stop(predictions=each.astype(int).ravel())) for each in decisions][-1]


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
