"""Tell other systems of alerts: a signed webhook, and e-mail. Each alert once to each, however often it is tried.

What was told stands in the read model, so a restart neither repeats nor forgets. People who have acknowledged or
snoozed an alert need not be told of it.
"""

import hashlib
import hmac
import json
import logging
import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from sqlalchemy import and_, exists, func, or_, select

from infra.drift.alert_rules import KIND as RULE
from infra.drift.alert_words import MESSAGES, told
from infra.settings import Settings
from infra.storage.database import Database
from infra.storage.projections import insert
from infra.storage.tables import alert_deliveries, alert_marks, alerts
from models.ports import Clock
from schemas import DriftAlert

log = logging.getLogger(__name__)
SIGNATURE = "X-Qualstream-Signature"
_PATIENCE_S = 10.0
_RECENT = timedelta(days=1)  # a hook that is new, or was away for longer, is not told old news
_MOST_ATTEMPTS = 12
_AT_ONCE = 50


class Hook(Protocol):
    """Somebody who is told of alerts."""

    @property
    def name(self) -> str:
        """What it is kept under."""
        ...

    def notify(self, alert: DriftAlert) -> None:
        """Tell of one alert.

        Raises:
            OSError, httpx.HTTPError, smtplib.SMTPException: If it could not be told; it is tried again.
        """
        ...


@dataclass(frozen=True)
class Webhook:
    """A POST of the alert as JSON, signed: ``t=SECONDS,v1=HMAC-SHA256(secret, "SECONDS.BODY")`` in hex."""

    url: str
    secret: bytes
    clock: Clock
    page: str
    name: str = "webhook"

    def notify(self, alert: DriftAlert) -> None:
        """Send it; whatever is not a success is tried again. Redirects are not followed."""
        seconds = int(self.clock.now().timestamp())
        body = json.dumps({**_known(alert), "page": link(self.page, alert)}).encode()
        headers = {"Content-Type": "application/json", SIGNATURE: f"t={seconds},v1={sign(self.secret, seconds, body)}"}
        httpx.post(self.url, content=body, headers=headers, timeout=_PATIENCE_S).raise_for_status()


def _known(alert: DriftAlert) -> dict[str, Any]:
    """An alert as JSON has it; a rule compares nothing, so what comes of comparing is null."""
    known: dict[str, Any] = json.loads(alert.to_bytes())
    return known | dict.fromkeys(("p", "effect", "before")) if alert.kind == RULE else known


def sign(secret: bytes, seconds: int, body: bytes) -> str:
    """The signature of a body at a time, for those who send and those who check; old times are to be refused."""
    return hmac.new(secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Mail:
    """A plain text e-mail over SMTP, with TLS where the server or the URL (``smtps``) has it."""

    url: str
    password: str | None
    sender: str
    to: tuple[str, ...]
    page: str
    name: str = "e-mail"

    def notify(self, alert: DriftAlert) -> None:
        """Send it."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "smtps"
        kind = smtplib.SMTP_SSL if secure else smtplib.SMTP
        with kind(str(parts.hostname), parts.port or (465 if secure else 25), timeout=_PATIENCE_S) as server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls()
                server.ehlo()
            if parts.username and self.password is not None:
                server.login(parts.username, self.password)
            server.send_message(self._written(alert))

    def _written(self, alert: DriftAlert) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Subject"] = f"Qualstream: {alert.kind} in study {alert.study}"
        mail["Message-ID"] = f"<{alert.id}@qualstream>"  # the same when it is tried again
        lines = [alert.says or alert.kind, "", *told(alert), "", link(self.page, alert)]
        mail.set_content("\n".join(" ".join(line.split()) for line in lines))  # no text of a code breaks a line
        return mail


def link(page: str, alert: DriftAlert) -> str:
    """The drift page's address of an alert."""
    return f"{page}/s/{alert.study}/drift#{alert.id}".replace(" ", "%20")


def build_hooks(settings: Settings, clock: Clock) -> list[Hook]:
    """Those that the settings name."""
    page = settings.page_address(settings.web_port)
    named: list[Hook] = []
    if settings.webhook_url is not None:
        secret = settings.webhook_secret
        assert secret is not None  # the settings see to it
        named.append(Webhook(settings.webhook_url, secret.get_secret_value().encode(), clock, page))
    if settings.smtp_url is not None:
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        named.append(Mail(settings.smtp_url, password, settings.mail_from, settings.mail_to, page))
    for chat, url in (
        ("slack", settings.slack_url),
        ("teams", settings.teams_url),
        ("mattermost", settings.mattermost_url),
    ):
        if url is not None:
            named.append(ChatHook(url.get_secret_value(), MESSAGES[chat], page, chat))
    return named


@dataclass(frozen=True)
class ChatHook:
    """A POST to a chat's incoming webhook; its address is the secret."""

    url: str
    message: Callable[[DriftAlert, str], dict[str, Any]]
    page: str
    name: str

    def notify(self, alert: DriftAlert) -> None:
        """Send it; whatever is not a success is tried again. An error names no address."""
        body = self.message(alert, link(self.page, alert))
        try:
            httpx.post(self.url, json=body, timeout=_PATIENCE_S).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise OSError(f"status {error.response.status_code}") from None
        except httpx.HTTPError as error:
            raise OSError(type(error).__name__) from None


@dataclass(frozen=True)
class Delivery:
    """How telling a hook of an alert went."""

    hook: str
    attempts: int
    delivered_at: datetime | None
    last_error: str | None


def deliveries(database: Database, study: str) -> dict[UUID, list[Delivery]]:
    """By alert, how telling each hook of it went."""
    query = select(alert_deliveries).where(alert_deliveries.c.study == study).order_by(alert_deliveries.c.hook)
    by_alert: dict[UUID, list[Delivery]] = {}
    with database.reading() as connection:
        for row in connection.execute(query):
            delivery = Delivery(row.hook, row.attempts, row.delivered_at, row.last_error)
            by_alert.setdefault(row.alert_id, []).append(delivery)
    return by_alert


def send_again(database: Database, study: str, alert: UUID, hooks: Sequence[str]) -> None:
    """Have these hooks told of an alert once more, whenever it was raised and whoever has seen it."""
    with database.writing() as connection:
        for hook in hooks:
            row = {"attempts": 0, "delivered_at": None, "last_error": None}
            statement = insert(alert_deliveries, database.dialect).values(alert_id=alert, hook=hook, study=study, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["alert_id", "hook"], set_=row))


def notify(database: Database, hooks: Sequence[Hook], clock: Clock) -> int:
    """Tell each hook of the alerts that it has not been told of; what fails is tried again later.

    Returns:
        How many were told now.
    """
    return sum(_notify(database, hook, alert, clock) for hook in hooks for alert in _pending(database, hook, clock))


def _pending(database: Database, hook: Hook, clock: Clock) -> list[DriftAlert]:
    mine = and_(alert_deliveries.c.alert_id == alerts.c.id, alert_deliveries.c.hook == hook.name)
    over = alert_deliveries.c.delivered_at.is_not(None) | (alert_deliveries.c.attempts >= _MOST_ATTEMPTS)
    asked = and_(alert_deliveries.c.delivered_at.is_(None), alert_deliveries.c.attempts == 0)
    unseen = ~exists().where(alert_marks.c.alert_id == alerts.c.id)
    recent = func.coalesce(alerts.c.raised_at, alerts.c.detected_at) >= clock.now() - _RECENT
    query = (
        select(alerts.c.record)
        .where(~exists().where(mine, over))
        .where(or_(and_(recent, unseen), exists().where(mine, asked)))
        .order_by(alerts.c.detected_at, alerts.c.id)
        .limit(_AT_ONCE)
    )
    with database.reading() as connection:
        return [DriftAlert.from_bytes(raw) for raw in connection.execute(query).scalars()]


def _notify(database: Database, hook: Hook, alert: DriftAlert, clock: Clock) -> bool:
    fault = None
    try:
        hook.notify(alert)
    except (OSError, httpx.HTTPError, smtplib.SMTPException) as error:
        fault = f"{type(error).__name__}: {error}"[:300]
        log.warning("%s could not be told of alert %s, tried again later: %s", hook.name, alert.id, fault)
    row = {
        "alert_id": alert.id,
        "hook": hook.name,
        "study": alert.study,
        "attempts": 1,
        "delivered_at": clock.now() if fault is None else None,
        "last_error": fault,
    }
    statement = insert(alert_deliveries, database.dialect).values(row)
    new: dict[str, Any] = {name: statement.excluded[name] for name in ("delivered_at", "last_error")}
    new["attempts"] = alert_deliveries.c.attempts + 1
    with database.writing() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["alert_id", "hook"], set_=new))
    return fault is None
