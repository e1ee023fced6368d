"""What labels prove together that were asked for in different ways: each weighed by how common codes like its are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.ports import Bools, Floats

_STRATA = 10  # at most, of the confidence
_LEAST = 8  # labels a stratum


@dataclass(frozen=True)
class Evidence:
    """What labels say of all codes at or above each confidence."""

    thresholds: Floats
    """The distinct confidences of the labels, falling, shape ``(n,)``."""
    sizes: Floats
    """How many labels drawn by chance from what comes would tell as much, shape ``(n,)``."""
    wrongs: Floats
    """How many of so many would be wrong, shape ``(n,)``."""


def drawn_by_chance(confidences: Sequence[float], accepted: Sequence[bool]) -> Evidence:
    """Labels that were all drawn by chance: each counts as one.

    Args:
        confidences: Shape ``(n,)``. Labels of equal confidence stand and fall together.
        accepted: Whether a person let the code stand, shape ``(n,)``.
    """
    scores, wrong = _falling(confidences, accepted)
    ends = _last_of_equals(scores)
    return Evidence(scores[ends], ends + 1.0, np.cumsum(wrong)[ends].astype(float))


def weighed(confidences: Sequence[float], accepted: Sequence[bool], stream: Sequence[float]) -> Evidence:
    """Labels of which some were asked for because of what the system said: each stands for those who are as sure.

    People are asked about doubtful codes more often than about sure ones, so the labels as they are say too much of
    the doubtful. In a stratum of about one confidence they are no harder and no easier than what comes, or harder; what
    is common there is known of all that comes. So a label weighs its stratum's share of the stream by its labels.

    Formula:
        With strata ``h``, their share ``W`` of the stream, ``n`` labels and ``e`` of them wrong, all of what is at or
        above a confidence: the share that is wrong is ``p = sum(W e) / sum(W)``; its variance, that of the labels
        within strata and of the ``m`` segments of the stream between them, is ``v = sum(W^2 e (1-e) / n) / sum(W)^2 +
        var(e) / m``; so many labels drawn by chance would tell as much: ``p (1-p) / v``, but never more than there are.
        In variances ``e`` is ``(wrong + 1/2) / (n + 1)``: a stratum without a wrong label has chance in it, too.

    Args:
        confidences: Of the labels now, each by a fit without it, shape ``(n,)``.
        accepted: Whether a person let the code stand, shape ``(n,)``.
        stream: Confidences of what came lately, labelled or not, shape ``(m,)``.

    Source:
        Poststratification: Holt and Smith, 1979. The effective size in an exact interval: Korn and Graubard,
        "Confidence intervals for proportions with small expected number of positive counts estimated from survey
        data", Survey Methodology 24 (1998).
    """
    scores, wrong = _falling(confidences, accepted)
    weights, rates = _strata(scores, wrong, np.asarray(stream, dtype=float))
    mass = np.cumsum(weights)
    expected = np.cumsum(weights * rates) / mass
    within = np.cumsum(weights**2 * rates * (1 - rates)) / mass**2
    between = np.maximum(0.0, np.cumsum(weights * rates**2) / mass - expected**2) / np.maximum(1.0, mass)
    sizes = np.minimum(expected * (1 - expected) / (within + between), np.arange(1.0, len(scores) + 1))
    wrongs = np.cumsum(weights * wrong) / mass * sizes
    ends = _last_of_equals(scores)
    return Evidence(scores[ends], sizes[ends], wrongs[ends])


def _strata(scores: Floats, wrong: Bools, came: Floats) -> tuple[Floats, Floats]:
    """Of each label how many segments it stands for, and the share of wrong labels in its stratum, shape ``(n,)``."""
    edges = _edges(scores, came)
    at = np.digitize(scores, edges)
    size = np.bincount(np.digitize(came, edges), minlength=len(edges) + 1)
    labels = np.bincount(at, minlength=len(size))
    rate = (np.bincount(at, weights=wrong, minlength=len(size)) + 0.5) / (labels + 1)
    return (size / np.maximum(1, labels))[at], rate[at]


def _edges(scores: Floats, came: Floats) -> list[float]:
    """Where strata meet, rising: each holds a tenth of what came, and labels enough; the lowest holds the rest."""
    places = np.unique(came)[::-1]
    counts = [len(rows) - np.searchsorted(np.sort(rows), places) for rows in (came, scores)]
    starts, last = [], (0, 0)
    for place, segments, labels in zip(places.tolist(), *(count.tolist() for count in counts), strict=True):
        if segments - last[0] >= len(came) / _STRATA and labels - last[1] >= _LEAST:
            starts.append(place)
            last = segments, labels
    return [start for start, _ in pairwise(starts)][::-1]


def _falling(confidences: Sequence[float], accepted: Sequence[bool]) -> tuple[Floats, Bools]:
    """Confidences, falling, and whether each code is wrong."""
    if len(confidences) != len(accepted):
        raise ValueError(f"{len(confidences)} confidences but {len(accepted)} labels")
    scores = np.asarray(confidences, dtype=float)
    order = np.argsort(-scores, kind="stable")
    return scores[order], ~np.asarray(accepted, dtype=bool)[order]


def _last_of_equals(scores: Floats) -> NDArray[np.intp]:
    """Where a confidence stands for the last time, shape ``(n,)``."""
    return np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.zeros(0, dtype=np.intp)
