"""The refiner: its index and its studies' thresholds."""

import asyncio

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.codebook.thresholds_job import judged
from infra.factory.models import (
    build_embedder,
    build_refiner,
)
from infra.factory.stores import build_code_index
from infra.profiles.loading import Profile
from infra.settings import Settings
from models.refinement.reindexing import reconcile
from models.refinement.thresholds import learned
from schemas import Annotation, Assignment, CodeEvent
from streams.cluster import read_topic
from streams.stage import Stage, readable
from streams.stages import RefinerStage
from streams.topology import ASSIGNMENTS, CODEBOOK, LABELS

READ_AGAIN = 2_000  # assignments a partition that a refiner recalls at its start: more than it may be asked for again


async def refiner_stage(chosen: Profile, settings: Settings) -> Stage:
    """The refiner with its index and thresholds as the topics have them now.

    The index follows the codebook from then on; the thresholds wait for a restart.

    Annotations count where their segment's assignment is among those that are recalled.
    """
    history = [value async for _, _, _, value in read_topic(build_cluster(settings), CODEBOOK.name)]
    events = sorted(readable(history, CodeEvent), key=lambda event: (event.at, str(event.id)))
    embeds = build_embedder(chosen, settings)
    index = await asyncio.to_thread(build_code_index, settings, embeds)
    # A server is shared with refiners that may be creating codes right now: what it has more is not ours to remove.
    alone = settings.index_folder is not None
    await asyncio.to_thread(reconcile, index, embeds, events, remove=alone)
    refines = build_refiner(chosen, index, embeds)
    tail = read_topic(build_cluster(settings), ASSIGNMENTS.name, last=READ_AGAIN)
    recalled = readable([value async for _, _, _, value in tail], Assignment)
    refines.load_assignments(recalled)
    said = readable([value async for _, _, _, value in read_topic(build_cluster(settings), LABELS.name)], Annotation)
    found = await asyncio.to_thread(judged, chosen, embeds, events, recalled, said)
    refines.set_thresholds({study: learned(refines.threshold(study), evidence) for study, evidence in found.items()})
    return RefinerStage(refines, SystemClock(), events)
