"""The router: accepts codes, or asks people."""

from infra.clock import SystemClock
from infra.factory.models import Models
from infra.roles.definition import stage_role
from infra.settings import Settings
from models.backends.token_usage import TokenUsage
from streams.stage import Stage
from streams.stages.router import RouterStage


def build_stage(settings: Settings, usage: TokenUsage) -> Stage:
    """The router; it hears what people decide, which rules they set and which classifiers serve."""
    return RouterStage(Models.of(settings, usage).build_router(), SystemClock())


ROLE = stage_role("router", build_stage)
