"""Times as files write them."""

import email.utils
import re
from datetime import UTC, datetime

from pydantic import JsonValue

_FORMS = (
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %I:%M %p")
_SLASHED = re.compile(r"^(\d{1,2})[/\-](\d{1,2})[/\-](\d{4})(.*)$")
_EPOCH = re.compile(r"^\d{10}(\d{3})?(\.\d+)?$")  # seconds or milliseconds, from 2001 to 2286


def read_time(value: JsonValue) -> datetime | None:
    """Read a time; without a zone it is taken as UTC.

    Day and month with slashes are read where only one order is possible: 03/04/2024 is not guessed at.

    Returns:
        The time with its zone, or ``None`` where it cannot be told.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = " ".join(str(value).split()).removesuffix(" UTC").removesuffix(" GMT")
    if _EPOCH.match(text):
        number = float(text)
        return datetime.fromtimestamp(number / 1000 if number >= 1e12 else number, UTC)
    if not isinstance(value, str) or not text:
        return None
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return _common(_unslashed(text)) or _mail(text)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _common(text: str) -> datetime | None:
    for form in _FORMS:
        for clock in _CLOCKS:
            try:
                return datetime.strptime(text, form + clock).replace(tzinfo=UTC)
            except ValueError:
                continue
    return None


def _unslashed(text: str) -> str:
    match = _SLASHED.match(text)
    if not match:
        return text
    first, second = int(match[1]), int(match[2])
    if first <= 12 < second:
        first, second = second, first
    elif first <= 12 and first != second:
        return ""  # either could be the month
    return f"{first}.{second}.{match[3]}{match[4]}"


def _mail(text: str) -> datetime | None:
    try:
        return _aware(email.utils.parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None
