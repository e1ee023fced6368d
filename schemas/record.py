"""The base of every record that crosses a topic: frozen, versioned, open to fields it does not know."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

MAJOR_VERSION = 1
_TICK = timedelta(microseconds=1)  # the smallest step of a time in a record
_UNKNOWN_MAJOR = "unknown_major"
_LONGEST_NAME = 80  # characters of a field's name that an error repeats: the sender may have chosen it

Share = Annotated[float, Field(ge=0, le=1)]
Study = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w.\- ]+$")]
Label = Annotated[str, Field(min_length=1, max_length=120)]

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""What a database's integer holds."""
Offset = Annotated[int, Field(ge=-1, le=2**63 - 1)]
"""A place on a partition; -1 where a message never came to stand on one."""


def _within_calendar(value: datetime) -> datetime:
    """Refuse a moment so near to the calendar's ends that another zone, or a day more or less, leads out of it."""
    try:
        year = value.astimezone(UTC).year
    except OverflowError:
        year = value.year
    if not MINYEAR < year < MAXYEAR:
        raise PydanticCustomError(
            "moment_out_of_range",
            "{found} is too near to the calendar's end; a moment from the year 2 to the year 9998 is expected",
            {"found": value.isoformat()},
        )
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
"""A time with its zone, from the year 2 to the year 9998."""


def _known_major(value: object) -> object:
    """Refuse a major version that is not ours. On the field alone: on the model it would cost half of all parsing."""
    if value != MAJOR_VERSION:
        raise PydanticCustomError(
            _UNKNOWN_MAJOR,
            "schema_version is {found} but this version of Qualstream reads {known}; upgrade the worker or produce "
            "version {known}",
            {"found": f"{value!r:.40}", "known": MAJOR_VERSION},
        )
    return value


class Record(BaseModel):
    """A message on a topic, as UTF-8 JSON.

    A field that this version does not know is kept and written back, so that an older worker never
    strips what a newer one added. A major version that it does not know is refused: its meaning may differ.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False
    )

    schema_version: Annotated[int, BeforeValidator(_known_major)] = MAJOR_VERSION

    @classmethod
    def from_bytes(cls, raw: bytes | None) -> Self:
        """Read a message's value.

        Args:
            raw: The value as it came, or ``None`` for a tombstone.

        Raises:
            ValueError: If it is a tombstone, is not UTF-8 JSON, breaks a rule or has an unknown major
                version; the message says in one line what was found and what was expected.
        """
        if raw is None:
            raise ValueError(f"tombstone (no value) found, a {cls.__name__} was expected")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            raise ValueError(f"not a {cls.__name__}: {describe(error)}") from None

    def to_bytes(self) -> bytes:
        """Write the record as UTF-8 JSON, unknown fields included."""
        return self.model_dump_json().encode("utf-8")


def later_than(at: datetime, *before: datetime) -> datetime:
    """A time for a record that comes after others, even where the clocks of two machines differ.

    Args:
        at: The time now.
        before: The others' times.
    """
    return max([at, *(earlier + _TICK for earlier in before)])


def describe(error: ValidationError, *, most: int = 3) -> str:
    """Say in one line what pydantic found, without repeating input text of any length."""
    errors = error.errors(include_url=False, include_context=False)
    major = [detail for detail in errors if detail["type"] == _UNKNOWN_MAJOR]
    shown = major or errors  # what else is wrong follows from an unknown version
    sentences = []
    for detail in shown[:most]:
        place = ".".join(f"{part:.{_LONGEST_NAME}}" for part in map(str, detail["loc"]) if part != "schema_version")
        message = detail["msg"].removeprefix("Value error, ")
        sentences.append(f"{place}: {message}" if place else message)
    left = len(shown) - most
    return "; ".join(sentences) + (f" (and {left} more)" if left > 0 else "")
