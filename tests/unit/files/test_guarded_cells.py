"""CSV cells that spreadsheets would run: guarded wherever a cell may begin, and read back as they were."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.files.tables import Shape, encoded, unguarded

SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫−"
SEPARATORS = (
    "",
    ";",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "|",
    ";;",
    "text;",
    "text\n",
    'a;"',
    "; ",
    ";\u00a0",
    "\u2028",
    "x\ufeff;\ufeff",
)
SHAPE = Shape(("text", "parts"), {"parts": "list"})
RUNS = re.compile(rf"""(?:^|[;|\t\n\r\v\f\x85\u2028\u2029])[\s"\u200b-\u200d\u2060\ufeff]*[{re.escape(SIGNS)}]""")


def written(text: str, *parts: str) -> list[str]:
    whole = b"".join(encoded(SHAPE, [{"text": text, "parts": list(parts)}], "csv")).decode()
    return list(csv.reader(io.StringIO(whole, newline="")))[1]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", SEPARATORS)
def test_a_formula_is_guarded_wherever_a_cell_may_begin(before, sign):
    text = f"{before}{sign}HYPERLINK(1)"
    (cell, parts) = written(text, "kind", text)
    assert not RUNS.search(cell), cell
    assert not RUNS.search(parts), parts
    assert unguarded(cell) == text


@given(st.text(alphabet=[*"=+-@＝'\" ;|\t\n\rax", "\ufeff"], max_size=12))
@example("'\t=x")
@example("''=x")
@example("a;'=b")
def test_what_is_guarded_reads_back_as_it_was(text):
    (cell, _) = written(text)
    assert unguarded(cell) == text
    assert not RUNS.search(cell)
    assert not cell.startswith(("\t", "\r"))


@pytest.mark.parametrize("text", ["a - b", "1-2", "mail@host", "a=b; c=d", "it's; fine", "'quoted'", "a, -b"])
def test_plain_text_stays_as_it_is(text):
    assert written(text)[0] == text
