"""Numbers that the read model knows, each told by one role alone."""

from datetime import UTC, datetime

from infra.storage.alerts import count_open
from infra.storage.database import Database
from infra.storage.outbox import Outbox
from infra.telemetry.metrics import Gauge


def gauges(role: str, database: Database) -> tuple[Gauge, ...]:
    """What a role can look up beside its own progress."""
    if role == "recorder":
        says = "Drift alerts that nobody has acknowledged, those aside that are snoozed."
        return (Gauge("qualstream_drift_alerts_open", says, lambda: count_open(database, None, datetime.now(UTC))),)
    if role == "web":
        says = "What people decided and the brokers have not confirmed."
        return (Gauge("qualstream_outbox_messages", says, Outbox(database).backlog),)
    return ()
