"""Where a study's codes come from: the one rule, and which rules of a study count."""

import pytest

from models.codebook.coding_modes import CodingModes, standing_of
from tests.unit.builders import rules


@pytest.mark.parametrize(
    ("mode", "in_codebook", "comes_to"),
    [
        ("inductive", True, "code"),
        ("inductive", False, "code"),
        ("deductive", True, "code"),
        ("deductive", False, "none"),
        ("mixed", True, "code"),
        ("mixed", False, "proposed"),
    ],
)
def test_only_an_inductive_study_opens_codes_by_itself(mode, in_codebook, comes_to):
    assert standing_of(mode, in_codebook=in_codebook) == comes_to


def test_a_study_without_rules_has_the_default_mode():
    assert CodingModes().of("reviews") == "inductive"
    assert CodingModes(lambda study: "mixed" if study == "reviews" else "deductive").of("reviews") == "mixed"


def test_the_newest_rules_count_in_whatever_order_they_come_and_hold_for_their_study_alone():
    modes = CodingModes()
    modes.update([rules(minute=5, coding_mode="deductive"), rules(minute=1, coding_mode="mixed")])
    assert (modes.of("reviews"), modes.of("another")) == ("deductive", "inductive")
    modes.update([rules(minute=6)])
    assert modes.of("reviews") == "inductive"
