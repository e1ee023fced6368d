"""The recorder: fills the read model from the topics."""

from datetime import UTC, datetime

from infra.clock import SystemClock
from infra.factory.stores import build_store
from infra.roles.definition import stage_role
from infra.settings import Settings
from infra.storage.alerts import count_open
from infra.storage.database import Database
from infra.telemetry.metrics import Gauge
from models.backends.token_usage import TokenUsage
from streams.stage import Stage
from streams.stages.recorder import RecorderStage


def build_stage(settings: Settings, _usage: TokenUsage) -> Stage:
    """The recorder over the store of the settings."""
    return RecorderStage(build_store(settings).record, SystemClock())


def build_gauges(database: Database) -> tuple[Gauge, ...]:
    """How many drift alerts wait for somebody."""
    says = "Drift alerts that nobody has acknowledged, those aside that are snoozed."
    return (Gauge("qualstream_drift_alerts_open", says, lambda: count_open(database, None, datetime.now(UTC))),)


ROLE = stage_role("recorder", build_stage, build_gauges)
