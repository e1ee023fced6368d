"""What the trainer does with a batch: teach classifiers what people decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from models.ports import Clock
from schemas import (
    Annotation,
    CodeEvent,
    DriftAlert,
    ModelRelease,
    Record,
    StudyRules,
)
from streams.publish import outgoing
from streams.stage import PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    ALERTS,
    CODEBOOK,
    LABELS,
    RELEASES,
    STUDIES,
)


class AnnotationLearner(Protocol):
    """Teaches classifiers what people's labels say."""

    def add_annotations(self, annotations: Sequence[Annotation]) -> Sequence[Record]:
        """Take a batch of labels in; returns the releases and requests that came of it, or of earlier ones."""
        ...

    def tick(self) -> Sequence[Record]:
        """What has come about since; all that was returned before has been published by now."""
        ...

    def add_records(self, records: Sequence[Record]) -> None:
        """Take other records in, from any thread; they count from the next call on."""
        ...


@dataclass
class TrainerStage(PlainStage):
    """Teach classifiers at every batch of labels, and publish what came of it as soon as it is there.

    Labels are acknowledged with their batch, before what they are taught in the background is done: the next start
    reads all of them again, from their topic's beginning, and so makes good what a kill cut off.
    """

    trainer: AnnotationLearner
    clock: Clock
    role: str = "trainer"

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """Codes, rules, releases (a person may have gone back to one) and alerts count from the next step on."""
        kinds: dict[str, type[Record]] = {
            CODEBOOK.name: CodeEvent,
            STUDIES.name: StudyRules,
            RELEASES.name: ModelRelease,
            ALERTS.name: DriftAlert,
        }
        return {name: partial(self._update, kind) for name, kind in kinds.items()}

    def initial_inputs(self) -> Mapping[str, Recall]:
        """All labels, those that were acknowledged too."""
        return {LABELS.name: Recall(None, partial(self._update, Annotation))}

    def _update(self, kind: type[Record], values: Sequence[bytes | None]) -> None:
        self.trainer.add_records(readable(values, kind))

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Learn a batch of labels."""
        annotations = [annotation for _, annotation in self.read(batch, Annotation, result)]
        result.send += [outgoing(record) for record in self.trainer.add_annotations(annotations)]

    def tick(self) -> StageResult:
        """Publish what came of work in the background."""
        return StageResult(send=[outgoing(record) for record in self.trainer.tick()])
