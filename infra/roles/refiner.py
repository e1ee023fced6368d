"""The refiner: its index and its studies' thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from infra.clock import SystemClock
from infra.codebook.thresholds_job import judged, learns
from infra.factory.models import Models
from infra.factory.stores import build_code_index
from infra.roles.definition import stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from models.ports import CodeIndex
from models.refinement.refiner import Refiner
from models.refinement.reindexing import reconcile
from models.refinement.thresholds import learned
from schemas import Annotation, Assignment, CodeEvent, Record
from streams.stage import Recall, SideInputHandler, Stage, readable
from streams.stages.refiner import RefinerStage
from streams.topology import ASSIGNMENTS, LABELS

R = TypeVar("R", bound=Record)
READ_AGAIN = 2_000  # assignments a partition that thresholds are learned from: labels are of the newest


@dataclass
class RefinerStart:
    """Makes a refiner what the topics say as it starts; the codebook it follows from then on."""

    models: Models
    index: CodeIndex
    refiner: Refiner
    assignments: list[Assignment] = field(default_factory=list)
    labels: list[Annotation] = field(default_factory=list)

    def inputs(self) -> Mapping[str, Recall]:
        """What thresholds are learned from beside the codebook; nothing where the profile does not learn."""
        if not learns(self.models.profile):
            return {}
        return {
            ASSIGNMENTS.name: Recall(READ_AGAIN, _into(self.assignments, Assignment)),
            LABELS.name: Recall(None, _into(self.labels, Annotation)),
        }

    def load(self, history: Sequence[CodeEvent]) -> None:
        """Make the index equal to the codebook's history, and learn the thresholds, which then wait for a restart."""
        events = sorted(history, key=lambda event: (event.at, str(event.id)))
        # A server is shared with refiners that may be creating codes right now: what it has more is not ours to remove.
        alone = self.models.settings.index_folder is not None
        reconcile(self.index, self.models.embedder, events, remove=alone)
        self.refiner.load_history(events)
        self._learn(events)

    def _learn(self, events: Sequence[CodeEvent]) -> None:
        """Learn from people's words; annotations count where their segment's assignment is among those read."""
        refiner, models = self.refiner, self.models
        judgements = judged(models.profile, models.embedder, events, self.assignments, self.labels)
        refiner.set_thresholds(
            {study: learned(refiner.threshold(study), evidence) for study, evidence in judgements.items()}
        )
        self.assignments.clear()
        self.labels.clear()


def _into(records: list[R], record: type[R]) -> SideInputHandler:
    """What keeps a topic's messages as records."""
    return lambda values: records.extend(readable(values, record))


def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The refiner over its index; both are what the topics say before its first batch."""
    models = Models.of(settings, usage)
    index = build_code_index(settings, models.embedder)
    refiner = models.build_refiner(index)
    start = RefinerStart(models, index, refiner)
    return RefinerStage(refiner, SystemClock(), start.load, start.inputs())


ROLE = stage_role("refiner", build_stage)
