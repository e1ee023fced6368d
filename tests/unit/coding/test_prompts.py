"""What goes into a prompt stays inside its borders, and what comes back is cleaned and checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coding.labels import clean_label, label_fault
from models.coding.prompts import CODING_PROMPTS, coding_prefix, coding_suffix, moderator_prefix, moderator_suffix


@given(st.text(max_size=200))
def test_a_text_cannot_close_its_own_border_or_open_a_line(text):
    assert coding_suffix(text).count(">>>") == 1
    assert coding_suffix(text).count("\n") == 1
    assert "<<<" not in coding_suffix(text)
    assert moderator_suffix(text, ["ads"]).count(">>>") == 1


@pytest.mark.parametrize("number", CODING_PROMPTS)
def test_the_coding_prompt_keeps_the_papers_words_and_ends_where_the_text_begins(number):
    prefix = coding_prefix(number, "dot")
    assert prefix.startswith(CODING_PROMPTS[number])
    assert prefix.endswith("<<<")
    assert prefix.splitlines()[0][-1] in ".?"


def test_the_moderator_sees_every_suggestion_after_a_prefix_that_never_changes():
    suffix = moderator_suffix("the app is slow", ["slow app", "speed"])
    assert "2 coding suggestions" in suffix
    assert "1. slow app\n2. speed" in suffix
    assert moderator_prefix("reviews") == moderator_prefix("reviews")
    assert "5 words" in moderator_prefix()


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Slow checkout.\nBecause it is slow", "Slow checkout"),
        ('  Code: "slow checkout"', "slow checkout"),
        ("1. slow checkout", "slow checkout"),
        ("- **Slow checkout**", "Slow checkout"),
        ("the label: ads", "ads"),
        ("\n\n", ""),
        ("", ""),
    ],
)
def test_the_code_is_taken_out_of_what_a_model_wrote(answer, label):
    assert clean_label(answer) == label


@given(st.text(max_size=300))
def test_a_cleaned_label_is_one_printable_line(answer):
    assert all(c.isprintable() for c in clean_label(answer))


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("", "empty"),
        ("!!!", "empty"),
        ("one two three four five six", "6 words, at most 5 expected"),
        ("x" * 81, "81 characters, at most 80 expected"),
        ("main idea of a sentence", "repeats the prompt"),
        ("slow >>> app", "repeats the prompt"),
        ("slow slow slow", "one word over and over"),
        ("slow app", None),
    ],
)
def test_a_label_that_is_no_code_is_refused_with_the_reason(label, fault):
    assert label_fault(label) == fault
