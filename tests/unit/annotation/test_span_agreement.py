"""Parts of coders, compared by characters, by parts and beyond chance."""

from uuid import uuid4

import pytest

from models.annotation.span_agreement import span_agreement
from models.annotation.span_units import CodedPart, ComparedText, code_units, set_units
from models.evaluation.unitizing import CodedUnit

A, B, SEGMENT, OTHER = (uuid4() for _ in range(4))


def part(coder, start, end, *codes, segment=SEGMENT):
    return CodedPart(coder, segment, start, end, frozenset(codes or {A}))


def text(*readers, segment=SEGMENT, document="d", length=100):
    return ComparedText(segment, document, length, frozenset(readers or {"ana", "ben"}))


def only_pair(*parts, texts=None, last=()):
    (pair,) = span_agreement(parts, texts or [text()], last).pairs
    return pair


def test_overlapping_parts_of_one_code_are_one_unit_and_touching_ones_are_two():
    parts = [part("ana", 0, 10), part("ana", 5, 15), part("ana", 15, 20)]
    assert code_units(parts, A) == [CodedUnit(0, 15, A), CodedUnit(15, 20, A)]


def test_parts_of_several_codes_become_units_by_the_set_of_codes():
    parts = [part("ana", 0, 10, A), part("ana", 5, 15, B)]
    assert set_units(parts) == [
        CodedUnit(0, 5, frozenset({A})),
        CodedUnit(5, 10, frozenset({A, B})),
        CodedUnit(10, 15, frozenset({B})),
    ]


@pytest.mark.parametrize(
    ("start", "end", "matches"),
    [
        (0, 10, {"any", "half", "exact"}),
        (0, 5, {"any", "half"}),
        (0, 4, {"any"}),
        (9, 30, {"any"}),
        (10, 20, set()),
    ],
)
def test_each_rule_says_when_two_parts_are_the_same(start, end, matches):
    pair = only_pair(part("ana", 0, 10), part("ben", start, end))
    assert {rule for rule, scores in pair.whole.parts.items() if scores.f1.value == 1.0} == matches


def test_precision_judges_the_second_and_recall_is_the_first_ones_share():
    parts = [part("ana", 0, 10), part("ana", 50, 60, B), part("ben", 0, 40)]
    pair = only_pair(*parts)
    whole = pair.whole.characters
    assert (whole.precision.value, whole.recall.value) == (10 / 40, 10 / 20)
    assert whole.f1.value == pytest.approx(2 * 10 / 60)
    missing = pair.codes[B].characters
    assert (missing.precision.why, missing.recall.value, missing.f1.value) == ("ben marked nothing here", 0.0, 0.0)
    turned = only_pair(*parts, last={"ana"})
    assert turned.coders == ("ben", "ana")
    assert (turned.whole.characters.precision.value, turned.whole.characters.recall.value) == (10 / 20, 10 / 40)


def test_a_part_under_two_codes_counts_under_each():
    pair = only_pair(part("ana", 0, 10, A, B), part("ben", 0, 10, A))
    assert (pair.whole.characters.first, pair.whole.characters.second) == (20, 10)
    assert (pair.codes[A].alpha.value, pair.whole.characters.f1.value) == (1.0, pytest.approx(2 / 3))


def test_texts_that_only_one_has_read_and_parts_elsewhere_do_not_count():
    texts = [text(), text("ana", segment=OTHER, document="e")]
    pair = only_pair(part("ana", 0, 10), part("ben", 0, 10), part("ana", 0, 10, segment=OTHER), texts=texts)
    assert (pair.documents, pair.whole.characters.first) == (1, 10)
    assert span_agreement([part("ana", 0, 10)], [text("ana")]).pairs == ()


def test_coders_who_marked_nothing_in_common_have_no_alpha_of_codes_and_a_reason():
    pair = only_pair(part("ana", 0, 10), part("ben", 20, 30, B))
    assert (pair.coding.value, pair.coding.why) == (None, "they marked no character in common")
    assert pair.whole.alpha.value < 0


def test_three_coders_have_one_alpha_together_and_one_for_each_two():
    parts = [part(name, 0, 10) for name in ("ana", "ben")] + [part("cem", 0, 20)]
    agreement = span_agreement(parts, [text("ana", "ben", "cem")])
    alphas = {pair.coders: pair.whole.alpha.value for pair in agreement.pairs}
    assert alphas["ana", "ben"] == 1.0
    assert alphas["ana", "cem"] < agreement.alpha.value < 1.0
    assert (agreement.documents, agreement.characters) == (1, 100)


def test_one_document_has_no_interval_and_several_have_one():
    texts = [text(segment=uuid4(), document=str(n)) for n in range(6)]
    parts = [
        part(name, 0, end, segment=each.segment)
        for n, each in enumerate(texts)
        for name, end in (("ana", 10), ("ben", 5 + n))
    ]
    assert only_pair(*parts[:2], texts=texts[:1]).whole.characters.f1.low is None
    figures = only_pair(*parts, texts=texts).whole
    for figure in (figures.characters.f1, figures.characters.recall, figures.alpha):
        assert figure.low < figure.value < figure.high
