"""A study's past watched anew: the same monitor over what the read model holds."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from infra.drift.novelty import MOST_TEXTS, DatedText, NoveltyTools, describe, is_about_texts, last_moment
from infra.drift.report_data import ReportData
from infra.drift.scan_file import EMBEDDED, ScanResult, seen_by, watch
from infra.storage.database import Database
from infra.storage.observations import (
    changes,
    count_observations,
    frequent_labels,
    judgements,
    observations,
    texts_between,
)
from models.drift.monitor import Monitor
from models.drift.observation import KnownChange, Observed
from models.drift.settings import DriftSettings
from models.ports import Embedder
from schemas import DriftAlert

_LABELS = 400
"""Codes whose labels are compared with an alert's examples, the most frequent."""
_MOMENT = timedelta(microseconds=1)


def report_study(
    database: Database,
    study: str,
    since: datetime | None,
    settings: DriftSettings,
    embedder: Callable[[], Embedder] | None = None,
) -> ScanResult:
    """Watch a study's segments in order of their own time, and what was changed on purpose with them.

    Args:
        database: The read model.
        study: The study.
        since: Only segments said from then on.
        settings: How to watch. Nothing is waited for: the read model gives the segments in order.
        embedder: Called where texts are to be watched too.
    """
    count = count_observations(database, study, since)
    model, share = embedder() if embedder and count else None, min(1.0, EMBEDDED / max(count, 1))
    monitor = Monitor(study, replace(settings, lateness=timedelta()))
    data = ReportData(count)
    watched = with_judgements(observations(database, study, since, embedder=model, share=share), database, study, since)
    alerts = watch(_noting(watched, changes(database, study, since), monitor), monitor, data)
    alerts = with_study_novelty(database, study, alerts, model)
    return ScanResult(study, count, data.embedded, alerts, data, *seen_by(monitor, count))


def with_judgements(
    watched: Iterable[Observed], database: Database, study: str, since: datetime | None
) -> Iterator[Observed]:
    """A study's segments, and among them, where the stream was by then, what people said later of their codes."""
    later = (word for _, word in judgements(database, study) if since is None or word.at >= since)
    return heapq.merge(watched, later, key=lambda each: each.at)


def _noting(watched: Iterable[Observed], known: Sequence[KnownChange], monitor: Monitor) -> Iterator[Observed]:
    """Tell the monitor of each change just before the segments that it moved."""
    waiting = deque(known)
    for observed in watched:
        while waiting and waiting[0].at <= observed.at:
            monitor.note(waiting.popleft())
        yield observed


def with_study_novelty(
    database: Database, study: str, alerts: Sequence[DriftAlert], embedder: Embedder | None
) -> list[DriftAlert]:
    """A study's alerts, those about what people say with what is new in it."""
    if not any(is_about_texts(alert) for alert in alerts):
        return list(alerts)
    tools = NoveltyTools(embedder, frequent_labels(database, study, _LABELS) if embedder else ())
    return [_described(database, alert, tools) if is_about_texts(alert) else alert for alert in alerts]


def _described(database: Database, alert: DriftAlert, tools: NoveltyTools) -> DriftAlert:
    end = last_moment(alert) + _MOMENT
    before = texts_between(database, alert.study, None, alert.at, MOST_TEXTS, newest=True)
    after = texts_between(database, alert.study, alert.at, end, MOST_TEXTS)
    return describe(alert, [DatedText(*row) for row in before], [DatedText(*row) for row in after], tools)
