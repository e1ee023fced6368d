"""The trainer's role: what it reads before its first batch, and what it is made of."""

import asyncio
import os
from functools import partial

from infra.brokers import build_cluster
from infra.clock import SystemClock
from infra.factory.classifiers import build_workshop
from infra.factory.models import build_embedder
from infra.factory.stores import build_store
from infra.profiles.loading import Profile
from infra.profiles.study_rules import default_rules
from infra.settings import Settings
from infra.training.background import InThread
from infra.training.checkpoints import Checkpoints
from infra.training.query_pool import read_pool
from infra.training.tracking import MlflowTracking
from infra.training.trainer import Made, Trainer, TrainerSettings
from infra.training.training_log import Logbook
from models.classifier.schedule import Schedule
from models.ports import load
from schemas import Annotation, CodeEvent, DriftAlert, ModelRelease, Record, StudyRules
from streams.cluster import read_topic
from streams.stage import readable
from streams.stages import TrainerStage
from streams.topology import ALERTS, CODEBOOK, LABELS, RELEASES, STUDIES

EMBEDDINGS = "embeddings"
_READS: dict[str, type[Record]] = {
    CODEBOOK.name: CodeEvent,
    STUDIES.name: StudyRules,
    RELEASES.name: ModelRelease,
    ALERTS.name: DriftAlert,
    LABELS.name: Annotation,
}


async def trainer_stage(chosen: Profile, settings: Settings) -> TrainerStage:
    """The trainer with all that people have said so far, and what serves.

    Raises:
        SettingError: If the data folder cannot be written.
        SpareError: If another trainer works on it: this one waits.
    """
    checkpoints = Checkpoints(settings.data_dir)
    lock = checkpoints.hold()  # till this process ends
    try:
        brokers = build_cluster(settings)
        said = {name: [value async for _, _, _, value in read_topic(brokers, name)] for name in _READS}
        trainer = await asyncio.to_thread(_trainer, chosen, settings, checkpoints)
    except BaseException:
        os.close(lock)  # whoever tries again takes it anew
        raise
    for name, kind in _READS.items():
        trainer.hear(readable(said[name], kind))
    return TrainerStage(trainer, SystemClock())


def _trainer(chosen: Profile, settings: Settings, checkpoints: Checkpoints) -> Trainer:
    wanted = chosen.trainer
    embeds = build_embedder(chosen, settings)
    workshop = build_workshop(chosen, settings, embeds, settings.data_dir / EMBEDDINGS)
    load(workshop.base)
    schedule = Schedule(wanted.every_labels, wanted.every_minutes)
    how = TrainerSettings(wanted.least_examples, wanted.held_out, schedule)
    return Trainer(
        workshop,
        checkpoints,
        InThread[Made](),
        SystemClock(),
        how,
        pool=partial(read_pool, build_store(settings).database),
        rules=partial(default_rules, chosen),
        track=Logbook(lambda: MlflowTracking(settings.tracking_url), how),
    )
