"""How sure an assignment is, and whether a person should look at it. Not calibrated yet: no labels are used."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import SettingError
from models.moderation import CONSENSUS
from models.ports import Clock
from schemas import AnnotationRequest, Assignment
from schemas.coding import Route

_AGREEMENT, _MARGIN, _LIKELIHOOD = 0.5, 0.3, 0.2  # weights; they add up to one
_CLASH = 0.6  # what is left where the segment praises and its code blames, or the other way round
_FALLBACK = 0.7  # what is left of the confidence where the moderator's answer could not be taken


def confidence(signals: Mapping[str, float], *, fell_back: bool = False) -> float:
    """Weigh the signals of an assignment.

    Formula:
        ``0.5 * agreement + 0.3 * clip(0.5 + margin, 0, 1) + 0.2 * exp(moderator_log_probability)``, divided by
        the weights that were used (the last term only counts where the moderator gave a log-probability), and
        times 0.7 where the moderator's answer was invalid and the consensus stood in, times 0.6 where the tones of
        segment and code clash. It never falls when one of the first three signals rises.

    Args:
        signals: ``agreement`` (0 to 1) and ``margin`` (a difference of cosines; both 0 where they are missing),
            and ``moderator_log_probability`` (mean per token, in nats) where there is one.
        fell_back: Whether the consensus stood in for the moderator.

    Returns:
        0 to 1; a score to sort and route by, not a probability.
    """
    agreement = min(1.0, max(0.0, signals.get("agreement", 0.0)))
    margin = min(1.0, max(0.0, 0.5 + signals.get("margin", 0.0)))
    total, weights = _AGREEMENT * agreement + _MARGIN * margin, _AGREEMENT + _MARGIN
    log_probability = signals.get("moderator_log_probability")
    if log_probability is not None:
        total += _LIKELIHOOD * math.exp(min(0.0, log_probability))
        weights += _LIKELIHOOD
    left = (_FALLBACK if fell_back else 1.0) * (_CLASH if signals.get("tone_clash") else 1.0)
    return min(1.0, total / weights * left)


@dataclass(frozen=True)
class Routed:
    """An assignment with confidence and route, and the request to a person, if one is made."""

    assignment: Assignment
    request: AnnotationRequest | None


@dataclass(frozen=True)
class Router:
    """Sends what is below a confidence to people."""

    clock: Clock
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be a threshold.

        Raises:
            SettingError: If the threshold is not from 0 to 1.
        """
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"the router's threshold is {self.threshold}; a confidence from 0 to 1 is expected")

    def route(self, assignments: Sequence[Assignment]) -> list[Routed]:
        """Give each assignment its confidence and route, in order."""
        return [self._route(assignment) for assignment in assignments]

    def _route(self, assignment: Assignment) -> Routed:
        fell_back = assignment.verdict == "consensus" and assignment.models.get("moderator", CONSENSUS) != CONSENSUS
        sure = confidence(assignment.signals, fell_back=fell_back)
        route: Route = "accepted" if sure >= self.threshold else "people"
        routed = assignment.model_copy(update={"confidence": sure, "route": route})
        if route == "accepted":
            return Routed(routed, None)
        request = AnnotationRequest(
            segment_id=assignment.segment_id,
            study=assignment.study,
            code_id=assignment.code_id,
            label=assignment.label,
            confidence=sure,
            reason="low confidence",
            requested_at=self.clock.now(),
        )
        return Routed(routed, request)
