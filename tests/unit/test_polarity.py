"""The gate keeps opposites apart and lets the same thing in other words pass."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.polarity import opposite, tones_clash

DATA = Path(__file__).parents[1] / "data"
PAIRS, UNSEEN = (
    [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]
    for name in ("polarity.jsonl", "polarity_unseen.jsonl")
)


def pairs(relation, among=PAIRS):
    return [(pair["a"], pair["b"]) for pair in among if pair["relation"] == relation]


def test_at_most_two_in_a_hundred_opposites_pass():
    passed = [pair for pair in pairs("opposite") if not opposite(*pair)]
    assert len(pairs("opposite")) >= 200
    assert len(passed) <= 0.02 * len(pairs("opposite")), passed


def test_at_least_nine_in_ten_equivalents_pass():
    kept_apart = [pair for pair in pairs("equivalent") if opposite(*pair)]
    assert len(pairs("equivalent")) >= 200
    assert len(kept_apart) <= 0.1 * len(pairs("equivalent")), kept_apart


def test_on_pairs_that_the_rules_and_words_were_not_made_on_it_does_what_was_measured():
    """The pairs above shaped the gate, these did not: 22 of 36 opposites were found, 17 of 20 equivalents passed."""
    assert sum(opposite(*pair) for pair in pairs("opposite", UNSEEN)) >= 22
    assert sum(not opposite(*pair) for pair in pairs("equivalent", UNSEEN)) >= 17


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("enable 2FA", "disable 2FA"),
        ("easy to use", "hard to use"),
        ("likes the app", "dislikes the app"),
        ("no ads", "ads"),
        ("too slow", "fast"),
        ("doesn’t load", "loads"),
    ],
)
def test_known_traps_of_cosine_are_opposites(a, b):
    assert opposite(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("not easy to use", "hard to use"),
        ("high prices", "low value"),
        ("cannot log in", "login problems"),
        ("no dark mode", "needs dark mode"),
        ("", ""),
        ("😀", "ads"),
    ],
)
def test_a_negated_antonym_and_pairs_about_other_things_are_not_opposites(a, b):
    assert not opposite(a, b)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_asked_in_either_order(a, b):
    assert opposite(a, b) == opposite(b, a)


@given(st.sampled_from([text for pair in PAIRS for text in (pair["a"], pair["b"])]))
def test_no_label_is_the_opposite_of_itself(label):
    assert not opposite(label, label)
    assert not opposite(label, label.upper())


def test_tones_clash_only_where_both_are_clear():
    assert tones_clash("It is never helpful and its answers are so bad and useless", "helpful answers")
    assert tones_clash("I love this great app", "bad performance")
    assert not tones_clash("I love this great app", "great app")
    assert not tones_clash("It opens a window", "bad performance")
