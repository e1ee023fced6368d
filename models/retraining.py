"""When a study's classifier is tuned anew: after so many labels, so much time, or when something has drifted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Cause = Literal["first", "labels", "time", "drift"]


@dataclass(frozen=True)
class Schedule:
    """When to tune."""

    every_labels: int = 25
    every_minutes: float = 60.0
    """After so much time, if there is any new label at all."""


@dataclass(frozen=True)
class Tuned:
    """What the last tuning had."""

    labels: int
    at: datetime


def due(
    schedule: Schedule, labels: int, last: Tuned | None, changed: bool, alert: datetime | None, now: datetime
) -> Cause | None:
    """Why the classifier is to be tuned now, if it is.

    Args:
        schedule: When to tune.
        labels: How many segments are labelled now.
        last: What the last tuning had; none where there was none.
        changed: Whether the labels are others than at the last tuning.
        alert: When drift was last noticed.
        now: The time.

    Returns:
        The first of the causes that holds: nothing was ever tuned; enough labels are new (or gone); something drifted
        since; or there are other labels and it was long ago.
    """
    if last is None:
        return "first" if labels >= schedule.every_labels else None
    if abs(labels - last.labels) >= schedule.every_labels:
        return "labels"
    if alert is not None and alert > last.at:
        return "drift"
    if changed and now - last.at >= timedelta(minutes=schedule.every_minutes):
        return "time"
    return None
