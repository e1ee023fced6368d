"""The coders: the members that live in this process, and the studies' classifiers."""

from infra.clock import SystemClock
from infra.factory.classifiers import build_classifiers
from infra.factory.models import Models, load_now
from infra.roles.definition import stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from streams.stage import Stage
from streams.stages.coders import CodersStage


def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The members that live here, and the classifiers that serve.

    Every group of members asks the classifiers, where they live apart: so each may spare its members, and a group that
    is away takes no guess with it.
    """
    models = Models.of(settings, usage)
    coder = load_now(models.build_coder())
    return CodersStage(coder, models.profile.text_limit, SystemClock(), build_classifiers(models))


ROLE = stage_role("coders", build_stage)
