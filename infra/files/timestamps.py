"""Times as files write them."""

import email.utils
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import JsonValue

DateOrder = Literal["day", "month"]
"""What stands first in a date such as 03/04/2026."""

_FORMS = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y-%m-%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%y",
    "%d/%b/%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
)
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%m.%Y")
_CLOCKS = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M",
    ", %I:%M %p",
    ", %H:%M:%S",
    " %H:%M %z",
    " %H:%M:%S %z",
    " %I:%M:%S %p %z",
    " %I:%M %p %z",
    ":%H:%M:%S %z",
)
_PROGRAMS = ("%a %b %d %H:%M:%S %z %Y", "%a %b %d %Y %H:%M:%S %z")  # Twitter's, JavaScript's
_REMARK = re.compile(r"\s*\([^()]*\)$")
_OFFSET = re.compile(r"\b(?:GMT|UTC)(?=[+-]\d)")
_SHORT_OFFSET = re.compile(r"(?<=[ +-])([+-])(\d)(?::?(\d\d))?$")  # +1, +5:30
_PLACE = re.compile(r"\s*\[?\b([A-Z][A-Za-z]+/[A-Z][A-Za-z_/+-]+)\]?$")  # Europe/Berlin
_DOTTED_CLOCK = re.compile(r"(?<=\d{2} )(\d{1,2})\.(\d{2})(?:\.(\d{2}))?$")
_DOTTED_HALF = re.compile(r"\b([ap])\. ?m\.?(?=\s|$)", re.IGNORECASE)
_SPACED = re.compile(r"(?<=\d)([./-]) +(?=\d)|\.$")
_STAMP = re.compile(r"^((?:19|20)\d{2})([01]\d)([0-3]\d)([0-2]\d)([0-5]\d)([0-5]\d)$")
_QUARTER = re.compile(r"^(?:Q([1-4])[ /-]*(\d{4})|(\d{4})[ /-]*Q([1-4]))$", re.IGNORECASE)
_DATE_LIKE = re.compile(r"(?:19|20)\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_CLOCK = re.compile(r"^[012]?\d[:.][0-5]\d(?:[:.][0-5]\d(?:\.\d+)?)?(?: ?[ap]\.? ?m\.?)?$", re.IGNORECASE)
_MIDNIGHT = re.compile(r"[T ]00:00(?::00)?$")
_LONGEST_DATE = 40
_THAI = re.compile(r"[\u0e00-\u0e7f]")
_BUDDHIST_YEARS, _FUTURE = 543, 2400
_SLASHED = re.compile(r"^(\d{1,2})([/\-.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)(.*)$")
_EPOCH = re.compile(r"^\d{10}(\d{3}|\d{6})?(\.\d+)?$")  # seconds, milli- or microseconds, from 2001 to 2286
_SERIAL = re.compile(r"^[2-7]\d{4}(\.\d+)?$")  # a spreadsheet's days since 1900, from 1954 to 2118
_DAY = re.compile(r"^(19|20)\d{2}[01]\d[0-3]\d$")  # 20260213, also as a number
_YEAR = re.compile(r"^(?:19|20)\d{2}$")
_ZONE = re.compile(r"\d\s+\(?([A-Z]{3,4})\)?$")
_NO_ZONES = ("UTC", "GMT")
_TIMED = re.compile(r"\d:\d{2}|\s\d{1,2}\.\d{2}(?:\.\d{2})?$")
_ZONED = re.compile(r"Z\b|[+-]\d|[A-Z]{3}|[A-Z][a-z]+/[A-Z]")  # behind a time of day
_CENTURY = 69  # two digits from here on are of the last century, as in POSIX


def read_time(value: JsonValue, order: DateOrder | None = None) -> datetime | None:
    """Read a time; without a zone it is taken as UTC.

    Dates, times, months, quarters and years (their first day), seconds since 1970 and a spreadsheet's days since 1900
    are read, with month names of many languages and the usual zone names.

    Args:
        value: A cell.
        order: Whether the day or the month comes first where both orders are possible: 03/04/2024 is not guessed at.

    Returns:
        The time with its zone, or ``None`` where it cannot be told.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = " ".join(str(value).split()).removesuffix(" UTC").removesuffix(" GMT")
    if _EPOCH.match(text):
        return _since_1970(text)
    if _SERIAL.match(text):
        return _since_1900(float(text))
    if not isinstance(value, str) and not (_DAY.match(text) or _YEAR.match(text)):
        return None
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return _of_year(text) or _at_place(text, order) or _in_words(text, order)


def with_clock(date: JsonValue, clock: JsonValue) -> JsonValue:
    """A date with the time of day that stands in a column beside it; the date alone where either is something else."""
    if not isinstance(date, str) or not isinstance(clock, str) or not _CLOCK.match(clock.strip()):
        return date
    day = _MIDNIGHT.sub("", date.strip())
    return date if ":" in day else f"{day} {clock.strip()}"


def is_date(value: JsonValue) -> bool:
    """Whether a cell is a date by its look alone, whichever of day and month comes first; a bare number is none."""
    if not isinstance(value, str) or len(value) > _LONGEST_DATE or not _DATE_LIKE.search(value):
        return False
    if value.strip().replace(".", "", 1).isdecimal():
        return False
    return read_time(value, "day") is not None


@dataclass
class TimeColumn:
    """What the times of a whole column tell of each other: which comes first, day or month."""

    day_first: int = 0
    """Dates that only the day can begin, such as 13/04/2026."""
    month_first: int = 0
    either: int = 0
    example: str = ""
    zone: str = ""
    """A zone's name that was seen."""
    zoneless: bool = False
    """Whether a time of day was seen that says no zone."""

    def see(self, value: JsonValue) -> None:
        """Take a value into account."""
        if not isinstance(value, str):
            return
        match = _SLASHED.match(value.strip())
        if match and match[2] != ".":
            self._see_order(int(match[1]), int(match[3]), value.strip())
        zone = _ZONE.search(value.strip())
        if zone and zone[1] not in _NO_ZONES:
            self.zone = zone[1]
        timed = _TIMED.search(value)
        if timed and not _ZONED.search(value, timed.end()):
            self.zoneless = True

    def _see_order(self, first: int, second: int, value: str) -> None:
        if first > 12:
            self.day_first += 1
        elif second > 12:
            self.month_first += 1
        elif first != second:
            self.either += 1
            self.example = self.example or value[:40]

    @property
    def order(self) -> DateOrder | None:
        """What comes first, where the column proves it."""
        if bool(self.day_first) == bool(self.month_first):
            return None
        return "day" if self.day_first else "month"

    def sentences(self, column: str, order: DateOrder | None) -> Iterator[str]:
        """What is said of the column.

        Args:
            column: Its name.
            order: As it is read; the caller may know it.
        """
        if self.either and order:
            proof = self.day_first if order == "day" else self.month_first
            why = f"{proof} of its dates prove it" if proof else "as was asked"
            yield f"'{column}': the {order} comes first in dates such as {self.example} ({why})"
        elif self.either:
            why = (
                "some dates prove the one order, some the other"
                if self.day_first
                else "no date of the column proves it"
            )
            yield (
                f"'{column}': {self.either} dates such as {self.example} may begin with the day or the month ({why}); "
                "they are not read, --date-order says it"
            )
        if self.zone:
            yield f"'{column}': zones by name, such as {self.zone}, are read as they are usually meant"
        if self.zoneless:
            yield f"'{column}': a time of day without a zone stays as it is written, and counts as UTC"


def _in_words(text: str, order: DateOrder | None) -> datetime | None:
    plain = _OFFSET.sub("", _REMARK.sub("", _year_first(_tidied(text), order)))
    plain = _SHORT_OFFSET.sub(lambda offset: f"{offset[1]}0{offset[2]}{offset[3] or '00'}", plain)
    return _common(plain) or _mail(plain) or _words(plain)


def _tidied(text: str) -> str:
    """A time without what only its country writes: 10.11 is 10:11, a. m. is AM, 2026. 2. 13. is 2026.2.13."""
    stamp = _STAMP.match(text)
    if stamp:
        return "{}/{}/{} {}:{}:{}".format(*stamp.groups())
    halved = _DOTTED_HALF.sub(lambda half: f"{half[1]}m".upper(), text)
    clocked = _DOTTED_CLOCK.sub(lambda clock: ":".join(part for part in clock.groups() if part), halved)
    return _SPACED.sub(r"\1", clocked) if clocked[:1].isdecimal() and not re.search(r"[^\W\d_]", clocked) else clocked


def _of_year(text: str) -> datetime | None:
    """The first day of a year or of a quarter of one."""
    if _YEAR.match(text):
        return datetime(int(text), 1, 1, tzinfo=UTC)
    match = _QUARTER.match(text)
    if not match:
        return None
    quarter, year = int(match[1] or match[4]), int(match[2] or match[3])
    return datetime(year, 3 * quarter - 2, 1, tzinfo=UTC)


def _at_place(text: str, order: DateOrder | None) -> datetime | None:
    """A time with the name of its zone's place behind it, such as Europe/Berlin."""
    match = _PLACE.search(text)
    if not match:
        return None
    moment = read_time(text[: match.start()], order)
    try:
        zone = ZoneInfo(match[1])
    except (ZoneInfoNotFoundError, ValueError):
        return None
    written = re.search(r"[+-]\d{2}:?\d{2}$|Z$", text[: match.start()])
    return moment if moment is None or written else moment.replace(tzinfo=zone)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _since_1970(text: str) -> datetime:
    number = float(text)
    digits = len(text.partition(".")[0])
    return datetime.fromtimestamp(number / {10: 1, 13: 1e3, 16: 1e6}[digits], UTC)


def _since_1900(days: float) -> datetime | None:
    from openpyxl.utils.datetime import from_excel

    moment = from_excel(days)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else None


def _common(text: str) -> datetime | None:
    for form in (*(form + clock for form in _FORMS for clock in _CLOCKS), *_MONTHS, *_PROGRAMS):
        try:
            return _aware(datetime.strptime(text, form))  # noqa: DTZ007 - the zone is put on
        except ValueError:
            continue
    return None


def _year_first(text: str, order: DateOrder | None) -> str:
    """A date that begins with day or month, turned so that the year comes first; empty where that cannot be told."""
    match = _SLASHED.match(text)
    if not match or (match[2] == "-" and len(match[4]) == 2):
        return text
    day, month, mark = int(match[1]), int(match[3]), match[2]
    if _month_leads(day, month, "day" if mark == "." else order):
        day, month = month, day
    elif mark != "." and day <= 12 and day != month and order is None:
        return ""  # either could be the month
    return f"{_year(match[4])}/{month:02}/{day:02}{match[5]}"


def _month_leads(first: int, second: int, order: DateOrder | None) -> bool:
    if first <= 12 < second:
        return True
    return order == "month" and first <= 12


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= _CENTURY else 2000)


def _mail(text: str) -> datetime | None:
    try:
        return _aware(email.utils.parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@lru_cache(maxsize=4096)
def _words(text: str) -> datetime | None:
    """Months and zones by name, in the languages that dateparser knows; only where a year stands there."""
    if not re.search(r"\b\d{4}|\d{4}\b", text) or not re.search(r"[^\W\d_]", text) or len(text) > 60:
        return None
    import dateparser

    settings = {"PARSERS": ["absolute-time"], "REQUIRE_PARTS": ["year", "month"], "PREFER_DAY_OF_MONTH": "first"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dateparser's about its own parts
        try:
            moment = dateparser.parse(text, settings=settings)
        except (ValueError, OverflowError, TypeError):
            return None
    if moment and moment.year > _FUTURE and _THAI.search(text):
        moment = moment.replace(year=moment.year - _BUDDHIST_YEARS)
    return _aware(moment) if moment else None
