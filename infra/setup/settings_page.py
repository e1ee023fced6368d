"""Writes docs/settings.md from the settings themselves; a test compares the two.

python -m infra.setup.settings_page > docs/settings.md
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.settings import Settings, variable

SECTIONS: dict[str, dict[str, str]] = {
    "Where and what": {
        "data_dir": "Where everything is kept that has no place of its own: database, weights, logs, classifiers.",
        "study": "The study that commands are about unless they name another.",
        "profile": "Which models run.",
        "instance": "What this machine is called in `qualstream status`.",
    },
    "Models": {
        "device": "Where models run in this process. A device that is not there is refused at the start.",
        "members": "Only these members of the profile run in this process; others run elsewhere.",
        "embedder": "Compares texts and codes; one of many languages for texts that are not English.",
        "quorum": "From how many members on the moderator decides when the others are late; unset, it waits for all.",
        "proposal_deadline_s": "How long it waits for members that are late.",
        "cascade": "Whether a segment on which the first members agree skips the rest.",
        "served_api_key": "For members behind an OpenAI-compatible server.",
        "wordnet": "For METEOR and the composite scores of `qualstream evaluate`.",
    },
    "Kafka": {
        "kafka_url": "The brokers. Unset, `qualstream up` starts the embedded one.",
        "kafka_security": "How the brokers are reached.",
        "kafka_sasl_mechanism": "How the user is proved.",
        "kafka_username": "",
        "kafka_password": "",
        "kafka_ca_file": "",
        "kafka_cert_file": "",
        "kafka_key_file": "",
        "kafka_partitions": "Of topics that are created. At most so many processes of a role share the work.",
        "kafka_replication": "Copies of topics that are created.",
        "kafka_prefix": "Before the name of every topic and consumer group, on brokers that are shared.",
        "session_timeout_s": "After so long without a sign of life a process loses its partitions to others.",
        "watchdog_s": "A worker that stands still for so long is ended.",
        "batch_size": "Messages that a role takes together, at most.",
        "batch_wait_s": "How long it waits for a batch to fill.",
        "ingest_rate": "How fast segments that were taken in are published.",
        "ingest_lag": "From so many messages on that a role has yet to read, no segments are published. Unset, no "
        "limit on Kafka, and 20,000 on the embedded broker, which has its topics in memory.",
        "intake_backlog": "From so many on that wait, programs that send more over HTTP are told to come back later.",
    },
    "Stores": {
        "database_url": "The read model. Unset, SQLite in the data folder.",
        "database_password": "",
        "qdrant_url": "The index of codes. Unset, Qdrant's engine in the refiner's process.",
        "qdrant_api_key": "",
    },
    "Reading files": {"non_answers": "Whether texts such as n/a or none are left out."},
    "Personal data": {
        "masking": "What is masked of all that comes in, at least; a study's rules may ask for more.",
        "masking_key_file": "Made by `qualstream masking-key`. Unset, originals are not kept.",
        "masking_regions": "",
        "masking_models": "Installed spaCy models, or folders, by which Presidio finds names and places.",
    },
    "The page": {
        "web_host": "127.0.0.1 is this machine alone.",
        "web_port": "`qualstream up` refuses one that is taken.",
        "web_hosts": "The names under which browsers ask for the page, where it stands behind a proxy.",
        "web_tls": "Cookies for https alone.",
        "web_language": "Where neither a person nor their browser asks for one that there is.",
        "web_proxies": "Whose word about a visitor's address is taken.",
        "web_secret": "Signs sessions, where several pages share them. Unset, a key in the data folder.",
    },
    "Alerts": {
        "monitor_every_s": "How often each study is looked at for drift.",
        "webhook_url": "Gets every alert as a signed POST.",
        "webhook_secret": "What it is signed with.",
        "slack_url": "Gets every alert in Slack's form.",
        "teams_url": "Gets every alert as a card for Teams.",
        "mattermost_url": "Gets every alert in Mattermost's form.",
        "smtp_url": "The mail server that sends alerts.",
        "smtp_password": "",
        "mail_from": "",
        "mail_to": "Who gets them.",
    },
    "Logs, metrics, traces": {
        "log_level": "The least important level that is logged.",
        "log_format": "",
        "metrics_port": "Where Prometheus reads.",
        "metrics_host": "",
        "otlp_url": "An OpenTelemetry collector.",
        "trace_share": "",
        "mlflow_url": "Where trainings are recorded. Unset, a folder in the data folder.",
    },
}
"""By heading, each setting and what it does, where its name and what is expected do not say so."""
INTRODUCTION = """# Settings

Each is an environment variable; options of a command win over it, and `import qualstream` takes them by their names
(`device="cpu"`). Commands and roles read the same ones. A wrong value, or a variable that begins with `QUALSTREAM_` and
is no setting, ends the command with one line that says what was expected.

This page is written by `python -m infra.setup.settings_page` from `infra/settings.py`.
"""


def settings_page() -> str:
    """The page as Markdown: every setting with what it does, what is expected and the default."""
    named = {field for section in SECTIONS.values() for field in section}
    others = {field: "" for field in Settings.model_fields if field not in named}
    sections = SECTIONS | ({"Others": others} if others else {})
    return "\n".join([INTRODUCTION, *(line for heading, each in sections.items() for line in _section(heading, each))])


def _section(heading: str, fields: dict[str, str]) -> Iterator[str]:
    yield from (f"## {heading}", "", "| variable | what it does | expected | default |", "|---|---|---|---|")
    for name, meaning in fields.items():
        field = Settings.model_fields[name]
        yield f"| `{variable(name)}` | {meaning} | {_expected(field)} | {_default(field)} |"
    yield ""


def _expected(field: FieldInfo) -> str:
    secret = " (secret)" if "SecretStr" in str(field.annotation) else ""
    return f"{field.description}{secret}".replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "this machine's name"
    value = field.default
    if value is None or value in ((), ""):
        return "unset"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    whole = float in (field.annotation, *get_args(field.annotation)) and float(value).is_integer()
    return f"`{int(value)}`" if whole else f"`{value}`"


def main() -> None:
    """Print the page."""
    sys.stdout.write(settings_page().rstrip() + "\n")


def written() -> Path:
    """Where the page stands."""
    return Path(__file__).parents[2] / "docs" / "settings.md"


if __name__ == "__main__":
    main()
