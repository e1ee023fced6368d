"""Records keep what they do not know, and say in one line why they cannot be read."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    DeadLetter,
    Decision,
    DriftAlert,
    ModelRelease,
    Neighbour,
    Proposal,
    Proposals,
    Record,
    Segment,
)

_AT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
_ID = UUID(int=7)
_SEGMENT = Segment(id=_ID, study="app", text="so slow\0 😀", source="reviews.csv", timestamp=_AT, metadata={"stars": 1})
_PROPOSAL = Proposal(member="a", model="m@1", label="slow app", log_probability=-0.5, latency_s=0.1)

EXAMPLES: tuple[Record, ...] = (
    _SEGMENT,
    _PROPOSAL,
    Proposals(segment=_SEGMENT, proposals=[_PROPOSAL]),
    Decision(
        segment=_SEGMENT,
        proposals=[_PROPOSAL],
        label="slow app",
        verdict="picked",
        picked="a",
        why="all say so",
        agreement=0.9,
        moderator="consensus@1",
    ),
    Neighbour(code_id=_ID, label="slow", similarity=0.7),
    Assignment(
        segment_id=_ID,
        study="app",
        code_id=_ID,
        label="slow app",
        proposed="sluggish app",
        new=False,
        similarity=0.8,
        runner_up=Neighbour(code_id=_ID, label="slow", similarity=0.7),
        why="near",
        verdict="rewrote",
        assigned_at=_AT,
    ),
    CodeEvent(id=_ID, code_id=_ID, study="app", kind="created", label="slow app", author="refiner@1", at=_AT),
    AnnotationRequest(
        segment_id=_ID, study="app", code_id=_ID, label="slow", confidence=0.2, reason="audit", requested_at=_AT
    ),
    Annotation(segment_id=_ID, study="app", annotator="ana", code_ids=[_ID], labels=["slow"], decided_at=_AT),
    ModelRelease(model="coder", version="2", uri="file:x", sha256="0" * 64, released_at=_AT),
    DriftAlert(id=_ID, study="app", kind="mmd", cause="input", at=_AT, detected_at=_AT, p=0.01, effect=1.5),
    DeadLetter(
        id=_ID, reason="not UTF-8", role="coders", topic="feedback", partition=0, offset=3, raw=b"\xff\0", at=_AT
    ),
)

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _names(record: Record) -> str:
    return type(record).__name__


@pytest.mark.parametrize("example", EXAMPLES, ids=_names)
@given(unknown=st.dictionaries(st.text(min_size=1).map("later_".__add__), _JSON, max_size=4))
def test_a_record_survives_the_round_trip_with_every_field_it_does_not_know(
    example: Record, unknown: dict[str, Any]
) -> None:
    sent = {**json.loads(example.to_bytes()), **unknown}
    read = type(example).from_bytes(json.dumps(sent).encode())
    written = read.to_bytes()
    assert json.loads(written) == sent
    assert type(example).from_bytes(written) == read
    assert all(getattr(read, name) == getattr(example, name) for name in type(example).model_fields)


def test_an_unknown_field_survives_inside_a_nested_record() -> None:
    sent = json.loads(Proposals(segment=_SEGMENT, proposals=[_PROPOSAL]).to_bytes())
    sent["segment"]["emotion"] = "anger"
    sent["proposals"][0]["tokens"] = 3
    assert json.loads(Proposals.from_bytes(json.dumps(sent).encode()).to_bytes()) == sent


@pytest.mark.parametrize("example", EXAMPLES, ids=_names)
@pytest.mark.parametrize("version", [2, 0, "1.1", None, [1]])
def test_an_unknown_major_version_is_refused(example: Record, version: object) -> None:
    sent = {**json.loads(example.to_bytes()), "schema_version": version}
    with pytest.raises(ValueError, match=r"schema_version is .* reads 1; upgrade the worker") as caught:
        type(example).from_bytes(json.dumps(sent).encode())
    assert "\n" not in str(caught.value)


_WHOLE = _SEGMENT.to_bytes()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "tombstone (no value) found, a Segment was expected"),
        (b'{"text": "\xff"}', "not UTF-8: byte 10 is 0xff"),
        (_WHOLE[:40], "not a Segment: Invalid JSON: EOF while parsing"),
        (b"", "not a Segment: Invalid JSON: EOF while parsing"),
        (b"[]", "not a Segment: Input should be an object"),
        (b"null", "not a Segment: Input should be an object"),
        (
            b'{"schema_version": 1}',
            "not a Segment: id: Field required; study: Field required; text: Field required (and 1",
        ),
        (_WHOLE.replace(b'"study":"app"', b'"study":"a/b"'), "not a Segment: study: String should match pattern"),
        (
            _WHOLE.replace(b'"source":"reviews.csv"', b'"source":7'),
            "not a Segment: source: Input should be a valid string",
        ),
        (_WHOLE.replace(b"12:30:00.123456Z", b"12:30:00"), "not a Segment: timestamp: Input should have timezone info"),
        (_WHOLE.replace(b"so slow", b"\\ud800"), "not a Segment: Invalid JSON: "),
    ],
)
def test_what_cannot_be_read_is_refused_with_one_clear_line(raw: bytes | None, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Segment.from_bytes(raw)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(raw=st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_but_a_one_line_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not (UTF-8|a Segment): ") as caught:
        Segment.from_bytes(raw)
    assert "\n" not in str(caught.value)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(_SEGMENT, "text", "other")  # noqa: B010 - the type checker knows it already


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00", "0001-06-01T00:00:00Z"])
def test_a_moment_at_the_calendar_s_end_is_refused(moment: str) -> None:
    raw = json.dumps({**json.loads(_SEGMENT.to_bytes()), "timestamp": moment}).encode()
    with pytest.raises(ValueError, match="a moment from the year 2 to the year 9998 is expected"):
        Segment.from_bytes(raw)


@pytest.mark.parametrize("number", [10**30, 2**31, -1])
def test_a_count_that_no_database_holds_is_refused(number: int) -> None:
    raw = json.dumps({**json.loads(_SEGMENT.to_bytes()), "cut_from": number}).encode()
    with pytest.raises(ValueError, match="cut_from"):
        Segment.from_bytes(raw)


def test_a_number_that_is_none_is_refused() -> None:
    raw = json.dumps({**json.loads(EXAMPLES[5].to_bytes()), "signals": {"agreement": float("nan")}}).encode()
    with pytest.raises(ValueError, match=r"signals\.agreement: Input should be a finite number"):
        Assignment.from_bytes(raw)


def test_an_error_repeats_no_name_of_any_length() -> None:
    raw = json.dumps({**json.loads(EXAMPLES[5].to_bytes()), "signals": {"x" * 10_000: "much"}}).encode()
    with pytest.raises(ValueError, match=r"^not a Assignment: .{0,200}$"):
        Assignment.from_bytes(raw)
