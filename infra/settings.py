"""The one settings object. Nothing else reads the environment."""

import os
import re
import socket
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import SettingError
from models.masking.numbers import REGIONS
from models.text.words import nearest
from schemas.record import Study
from schemas.study import MaskingLevel

PREFIX = "QUALSTREAM_"
_DATABASES = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_MAIL_SERVER = r"^smtps?://([^/@:]+@)?[\w.\-]+(:\d+)?$"
_EACH = {"masking_regions": "[A-Z]{2}", "masking_models": r"[a-z]{2}=\S.*"}  # what each name of a list must be
_LONGEST_SHOWN = 60  # characters of a wrong value that an error repeats
NameList = Annotated[tuple[str, ...], NoDecode]
"""Names in one variable, with commas between."""
_SERVER = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[\w.\-]+)(?::(\d{1,5}))?$")


def _setting(default: Any, expected: str, **rules: Any) -> Any:
    """A field whose description is what an error says was expected."""
    return Field(default=default, description=expected, **rules)


class Settings(BaseSettings):
    """Everything that may differ between two installations. Each field is the variable QUALSTREAM_ and its name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data_dir: Path = _setting(Path("data"), "a folder that can be written to")
    profile: str = _setting("tiny", "a profile's name or the path of a TOML file", min_length=1)
    study: Study = _setting("demo", "1 to 80 letters, digits, spaces and . _ -")
    instance: str = Field(
        default_factory=socket.gethostname,
        description="a name for this process's machine: letters, digits and . _ -",
        pattern=r"^[\w.\-]{1,120}$",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    kafka_url: str | None = _setting(None, "host:port (several separated by commas), or unset for the local broker")
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = _setting(
        "plaintext", "plaintext, ssl, sasl_plaintext or sasl_ssl"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _setting(
        "PLAIN", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str | None = _setting(None, "a user name at the broker")
    kafka_password: SecretStr | None = _setting(None, "the user's password at the broker")
    kafka_ca_file: Path | None = _setting(None, "a PEM file with the authority of the broker's certificate")
    kafka_cert_file: Path | None = _setting(None, "a PEM file with this client's certificate")
    kafka_key_file: Path | None = _setting(None, "a PEM file with this client's key")
    kafka_replication: int = _setting(1, "a whole number from 1", ge=1, le=32_767)
    kafka_partitions: int = _setting(4, "a whole number from 1", ge=1, le=10_000)
    kafka_prefix: str = _setting("", "letters, digits and . _ -, at most 100", pattern=r"^[A-Za-z0-9._\-]{0,100}$")
    session_timeout_s: float = _setting(10.0, "seconds above 0", gt=0, allow_inf_nan=False)
    watchdog_s: float = _setting(300.0, "seconds above 0", gt=0, allow_inf_nan=False)

    database_url: SecretStr | None = _setting(None, "sqlite:///file or postgresql://user@host/database")
    database_password: SecretStr | None = _setting(None, "the password to put into the database's URL")
    qdrant_url: str | None = _setting(None, "http://host:6333, https://host or file:folder")
    qdrant_api_key: SecretStr | None = _setting(None, "the API key of the Qdrant server")
    served_api_key: SecretStr | None = _setting(None, "the API key of the OpenAI-compatible servers")

    wordnet: Path | None = _setting(None, "the folder with WordNet's files: data.noun and so on")
    embedder: str | None = _setting(None, "a sentence model, such as multilingual-e5-small, in place of the profile's")
    cascade: Literal["off", "on"] | None = _setting(None, "off or on; unset, as the profile has it")
    members: NameList = _setting((), "names of the profile's members, separated by commas")
    quorum: int | None = _setting(None, "a whole number from 1: how many members must have answered", ge=1)
    proposal_deadline_s: float = _setting(30.0, "seconds above 0", gt=0, allow_inf_nan=False)
    non_answers: Literal["leave-out", "keep"] = _setting("leave-out", "leave-out or keep: n/a, none and the like")
    masking: MaskingLevel = _setting("off", "off, patterns (mail, phone, IBAN, card) or names (and names and places)")
    masking_key_file: Path | None = _setting(None, "a file with a key, to keep masked originals encrypted")
    masking_regions: NameList = _setting(REGIONS, "countries whose phone numbers are known without code, such as DE,US")
    masking_models: NameList = _setting(("en=en_core_web_lg",), "spaCy models by language, such as en=en_core_web_lg")
    device: str = _setting("auto", "auto, cpu, cuda or cuda:N", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    batch_size: int | None = _setting(None, "a whole number from 1; unset, each role has its own", ge=1, le=100_000)
    batch_wait_s: float | None = _setting(None, "seconds, 0 or more; unset, each role has its own", ge=0, le=3600)
    ingest_rate: float | None = _setting(None, "segments a second above 0, or none", gt=0, allow_inf_nan=False)
    ingest_lag: int | None = _setting(None, "a whole number from 1", ge=1)
    intake_backlog: int = _setting(50_000, "a whole number from 1: segments that may wait while more are sent", ge=1)
    web_host: str = _setting("127.0.0.1", "the address that the page listens on", pattern=r"^[\w.:\-]+$")
    web_port: int = _setting(8642, "a port from 0 (any free one) to 65535", ge=0, le=65_535)
    web_hosts: NameList = _setting((), "names under which the page is reached, separated by commas")
    web_tls: bool = _setting(False, "true where browsers reach the page by https alone, through a proxy; or false")
    web_proxies: NameList = _setting((), "addresses or networks of proxies before the page, separated by commas")
    web_language: str = _setting("en", "a language of the page, such as de", pattern=r"^[A-Za-z]{2,3}(_[A-Za-z]+)*$")
    web_secret: SecretStr | None = _setting(None, "32 random characters or more, to sign sessions with", min_length=32)
    monitor_every_s: float = _setting(5.0, "seconds above 0", gt=0, le=86_400)
    webhook_url: str | None = _setting(None, "an http:// or https:// address to tell of alerts", pattern="^https?://.+")
    webhook_secret: SecretStr | None = _setting(None, "16 random characters or more, to sign with", min_length=16)
    slack_url: SecretStr | None = _setting(None, "a Slack incoming webhook's https:// address")
    teams_url: SecretStr | None = _setting(None, "a Microsoft Teams workflow's https:// address")
    mattermost_url: SecretStr | None = _setting(None, "a Mattermost incoming webhook's https:// address")
    smtp_url: str | None = _setting(None, "smtp://host:port, or smtps://user@host", pattern=_MAIL_SERVER)
    smtp_password: SecretStr | None = _setting(None, "the user's password at the mail server")
    mail_from: str = _setting("qualstream@localhost", "an e-mail address", pattern=r"^[^\s@]+@[^\s@]+$")
    mail_to: NameList = _setting((), "e-mail addresses, separated by commas")

    log_format: Literal["text", "json"] = _setting("text", "text for people, or json for programs")
    metrics_port: int | None = _setting(
        None, "a port from 0 (any free one) to 65535, or none for no metrics", ge=0, le=65_535
    )
    metrics_host: str = _setting("127.0.0.1", "the address that the metrics are served on", pattern=r"^[\w.:\-]+$")
    otlp_url: str | None = _setting(
        None, "http://host:4318, where spans are sent to", pattern=r"^https?://[^\s/@]+(/\S*)?$"
    )
    trace_share: float = _setting(1.0, "the share of segments that are traced, 0 to 1", ge=0, le=1)
    mlflow_url: str | None = _setting(
        None, "http://host:5000, https://host or file:folder", pattern=r"^(https?://[^\s/]+\S*|file:.+)$"
    )

    @field_validator(
        *("members", "web_hosts", "web_proxies", "mail_to", "masking_regions", "masking_models"), mode="before"
    )
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))

    @field_validator("ingest_rate", "metrics_port", mode="before")
    @classmethod
    def _none_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and value.strip().casefold() == "none" else value

    @field_validator("log_level", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("kafka_security", "cascade", "log_format", "non_answers", "masking", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("data_dir", "kafka_ca_file", "kafka_cert_file", "kafka_key_file", "masking_key_file")
    @classmethod
    def _expand_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else value

    @field_validator("kafka_url")
    @classmethod
    def _check_servers(cls, value: str | None) -> str | None:
        if value is not None:
            _servers(value)
        return value

    @field_validator(*_EACH)
    @classmethod
    def _check_each(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value or not all(re.fullmatch(_EACH[str(info.field_name)], name) for name in value):
            raise ValueError("not such a list")
        return value

    @field_validator("web_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ip_network(proxy)  # raises ValueError where it is neither an address nor a network
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme.split("+")[0] not in _DATABASES or not (parts.path or parts.netloc):
                raise ValueError("not a database")
        return value

    @field_validator("qdrant_url")
    @classmethod
    def _check_index(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if not (parts.path if parts.scheme == "file" else parts.scheme in ("http", "https") and parts.netloc):
                raise ValueError("not an index")
        return value

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        wants = self.kafka_security.startswith("sasl_")
        for name in ("kafka_username", "kafka_password"):
            if wants and getattr(self, name) is None:
                raise ValueError(
                    f"{variable('kafka_security')} is '{self.kafka_security}' but {variable(name)} is not set; "
                    f"set it, or choose 'plaintext' or 'ssl'"
                )
            if not wants and getattr(self, name) is not None:
                raise ValueError(
                    f"{variable(name)} is set but {variable('kafka_security')} is '{self.kafka_security}', which does "
                    f"not use it; set {variable('kafka_security')}=sasl_ssl (or sasl_plaintext), or unset it"
                )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        wants = self.kafka_security.endswith("ssl")
        for name in ("kafka_ca_file", "kafka_cert_file", "kafka_key_file"):
            path = getattr(self, name)
            if path is not None and not wants:
                raise ValueError(
                    f"{variable(name)} is set but {variable('kafka_security')} is '{self.kafka_security}', which does "
                    f"not use it; set {variable('kafka_security')}=ssl (or sasl_ssl), or unset it"
                )
            if path is not None and not path.is_file():
                raise ValueError(f"{variable(name)} is '{path}' but there is no such file; a PEM file is expected")
        if self.kafka_key_file and not self.kafka_cert_file:
            raise ValueError(f"{variable('kafka_key_file')} is set but {variable('kafka_cert_file')} is not; set both")
        return self

    @field_validator("slack_url", "teams_url", "mattermost_url")
    @classmethod
    def _chats_are_addresses(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"https?://[^\s/]+\S*$", value.get_secret_value()):
            raise ValueError("no http:// or https:// address")
        return value

    @model_validator(mode="after")
    def _hooks_are_whole(self) -> Self:
        for setting, other in (
            ("webhook_url", "webhook_secret"),
            ("smtp_url", "mail_to"),
            ("smtp_password", "smtp_url"),
        ):
            if getattr(self, setting) and not getattr(self, other):
                raise ValueError(f"{variable(setting)} is set but {variable(other)} is not; set both")
        return self

    @model_validator(mode="after")
    def _password_has_a_url(self) -> Self:
        if self.database_password is None:
            return self
        if self.database_url is None or not urlsplit(self.database_url.get_secret_value()).username:
            raise ValueError(
                f"{variable('database_password')} is set but {variable('database_url')} names no user to whom it "
                f"belongs; set {variable('database_url')}=postgresql://user@host/database"
            )
        return self

    @property
    def kafka_servers(self) -> list[str]:
        """The brokers as ``host:port``; empty where none is set."""
        return _servers(self.kafka_url) if self.kafka_url else []

    @property
    def store_url(self) -> str:
        """SQLAlchemy's URL of the read model, password included: never print it."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir.absolute() / 'qualstream.db'}"
        parts = urlsplit(self.database_url.get_secret_value())
        netloc = parts.netloc
        if self.database_password is not None:
            user, _, host = netloc.rpartition("@")
            netloc = f"{user.split(':')[0]}:{quote(self.database_password.get_secret_value(), safe='')}@{host}"
        scheme = parts.scheme if "+" in parts.scheme else _DATABASES[parts.scheme]
        if scheme.startswith("sqlite"):  # urlunsplit would drop slashes that mean something here
            return self.database_url.get_secret_value()
        return urlunsplit((scheme, netloc, parts.path, parts.query, ""))

    @property
    def index_url(self) -> str:
        """The code index: a server's URL, or ``file:`` and an absolute folder for the engine in this process."""
        folder = self.index_folder
        return f"file:{folder}" if folder else str(self.qdrant_url)

    @property
    def index_folder(self) -> Path | None:
        """The folder of the engine in this process; ``None`` where a server is used."""
        if self.qdrant_url is None:
            return self.data_dir.absolute() / "codes"
        scheme, _, rest = self.qdrant_url.partition(":")
        return Path(re.sub(r"^//+", "/", rest)).expanduser().absolute() if scheme == "file" else None

    @property
    def beat_folder(self) -> Path:
        """Where processes of a local stack say every second that they run."""
        return self.data_dir / "run"

    def page_address(self, port: int) -> str:
        """The page's address as people type it."""
        host = self.web_hosts[0] if self.web_hosts else self.web_host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared only
            host = "127.0.0.1"
        if self.web_tls and self.web_hosts:
            return f"https://{host}"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def tracking_url(self) -> str:
        """Where trainings are recorded: MLflow's server, or ``file:`` and an absolute folder."""
        if self.mlflow_url is None or self.mlflow_url.startswith("file:"):
            folder = (self.mlflow_url or "").removeprefix("file:")
            return f"file:{Path(folder).expanduser().absolute() if folder else self.data_dir.absolute() / 'mlruns'}"
        return self.mlflow_url

    @property
    def weights_dir(self) -> Path:
        """Folder for converted weights."""
        return self.data_dir / "weights"


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def load_settings(**overrides: Any) -> Settings:
    """Read the environment once.

    Args:
        overrides: Fields that win over the environment, such as options of the command line; ``None`` is passed over.

    Raises:
        SettingError: One line with the variable, what was found and what was expected.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        faults = error.errors(include_url=False)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    raise SettingError(_explain(faults[0]) + more)


_OURS = ("qualstream.db", "web.key", "lock", "logs")  # a folder that holds one of these is a data folder


def ensure_data_dir(settings: Settings) -> Path:
    """Make the data folder, its owner's alone, and see that it can be written to.

    From now on this process makes no file that others may read. A folder that was there before is taken from others
    where it is plainly a data folder: what people said and their accounts are in it.

    Raises:
        SettingError: If it cannot.
    """
    folder, probe = settings.data_dir, settings.data_dir / f".write-{os.getpid()}"
    try:
        os.umask(0o077)
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (fresh or any((folder / name).exists() for name in _OURS)) and folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingError(
            f"{variable('data_dir')} is '{folder}' but {Settings.model_fields['data_dir'].description} is expected "
            f"({error.strerror}); set {variable('data_dir')} to another folder"
        ) from error
    return folder


def _servers(url: str) -> list[str]:
    servers = []
    for part in url.removeprefix("kafka://").replace(";", ",").split(","):
        match = _SERVER.match(part.strip().removeprefix("kafka://"))
        if not match or not 0 < int(match[2] or 9092) < 65_536:
            raise ValueError("not a list of servers")
        servers.append(f"{match[1]}:{match[2] or 9092}")
    return servers


def _refuse_unknown(environment: Iterable[str]) -> None:
    known = {variable(field) for field in Settings.model_fields}
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            meant = nearest(name.upper(), known)
            hint = f"the nearest is {meant}" if meant else f"known are {', '.join(sorted(known))}"
            raise SettingError(f"{name} is set but there is no such setting; {hint}; rename or unset it")


def _explain(fault: ErrorDetails) -> str:
    """One line for one of pydantic's faults; never the value of a secret."""
    if not fault["loc"]:
        return fault["msg"].removeprefix("Value error, ")
    name = str(fault["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        meant = nearest(name, Settings.model_fields)
        return f"there is no setting {name!r}" + (f"; the nearest is {meant!r}" if meant else "")
    value = repr(fault["input"])
    if "SecretStr" in str(field.annotation) or "@" in value:
        value = "set (value not shown)"
    if len(value) > _LONGEST_SHOWN:
        value = value[:_LONGEST_SHOWN] + "…'"
    return f"{variable(name)} is {value} but {field.description} is expected; set {variable(name)} accordingly"
