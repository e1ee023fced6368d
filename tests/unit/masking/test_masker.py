"""What masking makes of a segment: placeholders that keep who is who, places that can be told, and nothing left."""

import json
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fakes import ListedNames
from models.masking.fields import personal_kind
from models.masking.findings import PersonalPart, Value, apart, numbered, numberless, placeholder, replaced
from models.masking.masker import Masker, original_of
from schemas import Segment

NAMES = Masker(ListedNames(["Zoe", "Zoe Zebra"], ["Bonn"]))


def segment(text: str = "nothing", **fields) -> Segment:
    return Segment(id=UUID(int=1), study="s", text=text, source=fields.pop("source", "a.csv"), **fields)


def masked(given: Segment, masker: Masker = NAMES) -> Segment:
    looked = masker.look(given)
    return looked.masked(numbered(looked.values, {}, {}))


def test_the_same_value_has_the_same_placeholder_in_text_id_and_attributes():
    came = segment(
        "Zoe (zoe@x.org) of Bonn: ZOE@X.org or 0170 1234567",
        own_id="zoe@x.org",
        metadata={"author": "Zoe", "Email": "zoe@x.org", "rating": 4, "n": {"phone": [491701234567, None]}, "ok": True},
    )
    after = masked(came)
    assert after.text == "[name 1] ([mail 1]) of [place 1]: [mail 1] or [phone 1]"
    assert after.own_id == "[mail 1]"
    expected = {"author": "[name 1]", "Email": "[mail 1]", "rating": 4, "n": {"phone": ["[phone 2]", None]}, "ok": True}
    assert after.metadata == expected
    assert (after.id, after.source) == (came.id, "a.csv")


def test_nothing_of_a_value_is_left_and_the_original_comes_back_whole():
    came = segment("<b>zoe@x.org", metadata={"_raw": "zoe&#64;x.org", "note": "also zoe@x.org", "Mail": "zoe@x.org"})
    after = masked(came)
    assert "zoe" not in after.model_dump_json()
    assert came == after.model_copy(update=original_of(came, after))


def test_a_segment_with_nothing_personal_stays_as_it_is():
    came = segment(
        "slow since 03.04.2026", metadata={"_raw": "<i>slow", "order": "302-4567890-1234567", "city": "Bonn"}
    )
    assert masked(came) is came
    assert original_of(came, came) == {}


def test_a_category_is_no_text_in_which_a_place_is_named():
    came = segment(metadata={"city": "Bonn", "question": "What was it like in Bonn before?"}, source="Bonn 2026.csv")
    after = masked(came)
    assert after.metadata == {"city": "Bonn", "question": "What was it like in [place 1] before?"}
    assert after.source == "Bonn 2026.csv"


def test_without_a_finder_of_names_only_patterns_and_named_attributes_are_masked():
    after = masked(segment("Zoe of Bonn, zoe@x.org", metadata={"author": "Zoe"}), Masker())
    assert (after.text, after.metadata) == ("Zoe of Bonn, [mail 1]", {"author": "[name 1]"})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        *[
            ("author", "Zoe", "name"),
            ("Customer Name", "Zoe", "name"),
            ("userName", "zz", "name"),
            ("Kunde", "Z", "name"),
        ],
        *[
            ("E-Mail", "x", "mail"),
            ("user_id", "17", "id"),
            ("Telefonnummer", "1", "phone"),
            ("IP address", "::1", "address"),
        ],
        *[("speaker", "Zoe Zebra", "name"), ("speaker", "Interviewer", None), ("speaker", "P3", None)],
        *[("Speaker", "Participant 12", None), ("rating", "5", None), ("order_id", "7", None), ("version", "1", None)],
        *[("product_name", "Lift", None), ("country", "DE", None), ("language", "de", None), ("title", "Mail", None)],
    ],
)
def test_attributes_are_personal_by_their_names(name, value, kind):
    assert personal_kind(name, value) == kind


def test_masking_twice_changes_nothing():
    once = masked(segment("zoe@x.org and 0170 1234567", metadata={"author": "Zoe", "email": "zoe@x.org"}))
    assert masked(once, Masker()) == once


def test_names_inside_a_mail_address_are_no_findings_of_their_own():
    assert masked(segment("Zoe@x.org")).text == "[mail 1]"


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=9), st.sampled_from(["a@b.cd", "x@y.zz", "+49 170 1234567"])), max_size=6))
def test_every_place_is_told_through_the_placeholders(pieces):
    text = "".join(f"{words} {value} " for words, value in pieces)
    findings = NAMES.find(text)
    after = replaced(text, findings, numbered([each.value for each in findings], {}, {}))
    for start, end, new_start, new_end in after.places:
        assert after.at(start) == new_start
        assert after.at(end) == new_end
        assert after.text[new_start:new_end].startswith("[")
    outside = [n for n in range(len(text)) if not any(start <= n < end for start, end, *_ in after.places)]
    assert all(after.text[after.at(n)] == text[n] for n in outside)
    assert after.at(len(text)) == len(after.text)


@settings(deadline=None)
@given(st.lists(st.sampled_from([Value("mail", "a"), Value("mail", "b"), Value("phone", "1"), Value("name", "a")])))
def test_numbers_follow_those_that_were_given_before(values):
    known, highest = {Value("mail", "a"): 4}, {"mail": 7}
    numbers = numbered(values, known, highest)
    assert set(numbers) == set(values)
    assert all(
        number == 4 if value == Value("mail", "a") else number > highest.get(value.kind, 0)
        for value, number in numbers.items()
    )
    words = [placeholder(value.kind, number) for value, number in numbers.items()]
    assert len(set(words)) == len(words)
    assert all(numberless(word) == f"[{value.kind}]" for word, value in zip(words, numbers, strict=True))


def test_of_findings_that_overlap_the_surer_kind_is_kept():
    text = "x4111111111111111x"
    overlapping = [
        PersonalPart(0, 9, Value("name", "n")),
        PersonalPart(1, 17, Value("card", "c")),
        PersonalPart(5, 9, Value("phone", "p")),
    ]
    assert apart(overlapping, text) == [PersonalPart(1, 17, Value("card", "c"))]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=8) | st.sampled_from(["author", "email", "speaker"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_metadata_of_any_shape_is_masked_and_comes_back(value):
    came = segment("zoe@x.org", metadata={"any": value})
    after = masked(came)
    json.dumps(after.metadata)
    assert came == after.model_copy(update=original_of(came, after))
