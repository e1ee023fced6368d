"""Integrated gradients through head and body: they add up, they name words, and they leave the model as it was."""

from uuid import UUID

import numpy as np
import pytest

from models.backends.sentence.attribution import attribute
from models.backends.sentence.classifier import TextClassifier
from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import LogisticHead
from models.errors import InputError
from models.fakes import HashEmbedder

pytest.importorskip("sentence_transformers")

CRASH, PRICE = UUID(int=1), UUID(int=2)
TAUGHT = {
    CRASH: ("the app crashes all the time", "it crashes when I open it", "crashed again today"),
    PRICE: ("too expensive for me", "the price is too high", "costs too much money"),
}
NEITHER = ("nice design", "I like it", "great support team")
TEXT = "Since the update my app crashes constantly, but the price is unbelievably good!"


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    body = SentenceEmbedder()
    texts = [*TAUGHT[CRASH], *TAUGHT[PRICE], *NEITHER]
    targets = np.array([[text in TAUGHT[code] for code in TAUGHT] for text in texts])
    head = LogisticHead.fit(body.embed(texts), targets)
    return TextClassifier(body, head, list(TAUGHT), ["crashes", "price"], version="v1")


@pytest.mark.parametrize("text", [TEXT, "ok", "Ça plante tout le temps 😀", "好的应用程序", "\ud800 lone"])
def test_words_add_up_to_the_way_from_the_baseline_to_the_text(classifier, text):
    found = attribute(classifier, text, CRASH)
    total = sum(one.weight for one in found.words)
    assert total == pytest.approx(found.log_odds - found.baseline, abs=0.02)
    assert abs(found.gap) < 0.02


def test_what_is_explained_is_what_the_classifier_said(classifier):
    told = classifier.probabilities([TEXT])[0]
    assert [attribute(classifier, TEXT, code).probability for code in TAUGHT] == pytest.approx(list(told), abs=1e-5)


def test_the_word_that_the_code_is_about_speaks_for_it_and_the_other_codes_word_does_not(classifier):
    crash = {one.text: one.weight for one in attribute(classifier, TEXT, CRASH).words}
    price = {one.text: one.weight for one in attribute(classifier, TEXT, PRICE).words}
    assert max(crash, key=crash.get) == "crashes"
    assert max(price, key=price.get) == "price"
    assert crash["price"] < 0


def test_words_are_whole_and_in_their_order(classifier):
    words = attribute(classifier, TEXT, CRASH).words
    assert [one.text for one in words] == TEXT.split()  # "unbelievably" is read in three pieces
    assert all(TEXT[one.start : one.end] == one.text for one in words)
    assert [one.text for one in attribute(classifier, "好的 app", CRASH).words] == ["好", "的", "app"]


def test_more_steps_leave_less_unexplained(classifier):
    few, many = (abs(attribute(classifier, TEXT, CRASH, steps=steps).gap) for steps in (4, 64))
    assert many < few
    assert many < 1e-3


def test_words_beyond_what_the_model_reads_have_no_weight(classifier):
    words = attribute(classifier, "crash " * 300, CRASH, steps=2).words
    assert len(words) == 300
    assert words[0].weight is not None
    assert words[-1].weight is None


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_has_nothing_to_share_out(classifier, text):
    found = attribute(classifier, text, CRASH)
    assert found.words == ()
    assert found.gap == pytest.approx(0, abs=1e-5)


def test_the_model_reads_as_before_afterwards(classifier):
    before = classifier.body.model.encode(["slow app"])
    attribute(classifier, TEXT, CRASH)
    assert (classifier.body.model.encode(["slow app"]) == before).all()


def test_a_code_that_was_not_taught_and_a_body_without_layers_are_said_plainly(classifier):
    with pytest.raises(InputError, match="was not taught the code"):
        attribute(classifier, TEXT, UUID(int=3))
    blind = TextClassifier(HashEmbedder(384), classifier.head, classifier.codes, classifier.labels)
    with pytest.raises(InputError, match="cannot be looked into"):
        attribute(blind, TEXT, CRASH)
