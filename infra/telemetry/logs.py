"""What processes log: lines for people, or JSON lines for programs, in which no text of a segment ever stands."""

import json
import logging
import math
import sys
import threading
import traceback
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from models.errors import SettingError

NOISY = (
    "aiokafka",
    "alembic",
    "faust",
    "mode",
    "httpx",
    "opentelemetry",
    "sentence_transformers",
    "transformers",
    "urllib3",
)
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SAY_AGAIN_S = 10.0
_MOST_KINDS = 2_000  # of lines that are remembered
_SPEAKS_FOR_ITSELF = (SettingError, OSError)
"""Errors whose words are about the installation. Others may quote what they were given, so only their kind is told."""


def configure(level: str, form: str, instance: str) -> None:
    """Log to standard error, libraries sparingly.

    Args:
        level: The least important level that is logged.
        form: ``text`` for people, ``json`` for programs.
        instance: This process's machine.
    """
    logging.basicConfig(level=level, format=_TEXT, stream=sys.stderr)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.addFilter(Sparing())
        if form == "json":
            handler.setFormatter(JsonLines(instance))
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = lambda kind, error, trace: _unexpected(error)
        threading.excepthook = lambda thrown: _unexpected(thrown.exc_value)


def speak_as(role: str) -> None:
    """From now on say whose lines these are, where that is said."""
    for formatter in _json_lines():
        formatter.role = role


def last_words(error: Exception) -> bool:
    """Say why a worker ends, where its log is for programs; whether it was said."""
    if not any(formatter.role for formatter in _json_lines()):
        return False
    logging.getLogger("qualstream").error("ends with an error", exc_info=error)
    return True


def _unexpected(error: BaseException | None) -> None:
    """Python itself would print what the error says, which may quote a text."""
    logging.getLogger("qualstream").critical("ends with an error that nobody expected", exc_info=error)


def _json_lines() -> list["JsonLines"]:
    return [h.formatter for h in logging.getLogger().handlers if isinstance(h.formatter, JsonLines)]


class Sparing(logging.Filter):
    """Folds what is said again and again: by a library whatever the details, by others word for word.

    The next line of its kind that is let through, ten seconds later at the earliest, says how many were not.
    """

    def __init__(self) -> None:
        """Nothing was said yet."""
        super().__init__()
        self._said: dict[tuple[str, ...], float] = {}
        self._folded: Counter[tuple[str, ...]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let it through."""
        noisy = record.name.partition(".")[0] in NOISY
        kind = (record.name, str(record.msg)) if noisy else (record.name, str(record.msg), repr(record.args)[:500])
        if record.created - self._said.get(kind, -math.inf) < _SAY_AGAIN_S:
            self._folded[kind] += 1
            return False
        if len(self._said) >= _MOST_KINDS:
            self._said.clear()
            self._folded.clear()
        self._said[kind] = record.created
        folded = self._folded.pop(kind, 0)
        if folded:
            record.msg = f"{record.msg} (and {folded} times more in between)"
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, role, instance, logger, message; segment and error where there are any."""

    def __init__(self, instance: str, role: str = "") -> None:
        """Take who speaks."""
        super().__init__()
        self._instance = instance
        self.role = role

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self.role or None,
            "instance": self._instance,
            "logger": record.name,
            "message": _message(record),
        }
        segment = getattr(record, "segment", None)
        if segment is not None:
            line["segment"] = str(segment)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _error(record.exc_info[1])
        return json.dumps({key: value for key, value in line.items() if value is not None}, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    args = record.args
    if isinstance(args, tuple):
        args = tuple(_words(arg) for arg in args)
    elif args:
        args = {name: _words(arg) for name, arg in args.items()}
    message = _words(record.msg) if not isinstance(record.msg, str) else record.msg
    text = str(message) % args if args else str(message)
    return text.split("\n", 1)[0]  # what asyncio puts below quotes the error


def _speaks_for_itself(error: BaseException) -> bool:
    kafka = sys.modules.get("aiokafka.errors")  # there is no error of Kafka's where its client was not imported
    return isinstance(error, _SPEAKS_FOR_ITSELF) or (kafka is not None and isinstance(error, kafka.KafkaError))


def _words(arg: object) -> object:
    if isinstance(arg, BaseException) and not _speaks_for_itself(arg):
        return type(arg).__name__
    return arg


def _error(error: BaseException) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": type(error).__name__}
    if _speaks_for_itself(error):
        fields["message"] = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    fields["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else cause
    if inner is not None:
        fields["because"] = _error(inner)
    return fields
