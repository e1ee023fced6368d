"""What people coded before has a vote in what the next segment is called, in its own study and no other."""

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UncodableError
from models.fakes import HandClock, HashEmbedder
from models.moderation import precedents as module
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import (
    CodedText,
    PrecedentModerator,
    Precedents,
    PrecedentSettings,
    opened,
)
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from schemas import Annotation, Decision, Proposals
from schemas.ids import code_id, normalised_label, segment_id
from streams.stage import Received
from streams.stages.moderator import ModeratorStage
from streams.topology import LABELS, PROPOSALS, role
from tests.unit.builders import classified, proposal, proposals, segment

EMBEDDER = HashEmbedder(dim=256)
TEXT = "the checkout is slow"
CODES = ["slow checkout", "checkout slow", "ads", "Ads", "too many ads", "great music"]


def coded(text, *codes, key=None, study="reviews"):
    return CodedText(study, key or text, text, codes)


def taught(*texts, embedder=EMBEDDER):
    precedents = Precedents(embedder)
    precedents.add_texts(texts)
    return precedents


def led(*texts, embedder=EMBEDDER, **weights):
    precedents = taught(*texts, embedder=embedder)
    return PrecedentModerator(ConsensusModerator(embedder), embedder, precedents, PrecedentSettings(**weights))


def nearest(precedents, text, limit=5, study="reviews"):
    return precedents.nearest(study, EMBEDDER.embed([text]), limit)[0]


def known(precedents, study="reviews"):
    return [(one.text, one.codes) for one in nearest(precedents, TEXT, 100, study)]


# Learning


def test_what_is_known_is_passed_over_and_what_changed_takes_its_place():
    precedents = taught(coded(TEXT, "speed", key="1"), coded("too many ads", "ads", key="2"))
    assert precedents.add_texts([coded(TEXT, "speed", key="1")]) == 0
    assert precedents.add_texts([coded(TEXT, "slow checkout", key="1")]) == 1
    assert known(precedents) == [(TEXT, ("slow checkout",)), ("too many ads", ("ads",))]


def test_only_the_last_of_several_words_on_a_text_counts_also_when_they_come_together():
    first, second, taken_back = coded(TEXT, "a", key="1"), coded(TEXT, "b", key="1"), coded(TEXT, key="1")
    assert known(taught(first, second)) == [(TEXT, ("b",))]
    assert known(taught(first, second, first)) == [(TEXT, ("a",))]
    assert known(taught(first, taken_back)) == []
    assert known(taught(taken_back, first)) == [(TEXT, ("a",))]


def test_a_text_without_codes_is_forgotten_and_a_study_without_texts_is_led_by_nobody():
    precedents = taught(coded(TEXT, "speed", key="1"))
    assert precedents.knows("reviews")
    assert precedents.add_texts([coded(TEXT, key="1")]) == 1
    assert precedents.add_texts([coded(TEXT, key="1")]) == 0
    assert not precedents.knows("reviews")
    assert nearest(precedents, TEXT) == []


def test_only_what_is_new_is_embedded():
    asked = []

    class Counting(HashEmbedder):
        def embed(self, texts):
            asked.append(list(texts))
            return super().embed(texts)

    precedents = taught(coded("one", "a"), embedder=Counting())
    precedents.add_texts([coded("one", "a"), coded("two", "b"), coded("three", key="three")])
    assert asked == [["one"], ["two"]]


def test_at_the_limit_the_oldest_go_first_and_what_was_said_again_is_young(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3)
    precedents = taught(*(coded(f"text {n}", "a") for n in range(3)))
    precedents.add_texts([coded("text 0", "b"), coded("text 3", "a")])
    assert {text for text, _ in known(precedents)} == {"text 0", "text 2", "text 3"}
    precedents.add_texts([coded("elsewhere", "a", study="other")])
    assert len(known(precedents)) == 3
    assert len(known(precedents, "other")) == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("12345"), st.sampled_from(["one", "two"]), st.lists(st.sampled_from("ab"))),
        max_size=20,
    ),
    st.integers(1, 20),
)
def test_how_words_fall_into_batches_does_not_matter(said, size):
    texts = [coded(f"text {key}", *codes, key=key, study=study) for key, study, codes in said]
    at_once, apart = taught(*texts), Precedents(EMBEDDER)
    for start in range(0, len(texts), size):
        apart.add_texts(texts[start : start + size])
        apart.nearest("one", EMBEDDER.embed([TEXT]), 1)  # someone asks in between
    for study in ("one", "two"):
        assert sorted(known(apart, study)) == sorted(known(at_once, study))


# Asking


def test_the_nearest_come_first_with_their_cosines_and_of_equals_the_first_learnt():
    precedents = taught(
        coded("great music", "music"), coded(TEXT, "second", key="2"), coded("slow checkout", "near"), coded(TEXT, "a")
    )
    found = nearest(precedents, TEXT)
    assert [one.codes[0] for one in found] == ["second", "a", "near", "music"]
    assert found[0].similarity == pytest.approx(1)
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert len(nearest(precedents, TEXT, limit=2)) == 2


def test_studies_never_mix():
    moderator = led(coded(TEXT, "speed", study="one"), coded(TEXT, "patience", study="two"))
    batch = [
        Proposals(segment=segment(TEXT, study=study), proposals=[proposal("slow checkout", m) for m in "abc"])
        for study in ("one", "two", "three", "one")
    ]
    assert [one.label for one in moderator.decide(batch)] == ["speed", "patience", "slow checkout", "speed"]
    assert [one.segment.study for one in moderator.decide(batch)] == ["one", "two", "three", "one"]


def test_texts_may_be_taught_while_segments_are_decided():
    moderator = led(coded(TEXT, "speed", key="0"))
    precedents, failed = moderator._precedents, []

    def teach():
        try:
            for n in range(200):
                precedents.add_texts([coded(f"text {n}", "a"), coded(TEXT, *["speed"] * (n % 2), key="0")])
                precedents.add_texts([coded(f"text {n}", key=f"text {n}")])
        except Exception as error:
            failed.append(error)

    teacher = threading.Thread(target=teach)
    teacher.start()
    while teacher.is_alive():
        (decided,) = moderator.decide([proposals("slow checkout")])
        assert decided.label in {"speed", "slow checkout", "a"}
    teacher.join()
    assert not failed
    assert known(precedents) == [(TEXT, ("speed",))]


# Deciding


class Asked(ConsensusModerator):
    """Notes what it was asked about."""

    version = "asked@1"

    def __init__(self, embedder):
        super().__init__(embedder)
        self.about, self.loaded = [], False

    def decide(self, batch):
        self.about += [one.segment.study for one in batch]
        return super().decide(batch)

    def load(self):
        self.loaded = True


def test_without_precedents_the_moderator_decides_as_if_nothing_stood_before_it():
    asked = Asked(EMBEDDER)
    moderator = PrecedentModerator(asked, EMBEDDER, Precedents(EMBEDDER))
    batch = [proposals("slow checkout", "slow checkout page", "music"), proposals("ads", text="ads")]
    assert moderator.decide(batch) == ConsensusModerator.decide(asked, batch)
    assert asked.about == ["reviews", "reviews"]
    moderator.load()
    assert (moderator.version, asked.loaded) == ("asked@1", True)
    assert moderator.decide([]) == []


def test_the_moderator_is_asked_about_studies_without_precedents_only():
    asked = Asked(EMBEDDER)
    moderator = PrecedentModerator(asked, EMBEDDER, taught(coded(TEXT, "speed")))
    other = Proposals(segment=segment("ads", study="other"), proposals=[proposal("ads")])
    assert [one.label for one in moderator.decide([other, proposals("slow"), other])] == ["ads", "speed", "ads"]
    assert asked.about == ["other", "other"]


def test_a_text_equal_to_a_coded_one_takes_its_code_although_all_members_say_otherwise():
    (decided,) = led(coded(TEXT, "patience"), coded("great music", "music")).decide([proposals("ads", "ads", "ads")])
    assert (decided.label, decided.verdict, decided.picked) == ("patience", "precedent", None)
    assert decided.moderator == "consensus+precedents"
    assert decided.why.startswith("'patience' is nearest to 3 proposals and 2 similar texts that people coded, 1 of ")
    assert decided.why.endswith("the nearest at 1.00")
    assert 0 <= decided.agreement <= 1


def test_a_code_that_a_member_proposed_too_is_a_consensus_and_names_the_member():
    (decided,) = led(coded(TEXT, "Patience")).decide([proposals("ads", "patience")])
    assert (normalised_label(decided.label), decided.verdict, decided.picked) == ("patience", "consensus", "b")


class Placed(HashEmbedder):
    """Puts the text ``coded`` at a given cosine from every other text that is no label."""

    def __init__(self, cosine):
        super().__init__(dim=64)
        object.__setattr__(self, "cosine", cosine)

    def embed(self, texts):
        rows = super().embed(texts)
        for n, text in enumerate(texts):
            if text in (TEXT, "coded"):
                rows[n] = 0
                rows[n, :2] = (1, 0) if text == TEXT else (self.cosine, np.sqrt(1 - self.cosine**2))
        return rows


@pytest.mark.parametrize(("cosine", "label"), [(0.2, "ads"), (0.5, "ads"), (0.9, "patience"), (-0.9, "ads")])
def test_a_far_precedent_does_not_outvote_members_that_agree_and_a_near_one_does(cosine, label):
    moderator = led(coded("coded", "patience"), embedder=Placed(cosine))
    assert moderator.decide([proposals("ads", "ads", "ads")])[0].label == label


def test_precedents_decide_between_members_that_disagree():
    made = [proposal("slow checkout", "a"), proposal("waiting", "b")]
    batch = [Proposals(segment=segment("paying takes ages"), proposals=made)]
    for code in ("slow checkout", "waiting"):
        (decided,) = led(coded("paying took ages", code)).decide(batch)
        assert (decided.label, decided.verdict) == (code, "consensus")


def test_several_codes_of_a_text_share_its_vote():
    alone, shared = (led(coded("coded", *codes), embedder=Placed(0.9)) for codes in (["b"], ["b", "c", "d"]))
    assert alone.decide([proposals("ads", "ads")])[0].label == "b"
    assert shared.decide([proposals("ads", "ads")])[0].label == "ads"
    (decided,) = led(coded(TEXT, "b", "c"), coded("the checkout was slow", "c")).decide([proposals("ads")])
    assert decided.label == "c"
    assert "2 of them with it" in decided.why


@st.composite
def elections(draw):
    labels = draw(st.lists(st.tuples(st.sampled_from(CODES), st.none() | st.floats(-5, 0)), min_size=1, max_size=5))
    made = [proposal(label, f"m{n}", None, likelihood) for n, (label, likelihood) in enumerate(labels)]
    text = st.sampled_from([TEXT, "checkout", "great music here"])
    texts = draw(st.lists(st.tuples(text, st.sampled_from(CODES)), min_size=1, max_size=6))
    precedents = [coded(text, code, key=str(n)) for n, (text, code) in enumerate(texts)]
    return made, draw(st.permutations(made)), precedents, draw(st.permutations(precedents))


@settings(max_examples=50, deadline=None)
@given(elections())
def test_neither_the_order_of_members_nor_of_precedents_changes_the_label(case):
    made, shuffled, texts, mixed = case
    first, *others = (
        led(*some_texts).decide([Proposals(segment=segment(TEXT), proposals=some)])[0]
        for some, some_texts in ((made, texts), (shuffled, texts), (made, mixed))
    )
    for other in others:
        assert (other.label, other.verdict, other.picked) == (first.label, first.verdict, first.picked)
        assert other.agreement == pytest.approx(first.agreement)
    assert 0 <= first.agreement <= 1


@settings(max_examples=50, deadline=None)
@given(elections())
def test_how_segments_fall_into_batches_does_not_matter(case):
    made, _, texts, _ = case
    batch = [Proposals(segment=segment(text), proposals=made) for text in (TEXT, "ads", "great music", "Ads here")]
    moderator = led(*texts)
    apart = [moderator.decide([one])[0] for one in batch]
    assert [one.label for one in moderator.decide(batch)] == [one.label for one in apart]


def test_a_tie_goes_by_label():
    for texts in ((coded(TEXT, "speed", key="1"), coded(TEXT, "Speed", key="2")), (coded(TEXT, "speed", "Speed"),)):
        assert led(*texts).decide([proposals("speed", "Speed")])[0].label == "Speed"


def test_a_segment_without_a_usable_proposal_is_not_coded_by_precedents_alone():
    hopeless = Proposals(segment=segment(TEXT), proposals=[proposal("", "a", "empty")])
    with pytest.raises(UncodableError, match="no usable label from 1 members"):
        led(coded(TEXT, "speed")).decide([hopeless])


# From annotations, and to the code index


def annotation(*labels, key="1", annotator="ana", **other):
    given = {"study": "reviews", "text": TEXT, "decided_at": datetime(2026, 3, 1, tzinfo=UTC)} | other
    ids = [code_id("reviews", label) for label in labels]
    return Annotation(
        segment_id=segment_id("reviews", "test", key), annotator=annotator, labels=list(labels), code_ids=ids, **given
    )


def heard(*annotations):
    precedents = Precedents(EMBEDDER)
    precedents.update_annotations(annotations)
    return precedents


def test_a_segment_is_one_precedent_with_what_its_coders_decided():
    speed, both = annotation("speed"), annotation("speed", "ui", annotator="ben")
    assert known(heard(speed, both)) == [(TEXT, ("speed",))]
    assert known(heard(speed, annotation("ui", annotator="ben"))) == []
    assert known(heard(speed, annotation("ui", annotator="ben"), annotation("ui", annotator="cy"))) == [(TEXT, ("ui",))]


LATER = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "later",
    [
        annotation("ads", unsure=True, decided_at=LATER),
        annotation("ads", withdrawn=True, decided_at=LATER),
        annotation("ads", text=None, decided_at=LATER),
        annotation(decided_at=LATER),
    ],
)
def test_a_word_that_is_unsure_withdrawn_or_came_without_text_takes_back_what_was_said(later):
    assert known(heard(annotation("speed"), later)) == []
    precedents = heard(annotation("speed"))
    precedents.update_annotations([later])
    assert not precedents.knows("reviews")
    assert precedents.update_annotations([later]) == 0


def test_an_adjudication_stands_in_place_of_what_coders_said_until_it_is_withdrawn():
    said = [annotation("speed"), annotation("patience", annotator="ben")]
    settled = annotation("slow checkout", annotator="lea", kind="adjudication")
    precedents = heard(said[0], settled, said[1], annotation("speed", annotator="cy"))
    assert known(precedents) == [(TEXT, ("slow checkout",))]
    precedents.update_annotations([settled.model_copy(update={"withdrawn": True, "decided_at": LATER})])
    assert known(precedents) == [(TEXT, ("speed",))]


def test_what_people_decide_leads_the_moderators_stage_from_its_next_batch_on():
    precedents, clock = Precedents(EMBEDDER), HandClock()
    moderator = PrecedentModerator(ConsensusModerator(EMBEDDER), EMBEDDER, precedents)
    stage = ModeratorStage(moderator, ProposalJoin(JoinSettings(("a",), 1, 30, 300), clock), clock, precedents)

    def label(key):
        one = Proposals(segment=segment(TEXT, key), proposals=[proposal("ads")])
        (sent,) = stage.step([Received(PROPOSALS.name, 0, int(key), b"k", one.to_bytes())]).send
        return Decision.from_bytes(sent.value).label

    assert label("1") == "ads"
    hear = stage.side_inputs()[LABELS.name]
    hear([annotation("speed").to_bytes(), b"?", None])
    assert label("2") == "speed"
    hear([annotation("speed", unsure=True).to_bytes()])
    assert label("3") == "ads"
    assert set(stage.side_inputs()) == {heard.name for heard in role("moderator").side_inputs}
    assert ModeratorStage(moderator, stage.join, clock).side_inputs() == {}


def test_codes_open_the_index_once_a_study_each_as_first_spelt():
    texts = [coded("a", "Speed", "ads"), coded("b", "speed"), coded("c", "speed", study="other"), coded("d")]
    found = opened(texts, EMBEDDER)
    assert {(one.study, one.label) for one in found} == {("reviews", "Speed"), ("reviews", "ads"), ("other", "speed")}
    assert all(one.id == code_id(one.study, one.label) and one.origin is None for one in found)
    np.testing.assert_array_equal(found[0].vector, EMBEDDER.embed([found[0].label])[0])
    assert opened([], EMBEDDER) == opened([coded("a")], EMBEDDER) == []


# Beside a classifier


def with_classifier(label, *labels, text=TEXT, **how):
    return proposals(*labels, text=text).model_copy(update={"classified": classified(label, **how)})


def test_a_classifier_s_guess_is_elected_beside_precedents_and_members():
    moderator = led(coded("the sound is bad", "great music"))
    (decided,) = moderator.decide([with_classifier("ads", "dark mode", "fast replies", "blue logo")])
    assert (decided.label, decided.verdict, decided.picked) == ("ads", "picked", "classifier")
    assert "the classifier" in decided.why
    assert decided.signals.keys() == decided_by_precedents(moderator).signals.keys()


def decided_by_precedents(moderator):
    return moderator.decide([proposals("dark mode")])[0]


def test_a_guess_that_similar_texts_have_too_is_a_precedent_that_the_classifier_named():
    moderator = led(coded("checkout takes long", "slow checkout"))
    (decided,) = moderator.decide([with_classifier("slow checkout", "dark mode", "fast replies")])
    assert (decided.label, decided.verdict, decided.picked) == ("slow checkout", "precedent", "classifier")


def test_a_sure_classifier_that_precedents_back_decides_but_of_a_text_that_people_coded():
    moderator = led(coded(TEXT, "slow checkout"), coded("noise everywhere", "ads"))
    same, other = moderator.decide(
        [
            with_classifier("ads", "ads", sure=True),
            with_classifier("ads", "dark mode", text="too much noise", sure=True),
        ]
    )
    assert same.label == "slow checkout"
    assert (other.label, other.picked, other.verdict) == ("ads", "classifier", "picked")
    assert other.moderator == "classifier 20260101T000000Z-fake"
    assert other.signals["precedent_similarity"] < 0.95


def test_a_sure_classifier_that_no_precedent_backs_is_elected_or_not_as_any_other():
    moderator = led(coded("too much noise here", "slow checkout"), coded("too much noise now", "slow checkout"))
    (decided,) = moderator.decide(
        [with_classifier("ads", "slow checkout", "slow checkout", text="too much noise", sure=True)]
    )
    assert (decided.label, decided.verdict) == ("slow checkout", "consensus")
    assert decided.moderator == "consensus+precedents"
