"""The trainer's role: whom it keeps out, and what it is made of."""

import os
from functools import partial

from infra.clock import SystemClock
from infra.factory.classifiers import build_classifier_factory
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.profiles.study_rules import default_rules
from infra.roles.definition import stage_role
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
from streams.stage import Stage
from streams.stages.trainer import TrainerStage

EMBEDDINGS = "embeddings"


def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The trainer, alone on its data folder.

    Raises:
        SettingError: If the data folder cannot be written.
        SpareError: If another trainer works on it: this one waits.
    """
    models, checkpoints = Models.of(settings, usage), Checkpoints(settings.data_dir)
    lock = checkpoints.hold()  # till this process ends
    try:
        return TrainerStage(_trainer(models, checkpoints), SystemClock())
    except BaseException:
        os.close(lock)  # whoever tries again takes it anew
        raise


def _trainer(models: Models, checkpoints: Checkpoints) -> Trainer:
    settings, profile = models.settings, models.profile.trainer
    factory = build_classifier_factory(models, settings.data_dir / EMBEDDINGS)
    load(factory.base)
    schedule = Schedule(profile.every_labels, profile.every_minutes)
    options = TrainerSettings(profile.least_examples, schedule)
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
