"""What the shipped adapters learnt from holds nothing of what they are measured on."""

import re

import pytest

from benchmarks.open_sets import FOLDER, MEASURED, NEVER_SHIPPED, PAIRS, read
from infra.files.pairs import LICENCES, read_pairs
from models.coding.labels import label_fault

RUN = 8  # words in a row that two texts do not share by chance

needs_sets = pytest.mark.skipif(
    not all((FOLDER / name / "open.jsonl").exists() for name in MEASURED),
    reason="the open sets may not ship; OPEN_SETS names their folder",
)


def runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.casefold())
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def folded(text: str) -> str:
    return " ".join(text.casefold().split())


def test_every_pair_has_a_licence_and_codes_that_a_member_may_write():
    for pair in read_pairs(PAIRS):
        assert pair.source in LICENCES
        assert [code for code in pair.codes if label_fault(code)] == []


@needs_sets
def test_no_text_kept_apart_for_measuring_is_among_the_pairs():
    apart = {folded(row.text) for row in read(MEASURED) if row.apart}
    assert [pair.text for pair in read_pairs(PAIRS) if folded(pair.text) in apart] == []


@needs_sets
def test_no_pair_shares_eight_words_in_a_row_with_a_set_that_was_never_shipped():
    measured = set().union(*(runs(row.text) for row in read(NEVER_SHIPPED)))
    assert [pair.text for pair in read_pairs(PAIRS) if runs(pair.text) & measured] == []
