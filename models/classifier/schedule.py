"""When a study's classifier is tuned anew: after so many labels, so much time, or when something has drifted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime

_PART_NEW = 8  # of the labels that the last tuning had
Cause = Literal["first", "labels", "time", "drift"]


@dataclass(frozen=True)
class Schedule:
    """When to tune."""

    every_labels: int = 25
    """After so many labels, or an eighth more: a tuning takes the longer, the more there are."""
    every_minutes: float = 60.0
    """After so much time, if there is any new label at all."""


@dataclass(frozen=True)
class Tuned:
    """What the last tuning had."""

    labels: int
    """Segments with labels, those included that are only tested on."""
    at: AwareDatetime
    data: str
    """The labels' digest, see ``models.classifier.training_set``."""


def labels_due(schedule: Schedule, before: int) -> int:
    """From how many labels on a tuning is due after one on so many."""
    return before + max(schedule.every_labels, before // _PART_NEW)


def labels_left(schedule: Schedule, labels: int, last: Tuned | None) -> int:
    """How many more labels make a tuning due, 0 where there are enough; labels that went count as new ones do.

    Args:
        schedule: When to tune.
        labels: How many segments are labelled now.
        last: What the last tuning had; none where there was none.
    """
    before = last.labels if last else 0
    return max(0, labels_due(schedule, before) - before - abs(labels - before))


def tuned_by_time(schedule: Schedule, last: Tuned) -> datetime:
    """From when on any change of the labels makes a tuning due."""
    return last.at + timedelta(minutes=schedule.every_minutes)


def due(
    schedule: Schedule, labels: int, data: str, last: Tuned | None, alert: datetime | None, now: datetime
) -> Cause | None:
    """Why the classifier is to be tuned now, if it is.

    Args:
        schedule: When to tune.
        labels: How many segments are labelled now.
        data: The labels' digest, which is another than the last tuning's where any label is.
        last: What the last tuning had; none where there was none.
        alert: When drift was last noticed.
        now: The time.

    Returns:
        The first of the causes that holds: nothing was ever tuned; enough labels are new (or gone); something drifted
        since; or there are other labels and it was long ago.
    """
    enough = not labels_left(schedule, labels, last)
    if last is None:
        return "first" if enough else None
    if enough:
        return "labels"
    if alert is not None and alert > last.at:
        return "drift"
    if data != last.data and now >= tuned_by_time(schedule, last):
        return "time"
    return None
