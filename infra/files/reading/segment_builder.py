"""Segments out of rows: text, key, time and what else a row says; or why there is none."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ftfy.badness import is_bad
from pydantic import JsonValue, ValidationError

from infra.files.reading.answers import is_non_answer
from infra.files.reading.cells import plain_id, readable, spreadsheet_error
from infra.files.reading.column_roles import ColumnSurvey, RequestedColumns, Roles, choose_roles, listed
from infra.files.reading.items import LeftOut, ReadingOptions, Rejected, TableHeader, TableRow
from infra.files.timestamps import read_time, with_clock
from models.errors import InputError
from schemas import Segment
from schemas.feedback import LARGEST_METADATA, LONGEST_OWN_ID
from schemas.ids import segment_id
from schemas.record import describe

RAW = "_raw"
"""Under which the metadata keeps a text as it came, where tags and entities were taken out."""
AGAIN = "the id and text of an earlier row: they are one segment"
NON_ANSWER, NO_TEXT, PASSAGE = "no answer", "no text", "a passage with a further code"
_LONGEST_SOURCE, _LONGEST_LANGUAGE = 200, 20
_LONGEST_RAW = 20_000  # characters of a text with tags that are kept
_ROWS_BEFORE_GIVING_UP = 100  # JSON objects without any text field
_MOST_SHAPES = 1000  # of JSON objects whose columns are remembered
_SHOWN = 40


class _Unfit(Exception):
    """A row that cannot be taken, and why."""


class _Nothing(_Unfit):
    """A row with nothing to code in it."""

    def __init__(self, reason: str, kind: str = NO_TEXT) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Place:
    """Whose segments are built, and out of which file."""

    study: str
    file: str
    source_name: str | None


class SegmentBuilder:
    """Makes segments of rows, and remembers which keys were used."""

    def __init__(self, place: Place, requested: RequestedColumns, options: ReadingOptions) -> None:
        self._place, self._requested, self._options = place, requested, options
        self._by_names: dict[tuple[str, ...], Roles] = {}
        self._questions: dict[str, str] = {}
        self._is_document = False
        self._text: str | None = None  # the one column of the text, once a row had it
        self._without_text = 0
        self._first_error: InputError | None = None
        self._occurrences: dict[bytes, int] = {}  # by source and text
        self._keys: dict[bytes, bytes] = {}  # source and key -> text
        self._ids: set[bytes] = set()  # of segments that were built
        self.survey = ColumnSurvey(options)

    def keep_columns(self, there: Sequence[str]) -> None:
        """A document has these columns and no others: what else was named is for the tables beside it."""
        named = self._requested
        known = {name.casefold() for name in there}
        texts = tuple(name for name in named.texts if name.casefold() in known)
        id_, time = (name if (name or "").casefold() in {*known, ""} else None for name in (named.id, named.time))
        self._requested, self._is_document = RequestedColumns(texts, id_, time), True
        if self._requested != named:
            self._options.report.remark("a document: the columns that were named are for tables")

    def see_header(self, header: TableHeader) -> None:
        """Settle the columns of a table.

        Raises:
            InputError: If there is no column of text, or one that was named is not there.
        """
        roles = choose_roles(header, self._requested)
        if roles is None:
            raise self._no_text(header.line, header.columns)
        for named, name, option in (
            (self._requested.id, roles.id, "--id-column"),
            (self._requested.time, roles.time, "--time-column"),
        ):
            if named and name is None:
                among = listed(header.columns)
                raise InputError(
                    f"{self._place.file}, line {header.line}: no column '{named}' among {among}; see {option}"
                )
        self._by_names.setdefault(header.columns, roles)  # all rows may have been looked at
        self._text = roles.texts[0] if len(roles.texts) == 1 else None
        self._questions = {name: header.questions.get(name, "") for name in roles.texts}

    def look(self, row: TableRow) -> None:
        """Take a row into account before any is built."""
        roles = self._by_names.get(tuple(row.cells)) or self._remembered(tuple(row.cells))
        if roles is not None:
            self.survey.see(row, roles)

    def settle(self) -> None:
        """All rows have been looked at: settle what the whole column tells, and say it."""
        self._by_names = {
            names: self.survey.settled(roles, self._requested, names) for names, roles in self._by_names.items()
        }
        for roles in list(self._by_names.values())[:1]:
            if not self._is_document:  # whose columns nobody named
                self.survey.say(roles)

    def finish(self) -> None:
        """Refuse a file in which no row had a text column."""
        if self._first_error is not None and not self._by_names:
            raise self._first_error

    def build(self, row: TableRow) -> Iterator[Segment | Rejected]:
        """Make segments of a row, one a column of text, or say why not."""
        try:
            roles = self._roles_of(row)
        except _Unfit as unfit:
            yield Rejected(self._place.file, row.line, str(unfit))
            return
        for column in roles.texts:
            yield self._built(row, roles, column)

    def _built(self, row: TableRow, roles: Roles, column: str) -> Segment | Rejected:
        try:
            segment = self._segment(row, roles, column)
            _check_size(segment)
            return segment
        except _Nothing as nothing:
            self._options.report.count(f"left out: {nothing.kind} in '{column}'", row.line)
            return LeftOut(self._place.file, row.line, str(nothing), nothing.kind)
        except _Unfit as unfit:
            reason = str(unfit)
        except ValidationError as error:
            reason = describe(error)
        except UnicodeEncodeError:
            reason = "half of a surrogate pair found; whole characters are expected"
        return Rejected(self._place.file, row.line, reason)

    def _segment(self, row: TableRow, roles: Roles, column: str) -> Segment:
        text, notes = self._text_of(row, roles, column)
        named, file = self._place.source_name, self._place.file
        own_source = _short(row, roles.source, _LONGEST_SOURCE)
        language = _short(row, roles.language, _LONGEST_LANGUAGE)
        timestamp = self._time(row, roles)
        own_id = plain_id(row.cells.get(roles.id) if roles.id else None, whole=self.survey.whole_ids)
        used = {
            *roles.texts,
            roles.source if own_source and not named else None,
            roles.language if language else None,
            roles.time if timestamp else None,
            roles.id if own_id else None,
        }
        source = (named or own_source or file)[:_LONGEST_SOURCE]
        if len(roles.texts) > 1:
            source = f"{source}: {column}"[:_LONGEST_SOURCE]
        key = self._key(own_id, source, text, roles)
        if own_id:
            self._count_again(source, own_id, row.line)
        return Segment(
            id=segment_id(self._place.study, source, key),
            study=self._place.study,
            text=text,
            source=source,
            own_id=own_id if own_id and len(own_id) <= LONGEST_OWN_ID else None,
            timestamp=timestamp,
            language=language,
            metadata={name: value for name, value in row.cells.items() if name not in used} | notes,
        )

    def _time(self, row: TableRow, roles: Roles) -> datetime | None:
        value = row.cells.get(roles.time) if roles.time else None
        clock = row.cells.get(roles.clock) if roles.clock else None
        timestamp = read_time(with_clock(value, clock), self.survey.order)
        if timestamp is not None and not 1 < timestamp.year < 9999:
            timestamp = None  # no record takes it
        if timestamp is None and value is not None and str(value).strip():
            reason = f"time in '{roles.time}' that cannot be read, such as '{str(value)[:_SHOWN]}'"
            self._options.report.count_alike(f"time in '{roles.time}'", reason, row.line)
        return timestamp

    def _text_of(self, row: TableRow, roles: Roles, column: str) -> tuple[str, dict[str, JsonValue]]:
        """The text as it reads, and what was done to it. PostgreSQL takes no NUL, so that none goes on."""
        raw = self._raw_text(row, column)
        notes: dict[str, JsonValue] = {"_encoding": row.encoding} if row.encoding else {}
        if "\0" in raw:
            raw = raw.replace("\0", "")
            notes["_nul_removed"] = True
        text = readable(raw)
        if not text.strip():
            raise _Nothing(f"'{column}' is empty; text is expected")
        if spreadsheet_error(text):
            raise _Unfit(f"'{column}' is the spreadsheet's error {text.strip()}; text is expected")
        if self._options.leave_out_non_answers and is_non_answer(text):
            raise _Nothing(f"'{column}' is {text.strip()[:_SHOWN]!r}, which is no answer", NON_ANSWER)
        if text != raw and len(raw) <= _LONGEST_RAW:
            notes[RAW] = raw
        if is_bad(text):
            reason = f"text that was decoded wrongly before, such as {text.strip()[:_SHOWN]!r}"
            self._options.report.count_alike("text that was decoded wrongly", reason, row.line)
        question = self._questions.get(column) or (column if len(roles.texts) > 1 else "")
        return text, notes | ({"question": question} if question else {})

    def _raw_text(self, row: TableRow, column: str) -> str:
        text = row.cells[column]
        if row.typed and isinstance(text, bool):
            return str(text).upper()  # a spreadsheet makes a truth value of the answer "true"
        if row.typed and isinstance(text, int | float):
            return str(text)  # and a number of an answer such as 10
        if isinstance(text, str):
            return text
        if text is None:
            raise _Nothing(f"'{column}' is empty; text is expected")
        listed_parts = text if isinstance(text, list) else []
        parts = [_part(part) for part in listed_parts]
        if None not in parts and any(isinstance(part, dict) for part in listed_parts):
            return "".join(part or "" for part in parts)  # as chats write a text with a link in it
        raise _Unfit(f"'{column}' is {_kind(text)}; text is expected")

    def _key(self, own: str | None, source: str, text: str, roles: Roles) -> str:
        """The source's own key, or the text's hash and occurrence."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if own is None:
            place = _hash(f"{source}\0{digest}")
            count = self._occurrences[place] = self._occurrences.get(place, 0) + 1
            if count > 1 and roles.passages:
                raise _Nothing("the passage stands in a row before; its codes are several", PASSAGE)
            return f"{digest}:{count}"
        place, plain = _hash(f"{source}\0{own}"), _hash(" ".join(text.split()))
        if self._keys.setdefault(place, plain) != plain:
            raise _Unfit(f"id '{own[:60]}' already stands for another text; name the right column with --id-column")
        return own

    def _count_again(self, source: str, own: str, line: int) -> None:
        place = _hash(f"{source}\0{own}")
        if place in self._ids:
            self._options.report.count(AGAIN, line)
        self._ids.add(place)

    def _roles_of(self, row: TableRow) -> Roles:
        names = tuple(row.cells)
        roles = self._by_names.get(names) or self._remembered(names)
        if roles is not None:
            return roles
        self._without_text += 1
        error = self._no_text(row.line, names)
        if not self._by_names and self._without_text >= _ROWS_BEFORE_GIVING_UP:
            raise error
        self._first_error = self._first_error or error
        wanting = ", ".join(self._requested.texts) or self._text or "text"
        raise _Unfit(f"no text: '{wanting}' is expected among {listed(names)}")

    def _remembered(self, names: tuple[str, ...]) -> Roles | None:
        """The roles of rows that name their own columns; the text is the same column in all of them."""
        roles = choose_roles(TableHeader(0, names), self._requested, fixed_text=self._text)
        if roles is not None:
            self._text = self._text or (roles.texts[0] if len(roles.texts) == 1 else None)
            if len(self._by_names) < _MOST_SHAPES:
                self._by_names[names] = roles
        return roles

    def _no_text(self, line: int, names: tuple[str, ...]) -> InputError:
        requested = [text for text in self._requested.texts if text not in names] or self._requested.texts
        missing = f"no column '{requested[0]}'" if requested else "no column of text"
        return InputError(
            f"{self._place.file}, line {line}: {missing} among {listed(names)}; name it with --text-column"
        )


def _check_size(segment: Segment) -> None:
    size = len(json.dumps(segment.metadata, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > LARGEST_METADATA:
        raise _Unfit(f"its other columns have {size:,} bytes; at most {LARGEST_METADATA:,} are expected")


def _short(row: TableRow, column: str | None, longest: int) -> str | None:
    value = row.cells.get(column) if column is not None else None
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= longest else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _part(part: JsonValue) -> str | None:
    """A part of a text in parts: a text, or an object with one, such as a link."""
    inner = part.get("text") if isinstance(part, dict) else part
    return inner if isinstance(inner, str) else None


def _kind(value: JsonValue) -> str:
    kinds = {list: "a list", dict: "an object", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "empty")
