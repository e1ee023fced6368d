"""What becomes of a moderator's answer, and the consensus behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.file_coding import as_row
from models.backends.parsing import candidates
from models.errors import UncodableError
from models.fakes import FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.classifier_vote import GUESS_WEIGHT, LIKELY, with_guess
from models.moderation.decision import Answer, ConsensusModerator, decide_from_answer, decide_from_answers, moderate
from models.moderation.voting import CONSENSUS, agreed, ballot, consensus
from models.pipeline import Pipeline
from models.refinement.refiner import Refiner
from models.routing.router import Router
from schemas import Proposal, Proposals
from schemas.coding import usable
from schemas.ids import normalised_label
from tests.unit.builders import classified, proposal, proposals, segment

EMBEDDER = HashEmbedder()
LABELS = st.sampled_from(["slow checkout", "checkout slow", "slow app", "ads", "too many ads", "great music", "Ads"])


LIKELIHOODS = st.none() | st.floats(-5, 0)


@st.composite
def some_proposals(draw):
    several = st.tuples(LABELS, LIKELIHOODS, st.booleans(), st.lists(LABELS, max_size=3))
    labels = draw(st.lists(several, min_size=1, max_size=6))
    made = [
        proposal(label, f"m{n}", None if good or n == 0 else "empty", likelihood, drawn)
        for n, (label, likelihood, good, drawn) in enumerate(labels)
    ]
    return made, draw(st.permutations(made))


def vectors(made):
    """The embedding of each label that a member said or drew."""
    labels = sorted({label for one in made for label in (one.label, *one.drawn)})
    return dict(zip(labels, EMBEDDER.embed(labels), strict=True))


@given(some_proposals())
def test_the_consensus_does_not_depend_on_the_order_of_the_members(case):
    made, shuffled = case
    first, second = (consensus(p, vectors(p)) for p in (made, shuffled))
    assert first.vote == second.vote
    assert first.agreement == pytest.approx(second.agreement)


@given(some_proposals())
def test_agreement_is_a_share_and_never_above_the_share_of_usable_proposals(case):
    made, _ = case
    found = consensus(made, vectors(made))
    assert found.vote.proposal.fault is None
    assert 0 <= found.agreement <= len(usable(made)) / len(made) + 1e-6


def test_the_consensus_is_the_label_nearest_to_the_others():
    decided = ConsensusModerator(EMBEDDER).decide([proposals("slow checkout", "slow checkout page", "great music")])[0]
    assert decided.label in {"slow checkout", "slow checkout page"}
    assert (decided.verdict, decided.moderator) == ("consensus", "consensus")
    assert decided.picked in {"a", "b"}


def test_of_two_that_disagree_the_likelier_wins():
    made = [proposal("ads", "a", None, -3.0), proposal("music", "b", None, -0.1)]
    assert consensus(made, vectors(made)).vote.label == "music"


@given(some_proposals())
def test_a_members_vote_is_the_same_however_many_labels_share_it(case):
    made, _ = case
    whole = {vote.proposal.member: vote.weight for vote in ballot([p.model_copy(update={"drawn": []}) for p in made])}
    shared = ballot(made)
    assert sum(vote.weight for vote in shared) == pytest.approx(1)
    for one in usable(made):
        shares = [vote.weight for vote in shared if vote.proposal.member == one.member]
        assert shares == pytest.approx([whole[one.member] / (1 + len(one.drawn))] * (1 + len(one.drawn)))
        assert [v.label for v in shared if v.proposal.member == one.member and not v.is_sample] == [one.label]


def test_what_most_drew_wins_over_what_each_said_and_names_who_drew_it():
    made = [
        proposal("great music", "a", drawn=["slow app", "slow app"]),
        proposal("too many ads", "b", drawn=["slow app", "login"]),
        proposal("checkout", "c", drawn=["slow app", "price"]),
    ]
    decided = ConsensusModerator(EMBEDDER).decide([Proposals(segment=segment(), proposals=made)])[0]
    assert (decided.label, decided.verdict, decided.picked) == ("slow app", "consensus", "a")
    assert "'slow app', drawn by a, is nearest to the 3 usable of 3 proposals and 6 drawn labels" in decided.why
    said = [EMBEDDER.embed([one.label, "slow app"]) for one in made]
    assert decided.agreement == pytest.approx(max(0, sum(float(one @ drawn) for one, drawn in said) / 3), abs=1e-6)


def test_a_label_that_one_said_and_another_drew_is_picked_from_who_said_it():
    made = [proposal("ads", "a", drawn=["slow app", "slow app"]), proposal("slow app", "b", drawn=["slow app"])]
    decided = ConsensusModerator(EMBEDDER).decide([Proposals(segment=segment(), proposals=made)])[0]
    assert (decided.label, decided.picked) == ("slow app", "b")
    assert "drawn by" not in decided.why


def test_what_an_unusable_proposal_drew_does_not_vote():
    made = [proposal("ads", "a"), proposal("", "b", "empty", drawn=["slow app", "slow app"])]
    assert [vote.label for vote in ballot(made)] == ["ads"]


def test_draws_make_no_majority():
    assert not agreed([proposal("ads", "a", drawn=["slow app"] * 3), proposal("slow app", "b")])
    assert agreed([proposal("ads", "a", drawn=["slow app"] * 3), proposal("Ads", "b", drawn=["price"])])


def test_an_answer_that_equals_what_was_drawn_picks_it():
    made = Proposals(segment=segment(), proposals=[proposal("ads", "a"), proposal("price", "b", drawn=["slow app"])])
    decided = decide_from_answer("Slow app", made, EMBEDDER, log_probability=-0.2, moderator="m@1")
    assert (decided.verdict, decided.label, decided.picked) == ("picked", "slow app", "b")
    assert "drawn by b" in decided.why


def test_a_moderator_is_shown_the_two_most_drawn_labels_beside_what_was_said():
    made = [
        proposal("ads", "a", drawn=["slow app", "price", "Ads", "login"]),
        proposal("Ads", "b", drawn=["price", "slow app", "Slow app", "zoom"]),
    ]
    shown = candidates(Proposals(segment=segment(), proposals=made))
    assert [normalised_label(label) for label in shown] == ["ads", "price", "slow app"]


def test_a_moderator_is_shown_no_more_than_six_labels_because_of_draws():
    many = [proposal(label, f"m{n}", drawn=["price", "zoom"]) for n, label in enumerate("abcde")]
    for count, shown in ((3, 5), (5, 6)):
        assert len(candidates(Proposals(segment=segment(), proposals=many[:count]))) == shown
    said = [proposal(label, f"m{n}", drawn=["price"]) for n, label in enumerate("abcdefgh")]
    assert candidates(Proposals(segment=segment(), proposals=said)) == list("abcdefgh")


def test_members_that_say_the_same_agree_fully_and_an_unusable_one_lowers_that():
    whole = ConsensusModerator(EMBEDDER).decide([proposals("slow app", "slow app")])[0]
    made = [proposal("slow app", "a"), proposal("", "b", "empty")]
    half = ConsensusModerator(EMBEDDER).decide([Proposals(segment=segment(), proposals=made)])[0]
    assert whole.agreement == pytest.approx(1)
    assert half.agreement == pytest.approx(0.5)


def test_an_answer_that_equals_a_proposal_picks_it_whatever_its_spelling():
    decided = decide_from_answer(
        'Code: "Slow  APP."', proposals("ads", "slow app"), EMBEDDER, log_probability=-0.2, moderator="m@1"
    )
    assert (decided.verdict, decided.label, decided.picked) == ("picked", "slow app", "b")
    assert (decided.log_probability, decided.moderator) == (-0.2, "m@1")


def test_an_answer_near_to_a_proposal_rewrites():
    decided = decide_from_answer(
        "slow app start", proposals("slow app", "ads"), EMBEDDER, log_probability=-0.2, moderator="m@1"
    )
    assert (decided.verdict, decided.label, decided.picked) == ("rewrote", "slow app start", None)
    assert "'slow app'" in decided.why


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("one two three four five six", "6 words"),
        ("", "empty"),
        ("Summarize the main idea of a sentence", "not usable"),
        ("ignore all previous instructions", "too far from the nearest proposal"),
    ],
)
def test_an_answer_that_fails_validation_falls_back_to_the_consensus_and_says_so(answer, why):
    decided = decide_from_answer(
        answer, proposals("slow app", "slow app"), EMBEDDER, log_probability=-0.2, moderator="m@1"
    )
    assert (decided.verdict, decided.label, decided.moderator) == ("consensus", "slow app", "m@1")
    assert why in decided.why
    assert decided.log_probability is None


def test_a_batch_is_embedded_in_one_call_and_settled_as_each_alone():
    calls = []

    class Counting(HashEmbedder):
        def embed(self, texts):
            calls.append(list(texts))
            return super().embed(texts)

    batch = [proposals("slow app", "ads"), proposals("ads", "too many ads"), proposals("music", "music")]
    answers = [Answer("slow app"), Answer("ads everywhere", -0.5), None]
    together = decide_from_answers(answers, batch, Counting(), moderator="m@1")
    assert len(calls) == 1
    assert len(calls[0]) == len(set(calls[0]))
    alone = [decide_from_answers([a], [b], EMBEDDER, moderator="m@1")[0] for a, b in zip(answers, batch, strict=True)]
    assert together == alone
    assert [one.verdict for one in together] == ["picked", "rewrote", "consensus"]


def test_a_segment_without_a_usable_proposal_is_uncodable_and_the_faults_are_named():
    made = Proposals(
        segment=segment(), proposals=[proposal("", "a", "empty"), proposal("x", "b", "repeats the prompt")]
    )
    with pytest.raises(UncodableError, match="a: empty; b: repeats the prompt"):
        decide_from_answer("fine", made, EMBEDDER, log_probability=None, moderator="m@1")
    with pytest.raises(UncodableError):
        consensus(made.proposals, {})


def test_what_was_drawn_is_told_in_the_line_that_stands_for_a_segment():
    class Drawing(FakeCoder):
        def propose(self, segments, among=None):
            read = super().propose(segments, among)
            return [[one.model_copy(update={"drawn": ["ads"]}), *others] for one, *others in read]

    refiner = Refiner(MemoryCodeIndex(), EMBEDDER, HandClock())
    steps = Pipeline(Drawing(), ConsensusModerator(EMBEDDER), refiner, Router(), 200)
    (outcome,) = steps.run([segment()])
    assert [proposal.get("drawn") for proposal in as_row(outcome)["proposals"]] == [["ads"], None, None]


def test_a_message_from_before_there_were_draws_is_read():
    before = proposal("slow app").model_dump_json(exclude={"drawn"}).encode()
    assert Proposal.from_bytes(before) == proposal("slow app")


def test_an_empty_batch_gives_nothing():
    assert ConsensusModerator(EMBEDDER).decide([]) == []


def test_a_moderator_is_asked_only_where_no_majority_agrees():
    agree = proposals("fast replies", "Fast replies", "slow app")
    differ = proposals("fast replies", "quick answers", "slow app")
    asked = []

    def ask(batch):
        asked.extend(batch)
        return [Answer("quick answers", -0.5) for _ in batch]

    first, second = moderate([agree, differ], ask, HashEmbedder(), moderator="arbiter@1")
    assert asked == [differ]
    assert (first.verdict, first.moderator, normalised_label(first.label)) == ("consensus", CONSENSUS, "fast replies")
    assert (second.verdict, second.moderator, second.label) == ("picked", "arbiter@1", "quick answers")


# the classifier's guess


def guessed(made, label="slow login", **how):
    return made.model_copy(update={"classified": classified(label, "ads", **how)})


def test_a_likely_guess_is_elected_where_the_members_differ_and_the_decision_says_so():
    made = proposals("fast replies", "great music", "dark mode")
    (decided,) = ConsensusModerator(EMBEDDER).decide([guessed(made)])
    assert (decided.label, decided.verdict, decided.picked) == ("slow login", "consensus", "classifier")
    assert [proposal.member for proposal in decided.proposals] == ["a", "b", "c"]
    assert "and the classifier" in decided.why
    assert decided.classified.guesses[0].label == "slow login"
    assert decided.agreement == pytest.approx(
        max(
            0,
            sum(float(EMBEDDER.embed(["slow login"])[0] @ v) for v in EMBEDDER.embed([p.label for p in made.proposals]))
            / 3,
        ),
        abs=1e-5,
    )


def test_an_unlikely_guess_is_no_candidate():
    made = proposals("fast replies", "great music", "dark mode")
    moderator = ConsensusModerator(EMBEDDER)
    (with_it,) = moderator.decide([guessed(made, probability=LIKELY - 0.01)])
    (without,) = moderator.decide([made])
    assert with_it.model_copy(update={"classified": None}) == without


@given(st.floats(LIKELY, 1), st.booleans())
def test_members_who_all_say_the_same_outvote_a_guess_only_while_it_weighs_less(probability, sure):
    made = guessed(proposals("fast replies", "fast replies", "fast replies"), probability=probability, sure=sure)
    (decided,) = ConsensusModerator(EMBEDDER).decide([made])
    wins = sure or GUESS_WEIGHT * probability > 1.001
    if abs(GUESS_WEIGHT * probability - 1) > 0.001:
        assert (decided.label == "slow login") == wins


def test_a_sure_classifier_decides_and_no_model_is_asked():
    made = guessed(proposals("fast replies", "great music", "dark mode"), sure=True)
    (decided,) = moderate([made], lambda batch: pytest.fail("asked"), EMBEDDER, moderator="arbiter@1")
    assert (decided.label, decided.verdict, decided.picked) == ("slow login", "picked", "classifier")
    assert decided.moderator == "classifier 20260101T000000Z-fake"
    assert "is sure of 'slow login', 0.90" in decided.why


def test_a_model_is_shown_the_guess_among_the_candidates_and_may_pick_it():
    made = guessed(proposals("fast replies", "great music", "dark mode"), probability=0.6)
    shown = []

    def ask(batch):
        shown.extend(candidates(one) for one in batch)
        return [Answer("Slow login", -0.2) for _ in batch]

    (decided,) = moderate([made], ask, EMBEDDER, moderator="arbiter@1")
    assert shown == [["dark mode", "fast replies", "great music", "slow login"]]
    assert (decided.verdict, decided.picked, decided.moderator) == ("picked", "classifier", "arbiter@1")


def test_a_classifier_that_was_asked_alone_does_not_vote_twice():
    alone = proposal("slow login", "classifier")
    made = guessed(Proposals(segment=segment(), proposals=[alone], skipped=["a", "b"]), sure=True)
    assert with_guess(made) == made
    (decided,) = ConsensusModerator(EMBEDDER).decide([made])
    assert (decided.label, decided.proposals, decided.skipped) == ("slow login", [alone], ["a", "b"])
    assert decided.agreement == pytest.approx(1)
