"""The refiner: its index and its studies' thresholds."""

import asyncio
from collections.abc import Sequence

from infra.clock import SystemClock
from infra.codebook.thresholds_job import judged
from infra.factory.models import Models
from infra.factory.stores import build_code_index
from infra.roles.definition import read_records, stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from models.ports import CodeIndex
from models.refinement.reindexing import reconcile
from models.refinement.thresholds import learned
from schemas import Annotation, Assignment, CodeEvent
from streams.stage import Stage
from streams.stages import RefinerStage
from streams.topology import ASSIGNMENTS, CODEBOOK, LABELS

READ_AGAIN = 2_000  # assignments a partition that a refiner recalls at its start: more than it may be asked for again


async def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The refiner with its index and thresholds as the topics have them now.

    The index follows the codebook from then on; the thresholds wait for a restart.

    Annotations count where their segment's assignment is among those that are recalled.
    """
    models = Models.of(settings, usage)
    events = sorted(await read_records(settings, CODEBOOK, CodeEvent), key=lambda event: (event.at, str(event.id)))
    refiner = models.build_refiner(await asyncio.to_thread(reconciled_index, models, events))
    assignments = await read_records(settings, ASSIGNMENTS, Assignment, last=READ_AGAIN)
    refiner.load_assignments(assignments)
    labels = await read_records(settings, LABELS, Annotation)
    judgements = await asyncio.to_thread(judged, models.profile, models.embedder, events, assignments, labels)
    refiner.set_thresholds(
        {study: learned(refiner.threshold(study), evidence) for study, evidence in judgements.items()}
    )
    return RefinerStage(refiner, SystemClock(), events)


def reconciled_index(models: Models, events: Sequence[CodeEvent]) -> CodeIndex:
    """The index of codes, with what the codebook says and it does not have."""
    index = build_code_index(models.settings, models.embedder)
    # A server is shared with refiners that may be creating codes right now: what it has more is not ours to remove.
    alone = models.settings.index_folder is not None
    reconcile(index, models.embedder, events, remove=alone)
    return index


ROLE = stage_role("refiner", build_stage)
