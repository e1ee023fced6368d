"""Every training that people hear of, written down beside the stream and never in its way."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infra.training.tracking import Tracking
from infra.training.trainer import TrainerSettings, TrainingRecord

log = logging.getLogger(__name__)
_MOST_WAITING = 1_000


@dataclass(frozen=True)
class Entry:
    """A training, as it is written down."""

    study: str
    name: str
    configuration: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    step: int
    """How many segments it was taught."""
    artifacts: Mapping[str, Any]

    def write(self, tracking: Tracking) -> None:
        """Write it down as one run."""
        with tracking.run(self.study, self.name, self.configuration, self.tags) as run:
            run.metrics(self.metrics, self.step)
            for name, content in self.artifacts.items():
                run.artifact(name, content)


def entry_of(training: TrainingRecord, settings: TrainerSettings) -> Entry:
    """What is written down of a training: configuration, labels and coders, what was asked, scores by code, times."""
    candidate, release = training.candidate, training.release
    coders = Counter(coder for row in candidate.data.rows for coder in row.coders)
    by_code = {
        candidate.name(code): {**asdict(score), "threshold": threshold}
        for code, threshold in zip(candidate.classifier.codes, candidate.thresholds, strict=True)
        if (score := training.result.per_code.get(code)) is not None
    }
    return Entry(
        study=training.study,
        name=f"{candidate.tier} {release.version}",
        configuration={
            **asdict(settings),
            "tier": candidate.tier,
            "cause": training.cause,
            "body": candidate.classifier.body.version,
        },
        tags={
            "data_sha256": candidate.data.digest,
            "coders": ", ".join(sorted(coders)),
            "version": release.version,
            "outcome": release.outcome,
            "why": release.why,
        },
        metrics={**release.metrics, **{f"f1.{label}": score for label, score in release.per_code.items()}},
        step=release.labels,
        artifacts={
            "codes": by_code,
            "coders": dict(coders),
            "asked": [str(request.segment_id) for request in training.asked],
            "taught": [str(row.segment) for row in candidate.data.rows],
        },
    )


class TrainingLog:
    """Writes trainings down in a thread of its own: a server that does not answer holds up nothing."""

    def __init__(self, open_tracking: Callable[[], Tracking], settings: TrainerSettings) -> None:
        """Take what keeps the record; it is opened when there is something to write."""
        self._open, self._settings = open_tracking, settings
        self._waiting: queue.Queue[Entry] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None

    def __call__(self, training: TrainingRecord) -> None:
        """Have a training written down; where too many wait already, it is not."""
        try:
            self._waiting.put_nowait(entry_of(training, self._settings))
        except queue.Full:
            log.warning(
                "study %r: %d trainings wait to be written down, this one is not", training.study, _MOST_WAITING
            )
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="logbook", daemon=True)
            self._thread.start()

    def written(self) -> None:
        """Wait until all that was told is written down."""
        self._waiting.join()

    def _write(self) -> None:
        tracking = self._open()
        while True:
            entry = self._waiting.get()
            try:
                entry.write(tracking)
            except Exception:  # a record that cannot be kept is no reason to stop learning
                log.exception("study %r: a training could not be written down", entry.study)
            finally:
                self._waiting.task_done()
