"""A study's past watched anew: the same monitor over what the read model holds."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from infra.drift.report_data import Picture
from infra.drift.scan_file import EMBEDDED, Scanned, watch
from infra.storage.database import Database
from infra.storage.observations import changes, count_observed, judgements, observed
from models.drift.monitor import Monitor
from models.drift.observation import Change, Observed
from models.drift.settings import DriftSettings
from models.ports import Embedder


def report_study(
    database: Database,
    study: str,
    since: datetime | None,
    settings: DriftSettings,
    embedder: Callable[[], Embedder] | None = None,
) -> Scanned:
    """Watch a study's segments in order of their own time, and what was changed on purpose with them.

    Args:
        database: The read model.
        study: The study.
        since: Only segments said from then on.
        settings: How to watch. Nothing is waited for: the read model gives the segments in order.
        embedder: Called where texts are to be watched too.
    """
    count = count_observed(database, study, since)
    model, share = embedder() if embedder and count else None, min(1.0, EMBEDDED / max(count, 1))
    monitor = Monitor(study, replace(settings, lateness=timedelta()))
    picture = Picture(count)
    watched = with_words(observed(database, study, since, embedder=model, share=share), database, study, since)
    alerts = watch(_noting(watched, changes(database, study, since), monitor), monitor, picture)
    return Scanned(study, count, picture.embedded, alerts, picture)


def with_words(
    watched: Iterable[Observed], database: Database, study: str, since: datetime | None
) -> Iterator[Observed]:
    """A study's segments, and among them, where the stream was by then, what people said later of their codes."""
    words = (word for _, word in judgements(database, study) if since is None or word.at >= since)
    return heapq.merge(watched, words, key=lambda one: one.at)


def _noting(watched: Iterable[Observed], known: Sequence[Change], monitor: Monitor) -> Iterator[Observed]:
    """Tell the monitor of each change just before the segments that it moved."""
    waiting = deque(known)
    for one in watched:
        while waiting and waiting[0].at <= one.at:
            monitor.note(waiting.popleft())
        yield one
