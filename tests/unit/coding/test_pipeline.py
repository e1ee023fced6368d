"""Every segment comes out once, in order, coded or with its reason; texts are cut, never changed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UnavailableError, UncodableError, WorkerFault
from models.fakes import FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.pipeline import CodedSegment, Pipeline, Uncoded, code_batch, moderate_batch
from models.refinement.refiner import Refiner
from models.routing.router import Router
from models.text.truncation import prepare
from schemas import Proposals
from tests.unit.builders import proposals, segment

EMBEDDER = HashEmbedder()


def pipeline(coder, limit=200, batch=4):
    refiner = Refiner(MemoryCodeIndex(), EMBEDDER, HandClock())
    return Pipeline(coder, ConsensusModerator(EMBEDDER), refiner, Router(), limit, batch)


@given(st.lists(st.text(max_size=40), max_size=12), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_every_text_comes_out_once_in_order_whatever_it_holds(texts, batch):
    segments = [segment(text, str(n)) for n, text in enumerate(texts)]
    outcomes = list(pipeline(FakeCoder(varied=True), batch=batch).run(segments))
    assert [outcome.segment.id for outcome in outcomes] == [one.id for one in segments]
    for outcome in outcomes:
        assert isinstance(outcome, Uncoded) or outcome.assignment.route in ("accepted", "people")


def test_one_text_that_the_model_fails_on_does_not_take_its_neighbours_along():
    texts = ["slow checkout", "great music", "BOOM", "too many ads", " \x00\u200f", "slow checkout"]
    outcomes = list(pipeline(FakeCoder(fail_on="BOOM"), batch=6).run([segment(t, str(n)) for n, t in enumerate(texts)]))
    assert [isinstance(outcome, CodedSegment) for outcome in outcomes] == [True, True, False, True, False, True]
    assert outcomes[2].reason.startswith("RuntimeError: ")
    assert outcomes[4].reason.startswith("no text to code")
    assert outcomes[5].assignment.code_id == outcomes[0].assignment.code_id
    assert outcomes[0].event is not None
    assert outcomes[5].event is None


def test_outcomes_come_batch_by_batch():
    asked = []

    class Listening(FakeCoder):
        def propose(self, segments):
            asked.append(len(segments))
            return super().propose(segments)

    run = pipeline(Listening(), batch=2).run([segment(f"text {n}") for n in range(5)])
    next(run)
    assert asked == [2]
    assert len(list(run)) == 4
    assert asked == [2, 2, 1]


def test_a_segment_without_a_usable_label_does_not_come_before_the_moderator():
    class Strict(ConsensusModerator):
        def decide(self, batch):
            assert len(batch) == 1
            return super().decide(batch)

    (broken,) = code_batch(FakeCoder(keywords={"bad": "one two three four five six"}), [segment("bad")], 100)
    moderated = moderate_batch(Strict(EMBEDDER), [broken, proposals("ads", "ads")])
    assert "6 words" in moderated[0].reason
    assert moderated[1].label == "ads"


def test_a_server_that_is_away_stops_the_batch():
    class Away(FakeCoder):
        def propose(self, segments):
            raise UnavailableError("no answer")

    with pytest.raises(UnavailableError):
        code_batch(Away(), [segment()], 100)


def test_a_coder_that_forgets_a_segment_stops_the_batch():
    class Forgetful(FakeCoder):
        def propose(self, segments):
            return super().propose(segments[1:])

    with pytest.raises(WorkerFault):
        code_batch(Forgetful(), [segment("one"), segment("two")], 100)


@pytest.mark.parametrize("blank", [0, 3])
def test_a_model_that_fails_on_every_one_of_eight_segments_is_blamed_and_not_the_segments(blank):
    batch = [segment(f"text {n}") for n in range(8)] + [segment("  ", str(n)) for n in range(blank)]
    with pytest.raises(WorkerFault, match=r"^every one of 8 segments failed in the model: RuntimeError: .*; the model"):
        code_batch(FakeCoder(fail_on="text"), batch, 100)


def test_seven_failures_or_one_success_among_eight_are_the_segments_own():
    seven = [segment(f"text {n}") for n in range(7)]
    for batch in (seven, [*seven, segment("fine")], [*seven, segment(" ", "blank")]):
        read = code_batch(FakeCoder(fail_on="text"), batch, 100)
        assert sum(isinstance(one, Uncoded) for one in read) >= 7


def test_a_moderator_that_fails_on_every_one_of_eight_segments_is_blamed():
    class Broken(ConsensusModerator):
        def decide(self, batch):
            raise MemoryError("out of memory")

    with pytest.raises(WorkerFault, match="every one of 8 segments failed in the model: MemoryError: out of memory"):
        moderate_batch(Broken(EMBEDDER), [proposals("ads", text=f"text {n}") for n in range(8)])


def test_eight_segments_that_a_moderator_calls_uncodable_are_set_aside():
    class Strict(ConsensusModerator):
        def decide(self, batch):
            raise UncodableError("too short")

    settled = moderate_batch(Strict(EMBEDDER), [proposals("ads", text=f"text {n}") for n in range(8)])
    assert [one.reason for one in settled] == ["too short"] * 8


def test_a_long_text_is_cut_and_the_cut_recorded():
    long = segment("word " * 20_000)
    (read,) = code_batch(FakeCoder(), [long], 100)
    assert isinstance(read, Proposals)
    assert len(read.segment.text) == 100
    assert (read.segment.cut_from, read.segment.id) == (100_000, long.id)


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x00", "\u200f\u200b", "\u0301"])
def test_a_text_with_nothing_to_see_is_uncodable(text):
    with pytest.raises(UncodableError, match="no text to code"):
        prepare(segment(text, "key"), 100)


@pytest.mark.parametrize("text", ["😀", "a\x00b", "مرحبا\u200f", "...", "x"])
def test_a_text_that_fits_is_kept_as_it_came(text):
    one = segment(text)
    assert prepare(one, 100) is one


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [("cafe\u0301s", 4, "caf"), ("ab👍🏽c", 3, "ab"), ("ab👩\u200d💻c", 4, "ab"), ("abcdef", 3, "abc")],
)
def test_a_cut_does_not_split_a_visible_character(text, limit, kept):
    assert prepare(segment(text), limit).text == kept


@given(st.text(min_size=1, max_size=120), st.integers(1, 60))
def test_what_is_kept_is_a_beginning_of_the_text_and_within_the_limit(text, limit):
    try:
        kept = prepare(segment(text, "key"), limit)
    except UncodableError:
        return
    assert text.startswith(kept.text)
    assert 0 < len(kept.text) <= limit
    assert (kept.cut_from is None) == (len(text) <= limit)
