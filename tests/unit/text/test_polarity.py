"""The gate keeps opposites apart and lets the same thing in other words pass."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.backends.sentence.embedder import SentenceEmbedder
from models.text.polarity import opposite, tones_clash

DATA = Path(__file__).parents[2] / "data"
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


def with_cosines(among, name):
    recorded = json.loads((DATA / "polarity_cosines.json").read_text("utf-8"))
    return {(pair["a"], pair["b"]): cosine for pair, cosine in zip(among, recorded[name], strict=True)}


COSINES = with_cosines(PAIRS, "polarity") | with_cosines(UNSEEN, "polarity_unseen")  # by record_polarity_cosines.py


def test_the_recorded_cosines_are_those_of_the_sentence_model_that_is_used():
    recorded = json.loads((DATA / "polarity_cosines.json").read_text("utf-8"))
    assert recorded["model"] == SentenceEmbedder().version


def merged(relation, among, threshold, *, gate):
    near = [pair for pair in pairs(relation, among) if COSINES[pair] >= threshold]
    return sum(not (gate and opposite(*pair)) for pair in near)


@pytest.mark.parametrize("threshold", [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8])
def test_at_every_threshold_the_gate_stops_opposites_and_leaves_equivalents(threshold):
    """Of 249 opposites cosine alone merges 243 at 0.5 and 126 at 0.8."""
    assert merged("opposite", PAIRS, threshold, gate=False) >= 0.5 * len(pairs("opposite"))
    assert merged("opposite", PAIRS, threshold, gate=True) <= 0.02 * len(pairs("opposite"))
    without = merged("equivalent", PAIRS, threshold, gate=False)
    assert merged("equivalent", PAIRS, threshold, gate=True) >= 0.9 * without > 0


@pytest.mark.parametrize(("threshold", "most"), [(0.5, 11), (0.6, 8), (0.7, 3), (0.75, 2), (0.8, 2)])
def test_on_pairs_that_the_gate_was_not_made_on_it_stops_most_opposites_at_the_thresholds_that_are_used(
    threshold, most
):
    """It misses the two in a hundred here: of 36 opposites cosine alone merges 31 at 0.5, 21 at 0.7, 13 at 0.8."""
    assert merged("opposite", UNSEEN, threshold, gate=True) <= most
    without = merged("equivalent", UNSEEN, threshold, gate=False)
    assert merged("equivalent", UNSEEN, threshold, gate=True) >= 0.85 * without


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
