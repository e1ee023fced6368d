"""What blind ratings say of a code that a verifier judged: how likely it stands, and from where on that is proven."""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

RATED_CERTAINTY = 0.95
"""How sure the proof by ratings is."""


def rated_probability(signals: Mapping[str, float]) -> float | None:
    """How likely a rater lets a code stand.

    Args:
        signals: Of its assignment: ``verifier`` (0 to 1) and ``log_probability`` (the members' mean, in nats).

    Returns:
        0 to 1; ``None`` where a signal is missing, as in profiles without a verifier.
    """
    rated = _rated_prior()
    if not rated["weights"].keys() <= signals.keys():
        return None
    score = rated["intercept"] + math.fsum(weight * signals[name] for name, weight in rated["weights"].items())
    return 1 / (1 + math.exp(-score))


def rated_threshold(wrong_share: float) -> float | None:
    """The probability from which ratings prove that at most so many codes are wrong.

    Each rating was judged by a prior that was fitted without its set, and the proof is that of a promise
    (:func:`models.routing.risk_control.promise`), at a certainty of ``RATED_CERTAINTY``.

    Args:
        wrong_share: The largest share of wrong codes, 0 to 1.

    Returns:
        Of the largest proven share that is not above it; ``None`` where none is.
    """
    proven = [each for each in _rated_prior()["proven"] if each["wrong_share"] <= wrong_share + 1e-9]
    return max(proven, key=lambda each: float(each["wrong_share"]))["threshold"] if proven else None


@cache
def _rated_prior() -> dict[str, Any]:
    rated: dict[str, Any] = json.loads(Path(__file__).with_name("rated_prior.json").read_text(encoding="utf-8"))
    return rated
