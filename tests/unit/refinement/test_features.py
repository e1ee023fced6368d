"""Signals of an assignment: computed by hand, whatever the order of the members, with nothing made up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.classifier.predictions import classifier_signals
from models.fakes import HashEmbedder
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import CodedText, PrecedentModerator, Precedents, precedent_signals
from models.refinement.features import clusters, embedded_for, entropy, signals_of
from models.text.language import not_english
from schemas.ids import code_id
from tests.unit.builders import decision, proposal, proposals

EMBEDDER = HashEmbedder()
REUSE = {"similarity": 0.8, "margin": 0.1, "new": 0.0}


def of(one, code=None):
    code = code or one.label
    texts = embedded_for([one], [code])
    return signals_of(one, code, REUSE, dict(zip(texts, EMBEDDER.embed(texts), strict=True)))


def test_entropy_is_nothing_for_one_meaning_and_the_log_of_the_count_for_equal_shares():
    assert entropy([1.0]) == 0
    assert entropy([0.25] * 4) == pytest.approx(math.log(4))
    assert entropy([0.5, 0.5, 0.0]) == pytest.approx(math.log(2))


def test_a_chain_of_near_labels_is_one_cluster():
    cosines = [[1, 0.8, 0.1, 0], [0.8, 1, 0.9, 0], [0.1, 0.9, 1, 0], [0, 0, 0, 1]]
    assert clusters(cosines, 0.75) == [[0, 1, 2], [3]]
    assert clusters(cosines, 0.85) == [[0], [1, 2], [3]]
    assert clusters([], 0.75) == []


def test_votes_are_weighed_by_how_likely_their_members_found_them():
    made = [
        proposal("slow app", "a", log_probability=math.log(0.6)),
        proposal("great music", "b", log_probability=math.log(0.2)),
        proposal("", "c", "empty"),
    ]
    found = of(decision("slow app", "1", proposals=made, text="the app is slow"))
    assert found["clusters"] == 2
    assert found["entropy"] == pytest.approx(entropy([0.75, 0.25]), abs=1e-4)
    assert found["vote_share"] == pytest.approx(0.75, abs=1e-4)
    assert found["usable_share"] == pytest.approx(2 / 3)
    assert found["log_probability"] == pytest.approx((math.log(0.6) + math.log(0.2)) / 2, abs=1e-4)
    assert found["log_probability_best"] == pytest.approx(math.log(0.6), abs=1e-4)
    assert found["log_probability_spread"] == pytest.approx(math.log(3) / 2, abs=1e-4)


def test_the_text_and_the_code_are_compared():
    one = decision("slow apps", "1", text="The app is slow, slower than before")
    found = of(one)
    text, code = EMBEDDER.embed([one.segment.text, "slow apps"])
    assert found["text_similarity"] == pytest.approx(float(text @ code), abs=1e-4)
    assert (found["words"], found["code_words"], found["in_text"], found["stems_in_text"]) == (7, 2, 0.5, 0.5)


def test_what_the_refiner_and_the_moderator_saw_is_passed_on():
    one = decision(
        "ads", "1", verdict="rewrote", log_probability=-0.5, moderator="m@1", signals={"precedent_best": 0.4}
    )
    found = of(one)
    assert {name: found[name] for name in REUSE} == REUSE
    assert (found["moderator_log_probability"], found["precedent_best"]) == (-0.5, 0.4)
    assert (found["verdict_rewrote"], found["verdict_consensus"], found["fell_back"]) == (1, 0, 0)


@pytest.mark.parametrize(("moderator", "fell_back"), [("m@1", 1), ("consensus", 0), ("consensus+precedents", 0)])
def test_a_consensus_after_a_model_was_asked_is_a_fallback(moderator, fell_back):
    assert of(decision("ads", "1", moderator=moderator))["fell_back"] == fell_back


def test_what_is_not_known_is_left_out():
    found = of(decision("ads", "1", proposals=[proposal("ads", "a"), proposal("", "b", "empty")]))
    assert not {"log_probability", "moderator_log_probability", "precedent_support"} & found.keys()
    assert all(math.isfinite(value) for value in found.values())


@given(st.permutations(["slow app", "app slow", "great music", "ads"]))
def test_the_order_of_the_members_does_not_matter(labels):
    made = [proposal(label, label.replace(" ", "-"), log_probability=-len(label) / 10) for label in labels]
    assert of(decision("slow app", "1", proposals=made)) == of(
        decision("slow app", "1", proposals=sorted(made, key=str))
    )


@pytest.mark.parametrize(
    ("text", "language", "foreign"),
    [
        ("The app is slow and I do not like it", None, False),
        ("ok", None, False),
        ("", None, False),
        ("le plus gros problème, ça va être des trous", None, True),
        ("приложение очень медленное", None, True),
        ("le plus gros problème", "en-GB", False),
        ("The app is slow", "fr", True),
        ("The app is slow", "English", False),
    ],
)
def test_the_source_s_language_wins_and_else_the_text_is_looked_at(text, language, foreign):
    assert not_english(text, language) is foreign


def test_precedents_back_a_code_by_their_nearness():
    code, other = np.eye(2, dtype=np.float32)
    found = precedent_signals(code, [np.stack([other, code]), other[None]], [0.8, 0.4])
    assert found["precedent_similarity"] == pytest.approx(0.8)
    assert found["precedent_mean_similarity"] == pytest.approx(0.6)
    assert found["precedent_support"] == pytest.approx(0.512 / 0.576, abs=1e-4)
    assert found["precedent_mass"] == pytest.approx(0.512)
    assert found["precedent_share"] == pytest.approx(0.512 / 0.576, abs=1e-4)
    assert (found["precedent_nearest"], found["precedent_best"]) == (1, 0.8)
    assert found["precedent_agreement"] == 1  # the first codes of both
    assert precedent_signals(code, [], []) == {}


def test_a_moderator_with_precedents_tells_what_they_say():
    precedents = Precedents(EMBEDDER)
    moderator = PrecedentModerator(ConsensusModerator(EMBEDDER), EMBEDDER, precedents)
    (cold,) = moderator.decide([proposals("slow checkout")])
    precedents.add_texts([CodedText("reviews", "1", "the checkout is slow", ("slow checkout",))])
    (led,) = moderator.decide([proposals("slow checkout")])
    assert cold.signals == {}
    assert led.signals["precedent_similarity"] == led.signals["precedent_share"] == 1


SLOW, ADS, MUSIC = (code_id("reviews", label) for label in ("slow app", "ads", "music"))


@pytest.mark.parametrize(
    ("code", "sure", "expected"),
    [
        (SLOW, True, (0.7, 0.5, 1, 1)),
        (SLOW, False, (0.7, 0.5, 1, 0)),
        (ADS, True, (0.2, -0.5, 0, 0)),
        (MUSIC, True, (0, -0.7, 0, 0)),
    ],
)
def test_a_classifier_s_signals_are_about_the_code_that_was_given(code, sure, expected):
    found = classifier_signals({SLOW: 0.7, ADS: 0.2}, code, confident=sure)
    assert tuple(found.values()) == expected
    assert list(found) == ["classifier", "classifier_margin", "classifier_agrees", "classifier_sure"]


def test_a_classifier_says_nothing_of_a_code_that_it_does_not_know():
    assert "classifier" not in classifier_signals({SLOW: 0.7}, MUSIC, confident=False, known=False)


def test_where_only_the_classifier_was_asked_the_signals_of_members_are_left_out():
    found = of(decision("ads", "1", proposals=[proposal("ads", "classifier")], agreement=1.0))
    assert not {"agreement", "usable_share", "entropy", "vote_share", "log_probability"} & found.keys()
    assert "text_similarity" in found
