"""Numbers that the read model knows, each told by one role alone."""

from datetime import UTC, datetime

from sqlalchemy import exists, func, or_, select

from infra.people.outbox import Outbox
from infra.readmodel.database import Database
from infra.readmodel.tables import alert_marks, alerts
from infra.telemetry.metrics import Gauge


def gauges(role: str, database: Database) -> tuple[Gauge, ...]:
    """What a role can look up beside its own progress."""
    if role == "recorder":
        says = "Drift alerts that nobody has acknowledged, those aside that are snoozed."
        return (Gauge("qualstream_drift_alerts_open", says, lambda: open_alerts(database)),)
    if role == "web":
        says = "What people decided and the brokers have not confirmed."
        return (Gauge("qualstream_outbox_messages", says, Outbox(database).backlog),)
    return ()


def open_alerts(database: Database) -> int:
    """Drift alerts that nobody has acknowledged, those aside that are snoozed.

    Raises:
        UnavailableError: If the database does not answer.
    """
    seen_to = exists().where(
        alert_marks.c.alert_id == alerts.c.id,
        or_(alert_marks.c.until.is_(None), alert_marks.c.until > datetime.now(UTC)),
    )
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(alerts).where(~seen_to)).scalar_one())
