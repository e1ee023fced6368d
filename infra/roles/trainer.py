"""The trainer's role: what it reads before its first batch, and what it is made of."""

import asyncio
import os
from functools import partial

from infra.clock import SystemClock
from infra.factory.classifiers import build_classifier_factory
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.profiles.study_rules import default_rules
from infra.roles.definition import read_records, stage_role
from infra.settings import Settings
from infra.training.background import ThreadTask
from infra.training.checkpoints import Checkpoints
from infra.training.query_pool import read_pool
from infra.training.tracking import MlflowTracking
from infra.training.trainer import Trainer, TrainerSettings, TuningResult
from infra.training.training_log import TrainingLog
from models.backends.token_usage import TokenUsage
from models.classifier.schedule import Schedule
from models.ports import load
from schemas import Annotation, CodeEvent, DriftAlert, ModelRelease, Record, StudyRules
from streams.stage import Stage
from streams.stages import TrainerStage
from streams.topology import ALERTS, CODEBOOK, LABELS, RELEASES, STUDIES, Topic

EMBEDDINGS = "embeddings"
_READS: tuple[tuple[Topic, type[Record]], ...] = (
    (CODEBOOK, CodeEvent),
    (STUDIES, StudyRules),
    (RELEASES, ModelRelease),
    (ALERTS, DriftAlert),
    (LABELS, Annotation),
)
"""In the order in which the trainer takes them in."""


async def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The trainer with all that people have said so far, and what serves.

    Raises:
        SettingError: If the data folder cannot be written.
        SpareError: If another trainer works on it: this one waits.
    """
    models, checkpoints = Models.of(settings, usage), Checkpoints(settings.data_dir)
    lock = checkpoints.hold()  # till this process ends
    try:
        history = [await read_records(settings, topic, record) for topic, record in _READS]
        trainer = await asyncio.to_thread(_trainer, models, checkpoints)
    except BaseException:
        os.close(lock)  # whoever tries again takes it anew
        raise
    for records in history:
        trainer.add_records(records)
    return TrainerStage(trainer, SystemClock())


def _trainer(models: Models, checkpoints: Checkpoints) -> Trainer:
    settings, profile = models.settings, models.profile.trainer
    factory = build_classifier_factory(models, settings.data_dir / EMBEDDINGS)
    load(factory.base)
    schedule = Schedule(profile.every_labels, profile.every_minutes)
    options = TrainerSettings(profile.least_examples, profile.held_out, schedule)
    return Trainer(
        factory,
        checkpoints,
        ThreadTask[TuningResult](),
        SystemClock(),
        options,
        pool=partial(read_pool, build_store(settings).database),
        rules=partial(default_rules, models.profile),
        track=TrainingLog(lambda: MlflowTracking(settings.tracking_url), options),
    )


ROLE = stage_role("trainer", build_stage)
