"""What blind ratings say of a code before anybody labels: how likely it stands, and from where on that is proven.

There are two kinds of rated codes: those that a verifier judged, and those that the members of `tiny` elected. Each has
its weights, fitted by ``benchmarks.rating.prior``.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from schemas import Assignment

RATED_CERTAINTY = 0.95
"""How sure the proof by ratings is."""
ELECTED = "elected_rating"
"""The signal that says how likely a code stands that rated members elected."""


def rated_probability(signals: Mapping[str, float]) -> float | None:
    """How likely a rater lets a code stand.

    Args:
        signals: Of its assignment: ``verifier`` (0 to 1) and ``log_probability`` (the members' mean, in nats), or
            ``elected_rating`` (0 to 1).

    Returns:
        0 to 1; ``None`` where codes like this were not rated.
    """
    return _probability(_rated_prior()["judged"], signals) if _is_judged(signals) else signals.get(ELECTED)


def elected_signals(assignment: Assignment) -> dict[str, float]:
    """The signal ``elected_rating`` of a code that members elected whose codes were rated; none for any other."""
    members = _rated_prior()["elected"]["members"]
    if assignment.verdict != "consensus" or not members.items() <= assignment.models.items():
        return {}
    rating = None if _is_judged(assignment.signals) else elected_rating(assignment.signals)
    return {} if rating is None else {ELECTED: rating}


def elected_rating(signals: Mapping[str, float]) -> float | None:
    """How likely a rater lets a code stand that the members of `tiny` elected; ``None`` where a signal is missing."""
    elected = _rated_prior()["elected"]
    return round(_probability(elected, signals), 6) if elected["weights"].keys() <= signals.keys() else None


def rated_threshold(signals: Mapping[str, float], wrong_share: float) -> float | None:
    """The probability from which ratings prove that at most so many codes are wrong.

    Each rating was judged by a prior that was fitted without its set, and the proof is that of a promise
    (:func:`models.routing.risk_control.promise`), at a certainty of ``RATED_CERTAINTY``.

    Args:
        signals: Of the code's assignment; they say which kind of code it is.
        wrong_share: The largest share of wrong codes, 0 to 1.

    Returns:
        Of the largest proven share that is not above it; ``None`` where none is.
    """
    kind = "judged" if _is_judged(signals) else "elected"
    proven = [each for each in _rated_prior()[kind]["proven"] if each["wrong_share"] <= wrong_share + 1e-9]
    return max(proven, key=lambda each: float(each["wrong_share"]))["threshold"] if proven else None


def _is_judged(signals: Mapping[str, float]) -> bool:
    return bool(_rated_prior()["judged"]["weights"].keys() <= signals.keys())


def _probability(rated: Mapping[str, Any], signals: Mapping[str, float]) -> float:
    score = rated["intercept"] + math.fsum(weight * signals[name] for name, weight in rated["weights"].items())
    return 1 / (1 + math.exp(-score))


@cache
def _rated_prior() -> dict[str, Any]:
    rated: dict[str, Any] = json.loads(Path(__file__).with_name("rated_prior.json").read_text(encoding="utf-8"))
    return rated
