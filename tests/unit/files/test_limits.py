"""A row that is larger than a record may be is refused by itself, in segments and in labels; the others are taken."""

import io
import json

import pytest

from infra.files.labels.label_sheet import read_labels
from infra.files.segments import read_segments
from schemas import Segment
from schemas.feedback import LARGEST_METADATA, LONGEST_TEXT

BOOK = "a" * (LONGEST_TEXT + 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": BOOK}, f"text: String should have at most {LONGEST_TEXT} characters"),
        ({"text": "short", "page": "x" * LARGEST_METADATA}, f"at most {LARGEST_METADATA:,} are expected"),
    ],
)
def test_a_row_that_is_too_large_is_refused_and_the_others_are_taken(row: dict[str, str], reason: str) -> None:
    lines = "\n".join(json.dumps(each) for each in ({"text": "before"}, row, {"text": "after"}))
    before, refused, after = read_segments(io.BytesIO(lines.encode()), study="app", fmt="jsonl", source_name="f")
    assert isinstance(before, Segment)
    assert isinstance(after, Segment)
    assert not isinstance(refused, Segment)
    assert reason in refused.reason
    assert refused.line == 2


def test_a_label_s_text_that_is_too_long_is_refused_and_the_others_are_taken() -> None:
    sheet = read_labels(
        io.BytesIO(f"text,code\nslow app,slow\n{BOOK},long\nkind staff,kind\n".encode()), "f.csv", "ana"
    )
    assert [row.text for row in sheet.rows] == ["slow app", "kind staff"]
    assert [(each.line, each.reason) for each in sheet.rejected] == [
        (3, f"a text of {len(BOOK):,} characters; at most {LONGEST_TEXT:,} are expected")
    ]
