"""An alert in words, and as the messages that chats take."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.drift.alert_rules import KIND as RULE
from schemas import DriftAlert

_CARD = "application/vnd.microsoft.card.adaptive"


def told(alert: DriftAlert) -> list[str]:
    """What is known of an alert, a line each; no text of a code breaks a line."""
    since, seen = f"{alert.at:%Y-%m-%d %H:%M} UTC", f"{alert.detected_at:%Y-%m-%d %H:%M} UTC"
    if alert.kind == RULE:
        return [f"Counted: {since} to {seen}", " ".join(f"Codes: {', '.join(alert.codes)}".split())]
    lines = [
        f"Since: {since}, seen {seen}",
        f"What moved: {alert.cause}",
        f"Codes: {', '.join(alert.codes) or '-'}",
        f"Sources: {', '.join(alert.sources) or '-'}",
        *([f"New words and phrases: {', '.join(alert.terms)}"] if alert.terms else []),
        *([f"Nearest codes: {', '.join(alert.nearest)}"] if alert.nearest else []),
    ]
    return [" ".join(line.split()) for line in lines]


def _title(alert: DriftAlert) -> str:
    return " ".join(f"Study {alert.study}: {alert.says or alert.kind}".split())


def _slack(alert: DriftAlert, page: str) -> dict[str, Any]:
    """As Slack's incoming webhooks take it; ``& < >`` are its only signs."""
    lines = [f"*{_slack_text(_title(alert))}*", *map(_slack_text, told(alert)), f"<{page}|Open the alert>"]
    return {"text": _slack_text(_title(alert)), "blocks": [_section("\n".join(lines))]}


def _section(words: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": words[:3000]}}


def _slack_text(words: str) -> str:
    plain = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("*", "∗").replace("`", "ˋ").replace("_", "ˍ").replace("~", "∼")


def _mattermost(alert: DriftAlert, page: str) -> dict[str, Any]:
    """As Mattermost's incoming webhooks take it: Markdown, whose signs in a text are escaped."""
    lines = [f"#### {_markdown(_title(alert))}", *map(_markdown, told(alert)), f"[Open the alert]({page})"]
    return {"text": "\n\n".join(lines)}


def _markdown(words: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~" else c for c in words)
    return escaped.replace("@", "@\u200b")  # nobody is called by a text


def _teams(alert: DriftAlert, page: str) -> dict[str, Any]:
    """As Teams' workflows take it: an Adaptive Card."""
    blocks = [{"type": "TextBlock", "text": _markdown(_title(alert)), "weight": "Bolder", "wrap": True}]
    blocks += [{"type": "TextBlock", "text": _markdown(line), "wrap": True} for line in told(alert)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
        "actions": [{"type": "Action.OpenUrl", "title": "Open the alert", "url": page}],
    }
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": card}]}


MESSAGES: Mapping[str, Callable[[DriftAlert, str], dict[str, Any]]] = {
    "slack": _slack,
    "teams": _teams,
    "mattermost": _mattermost,
}
"""By chat, the body that tells of an alert; the second argument is the address of the page."""
