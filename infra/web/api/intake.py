"""Segments as programs send them: one, an array, lines, or a table; each that cannot be taken is named."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import HTTPException
from pydantic import ValidationError

from infra.files.reading.cells import plain_id
from infra.files.timestamps import read_time
from infra.web.api import bodies
from schemas import Segment
from schemas.feedback import LARGEST_METADATA
from schemas.ids import segment_id

JSON, LINES, CSV = "application/json", "application/x-ndjson", "text/csv"
_LINES = (LINES, "application/jsonl", "application/x-jsonlines")
_FIELDS = ("text", "id", "source", "timestamp", "language")
_LONGEST_CELL = 1_000_000
Row = Mapping[str, Any] | str
"""What stands for a segment, or why nothing does."""


def described() -> dict[str, Any]:
    """What may be sent, as OpenAPI says it."""
    one = bodies.NewSegment.model_json_schema()
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": bodies.MOST_SEGMENTS}
    wrapped = {
        "type": "object",
        "properties": {"segments": several},
        "required": ["segments"],
        "additionalProperties": False,
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [wrapped, one, several]}},
                LINES: {"schema": {"type": "string", "description": "One segment as a JSON object a line."}},
                CSV: {
                    "schema": {
                        "type": "string",
                        "description": "UTF-8 with a header: text, and if there are, id, source, timestamp, language. "
                        "Every other column is an attribute.",
                    }
                },
            },
        }
    }


def kind_of(content_type: str) -> str:
    """How a request's segments are written; ``application/json`` where it says nothing.

    Raises:
        HTTPException: 415 where it is a type that is not read.
    """
    kind = content_type.partition(";")[0].strip().casefold() or JSON
    if kind not in (JSON, *_LINES, CSV):
        raise HTTPException(415, f"content type '{kind[:60]}' found; expected {JSON}, {LINES} or {CSV}")
    return kind


def rows_of(kind: str, body: bytes) -> list[Row]:
    """What a request holds, a row a segment.

    Args:
        kind: As ``kind_of`` says.
        body: As it came.

    Raises:
        HTTPException: 422 where the whole body cannot be read or holds too many.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HTTPException(422, f"the body is not UTF-8 (byte {error.start}); send it as UTF-8") from None
    if kind == JSON:
        rows = _json(text)
    elif kind == CSV:
        rows = list(_table(text))
    else:
        rows = [_object(line) for line in text.splitlines() if line.strip()]
    if not 0 < len(rows) <= bodies.MOST_SEGMENTS:
        raise HTTPException(422, f"{len(rows)} segments found; expected 1 to {bodies.MOST_SEGMENTS:,} in one request")
    return rows


def segment_of(study: str, row: Row) -> Segment:
    """A segment of a row.

    Raises:
        ValueError: If the row is none; says why.
    """
    if isinstance(row, str):
        raise ValueError(row)
    given = bodies.NewSegment.model_validate(row)
    size = len(json.dumps(given.metadata).encode())
    if size > LARGEST_METADATA:
        raise ValueError(f"metadata: {size:,} bytes as JSON; at most {LARGEST_METADATA:,} are taken")
    own_id = plain_id(given.id)
    key = own_id or f"text:{given.text}"  # an id names the same segment as in a file
    fields: Mapping[str, Any] = given.model_dump(exclude={"id"})
    return Segment(id=segment_id(study, given.source, key), study=study, own_id=own_id, **fields)


def why(error: ValueError) -> str:
    """Why a row was refused, in one line."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        unknown = "no such field; attributes go under 'metadata'"
        message = unknown if fault["type"] == "extra_forbidden" else fault["msg"]
        return f"{'.'.join(map(str, fault['loc']))}: {message}"
    return str(error)


def _json(text: str) -> list[Row]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"the body is no JSON ({str(error)[:120]})") from None
    if isinstance(value, dict) and "segments" in value:
        extra = sorted(set(value) - {"segments"})
        if extra or not isinstance(value["segments"], list):
            raise HTTPException(
                422, f"'segments' with a list is expected alone; found besides: {', '.join(extra)[:200]}"
            )
        value = value["segments"]
    elif isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise HTTPException(422, "expected a segment, an array of segments, or an object with 'segments'")
    return [row if isinstance(row, dict) else _no_object(row) for row in value]


def _object(line: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"no JSON ({str(error)[:120]})"
    return value if isinstance(value, dict) else _no_object(value)


def _no_object(value: object) -> str:
    return f"{type(value).__name__} found; an object with 'text' is expected"


def _table(text: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "text" not in (reader.fieldnames or ()):
        raise HTTPException(
            422, f"columns {', '.join(reader.fieldnames or ())[:200]} found; one named 'text' is expected"
        )
    try:
        for row in reader:
            yield _cells(row)
    except csv.Error as error:
        raise HTTPException(422, f"line {reader.line_num} of the table cannot be read: {error}") from None


def _cells(row: Mapping[str | None, Any]) -> Row:
    if None in row:
        return f"{len(row[None])} more cells than the header has"
    given: dict[str, Any] = {name: row[name] for name in _FIELDS if row.get(name)}
    if "timestamp" in given:
        moment = read_time(given["timestamp"])
        if moment is None:
            return f"timestamp: '{given['timestamp'][:40]}' is no time; such as 2026-03-01T12:00:00Z is expected"
        given["timestamp"] = moment
    attributes = {name: value for name, value in row.items() if name not in _FIELDS and value}
    return {**given, "metadata": attributes}
